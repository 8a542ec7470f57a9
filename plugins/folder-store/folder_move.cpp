// FolderStore: archive and restore. The steps across file systems stand in folder_moving.hpp.
#include <folder-store/folder_moving.hpp>

#include <litbuild/time.hpp>

#include <folder-store/noise.hpp>

namespace litbuild::folder {

namespace {

// Each time others must have moved it just then.
constexpr int tries = 50;
// So often it is copied again where it changes meanwhile.
constexpr int copies = 5;

Place other(Place place) noexcept { return place == Place::live ? Place::archive : Place::live; }

const char *done_to(Place to) noexcept { return to == Place::archive ? ": is archived" : ": is restored"; }

// What went away while it was read is a difference like any other.
template <class Step>
bool unless_stale(const Step &step)
{
    try {
        return step();
    } catch (const Error &error) {
        if (error.os_errno() != ESTALE) throw;
        return false;
    }
}

}  // namespace

Entry FolderStore::archive(const Call &call, const BuildName &build) { return move(call, build, Place::archive); }

Entry FolderStore::restore(const Call &call, const BuildName &build) { return move(call, build, Place::live); }

Entry FolderStore::move(const Call &call, const BuildName &build, Place to)
{
    litbuild::check(build);
    const std::string object = to_string(build);
    const Place from = other(to);
    const auto done = [&] {
        fs_->sync_dir(call, folder(build.team, to));
        fs_->sync_dir(call, folder(build.team, from));
        settle(call, build, std::nullopt);
        return entry(build, to);
    };
    for (int i = 0; i < tries; ++i) {
        call.check(object);
        settle(call, build, to);
        const bool there = is_in(call, build, to);
        const Info here = fs_->look(call, folder(build, from));
        if (here.kind == Kind::folder && there) {
            if (is_double(call, build)) throw Error(Code::corrupt, object + ": lies in the main list and in the archive");
            continue;
        }
        if (there && fs_->look(call, folder(build.team, from)).kind != Kind::folder) return entry(build, to);
        if (there) return done();
        if (here.kind != Kind::folder) {
            // Throws where it is nowhere; else it moved while we looked.
            place_of(call, build);
            continue;
        }
        if (to == Place::archive && fs_->make_dir(call, folder(build.team, to))) fs_->sync_dir(call, logs(build.team));
        Renamed renamed = Renamed::done;
        try {
            renamed = fs_->rename(call, folder(build, from), folder(build, to));
        } catch (const Error &) {
            // A file server may have moved it and failed to say so: is it the one that was here?
            const Info now = fs_->look(call, folder(build, to));
            if (is_in(call, build, from) || now.kind != Kind::folder || now.inode != here.inode) throw;
        }
        if (renamed == Renamed::done) return done();
        if (renamed == Renamed::other_file_system) Moving(*this, call, build).carry(to);
    }
    throw in_the_way(call, build, to);
}

// A folder of its name is a build that others move.
Error FolderStore::in_the_way(const Call &call, const BuildName &build, Place to)
{
    const Kind kind = fs_->look(call, folder(build, to)).kind;
    if (kind == Kind::none || kind == Kind::folder)
        return Error(Code::unavailable, to_string(build) + ": is being moved by others; try again");
    return Error(Code::exists, to_string(build) + ": something else lies at " + entry(build, to).path);
}

std::vector<std::string> FolderStore::operations(const Call &call, const BuildName &build)
{
    std::vector<std::string> found;
    fs_->read_dir(call, ops(build.team), [&](std::string_view name, Kind) {
        if (!name.ends_with(".json")) return true;
        name.remove_suffix(std::string_view(".json").size());
        if (runid_of_op(name) == build.runid) found.emplace_back(name);
        return true;
    });
    return found;
}

void FolderStore::settle(const Call &call, const BuildName &build, std::optional<Place> wanted)
{
    if (!operations(call, build).empty()) Moving(*this, call, build).settle(wanted);
}

FolderStore::Moving::Moving(FolderStore &store, const Call &call, const BuildName &build, Wait wait, LockFile after)
    : store_(store), fs_(*store.fs_), call_(call), build_(build), object_(to_string(build)),
      lock_file_(ops(build.team) / ("." + std::to_string(build.runid) + ".lock")), after_(after)
{
    if (after_ == LockFile::as_found) was_there_ = fs_.look(call_, lock_file_).kind != Kind::none;
    if (fs_.make_dir(call_, ops(build.team))) fs_.sync_dir(call_, logs(build.team));
    try {
        lock_ = fs_.lock(wait == Wait::others ? call : Call::until(Clock::now()),
                         ops(build.team) / std::to_string(build.runid));
    } catch (const Error &error) {
        const bool has_waited = error.code() == Code::timeout || error.code() == Code::cancelled;
        // With a number: it is not others that kept us waiting.
        if (has_waited && error.os_errno() == 0)
            throw Error(error.code(), object_ + ": is being moved by others; waiting for them was " +
                                          (error.code() == Code::timeout ? "too long" : "cancelled"));
        if (error.code() != Code::unsupported) throw;
    }
}

FolderStore::Moving::~Moving()
{
    try {
        // While the lock is held, so that nobody believes in two files of that name.
        if (!lock_) return;
        const bool stays = after_ == LockFile::as_found ? was_there_ : !store_.operations(call_, build_).empty();
        if (!stays) fs_.remove_file(call_, lock_file_);
    } catch (...) {
        // An empty file stays, which the next one uses.
    }
}

FolderStore::Moving::Paths FolderStore::Moving::paths(const Journal &journal) const
{
    const Path from = folder(build_.team, other(journal.to)), to = folder(build_.team, journal.to);
    const std::string runid = std::to_string(build_.runid);
    return {from / runid, to / (".mv-" + journal.op), to / runid, from / (".trash-" + journal.op)};
}

void FolderStore::Moving::write(const Journal &journal)
{
    fs_.replace_file(call_, record(journal.op), to_text(journal), Durable::yes);
}

void FolderStore::Moving::drop(const Journal &journal)
{
    fs_.remove_file(call_, record(journal.op));
    fs_.sync_dir(call_, ops(build_.team));
}

// The copy was never a build.
void FolderStore::Moving::discard(const Call &call, const Journal &journal)
{
    if (journal.phase == Phase::commit) {
        // It is not whole any more.
        Journal back = journal;
        back.phase = Phase::copy;
        write(back);
    }
    const Path copy = paths(journal).copy;
    fs_.remove_tree(call, copy);
    fs_.remove_tree(call, copy.parent() / (std::string(copy.name()) + ".links"));
    drop(journal);
}

void FolderStore::Moving::put_back(const Journal &journal)
{
    require_lock();
    const Paths at = paths(journal);
    if (fs_.rename(call_, at.trash, at.source) != Renamed::done)
        throw Error(Code::corrupt, object_ + ": lies at " + fs_.root() + "/" + at.trash.text() + "; move it back by hand");
    fs_.sync_dir(call_, at.source.parent());
}

// Who was stopped for longer than a lock holds must not go on where another one has begun.
void FolderStore::Moving::require_lock()
{
    is_alone_ = !lock_ || lock_->is_held(call_);
    if (!is_alone_) throw Error(Code::unavailable, object_ + ": its lock was taken away, for it took too long; try again");
}

bool FolderStore::Moving::is_destination(const Journal &journal)
{
    if (journal.phase == Phase::copy) return false;
    const Info found = fs_.look(call_, paths(journal).destination);
    if (found.kind != Kind::folder) return false;
    return found.inode == journal.copy || (!journal.uuid.empty() && store_.uuid(call_, build_, journal.to) == journal.uuid);
}

bool FolderStore::Moving::may_settle(const Journal &journal) const
{
    const Owning owning = look_for(journal.owner);
    if (owning == Owning::gone) return true;
    // Whoever it is, on this kernel, does not hold the lock; nor on this host before it was started, where no other host may go
    // by its name.
    const Owner here = Owner::self();
    const bool is_shared = (store_.capabilities() & LB_STORE_SHARED) != 0;
    return lock_ && (journal.owner.boot == here.boot || (!is_shared && journal.owner.host == here.host));
}

void FolderStore::Moving::settle(std::optional<Place> wanted)
{
    for (const std::string &op : store_.operations(call_, build_)) {
        const auto journal = parse_journal(op, store_.small_file(call_, record(op)));
        if (!journal) {
            settle_damaged(op);
            continue;
        }
        if (!may_settle(*journal))
            throw Error(Code::unavailable, object_ + ": is being moved by " + journal->owner.text() + " since " +
                                               journal->time + " (" + fs_.root() + "/" + record(op).text() + ")");
        if (settle(*journal, journal_ ? std::nullopt : wanted)) journal_ = journal;
    }
}

void FolderStore::Moving::settle_damaged(const std::string &op)
{
    Journal journal;
    journal.op = op;
    for (const Place to : {Place::live, Place::archive}) {
        journal.to = to;
        const Paths at = paths(journal);
        if (fs_.look(call_, at.copy).kind != Kind::none || fs_.look(call_, at.trash).kind != Kind::none)
            throw Error(Code::corrupt, object_ + ": the record of its move is damaged (" + fs_.root() + "/" +
                                           record(op).text() + ")");
    }
    drop(journal);
}

// Whether it is under way to where it is wanted, and can go on.
bool FolderStore::Moving::settle(const Journal &journal, std::optional<Place> wanted)
{
    const Paths at = paths(journal);
    const auto is_there = [&](const Path &path) { return fs_.look(call_, path).kind == Kind::folder; };
    if (journal.phase == Phase::clear) {
        fs_.remove_tree(call_, at.trash);
        fs_.sync_dir(call_, at.trash.parent());
        drop(journal);
        return false;
    }
    const bool destination = is_destination(journal);
    if (is_there(at.trash)) {
        if (is_there(at.source))
            throw Error(Code::corrupt, object_ + ": lies in its place and at " + fs_.root() + "/" + at.trash.text());
        if (destination) {
            journal_ = journal;
            retire();
            journal_.reset();
            return false;
        }
        // It is whole: it goes away only from the next phase on.
        put_back(journal);
    }
    const bool source = is_there(at.source), copy = is_there(at.copy);
    if (destination && source) {
        if (store_.uuid(call_, build_, journal.to) != store_.uuid(call_, build_, other(journal.to)))
            throw Error(Code::corrupt, object_ + ": lies in the main list and in the archive");
        journal_ = journal;
        // On the way into the archive the source is what everybody has seen until now; it may have been edited since.
        tags_ = hold_tags(at.source);
        const bool is_good = journal.to == Place::live ||
                             fs_.same_tree(call_, at.source, at.destination, Compare::attributes, [](uint64_t) {});
        if (is_good) {
            retire();
        } else {
            tags_.reset();
            require_lock();
            if (fs_.rename(call_, at.destination, at.copy) != Renamed::done)
                throw Error(Code::corrupt, object_ + ": lies in the main list and in the archive");
            fs_.sync_dir(call_, at.copy.parent());
            discard(call_, journal);
        }
        journal_.reset();
        return false;
    }
    if (destination) {
        fs_.sync_dir(call_, at.destination.parent());
        drop(journal);
        return false;
    }
    if (!source && copy && !is_there(at.destination)) {
        if (journal.phase == Phase::copy)
            throw Error(Code::corrupt, object_ + ": was taken away while it was moved; a part of it lies at " +
                                           fs_.root() + "/" + at.copy.text());
        if (fs_.rename(call_, at.copy, at.destination) != Renamed::done)
            throw Error(Code::unavailable, object_ + ": is being moved by others; try again");
        fs_.sync_dir(call_, at.destination.parent());
        drop(journal);
        return false;
    }
    // What was copied before a restart of the host may not be on the disk.
    const bool is_good = journal.phase == Phase::commit || journal.owner.boot == Owner::self().boot;
    if (source && copy && is_good && wanted == journal.to) return true;
    discard(call_, journal);
    return false;
}

void FolderStore::Moving::carry(Place to)
{
    settle(to);
    if (!store_.is_in(call_, build_, other(to)) || store_.is_in(call_, build_, to)) {
        if (journal_) discard(call_, *journal_);
        journal_.reset();
        return;
    }
    try {
        begin(to);
        copy();
        publish();
    } catch (const Error &error) {
        // One that was broken off goes on from where it was. Others need their space, and what a disk was too slow for is
        // not known to be there.
        const bool is_kept = (error.code() == Code::cancelled || error.code() == Code::timeout) &&
                             (call_.cancelled() || call_.expired());
        // What others have gone on with is theirs.
        if (!journal_ || !is_alone_ || is_destination(*journal_)) throw;
        if (is_kept)
            throw Error(error.code(), object_ + (to == Place::archive ? ": archiving it" : ": restoring it") +
                                          (error.code() == Code::cancelled ? " was cancelled" : " took too long") +
                                          "; what is copied stays, and the next time it goes on from there");
        try {
            discard(Call(), *journal_);
        } catch (const std::exception &) {
            // The record is still there; the next one settles it.
        }
        throw;
    }
    retire();
}

std::unique_ptr<Lock> FolderStore::Moving::hold_tags(const Path &folder)
{
    try {
        return fs_.lock(call_, folder / "tags");
    } catch (const Error &error) {
        if (error.code() != Code::unsupported) throw;
        return nullptr;
    }
}

void FolderStore::Moving::begin(Place to)
{
    const bool is_new = !journal_;
    if (is_new) {
        journal_.emplace();
        journal_->op = std::to_string(build_.runid) + "-" + noise();
        journal_->runid = build_.runid;
        journal_->to = to;
        journal_->uuid = store_.uuid(call_, build_, other(to));
        journal_->time = to_rfc3339(now());
    }
    journal_->phase = Phase::copy;
    journal_->copy = 0;
    journal_->owner = Owner::self();
    // The file of the lock is a part of the build; after this it is there.
    hold_tags(paths(*journal_).source);
    try {
        write(*journal_);
    } catch (const Error &) {
        if (is_new) {
            const std::string op = journal_->op;
            journal_.reset();
            fs_.remove_file(call_, record(op));
        }
        throw;
    }
}

bool FolderStore::Moving::is_copied(Compare what, const Told &told)
{
    const Paths at = paths(*journal_);
    return unless_stale([&] { return fs_.same_tree(call_, at.source, at.copy, what, told); });
}

void FolderStore::Moving::copy()
{
    const Paths at = paths(*journal_);
    uint64_t total = 0;   // 0: no progress is told
    (void)unless_stale([&] {
        total = fs_.measure(call_, at.source).bytes;
        return true;
    });
    uint64_t twice = 0;   // each byte is written and compared
    const Told told = [&](uint64_t bytes) {
        twice += bytes;
        if (total > 0 && bytes > 0) call_.tell(std::min(twice / 2, total), total);
    };
    if (total > 0) call_.tell(0, total);
    for (int i = 0; i < copies; ++i) {
        // Who edits tags without a pause is kept waiting in the end.
        if (i + 2 == copies) tags_ = hold_tags(at.source);
        if (i > 0) require_lock();
        if (fs_.copy_tree(call_, at.source, at.copy, told) && is_copied(Compare::all, told)) return;
        // A file that was changed without a trace in its times is copied again only where it is not there.
        if (i + 2 == copies) fs_.remove_tree(call_, at.copy);
    }
    throw Error(Code::unavailable, object_ + ": changes while it is moved; try again");
}

void FolderStore::Moving::publish()
{
    const Paths at = paths(*journal_);
    const Told nobody = [](uint64_t) {};
    if (!tags_) tags_ = hold_tags(at.source);
    bool is_whole = true;
    for (int i = 0; !is_whole || !is_copied(Compare::attributes, nobody); ++i) {
        if (i == copies) throw Error(Code::unavailable, object_ + ": changes while it is moved; try again");
        require_lock();
        is_whole = fs_.copy_tree(call_, at.source, at.copy, nobody);
    }
    fs_.sync_dir(call_, at.copy.parent());
    call_.check(object_);
    require_lock();
    journal_->phase = Phase::commit;
    journal_->copy = fs_.look(call_, at.copy).inode;
    write(*journal_);
    require_lock();
    Renamed renamed = Renamed::done;
    try {
        renamed = fs_.rename(call_, at.copy, at.destination);
    } catch (const Error &) {
        // A file server may have done it and failed to say so.
        if (!is_destination(*journal_)) throw;
    }
    if (renamed == Renamed::exists) throw store_.in_the_way(call_, build_, journal_->to);
    if (renamed != Renamed::done)
        throw Error(Code::unavailable, object_ + ": is being moved by others; try again");
}

// From here on nothing looks at the deadline but the removal of the trash.
void FolderStore::Moving::retire()
{
    const Paths at = paths(*journal_);
    // Who brought it there may not have come to that.
    fs_.sync_dir(call_, at.destination.parent());
    if (fs_.look(call_, at.trash).kind == Kind::none) {
        require_lock();
        Renamed renamed = Renamed::done;
        try {
            renamed = fs_.rename(call_, at.source, at.trash);
        } catch (const Error &) {
            if (fs_.look(call_, at.trash).kind != Kind::folder || fs_.look(call_, at.source).kind != Kind::none) throw;
        }
        if (renamed != Renamed::done)
            throw Error(Code::unavailable, object_ + ": is being moved by others; try again");
    }
    fs_.sync_dir(call_, at.source.parent());
    if (!is_destination(*journal_)) {
        put_back(*journal_);
        throw Error(Code::unavailable, object_ + ": its copy was taken away meanwhile; try again");
    }
    require_lock();
    journal_->phase = Phase::clear;
    write(*journal_);
    tags_.reset();
    try {
        fs_.remove_tree(call_, at.trash);
        fs_.sync_dir(call_, at.trash.parent());
        drop(*journal_);
    } catch (const Error &error) {
        throw Error(error.code(), object_ + done_to(journal_->to) + ", but not all is cleared: " + error.what(),
                    error.os_errno());
    }
    journal_.reset();
}

}  // namespace litbuild::folder
