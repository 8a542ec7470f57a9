// Builds as folders:
//
//     ROOT/TEAM/logs/19/            a build
//     ROOT/TEAM/logs/archive/18/    an archived one
//     ROOT/TEAM/logs/.new-UUID.MARK/ a build in the making, or what a crash left of it; the mark is its maker's
//     ROOT/TEAM/logs/.next          the run id given last
//     ROOT/TEAM/logs/.removed/17    17 was removed; so no id up to it is given any more
//     ROOT/TEAM/logs/.ops/          records of builds on their way to another file system: see folder_moving.hpp
//     .../.mv-OP/                   such a build in the making, where it goes to
//     .../.trash-OP/                a build that goes away
//     ROOT/TEAM/logs/.index/        notes of the engine: see lb_store.notes
//
// A team is a folder with a team's name in which there is a folder `logs`. A build is a folder, no link, whose name is
// a run id in its plain form; what is in it does not matter, so that an existing tree is taken as it stands.
//
// Where a build is, is decided by one rename and by nothing else. Any number of processes may use one root.
//
// Run ids. The next one is one above `.next`, where neither list has that; otherwise one above all that are there. It
// is taken by renaming the finished folder to it, which fails where somebody was faster. A lock on `.next` keeps the
// hint growing and the processes from getting in each other's way, but nobody has to hold it: an id that is in use can
// be neither in the main list (the rename would fail) nor in the archive (that is looked at again after the rename,
// when nothing can come back from there any more) nor removed (that is marked before it is, and looked at last).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <litbuild/store.hpp>

#include <folder-store/fs.hpp>
#include <folder-store/place.hpp>

namespace litbuild::folder {

class FolderStore : public BuildStore {
public:
    explicit FolderStore(std::unique_ptr<Fs> fs) : fs_(std::move(fs)) {}

    uint64_t capabilities() const override { return fs_->capabilities(); }
    std::vector<std::string> teams(const Call &call) override;
    /// Reads names only, never a build. A build that is in both places is told once, as live.
    void list(const Call &call, const Query &query, const EntrySink &each) override;
    Entry find(const Call &call, const BuildName &build) override;
    Entry create(const Call &call, const NewBuild &build) override;
    /// To another file system it is copied, which is told to the call in bytes; broken off, it goes on the next time.
    /// Code::corrupt: the build is in both places.
    Entry archive(const Call &call, const BuildName &build) override;
    Entry restore(const Call &call, const BuildName &build) override;
    std::vector<std::string> tags(const Call &call, const BuildName &build) override;
    void edit_tags(const Call &call, const BuildName &build, std::span<const std::string> add,
                   std::span<const std::string> remove) override;
    void read(const Call &call, const BuildName &build, std::string_view name, uint64_t offset, uint64_t max,
              const TextSink &sink) override;
    void write_control(const Call &call, const BuildName &build, std::string_view name,
                       std::string_view content) override;
    /// Where only the clearing was broken off, it is finished. Code::not_found: there is nothing of it any more.
    void remove(const Call &call, const BuildName &build) override;
    /// Removes what nobody works on any more, ends moves that were broken off, raises `.next`. Builds and what is not known
    /// are left alone.
    void examine(const Call &call, const std::string &team, Repair repair, const FindingSink &each) override;
    /// By notification, where the file system has it and the kernel lets as many folders be watched; what is not watched is
    /// looked at every two seconds.
    void watch(const Call &call, const std::string &team, const ChangeSink &each) override;
    /// Asks the clock of the file system by writing a file beside the builds, every few seconds at most.
    std::chrono::nanoseconds age(const Call &call, const BuildName &build, std::string_view name) override;
    std::chrono::milliseconds as_of() const override { return fs_->as_of(); }
    /// When the folders of both lists changed last, where that is two seconds ago by the clock of their file system.
    std::string version(const Call &call, const std::string &team) override;
    std::vector<std::string> notes(const Call &call, const std::string &team) override;
    void read_note(const Call &call, const std::string &team, std::string_view name, const TextSink &sink) override;
    void write_note(const Call &call, const std::string &team, std::string_view name, std::string_view content,
                    Durable durable) override;
    bool swap_note(const Call &call, const std::string &team, std::string_view name, std::string_view before,
                   std::string_view content, Durable durable) override;
    void remove_note(const Call &call, const std::string &team, std::string_view name) override;

private:
    class Alone;
    class Draft;
    class Moving;
    class Examination;
    class Watcher;

