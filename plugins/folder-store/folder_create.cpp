// FolderStore::create. The rules of run ids stand in folder_store.hpp.
#include <folder-store/folder_store.hpp>

#include <algorithm>
#include <cerrno>
#include <limits>

#include <folder-store/afterwards.hpp>
#include <folder-store/noise.hpp>
#include <folder-store/owner.hpp>

namespace litbuild::folder {

namespace {

constexpr int64_t last_runid = std::numeric_limits<int64_t>::max();
// A process that stands still with the lock in its hand holds the others up for so long, not for ever.
constexpr std::chrono::seconds patience(2);
constexpr const char *hint_file = ".next";
constexpr const char *identity_file = "build.json";

void check(const NewBuild &build)
{
    check_team(build.team);
    const auto in_uuid = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '-';
    };
    if (build.uuid.size() != 36 || !std::all_of(build.uuid.begin(), build.uuid.end(), in_uuid))
        throw Error(Code::invalid,
                    build.team + ": " + quote(build.uuid) + " is not the uuid of a new build");
    for (const auto &[name, content] : build.files)
        if (!is_component(name) || name == identity_file || name == ".control")
            throw Error(Code::invalid,
                        build.team + ": " + quote(name) + " is not the name of a file of a new build");
}

// The document around the place of the run id: `{"runid":` ID `,...`.
struct Document {
    Document(const std::string &team, std::string_view text)
    {
        constexpr std::string_view space = " \t\r\n";
        const size_t open = text.find_first_not_of(space);
        const bool opens = open != text.npos && text[open] == '{';
        const size_t next = opens ? text.find_first_not_of(space, open + 1) : text.npos;
        if (next == text.npos) throw Error(Code::invalid, team + ": the document of a new build is not a JSON object");
        head = std::string(text.substr(0, open + 1)) + "\"runid\":";
        tail = (text[next] == '}' ? "" : ",") + std::string(text.substr(open + 1));
    }
    std::string with(int64_t runid) const { return head + std::to_string(runid) + tail; }

    std::string head, tail;
};

}  // namespace

int64_t FolderStore::parse_hint(std::string_view text) noexcept
{
    const int64_t hint = parse_runid(text.substr(0, text.find_last_not_of(" \r\n") + 1)).value_or(0);
    return hint == last_runid ? 0 : hint;
}

namespace {

// What was to be done may have been done, or be done yet.
bool is_open(const Error &error) noexcept
{
    return error.code() == Code::timeout || error.code() == Code::unavailable || error.code() == Code::cancelled;
}

}  // namespace

// The only one of this object's calls that works on a draft.
class FolderStore::Alone {
public:
    Alone(FolderStore &store, const Path &draft) : store_(store), draft_(draft.text())
    {
        const std::lock_guard guard(store_.doubts_mutex_);
        is_it_ = store_.making_.insert(draft_).second;
    }
    ~Alone()
    {
        if (!is_it_) return;
        const std::lock_guard guard(store_.doubts_mutex_);
        store_.making_.erase(draft_);
    }
    Alone(const Alone &) = delete;
    Alone &operator=(const Alone &) = delete;

    bool is_it() const noexcept { return is_it_; }

private:
    FolderStore &store_;
    const std::string draft_;
    bool is_it_ = false;
};

// A build in the making: goes away unless it was published.
class FolderStore::Draft {
public:
    Draft(FolderStore &store, const Call &call, const NewBuild &build)
        : path(name(build.team, build.uuid)), document(build.team, build.document), store_(store), call_(call), team_(build.team)
    {
        if (!alone_.is_it())
            throw Error(Code::exists, build.team + ": a build of the uuid " + build.uuid + " is being made already");
        make();
    }
    ~Draft()
    {
        if (!published) clear();
    }
    static Path name(const std::string &team, const std::string &unique) { return logs(team) / (".new-" + unique + "." + own_mark()); }
    Draft(const Draft &) = delete;
    Draft &operator=(const Draft &) = delete;

    const Path path;
    const Document document;
    bool published = false;
    bool is_taken = false;   // it is being renamed, and may have been
    int64_t runid = 0;

private:
    void clear()
    {
        bool is_doubtful = is_taken;
        try {
            if (!is_taken) store_.fs_->remove_tree(afterwards(call_), path);
            else if (store_.put_away(afterwards(call_), team_, path)) is_doubtful = false;
        } catch (const Error &error) {
            // What made the creation fail keeps it from being cleaned up. Nobody takes a dotted name for a build.
            is_doubtful = is_doubtful || is_open(error);
        } catch (const std::exception &) {
        }
        if (is_doubtful) doubt();
    }
    void make()
    {
        try {
            // Nobody else makes one of this name: where it is there, an earlier call has left it, or a file server was asked twice
            // for it, and forgot the first time.
            for (int i = 0; i < 3; ++i) {
                if (store_.fs_->make_dir(call_, path)) return;
                store_.fs_->remove_tree(call_, path);
            }
        } catch (const Error &error) {
            // A file server that has not answered may do it when it is back.
            if (is_open(error)) doubt();
            throw;
        }
        throw Error(Code::unavailable, path.text() + ": cannot be made and cannot be removed; try again");
    }
    void doubt()
    {
        const std::lock_guard guard(store_.doubts_mutex_);
        store_.doubts_.push_back({path, {team_, runid}, document.with(runid)});
    }

