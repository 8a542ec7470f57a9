// FolderStore::watch. What is told comes from comparing what is there with what was there; notices only say where to look.
// So nothing is missed where notices get lost, and nothing is told twice.
#include <folder-store/folder_store.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <litbuild/time.hpp>

#include <folder-store/pause.hpp>

namespace litbuild::folder {

using std::chrono::milliseconds;

namespace {

using What = litbuild::Change::Kind;

constexpr milliseconds delay(2000);
// A call may be cancelled without a descriptor that says so.
constexpr milliseconds longest_wait(500);
// The kernel's limit is one for all programs of a user; each build takes two of them.
constexpr size_t most_watched = 2048;
// Two changes within one tick of the file system's clock leave the same time.
constexpr int64_t tick_ns = 20'000'000;
constexpr int64_t key_of_logs = -1, key_of_archive = -2;

struct Stamp {
    uint64_t inode = 0, size = 0;
    int64_t modified_ns = 0;
    bool operator==(const Stamp &) const = default;
};

Stamp stamp(const Info &info) noexcept { return {info.inode, info.size, info.modified_ns}; }

bool is_recent(const Info &info) { return now() - info.modified_ns < tick_ns; }

}  // namespace

class FolderStore::Watcher {
public:
    Watcher(FolderStore &store, const Call &call, const std::string &team, const ChangeSink &each)
        : store_(store), fs_(*store.fs_), call_(call), team_(team), each_(each), notices_(fs_.notices())
    {
    }

    void run()
    {
        try {
            look_at_folders();
            scan();
            started_ = true;
            tell_delay();
            Clock::time_point next = Clock::now() + delay;
            while (!call_.expired()) {
                if (call_.cancelled()) throw Error(Code::cancelled, team_ + ": cancelled");
                const auto rest = std::chrono::ceil<milliseconds>(next - Clock::now());
                wait(std::clamp(rest, milliseconds(0), longest_wait));
                if (Clock::now() < next) continue;
                look_around();
                next = Clock::now() + delay;
            }
        } catch (const Enough &) {
        } catch (const Error &error) {
            if (error.code() != Code::timeout || !call_.expired()) throw;
        }
    }

private:
    struct Enough {};
    struct Seen {
        Place place = Place::live;
        Stamp folder, control;                 // of the two folders
        Stamp status, tags, verdict;           // of the files in them
        bool is_racy = false;                  // the folders may have changed again without a trace
        bool is_watched = false;
    };

    void tell(What kind, int64_t runid)
    {
        if (started_ && !each_({kind, runid, milliseconds(0)})) throw Enough();
    }
    void tell_delay()
    {
        const bool told_at_once = are_watched_ && watched_.size() == seen_.size();
        if (told_at_once == told_at_once_) return;
        told_at_once_ = told_at_once;
        if (!each_({What::watching, 0, told_at_once ? milliseconds(0) : delay})) throw Enough();
    }

    // ------------------------------------------------------------------------------------------------- where to look

    void wait(milliseconds most)
    {
        if (!notices_) return pause(call_, most);
        std::set<int64_t> touched;
        bool folders = false;
        const bool all = notices_->wait(call_, most, [&](int64_t key, std::string_view name) {
            if (key > 0 && (name == "status.json" || name == "tags" || name == "stopped" || name == ".control"))
                touched.insert(key);
            if (key > 0) return;
            const auto runid = parse_runid(name);
            if (runid) touched.insert(*runid);
            else folders = folders || name.empty() || name == "archive";
        });
        if (folders || !all) look_at_folders();
        if (folders || !all) return scan();
        for (const int64_t runid : touched) update(runid);
        if (!touched.empty()) tell_delay();
    }

    // The two folders of builds may be made, replaced or mounted later.
    bool look_at_folders()
    {
        const uint64_t logs = fs_.look(call_, FolderStore::folder(team_, Place::live)).inode;
        const uint64_t archive = fs_.look(call_, FolderStore::folder(team_, Place::archive)).inode;
        if (logs == logs_ && archive == archive_) return false;
        logs_ = logs, archive_ = archive;
        if (!notices_) return true;
        notices_->forget(key_of_logs);
        notices_->forget(key_of_archive);
        are_watched_ = notices_->add(FolderStore::folder(team_, Place::live), key_of_logs);
        // Its making is told by the other one.
        if (archive != 0 && !notices_->add(FolderStore::folder(team_, Place::archive), key_of_archive))
            are_watched_ = false;
        return true;
    }

    // What no notice tells.
    void look_around()
    {
        if (look_at_folders() || !are_watched_) return scan();
        for (auto &[runid, seen] : seen_)
            if (!seen.is_watched) unwatched_.push_back(runid);
        for (const int64_t runid : std::exchange(unwatched_, {})) update(runid);
        tell_delay();
    }

