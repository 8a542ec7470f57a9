// FolderStore::examine: what crashes, people and other programs have left. A repair needs proof that nothing is lost: whoever
// made it is gone, or it is older than anything that could still be under way.
#include <folder-store/folder_moving.hpp>

#include <algorithm>
#include <map>
#include <set>

#include <litbuild/time.hpp>

#include <folder-store/build_logs.hpp>
#include <folder-store/noise.hpp>

namespace litbuild::folder {

namespace {

constexpr int64_t day_ns = 86'400'000'000'000;
constexpr std::chrono::seconds patience(2);
constexpr std::string_view draft_start = ".new-", copy_start = ".mv-", trash_start = ".trash-";

// "boot-space-pid-start" of ".tmp-boot-space-pid-start-noise"
std::string_view mark_of(std::string_view name) noexcept
{
    name.remove_prefix(temporary_start.size());
    return name.substr(0, name.rfind('-'));
}

bool is_number(std::string_view name) noexcept
{
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

class FolderStore::Examination {
public:
    Examination(FolderStore &store, const Call &call, const std::string &team, Repair repair, const FindingSink &each)
        : store_(store), fs_(*store.fs_), call_(call), team_(team), repair_(repair), each_(each)
    {
    }

    void run()
    {
        try {
            moves();
            for (const Place place : {Place::live, Place::archive}) folder_of_builds(place);
            duplicates();
            run_ids();
            for (const Place place : {Place::live, Place::archive})
                for (const int64_t runid : builds_[static_cast<size_t>(place)]) one_build({team_, runid}, place);
        } catch (const Enough &) {
        }
    }

private:
    struct Enough {};
    struct Named {
        std::string name;
        Kind kind;
    };

    std::string object(int64_t runid) const { return runid == 0 ? team_ : to_string(BuildName{team_, runid}); }
    std::string shown(const Path &path) const { return fs_.shown(path); }

    void tell(Finding::State state, int64_t runid, const char *kind, const std::string &text, const std::string &action)
    {
        if (!each_({state, runid, kind, object(runid) + ": " + text, action})) throw Enough();
    }
    void left(int64_t runid, const char *kind, const std::string &text, const std::string &action)
    {
        tell(Finding::State::left, runid, kind, text, action);
    }
    // `repair` puts it right and returns what was done.
    template <class Body>
    void repairable(int64_t runid, const char *kind, const std::string &text, const std::string &action, Body repair)
    {
        if (repair_ == Repair::no) return tell(Finding::State::repairable, runid, kind, text, action);
        std::string done;
        try {
            done = repair();
        } catch (const Error &error) {
            if (error.code() == Code::cancelled || error.code() == Code::timeout) throw;
            return left(runid, kind, text, std::string("the repair has failed: ") + error.what());
        }
        tell(Finding::State::repaired, runid, kind, text, done);
    }

    std::vector<Named> names_in(const Path &folder)
    {
        call_.check(team_);
        std::vector<Named> found;
        fs_.read_dir(call_, folder, [&](std::string_view name, Kind kind) {
            found.push_back({std::string(name), kind});
            return true;
        });
        std::sort(found.begin(), found.end(), [](const Named &a, const Named &b) { return a.name < b.name; });
        return found;
    }

    bool is_old(const Path &path) { return now() - fs_.look(call_, path).modified_ns > day_ns; }
    bool is_over(Owning owning, const Path &path)
    {
        return owning == Owning::gone || (owning == Owning::unknown && is_old(path));
    }

    void temporary_file(int64_t runid, const Path &path)
    {
        if (!is_over(look_for_mark(mark_of(path.name())), path)) return;
        repairable(runid, "temporary", "holds a half-written file, " + shown(path), "remove it", [&] {
            fs_.remove_file(call_, path);
            fs_.sync_dir(call_, path.parent());
            return "removed it";
        });
    }

    void draft(const Path &path)
    {
        const std::string_view name = path.name();
        if (!is_over(look_for_mark(name.substr(name.rfind('.') + 1)), path)) return;
        repairable(0, "temporary", "holds a build that never was finished, " + shown(path), "remove it", [&] {
            fs_.remove_tree(call_, path);
            return "removed it";
        });
    }

    // ------------------------------------------------------------------------------------------------------- moves

    void moves()
    {
        const Path folder = ops(team_);
        for (const Named &item : names_in(folder)) {
            const std::string_view name = item.name;
            if (name.starts_with(temporary_start)) temporary_file(0, folder / name);
            else if (name.ends_with(".json") && runid_of_op(name.substr(0, name.size() - 5)) > 0)
                record(std::string(name.substr(0, name.size() - 5)));
            else if (name.starts_with('.') && name.ends_with(".lock")) lock(std::string(name));
            else if (name.ends_with(".lease")) continue;   // of a move on a file server; it ends by itself
            else left(0, "foreign", "holds " + quote(name) + " among the records of moves", "remove " + shown(folder / name));
        }
    }

    void record(const std::string &op)
    {
        const BuildName build{team_, runid_of_op(op)};
        const Path path = ops(team_) / (op + ".json");
        const auto journal = parse_journal(op, store_.small_file(call_, path));
        if (!journal && fs_.look(call_, path).kind == Kind::none) return;
        std::optional<Moving> moving;
        try {
            moving.emplace(store_, call_, build, Moving::Wait::nobody, lock_file());
        } catch (const Error &error) {
            // Somebody is at work.
            if (error.code() == Code::timeout) return;
            if (error.code() != Code::denied) throw;
        }
        if (fs_.look(call_, path).kind == Kind::none) return;
        if (journal && moving && !moving->may_settle(*journal)) {
            if (look_for(journal->owner) == Owning::alive) return;
            return left(build.runid, "half-move", "is being moved by " + journal->owner.text() + " since " + journal->time,
                        "if that has ended, archive or restore it there; if there is no such host any more, remove " +
                            shown(path));
        }
        const std::string where = !journal                         ? "its move was broken off, and the record is damaged"
                                  : journal->to == Place::archive ? "its way into the archive was broken off"
                                                                  : "its way out of the archive was broken off";
        repairable(build.runid, "half-move", where, "go on or back, so that it is in one place", [&]() -> std::string {
            if (!moving) throw Error(Code::denied, shown(path) + ": may not be changed");
            moving->settle(std::nullopt);
            return store_.place_of(call_, build) == Place::live ? "settled: it is in the main list"
                                                                : "settled: it is in the archive";
        });
    }

    Moving::LockFile lock_file() const
    {
        return repair_ == Repair::yes ? Moving::LockFile::tidied : Moving::LockFile::as_found;
    }

    // ".19.lock"
    void lock(const std::string &name)
    {
        const auto runid = parse_runid(std::string_view(name).substr(1, name.size() - 6));
        if (!runid || !store_.operations(call_, {team_, *runid}).empty()) return;
        std::optional<Moving> moving;
        try {
            moving.emplace(store_, call_, BuildName{team_, *runid}, Moving::Wait::nobody, lock_file());
        } catch (const Error &error) {
            if (error.code() == Code::timeout) return;
            if (error.code() != Code::denied) throw;
        }
        repairable(*runid, "stale-lock", "a lock is left of a move that is over, " + shown(ops(team_) / name), "remove it",
                   [&] {
                       moving.reset();
                       return "removed it";
                   });
    }

    // ------------------------------------------------------------------------------------------- folders of builds

    void folder_of_builds(Place place)
    {
        const Path folder = FolderStore::folder(team_, place);
        for (const auto &[text, kind] : names_in(folder)) {
            const std::string_view name = text;
            const Path path = folder / name;
            if (const auto runid = parse_runid(name)) {
                if (kind == Kind::folder) builds_[static_cast<size_t>(place)].insert(*runid);
                else left(*runid, "foreign", shown(path) + " is not a folder, and keeps the run id from being used",
                          "move it elsewhere");
            } else if (is_number(name)) {
                left(0, "foreign", shown(path) + " is no build: its name is not the plain form of a run id",
                     "rename it or move it elsewhere");
            } else if (name.starts_with(temporary_start)) {
                temporary_file(0, path);
            } else if (name.starts_with(draft_start) && place == Place::live) {
                draft(path);
            } else if (name.starts_with(copy_start)) {
                copy(path);
            } else if (name.starts_with(trash_start)) {
                trash(path);
            } else if (!is_known(name, kind, place)) {
                left(0, "foreign", shown(path) + " is no build", "move it elsewhere, unless you know what it is");
            }
        }
    }

    static bool is_known(std::string_view name, Kind kind, Place place) noexcept
    {
        if (name.starts_with(".nfs")) return true;
        if (place != Place::live) return false;
        if (kind == Kind::folder) return name == "archive" || name == ".ops" || name == ".removed" || name == ".index";
        return kind == Kind::file && (name == ".next" || name == ".next.lock" || name == ".next.lease");
    }

    // Whether `.mv-OP` or `.trash-OP` belongs to a move, which is another finding, or is under way.
    bool has_record(const std::string &op) { return fs_.look(call_, ops(team_) / (op + ".json")).kind != Kind::none; }

    void copy(const Path &path)
    {
        std::string op(path.name().substr(copy_start.size()));
        if (op.ends_with(".links")) op.resize(op.size() - 6);
        const int64_t runid = runid_of_op(op);
        if (has_record(op)) return;
        const BuildName build{team_, runid};
        const bool has_build =
            runid > 0 && (store_.is_in(call_, build, Place::live) || store_.is_in(call_, build, Place::archive));
        if (!has_build)
            return left(runid, "half-move", "a copy without its build lies at " + shown(path),
                        "if it is whole, rename it to its run id; else remove it");
        repairable(runid, "half-move", "a half copy of it lies at " + shown(path), "remove it", [&] {
            const Moving alone(store_, call_, build, Moving::Wait::nobody);
            if (has_record(op)) return "left it, for it is in use";
            fs_.remove_tree(call_, path);
            return "removed it";
        });
    }

    void trash(const Path &path)
    {
        const std::string op(path.name().substr(trash_start.size()));
        if (has_record(op)) return;
        const int64_t runid = runid_of_op(op);
        repairable(runid, "temporary", "what is left of its removal lies at " + shown(path), "clear it", [&] {
            fs_.remove_tree(call_, path);
            fs_.sync_dir(call_, path.parent());
            return "cleared it";
        });
    }

    // -------------------------------------------------------------------------------------------------- identities

    void duplicates()
    {
        const auto &archived = builds_[static_cast<size_t>(Place::archive)];
        for (const int64_t runid : builds_[static_cast<size_t>(Place::live)]) {
            const BuildName build{team_, runid};
            if (!archived.contains(runid) || !store_.is_in(call_, build, Place::live) ||
                !store_.is_in(call_, build, Place::archive) || !store_.operations(call_, build).empty())
                continue;
            const std::string uuid = store_.uuid(call_, build, Place::live);
            const Path live = FolderStore::folder(build, Place::live), copy = FolderStore::folder(build, Place::archive);
            if (uuid != store_.uuid(call_, build, Place::archive))
                left(runid, "duplicate",
                     "two different builds of this id lie in the main list and in the archive; the first one counts",
                     "move one of them elsewhere: " + shown(live) + ", " + shown(copy));
            else if (uuid.empty() || !fs_.same_tree(call_, live, copy, Compare::all, [](uint64_t) {}))
                left(runid, "duplicate", "lies in the main list and in the archive, and they differ; the first one counts",
                     "compare them and move one elsewhere: " + shown(live) + ", " + shown(copy));
            else
                repairable(runid, "duplicate", "lies in the main list and, the same in every byte, in the archive",
                           "remove the archived copy", [&] { return remove_copy(build, copy); });
        }
    }

    std::string remove_copy(const BuildName &build, const Path &copy)
    {
        const Moving alone(store_, call_, build, Moving::Wait::nobody);
        const Path trash = copy.parent() / (std::string(trash_start) + std::to_string(build.runid) + "-" + noise());
        if (fs_.rename(call_, copy, trash) != Renamed::done) throw Error(Code::unavailable, shown(copy) + ": is being moved");
        fs_.sync_dir(call_, trash.parent());
        // Somebody may have archived the other one in the meantime, where there are no locks.
        if (!store_.is_in(call_, build, Place::live) && fs_.rename(call_, trash, copy) == Renamed::done)
            throw Error(Code::unavailable, object(build.runid) + ": is being moved");
        fs_.remove_tree(call_, trash);
        builds_[static_cast<size_t>(Place::archive)].erase(build.runid);
        return "removed the archived copy";
    }

    void run_ids()
    {
        const Path next = logs(team_) / ".next";
        if (fs_.look(call_, next).kind == Kind::none) return;
        std::string content = store_.hint(call_, team_);
        int64_t highest = store_.highest(call_, team_);
        if (parse_hint(content) >= highest) return;
        // Who has just published a build writes it next, and holds the lock until then.
        try {
            fs_.edit_file(call_.at_most(patience), next, Durable::yes, [&](std::string_view now) {
                content = now;
                highest = store_.highest(call_, team_);
                return content;
            });
        } catch (const Error &error) {
            // Read-only, or without locks: then as it was seen.
            if (error.code() == Code::cancelled) throw;
        }
        if (parse_hint(content) >= highest) return;
        repairable(0, "run-ids", "the last run id is said to be " + quote(content.substr(0, content.find('\n'))) +
                                     ", but " + std::to_string(highest) + " is used",
                   "raise it", [&] {
                       store_.raise_hint(call_, {team_, highest});
                       return "raised it";
                   });
    }

    // ------------------------------------------------------------------------------------------------------ builds

    void one_build(const BuildName &build, Place place)
    {
        try {
            const Path folder = FolderStore::folder(build, place);
            for (const Path &inside : {folder, folder / ".control"})
                for (const Named &item : names_in(inside))
                    if (item.name.starts_with(temporary_start)) temporary_file(build.runid, inside / item.name);
            identity(build, place);
            for (const LogFault &fault : examine_logs(call_, store_, build, place == Place::archive))
                left(build.runid, fault.kind, fault.text, fault.action);
        } catch (const Error &error) {
            // Moved or removed since it was listed.
            if (error.code() == Code::not_found) return;
            if (error.code() != Code::corrupt && error.code() != Code::denied) throw;
            left(build.runid, "foreign", std::string("a part of it cannot be read: ") + error.what(), "look at it");
        }
    }

    void identity(const BuildName &build, Place place)
    {
        const std::string uuid = store_.uuid(call_, build, place);
        if (uuid.empty()) return;
        const auto [first, is_new] = uuids_.try_emplace(uuid, build.runid);
        if (!is_new && first->second != build.runid)
            left(build.runid, "duplicate", "has the identity of " + object(first->second) + "; one is a copy of the other",
                 "remove its build.json or the copy: a stop of one may be taken for a stop of the other");
    }

    FolderStore &store_;
    Fs &fs_;
    const Call &call_;
    const std::string &team_;
    const Repair repair_;
    const FindingSink &each_;
    std::set<int64_t> builds_[2];
    std::map<std::string, int64_t> uuids_;
};

void FolderStore::examine(const Call &call, const std::string &team, Repair repair, const FindingSink &each)
{
    check_team(team);
    if (fs_->look(call, logs(team)).kind != Kind::folder) throw Error(Code::not_found, team + ": no such team");
    Examination(*this, call, team, repair, each).run();
}

}  // namespace litbuild::folder
