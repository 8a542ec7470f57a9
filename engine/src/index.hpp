// The index of a team: what its settled builds are, so that a list need not read them one by one.
//
// It can neither hide nor invent a build, for which builds there are the store's list alone says. A build is settled when its
// own word says how it has ended; its status never changes again. Its tags may, and so who edits them puts a mark beside the
// builds first: a marked build is read. Whoever reads one writes it down again, and then the marks go that were there before
// he read:
//
//     seg-N                  the records of some of the builds whose run ids are N * 16384 and up; replaced only where it is
//                            still the one that was there before any of them was read
//     mark-RUNID-ID          the tags of this build are being edited ("open") or were since ("done")
//     names-SCOPE            which builds there were, and the version of the lists at which they were
//
// An edit that nobody knows the end of leaves its mark open, and its build is read from then on. All of it may be removed at
// any time but the marks.
//
// Tags that are edited by hand leave no mark. So short lists are read as they are, and of the builds of a long one some are
// read at random, which puts the segment right that says otherwise; Engine::examine() with Repair::yes empties all segments.
#pragma once

#include <map>
#include <set>

#include "segment.hpp"

namespace litbuild::detail {

struct Core;

/// Around an edit of a build's tags.
class Mark {
public:
    /// Throws where there should be a mark and none can be put.
    Mark(const Core &core, const Call &call, const BuildName &build);
    /// The edit is over, whatever has come of it. Without this it is not known whether it is.
    void done() noexcept;

private:
    const Core &core_;
    Call call_;
    BuildName build_;
    std::string note_;   // empty: the store keeps none
};

/// Lists read each build once more; marks of edits that are over go.
void forget_index(const Core &core, const Call &call, const std::string &team);

/// For one list, in one thread.
class Index {
public:
    /// Borrows all. Throws Code::timeout, Code::cancelled.
    Index(const Core &core, const Call &call, const std::string &team);

    /// From here on it is about that segment, before anything of its builds is read; about so many will be asked for. What was
    /// learned of the one before is written down.
    void open(int64_t number, size_t count);
    /// A build that need not be read. The run ids have to be asked for from high to low. The record is good until the next
    /// open().
    std::optional<Record> find(int64_t runid);
    /// What was read of a build, and what was found of it here.
    void learn(const Summary &summary, const std::optional<Record> &found);
    /// The build is not there any more.
    void drop(const Record &found);
    /// Writes down what was learned, where that is worth it. Throws nothing: it only saves time.
    void keep() noexcept;

private:
    struct Marks {
        std::set<std::string> notes;
        std::set<int64_t> runids;
    };

    void make();
    void write();

    const Core &core_;
    const Call &call_;
    const std::string &team_;
    const uint64_t source_;
    std::map<int64_t, Marks> marks_;   // by segment
    bool usable_ = false;
    int64_t number_ = -1;
    Segment segment_;
    bool is_wrong_ = false;              // it says of a build what is not so any more
    std::vector<std::string> settled_;   // marks of it that may go once what was read is written down
    std::map<int64_t, std::string, std::greater<>> learned_;
    std::set<int64_t> dropped_;
};

}  // namespace litbuild::detail