    static Path logs(std::string_view team) { return Path() / team / "logs"; }
    static Path index(std::string_view team) { return logs(team) / ".index"; }
    static Path ops(std::string_view team) { return logs(team) / ".ops"; }
    static Path folder(std::string_view team, Place place);
    static Path folder(const BuildName &build, Place place);
    /// Code::invalid: not the name of a file in it.
    static Path below(const Path &folder, const BuildName &build, std::string_view name);
    std::string prefix(std::string_view team, Place place) const;
    Entry entry(const BuildName &build, Place place) const;

    bool is_in(const Call &call, const BuildName &build, Place place)
    {
        return fs_->look(call, folder(build, place)).kind == Kind::folder;
    }
    std::optional<Place> locate(const Call &call, const BuildName &build);
    bool is_listed(const Call &call, const BuildName &build);
    bool looks_double(const Call &call, const BuildName &build);
    bool is_double(const Call &call, const BuildName &build);
    Place place_of(const Call &call, const BuildName &build);
    Error no_such(const Call &call, const BuildName &build);
    bool collect(const Call &call, const Query &query, Place place, std::vector<int64_t> &found);
    Entry move(const Call &call, const BuildName &build, Place to);
    Error in_the_way(const Call &call, const BuildName &build, Place to);
    /// False: the build has no such file.
    bool read_if_there(const Call &call, const BuildName &build, std::string_view name, uint64_t offset, uint64_t max,
                       const TextSink &sink);
    void in_its_folder(const Call &call, const BuildName &build, const std::function<void(const Path &)> &action);

    static Path note(const std::string &team, std::string_view name);
    void make_index(const Call &call, const std::string &team);

    std::string small_file(const Call &call, const Path &path);
    std::string uuid(const Call &call, const BuildName &build, Place place);
    std::vector<std::string> operations(const Call &call, const BuildName &build);
    void settle(const Call &call, const BuildName &build, std::optional<Place> wanted);

    int64_t removed(const Call &call, const std::string &team);
    void mark_as_used(const Call &call, const BuildName &build);
    void raise_hint(const Call &call, const BuildName &build);
    bool clear_trash(const Call &call, const BuildName &build);

    static int64_t parse_hint(std::string_view text) noexcept;
    void make_team(const Call &call, const std::string &team);
    int64_t highest(const Call &call, const std::string &team);
    std::string hint(const Call &call, const std::string &team);
    int64_t claim(const Call &call, const std::string &team, Draft &draft);
    int64_t publish(const Call &call, const std::string &team, Draft &draft, int64_t used);
    bool take(const Call &call, const BuildName &build, Draft &draft);
    bool settle(const Call &call, const BuildName &build, Draft &draft);
    Error taken_away(const BuildName &build, const Draft &draft) const;
    bool is_draft(const Call &call, const BuildName &build, Place place, const Draft &draft);

    // A draft that could not be cleared away, or may have become a build, for the server did not answer.
    struct Doubt {
        Path draft;
        BuildName build;        // run id 0: it was not tried
        std::string document;   // of that run id
    };
    std::optional<Entry> settle_doubts(const Call &call, const NewBuild &build);
    std::optional<Entry> settle(const Call &call, const Doubt &doubt);
    bool put_away(const Call &call, const std::string &team, const Path &folder);

    /// What the clock of a team's file system showed, and when.
    struct Reading {
        int64_t time_ns = 0;
        Clock::time_point when{};
    };
    int64_t clock_ns(const Call &call, const std::string &team);

    std::unique_ptr<Fs> fs_;
    std::mutex doubts_mutex_;
    std::vector<Doubt> doubts_;
    std::set<std::string> making_;   // drafts of calls under way
    std::mutex clocks_mutex_;
    std::map<std::string, Reading> clocks_;
};

}  // namespace litbuild::folder
