// Notes of the engine beside a team's builds, and what tells it whether they are still of use.
#include <algorithm>

#include <litbuild/time.hpp>

#include <folder-store/folder_store.hpp>

namespace litbuild::folder {

namespace {

// Two changes within one tick of a file system's clock leave the same time; the coarsest in use has two seconds.
constexpr int64_t tick_ns = 2'000'000'000;
constexpr size_t longest_name = 200;

bool is_note(std::string_view name) noexcept
{
    return !name.empty() && name.size() <= longest_name && name.front() != '.' &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
           });
}

}  // namespace

Path FolderStore::note(const std::string &team, std::string_view name)
{
    check_team(team);
    if (!is_note(name)) throw Error(Code::invalid, team + ": " + quote(name) + " is not the name of a note");
    return index(team) / name;
}

void FolderStore::make_index(const Call &call, const std::string &team)
{
    if (fs_->look(call, logs(team)).kind != Kind::folder) throw Error(Code::not_found, team + ": no such team");
    fs_->make_dir_alike(call, index(team));
}

std::string FolderStore::version(const Call &call, const std::string &team)
{
    check_team(team);
    const Info live = fs_->look(call, folder(team, Place::live)), archived = fs_->look(call, folder(team, Place::archive));
    if (live.kind != Kind::folder) throw Error(Code::not_found, team + ": no such team");
    const int64_t latest = std::max(live.modified_ns, archived.kind == Kind::folder ? archived.modified_ns : 0);
    int64_t time = now();
    if ((capabilities() & LB_STORE_SHARED) != 0) {
        // Asking for the time would change what is asked for.
        if (fs_->look(call, index(team)).kind != Kind::folder) return "";
        try {
            time = clock_ns(call, team);
        } catch (const Error &error) {
            // Only who may write can ask a server for its time.
            if (error.code() == Code::denied || error.code() == Code::no_space) return "";
            throw;
        }
    }
    if (time - latest < tick_ns) return "";
    const auto shown = [](const Info &info) { return std::to_string(info.inode) + ":" + std::to_string(info.modified_ns) + ":" + std::to_string(info.changed_ns); };
    return shown(live) + " " + (archived.kind == Kind::folder ? shown(archived) : "-");
}

std::vector<std::string> FolderStore::notes(const Call &call, const std::string &team)
{
    check_team(team);
    std::vector<std::string> out;
    fs_->read_dir(call, index(team), [&](std::string_view name, Kind kind) {
        if (kind == Kind::file && is_note(name)) out.emplace_back(name);
        return true;
    });
    return out;
}

void FolderStore::read_note(const Call &call, const std::string &team, std::string_view name, const TextSink &sink)
{
    if (!fs_->read_file(call, note(team, name), 0, 0, sink))
        throw Error(Code::not_found, team + ": there is no note " + quote(name));
}

void FolderStore::write_note(const Call &call, const std::string &team, std::string_view name, std::string_view content,
                             Durable durable)
{
    const Path path = note(team, name);
    make_index(call, team);
    fs_->replace_file(call, path, content, durable);
}

bool FolderStore::swap_note(const Call &call, const std::string &team, std::string_view name, std::string_view before,
                            std::string_view content, Durable durable)
{
    const Path path = note(team, name);
    make_index(call, team);
    const std::unique_ptr<Lock> held = fs_->lock(call, path);
    std::string there;
    const bool is_there = fs_->read_file(call, path, 0, std::max<size_t>(before.size(), 1), [&](std::string_view piece) {
        there += piece;
        return true;
    });
    if (before.empty() ? is_there : there != before) return false;
    if (!held->is_held(call)) throw Error(Code::unavailable, team + ": the lock of a note was taken away; try again");
    fs_->replace_file(call, path, content, durable);
    return true;
}

void FolderStore::remove_note(const Call &call, const std::string &team, std::string_view name)
{
    fs_->remove_file(call, note(team, name));
}

}  // namespace litbuild::folder