    FolderStore &store_;
    const Alone alone_{store_, path};
    const Call &call_;
    const std::string &team_;
};

// Removes what was to be a build. Renamed first: what a file server does late, it must not find half cleared. False: it is not
// there; it may have been made a build.
bool FolderStore::put_away(const Call &call, const std::string &team, const Path &folder)
{
    const Path aside = Draft::name(team, noise());
    if (fs_->rename(call, folder, aside) != Renamed::done) return false;
    try {
        fs_->remove_tree(call, aside);
    } catch (const Error &) {
        Doubt left{aside, BuildName{team, 0}, {}};
        const std::lock_guard guard(doubts_mutex_);
        doubts_.push_back(std::move(left));
    }
    return true;
}

// What earlier calls of this object left, for they were not answered. An entry: the very build is there.
std::optional<Entry> FolderStore::settle_doubts(const Call &call, const NewBuild &build)
{
    std::vector<Doubt> doubts;
    {
        const std::lock_guard guard(doubts_mutex_);
        doubts.swap(doubts_);
    }
    std::optional<Entry> found;
    const Path own = Draft::name(build.team, build.uuid);
    std::exception_ptr failure;
    for (const Doubt &doubt : doubts) {
        const bool is_own = doubt.draft.text() == own.text();
        // After one that is not answered, none is.
        bool is_settled = false;
        try {
            const Alone alone(*this, doubt.draft);
            if (!failure && alone.is_it()) {
                const std::optional<Entry> kept = settle(call, doubt);
                if (kept && is_own) found = kept;
                is_settled = true;
            }
        } catch (const Error &error) {
            // What another team's folder does not allow is no reason not to make this one.
            if (is_own || is_open(error)) failure = std::current_exception();
        }
        if (is_settled) continue;
        const std::lock_guard guard(doubts_mutex_);
        doubts_.push_back(doubt);
    }
    if (failure) std::rethrow_exception(failure);
    return found;
}

// An entry: what was to be made has become a build, and stays one.
std::optional<Entry> FolderStore::settle(const Call &call, const Doubt &doubt)
{
    const BuildName &build = doubt.build;
    if (build.runid == 0) {
        fs_->remove_tree(call, doubt.draft);
        return std::nullopt;
    }
    if (put_away(call, build.team, doubt.draft)) return std::nullopt;
    const auto is_it = [&](Place place) { return small_file(call, folder(build, place) / identity_file) == doubt.document; };
    for (const Place place : {Place::live, Place::archive}) {
        if (!is_it(place)) continue;
        const Place other = place == Place::live ? Place::archive : Place::live;
        // Whoever had the run id before keeps it: nobody has seen to that yet.
        const bool is_used = removed(call, build.team) >= build.runid ||
                             (fs_->look(call, folder(build, other)).kind != Kind::none && !is_it(other));
        if (!is_used) return entry(build, place);
        put_away(call, build.team, folder(build, place));
    }
    return std::nullopt;
}

Entry FolderStore::create(const Call &call, const NewBuild &build)
{
    folder::check(build);
    if (const std::optional<Entry> found = settle_doubts(call, build)) return *found;
    make_team(call, build.team);
    Draft draft(*this, call, build);
    fs_->make_dir(call, draft.path / ".control");
    for (const auto &[name, content] : build.files) {
        call.check(build.team);
        fs_->write_file(call, draft.path / name, content, Durable::yes);
    }
    return entry({build.team, claim(call, build.team, draft)}, Place::live);
}

void FolderStore::make_team(const Call &call, const std::string &team)
{
    call.check(team);
    const Path folder = Path() / team;
    if (fs_->look(call, logs(team)).kind == Kind::folder) return;
    // Both are synced even if another process made them: it may not have come so far yet.
    fs_->make_dir(call, folder);
    fs_->make_dir(call, logs(team));
    fs_->sync_dir(call, folder);
    fs_->sync_dir(call, Path());
}

// Of all names that an id could run into, whatever they are.
int64_t FolderStore::highest(const Call &call, const std::string &team)
{
    int64_t most = 0;
    for (const Place place : {Place::live, Place::archive}) {
        call.check(team);
        fs_->read_dir(call, folder(team, place), [&](std::string_view name, Kind) {
            most = std::max(most, parse_runid(name).value_or(0));
            return true;
        });
    }
    return std::max(most, removed(call, team));
}

