// FolderStore::remove: the run id is marked as used, the build gets a dotted name, and then goes away.
#include <folder-store/folder_moving.hpp>

#include <algorithm>
#include <cerrno>

#include <folder-store/noise.hpp>

namespace litbuild::folder {

namespace {

constexpr int tries = 5;
constexpr std::chrono::seconds patience(2);
constexpr const char *hint_file = ".next";

}  // namespace

// The highest run id that was removed. Its mark is there before the build is gone, and goes only where there is a higher
// one, so that it needs no lock, and holds for who never saw the build.
int64_t FolderStore::removed(const Call &call, const std::string &team)
{
    int64_t most = 0;
    fs_->read_dir(call, logs(team) / ".removed", [&](std::string_view name, Kind) {
        most = std::max(most, parse_runid(name).value_or(0));
        return true;
    });
    return most;
}

void FolderStore::mark_as_used(const Call &call, const BuildName &build)
{
    const Path marks = logs(build.team) / ".removed";
    if (fs_->make_dir(call, marks)) fs_->sync_dir(call, logs(build.team));
    if (removed(call, build.team) < build.runid) {
        try {
            fs_->write_file(call, marks / std::to_string(build.runid), "", Durable::yes);
        } catch (const Error &error) {
            if (error.code() != Code::exists) throw;
        }
    }
    // Also where another one made it, who may not have come so far.
    fs_->sync_dir(call, marks);
    std::vector<std::string> lower;
    fs_->read_dir(call, marks, [&](std::string_view name, Kind) {
        if (const auto runid = parse_runid(name); runid && *runid < build.runid) lower.emplace_back(name);
        return true;
    });
    for (const std::string &name : lower) fs_->remove_file(call, marks / name);
    raise_hint(call, build);
}

// For programs that only know `.next`.
void FolderStore::raise_hint(const Call &call, const BuildName &build)
{
    const Path next = logs(build.team) / hint_file;
    const auto raised = [&](std::string_view content) {
        return parse_hint(content) >= build.runid
                   ? std::string(content)
                   : std::to_string(std::max(build.runid, highest(call, build.team))) + "\n";
    };
    try {
        fs_->edit_file(call.at_most(patience), next, Durable::yes, raised);
    } catch (const Error &error) {
        // The lock is not to be had, here or now; the mark holds alone. What else fails is a disk that fails.
        if (error.code() != Code::timeout && error.code() != Code::unsupported && error.os_errno() != ENOLCK) throw;
        if (error.os_errno() == ETIMEDOUT && call.expired()) throw;
        call.check(to_string(build));
    }
}

void FolderStore::remove(const Call &call, const BuildName &build)
{
    litbuild::check(build);
    const std::string object = to_string(build);
    for (int i = 0; i < tries; ++i) {
        call.check(object);
        settle(call, build, std::nullopt);
        const bool is_archived = is_in(call, build, Place::archive);
        if (is_in(call, build, Place::live)) {
            if (!is_archived) throw Error(Code::refused, object + ": is not archived; archive it before removing");
            if (is_double(call, build)) throw Error(Code::corrupt, object + ": lies in the main list and in the archive");
            continue;
        }
        if (!is_archived) {
            // One that was broken off when the build was gone already.
            if (clear_trash(call, build)) return;
            // Throws where it is nowhere; else it moved while we looked.
            place_of(call, build);
            continue;
        }
        mark_as_used(call, build);
        // Who is on the way to another file system with it would bring it back.
        Moving alone(*this, call, build);
        alone.settle(std::nullopt);
        if (!is_in(call, build, Place::archive) || is_in(call, build, Place::live)) continue;
        const Path trash =
            folder(build.team, Place::archive) / (".trash-" + std::to_string(build.runid) + "-" + noise());
        Renamed renamed = Renamed::done;
        try {
            renamed = fs_->rename(call, folder(build, Place::archive), trash);
        } catch (const Error &) {
            // A file server may have done it and failed to say so.
            if (fs_->look(call, trash).kind != Kind::folder) throw;
        }
        if (renamed != Renamed::done) continue;
        fs_->sync_dir(call, trash.parent());
        clear_trash(call, build);
        return;
    }
    throw Error(Code::unavailable, object + ": is being moved by others; try again");
}

// What removals of this build have left in the archive. False: nothing.
bool FolderStore::clear_trash(const Call &call, const BuildName &build)
{
    const Path archive = folder(build.team, Place::archive);
    const std::string start = ".trash-" + std::to_string(build.runid) + "-";
    std::vector<std::string> found;
    fs_->read_dir(call, archive, [&](std::string_view name, Kind) {
        if (name.starts_with(start)) found.emplace_back(name);
        return true;
    });
    try {
        for (const std::string &name : found) fs_->remove_tree(call, archive / name);
        if (!found.empty()) fs_->sync_dir(call, archive);
    } catch (const Error &error) {
        throw Error(error.code(), to_string(build) + ": is removed, but not all is cleared: " + error.what(),
                    error.os_errno());
    }
    return !found.empty();
}

}  // namespace litbuild::folder
