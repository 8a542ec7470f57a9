#include <folder-store/folder_store.hpp>

#include <algorithm>

#include <litbuild/time.hpp>

#include <folder-store/afterwards.hpp>
#include <folder-store/fields.hpp>
#include <folder-store/pause.hpp>
#include <folder-store/tag_list.hpp>

namespace litbuild::folder {

namespace {

// Each time it must have been moved just then.
constexpr int tries = 50;
// One that goes to and fro between two looks is in neither: so often it is not believed.
constexpr int looks = 4;
// As with looks; a list costs more.
constexpr int passes = 8;
constexpr uint64_t largest_tags = 1024 * 1024;
constexpr uint64_t largest_small_file = 4 * 1024 * 1024;
constexpr int64_t tick_ns = 20'000'000;

// Of a long list's first page; what is kept beyond it, at least.
constexpr size_t page = 4096;

void keep_newest(std::vector<int64_t> &runids, uint64_t count)
{
    std::nth_element(runids.begin(), runids.begin() + static_cast<ptrdiff_t>(count), runids.end(), std::greater<>());
    runids.resize(count);
}

}  // namespace

Path FolderStore::below(const Path &folder, const BuildName &build, std::string_view name)
{
    Path path = folder;
    for (size_t start = 0; start <= name.size();) {
        const size_t end = std::min(name.find('/', start), name.size());
        const std::string_view component = name.substr(start, end - start);
        if (!is_component(component) || name.size() > 3000)
            throw Error(Code::invalid, to_string(build) + ": " + quote(name) + " is not the name of a file");
        path = path / component;
        start = end + 1;
    }
    return path;
}

Path FolderStore::folder(std::string_view team, Place place)
{
    return place == Place::live ? logs(team) : logs(team) / "archive";
}

Path FolderStore::folder(const BuildName &build, Place place)
{
    return folder(build.team, place) / std::to_string(build.runid);
}

std::string FolderStore::prefix(std::string_view team, Place place) const
{
    return (fs_->root() == "/" ? "" : fs_->root()) + "/" + folder(team, place).text() + "/";
}

Entry FolderStore::entry(const BuildName &build, Place place) const
{
    return {build.runid, place == Place::archive, prefix(build.team, place) + std::to_string(build.runid)};
}

Error FolderStore::no_such(const Call &call, const BuildName &build)
{
    if (fs_->look(call, logs(build.team)).kind != Kind::folder)
        return Error(Code::not_found, build.team + ": no such team");
    return Error(Code::not_found, to_string(build) + ": no such build");
}

// None: it is nowhere, as far as one can tell of one that others may move at any time.
std::optional<Place> FolderStore::locate(const Call &call, const BuildName &build)
{
    for (int i = 0; i < looks; ++i)
        for (const Place place : {Place::live, Place::archive})
            if (is_in(call, build, place)) return place;
    return std::nullopt;
}

bool FolderStore::is_listed(const Call &call, const BuildName &build)
{
    const std::string wanted = std::to_string(build.runid);
    bool found = false;
    for (const Place place : {Place::live, Place::archive})
        fs_->read_dir(call, folder(build.team, place), [&](std::string_view name, Kind kind) {
            found = found || (name == wanted && kind == Kind::folder);
            return !found;
        });
    return found;
}

Place FolderStore::place_of(const Call &call, const BuildName &build)
{
    constexpr std::chrono::milliseconds longest_wait(500);
    const std::string object = to_string(build);
    call.check(object);
    std::optional<Place> place = locate(call, build);
    // What a file server's client does not find it may only remember not to be there; a listing it asks for anew.
    for (std::chrono::milliseconds wait(10); !place; wait *= 2) {
        if ((fs_->capabilities() & LB_STORE_SHARED) == 0 || !is_listed(call, build)) throw no_such(call, build);
        if (wait > longest_wait)
            throw Error(Code::unavailable, object + ": the file server lists it, and does not find it; try again");
        pause(call, wait);
        call.check(object);
        place = locate(call, build);
    }
    return *place;
}

std::vector<std::string> FolderStore::teams(const Call &call)
{
    std::vector<std::string> found;
    if (!fs_->read_dir(call, Path(), [&](std::string_view name, Kind kind) {
            if (kind == Kind::folder && is_team(name)) found.emplace_back(name);
            return true;
        }))
        throw Error(Code::not_found, fs_->root() + ": no such folder (root of the builds)");
    std::erase_if(found, [&](const std::string &team) {
        call.check(team);
        try {
            return fs_->look(call, logs(team)).kind != Kind::folder;
        } catch (const Error &error) {
            // A private folder, or a link that came into the way, is nobody's team and does not hide the others.
            if (error.code() != Code::denied && error.code() != Code::corrupt) throw;
            return true;
        }
    });
    return found;
}

bool FolderStore::collect(const Call &call, const Query &query, Place place, std::vector<int64_t> &found)
{
    call.check(query.team);
    // Where the archive counts, too, what is told depends on all that is in both.
    const bool only_newest = query.limit > 0 && query.limit < UINT32_MAX && query.scope == Scope::live;
    return fs_->read_dir(call, folder(query.team, place), [&](std::string_view name, Kind kind) {
        const auto runid = kind == Kind::folder ? parse_runid(name) : std::nullopt;
        if (runid && (query.before <= 0 || *runid < query.before)) found.push_back(*runid);
        if (only_newest && found.size() >= 2 * query.limit + page) keep_newest(found, query.limit);
        return true;
    });
}

// Whether two folders have the name, and not one that was seen twice while it was moved.
bool FolderStore::looks_double(const Call &call, const BuildName &build)
{
    const auto look = [&](Place place) { return fs_->look(call, folder(build, place)); };
    for (int i = 0; i < looks; ++i) {
        const Info live = look(Place::live), archived = look(Place::archive);
        if (live.kind != Kind::folder || archived.kind != Kind::folder) return false;
        // The record of a move is not touched while both are there; who reads it at another time may miss it.
        if (live.inode != archived.inode && operations(call, build).empty() && look(Place::live).inode == live.inode &&
            look(Place::archive).inode == archived.inode)
            return true;
    }
    return false;
}

// A new build lies in the main list for a moment where its maker took an id of which the build was on its way into the archive;
// he sees that and gives it back, over a file server as soon as that answers him.
bool FolderStore::is_double(const Call &call, const BuildName &build)
{
    const bool is_shared = (fs_->capabilities() & LB_STORE_SHARED) != 0;
    const std::chrono::milliseconds patience(is_shared ? 3000 : 1000);
    // Pauses count, and not for how long the file system has not answered.
    std::chrono::milliseconds waited(0);
    for (std::chrono::milliseconds wait(10); looks_double(call, build); waited += wait, wait *= 2) {
        if (waited >= patience || call.expired() || call.cancelled()) return true;
        pause(call, wait);
    }
    return false;
}

void FolderStore::list(const Call &call, const Query &query, const EntrySink &each)
{
    check_team(query.team);
    const auto descending = [](std::vector<int64_t> &runids) {
        std::sort(runids.begin(), runids.end(), std::greater<>());
        runids.erase(std::unique(runids.begin(), runids.end()), runids.end());
    };
    const auto unite = [&](std::vector<int64_t> &all, std::vector<int64_t> &pass) {
        all.insert(all.end(), pass.begin(), pass.end());
        descending(all);
        pass.clear();
    };
    const bool want_live = query.scope != Scope::archived;
    const bool want_archived = query.scope != Scope::live;
    std::vector<int64_t> live, archived, earlier_live, earlier_archived;
    Info before = fs_->look(call, logs(query.team));
    for (int i = 0; i < passes; ++i) {
        // Two changes within one tick of the file system's clock leave the same time.
        const bool was_recent = now() - before.modified_ns < tick_ns;
        // The main list is read for the archive, too: a build in both places is live.
        if (before.kind != Kind::folder || !collect(call, query, Place::live, live))
            throw Error(Code::not_found, query.team + ": no such team");
        if (want_archived) collect(call, query, Place::archive, archived);
        if (!want_live || !want_archived) break;
        // One that was moved after the first of the two was read and before the other is in neither. Each move changes the
        // folder of the main list: a pass that saw no change has seen all.
        const Info after = fs_->look(call, logs(query.team));
        if (!was_recent && after.modified_ns == before.modified_ns) break;
        before = after;
        // Where it never rests, whatever one of the passes has seen is told.
        const bool is_last = i + 1 == passes;
        unite(earlier_live, live);
        unite(earlier_archived, archived);
        if (is_last) live = earlier_live;
        if (is_last) archived = earlier_archived;
    }
    descending(live);
    descending(archived);

    const std::string live_prefix = prefix(query.team, Place::live);
    const std::string archive_prefix = prefix(query.team, Place::archive);
    Entry entry;
    auto in_live = live.begin();
    uint64_t given = 0;
    const auto give = [&](int64_t runid, bool is_archived) {
        entry.runid = runid;
        entry.archived = is_archived;
        entry.path = is_archived ? archive_prefix : live_prefix;
        entry.path += std::to_string(runid);
        return each(entry) && ++given != query.limit;
    };
    for (const int64_t runid : archived) {
        for (; in_live != live.end() && *in_live > runid; ++in_live)
            if (want_live && !give(*in_live, false)) return;
        if (in_live != live.end() && *in_live == runid) continue;
        if (!give(runid, true)) return;
    }
    for (; want_live && in_live != live.end(); ++in_live)
        if (!give(*in_live, false)) return;
}

Entry FolderStore::find(const Call &call, const BuildName &build)
{
    litbuild::check(build);
    return entry(build, place_of(call, build));
}

// Empty: it is not there, or not to be read.
std::string FolderStore::small_file(const Call &call, const Path &path)
{
    std::string text;
    try {
        fs_->read_file(afterwards(call), path, 0, largest_small_file, [&](std::string_view piece) {
            text += piece;
            return true;
        });
    } catch (const Error &error) {
        // Something else stands in its place.
        if (error.code() != Code::corrupt) throw;
    }
    return text;
}

// Empty: it has none, or none that can be read.
std::string FolderStore::uuid(const Call &call, const BuildName &build, Place place)
{
    const auto members = parse_object(small_file(call, folder(build, place) / "build.json"));
    return members ? fields::text(*members, "uuid") : std::string();
}

bool FolderStore::read_if_there(const Call &call, const BuildName &build, std::string_view name, uint64_t offset, uint64_t max,
                                const TextSink &sink)
{
    litbuild::check(build);
    const Path in_live = below(folder(build, Place::live), build, name);
    if (call.expired() || call.cancelled()) call.check(to_string(build));
    if (const Read read = fs_->read(call, in_live, offset, max, sink); read != Read::no_folder) return read == Read::done;
    // Archived, or archived meanwhile, or no such file: that is known where the build was in one place before and after.
    for (int i = 0; i < tries; ++i) {
        const Place place = place_of(call, build);
        const uint64_t inode = fs_->look(call, folder(build, place)).inode;
        const Read read = fs_->read(call, below(folder(build, place), build, name), offset, max, sink);
        if (read != Read::no_folder) return read == Read::done;
        if (inode != 0 && fs_->look(call, folder(build, place)).inode == inode) return false;
    }
    // Not that it has no such file: nobody could tell.
    throw Error(Code::unavailable, to_string(build) + ": is being moved by others; try again");
}

void FolderStore::read(const Call &call, const BuildName &build, std::string_view name, uint64_t offset, uint64_t max,
                       const TextSink &sink)
{
    if (!read_if_there(call, build, name, offset, max, sink))
        throw Error(Code::not_found, to_string(build) + ": no such file " + quote(name));
}

void FolderStore::in_its_folder(const Call &call, const BuildName &build,
                                const std::function<void(const Path &)> &action)
{
    for (int i = 1;; ++i) {
        const Place place = place_of(call, build);
        try {
            return action(folder(build, place));
        } catch (const Error &error) {
            if (error.code() != Code::not_found) throw;
            // Moved between the look and the action: again, where it is now.
            if (i == tries) throw Error(Code::unavailable, to_string(build) + ": is being moved by others; try again");
        }
    }
}

std::vector<std::string> FolderStore::tags(const Call &call, const BuildName &build)
{
    std::string content;
    read_if_there(call, build, "tags", 0, largest_tags, [&](std::string_view piece) {
        content += piece;
        return true;
    });
    return parse_tags(content);
}

void FolderStore::edit_tags(const Call &call, const BuildName &build, std::span<const std::string> add,
                            std::span<const std::string> remove)
{
    litbuild::check(build);
    for (const std::string &tag : add) check_tag(tag);
    for (const std::string &tag : remove) check_tag(tag);
    in_its_folder(call, build, [&](const Path &folder) {
        fs_->edit_file(call, folder / "tags", Durable::yes,
                       [&](std::string_view content) { return folder::edit_tags(content, add, remove); });
    });
}

void FolderStore::write_control(const Call &call, const BuildName &build, std::string_view name,
                                std::string_view content)
{
    litbuild::check(build);
    if (!is_component(name) || name.front() == '.')
        throw Error(Code::invalid,
                    to_string(build) + ": " + quote(name) + " is not the name of a control file");
    in_its_folder(call, build, [&](const Path &folder) {
        const Path control = folder / ".control";
        if (fs_->make_dir(call, control)) fs_->sync_dir(call, folder);
        try {
            fs_->replace_file(call, control / name, content, Durable::yes);
        } catch (const Error &error) {
            // Who wants to stop a build that has filled the disk must be heard: its runner keeps some room for that.
            if (error.code() != Code::no_space || fs_->look(call, control / ".room").kind != Kind::folder) throw;
            fs_->remove_tree(call, control / ".room");
            fs_->replace_file(call, control / name, content, Durable::yes);
        }
    });
}

}  // namespace litbuild::folder