    void scan()
    {
        std::set<int64_t, std::greater<>> there;
        try {
            store_.list(call_, {team_, Scope::all, 0, 0}, [&](const Entry &entry) {
                there.insert(entry.runid);
                return true;
            });
        } catch (const Error &error) {
            if (!started_ || error.code() != Code::not_found) throw;
        }
        // The newest first: they get what there is of notices, and what was created is told in order.
        for (const auto &[runid, seen] : seen_) there.insert(runid);
        if (!started_) {
            for (const int64_t runid : there) update(runid);
            return;
        }
        for (auto at = there.rbegin(); at != there.rend(); ++at) update(*at);
        tell_delay();
    }

    // ----------------------------------------------------------------------------------------------- what is there

    void update(int64_t runid)
    {
        if (call_.cancelled()) throw Error(Code::cancelled, team_ + ": cancelled");
        const std::optional<Place> place = store_.locate(call_, {team_, runid});
        const auto found = seen_.find(runid);
        if (!place) {
            if (found == seen_.end()) return;
            unwatch(runid);
            seen_.erase(found);
            return tell(What::removed, runid);
        }
        if (found == seen_.end()) {
            Seen &seen = seen_[runid];
            seen.place = *place;
            begin(runid, seen);
            tell(What::created, runid);
            if (*place == Place::archive) tell(What::archived, runid);
            return;
        }
        Seen &seen = found->second;
        if (seen.place != *place) {
            seen.place = *place;
            // It may be another folder now.
            unwatch(runid);
            begin(runid, seen);
            return tell(*place == Place::archive ? What::archived : What::restored, runid);
        }
        if (look_at(runid, seen)) tell(What::changed, runid);
    }

    void begin(int64_t runid, Seen &seen)
    {
        seen.is_watched = watch(runid, seen.place);
        seen.is_racy = true;
        look_at(runid, seen);
    }

    // Whether a file that matters is another one than before.
    bool look_at(int64_t runid, Seen &seen)
    {
        try {
            return is_changed(runid, seen);
        } catch (const Error &error) {
            // A link in the way, a folder that may not be entered: nothing to see, and no end to all the others.
            if (error.code() != Code::corrupt && error.code() != Code::denied) throw;
            return false;
        }
    }

    bool is_changed(int64_t runid, Seen &seen)
    {
        const Path folder = FolderStore::folder({team_, runid}, seen.place);
        const Path control = folder / ".control";
        const Info top = fs_.look(call_, folder), below = fs_.look(call_, control);
        if (!seen.is_racy && !seen.is_watched && stamp(top) == seen.folder && stamp(below) == seen.control) return false;
        seen.folder = stamp(top), seen.control = stamp(below);
        seen.is_racy = is_recent(top) || is_recent(below);
        const Stamp status = stamp(fs_.look(call_, folder / "status.json")), tags = stamp(fs_.look(call_, folder / "tags")),
                    verdict = stamp(fs_.look(call_, control / "stopped"));
        const bool is_same = status == seen.status && tags == seen.tags && verdict == seen.verdict;
        seen.status = status, seen.tags = tags, seen.verdict = verdict;
        return !is_same;
    }

    bool watch(int64_t runid, Place place)
    {
        if (!notices_ || budget_ == 0) return false;
        // Older builds change less.
        while (watched_.size() >= budget_) {
            const int64_t oldest = *watched_.begin();
            if (oldest > runid) return false;
            unwatch(oldest);
            seen_[oldest].is_watched = false;
            seen_[oldest].is_racy = true;
        }
        const Path folder = FolderStore::folder({team_, runid}, place);
        if (!notices_->add(folder, runid)) {
            budget_ = watched_.size();
            return false;
        }
        watched_.insert(runid);
        // One without it has no verdict, and when it gets the folder, that is told.
        if (fs_.look(call_, folder / ".control").kind == Kind::folder && !notices_->add(folder / ".control", runid)) {
            budget_ = watched_.size() - 1;
            unwatch(runid);
            return false;
        }
        return true;
    }

    void unwatch(int64_t runid)
    {
        if (watched_.erase(runid) > 0) notices_->forget(runid);
    }

    FolderStore &store_;
    Fs &fs_;
    const Call &call_;
    const std::string &team_;
    const ChangeSink &each_;
    std::unique_ptr<Notices> notices_;
    bool started_ = false;
    bool are_watched_ = false;                  // the folders of builds
    std::optional<bool> told_at_once_;          // what was said of the delay
    uint64_t logs_ = 0, archive_ = 0;           // inodes
    size_t budget_ = most_watched;
    std::map<int64_t, Seen> seen_;
    std::set<int64_t> watched_;
    std::vector<int64_t> unwatched_;
};

void FolderStore::watch(const Call &call, const std::string &team, const ChangeSink &each)
{
    check_team(team);
    if (fs_->look(call, logs(team)).kind != Kind::folder) throw Error(Code::not_found, team + ": no such team");
    Watcher(*this, call, team, each).run();
}

}  // namespace litbuild::folder
