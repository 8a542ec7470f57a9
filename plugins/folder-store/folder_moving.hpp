// A build's way to another file system, where a rename does not lead.
//
//     1  TEAM/logs/.ops/OP.json     Phase::copy
//     2  DESTINATION/.mv-OP         the copy grows, is synced and compared with the source
//     3  OP.json                    Phase::commit, with the inode of the copy
//     4  DESTINATION/19             by rename
//     5  SOURCE/.trash-OP           by rename; if the destination is gone then, back again
//     6  OP.json                    Phase::clear; the trash is removed, then the record
//
// Readers look into the main list first, and so see the build exactly once: until 5 on its way into the archive, from 4 on
// on its way back. Nobody edits tags from the last comparison to 5: their lock is held.
// From whatever a crash leaves behind, settle() goes on or back. Who works on a build holds the lock on `.ops/19`; where
// there are no locks, the record tells whether its maker lives. Records of other hosts are left alone.
#pragma once

#include <folder-store/folder_store.hpp>
#include <folder-store/journal.hpp>

namespace litbuild::folder {

class FolderStore::Moving {
public:
    enum class Wait { others, nobody };
    enum class LockFile { tidied, as_found };
    /// Waits until nobody else moves the build; Wait::nobody: does not wait for them. Code::timeout, Code::cancelled.
    /// LockFile::as_found: what is on the disk is the same when it is over, for one that only looks.
    Moving(FolderStore &store, const Call &call, const BuildName &build, Wait wait = Wait::others,
           LockFile after = LockFile::tidied);
    ~Moving();
    Moving(const Moving &) = delete;
    Moving &operator=(const Moving &) = delete;

    /// Ends what others have left. A copy that is under way to `wanted` is kept for carry().
    /// Code::unavailable: it is another host's. Code::corrupt: not to be told what belongs where.
    void settle(std::optional<Place> wanted);
    /// Moves the build; returns without doing anything where it is not there to be moved.
    void carry(Place to);

    /// Whether settle() may end what is recorded: nobody works on it.
    bool may_settle(const Journal &journal) const;

private:
    struct Paths {
        Path source, copy, destination, trash;
    };
    Paths paths(const Journal &journal) const;
    Path record(const std::string &op) const { return ops(build_.team) / (op + ".json"); }

    void require_lock();
    bool settle(const Journal &journal, std::optional<Place> wanted);
    void settle_damaged(const std::string &op);
    bool is_destination(const Journal &journal);
    void write(const Journal &journal);
    void drop(const Journal &journal);
    void discard(const Call &call, const Journal &journal);
    void put_back(const Journal &journal);

    void begin(Place to);
    bool is_copied(Compare what, const Told &told);
    void copy();
    void publish();
    void retire();
    std::unique_ptr<Lock> hold_tags(const Path &folder);

    FolderStore &store_;
    Fs &fs_;
    const Call &call_;
    const BuildName build_;
    const std::string object_;
    const Path lock_file_;
    const LockFile after_;
    bool was_there_ = false;              // the file of the lock
    std::unique_ptr<Lock> lock_;          // null: there are no locks here
    bool is_alone_ = true;                // it was not taken away, as far as is known
    std::unique_ptr<Lock> tags_;
    std::optional<Journal> journal_;      // of the way that is under way
};

}  // namespace litbuild::folder