std::string FolderStore::hint(const Call &call, const std::string &team)
{
    std::string text;
    try {
        fs_->read_file(call, logs(team) / hint_file, 0, 64, [&](std::string_view piece) {
            text += piece;
            return true;
        });
    } catch (const Error &) {
        // It is a hint; without it the builds are counted.
    }
    return text;
}

int64_t FolderStore::claim(const Call &call, const std::string &team, Draft &draft)
{
    const Path next = logs(team) / hint_file;
    bool entered = false;
    try {
        fs_->edit_file(call.at_most(patience), next, Durable::no, [&](std::string_view content) {
            entered = true;
            return std::to_string(publish(call, team, draft, parse_hint(content))) + "\n";
        });
    } catch (const Error &error) {
        // A server that does not answer: who that is, is told better by it than by us.
        const bool is_silent = error.os_errno() == ETIMEDOUT && call.expired();
        if (!draft.published && (entered || is_silent)) throw;
        // A published build is not less so because of a hint that could not be written.
    }
    if (draft.published) return draft.runid;
    // The lock is not to be had, here or now: the rename decides alone.
    call.check(team);
    const int64_t runid = publish(call, team, draft, parse_hint(hint(call, team)));
    try {
        if (parse_hint(hint(call, team)) < runid) fs_->replace_file(call, next, std::to_string(runid) + "\n", Durable::no);
    } catch (const Error &) {
    }
    return runid;
}

int64_t FolderStore::publish(const Call &call, const std::string &team, Draft &draft, int64_t used)
{
    used = used == 0 ? highest(call, team) : std::max(used, removed(call, team));
    for (;;) {
        call.check(team);
        if (used == last_runid) throw Error(Code::no_space, team + ": no run id is left");
        const BuildName build{team, used + 1};
        const bool is_free = fs_->look(call, folder(build, Place::live)).kind == Kind::none &&
                             fs_->look(call, folder(build, Place::archive)).kind == Kind::none;
        if (is_free) {
            fs_->replace_file(call, draft.path / identity_file, draft.document.with(build.runid), Durable::yes);
            draft.runid = build.runid;
            draft.is_taken = true;
            const bool is_ours = take(call, build, draft) && settle(call, build, draft);
            draft.is_taken = false;
            if (is_ours) {
                draft.published = true;
                return build.runid;
            }
            draft.runid = 0;
        }
        used = std::max(build.runid, highest(call, team));
    }
}

bool FolderStore::take(const Call &call, const BuildName &build, Draft &draft)
{
    const auto arrived = [&] {
        return fs_->look(call, draft.path).kind == Kind::none &&
               (is_draft(call, build, Place::live, draft) || is_draft(call, build, Place::archive, draft));
    };
    try {
        switch (fs_->rename(call, draft.path, folder(build, Place::live))) {
        case Renamed::done: return true;
        case Renamed::exists: return false;
        case Renamed::missing:
        case Renamed::other_file_system: break;
        }
    } catch (const Error &) {
        // A file server may have moved it and failed to say so.
        if (!arrived()) throw;
        return true;
    }
    if (arrived()) return true;
    throw taken_away(build, draft);
}

// After the rename: it stays, or the id is given back.
bool FolderStore::settle(const Call &call, const BuildName &build, Draft &draft)
{
    const auto give_back = [&] {
        // Somebody may have archived it already.
        for (const Place place : {Place::live, Place::archive})
            if (is_draft(call, build, place, draft) &&
                fs_->rename(afterwards(call), folder(build, place), draft.path) == Renamed::done)
                return true;
        // Asked twice, a file server does not find it any more.
        return fs_->look(afterwards(call), draft.path).kind == Kind::folder;
    };
    bool used_before = false;
    try {
        used_before = (fs_->look(call, folder(build, Place::archive)).kind != Kind::none &&
                       !is_draft(call, build, Place::archive, draft)) ||
                      removed(call, build.team) >= build.runid;
        if (!used_before) fs_->sync_dir(call, logs(build.team));
    } catch (...) {
        give_back();
        throw;
    }
    if (!used_before || give_back()) return !used_before;
    if (is_draft(call, build, Place::live, draft))
        throw Error(Code::corrupt, to_string(build) + ": lies in the main list and in the archive");
    throw taken_away(build, draft);
}

Error FolderStore::taken_away(const BuildName &build, const Draft &draft) const
{
    return Error(Code::unavailable, build.team + ": the new build " + draft.path.text() + " was taken away");
}

bool FolderStore::is_draft(const Call &call, const BuildName &build, Place place, const Draft &draft)
{
    const std::string mine = draft.document.with(build.runid);
    std::string text;
    fs_->read_file(afterwards(call), folder(build, place) / identity_file, 0, mine.size() + 1, [&](std::string_view piece) {
        text += piece;
        return true;
    });
    return text == mine;
}

}  // namespace litbuild::folder
