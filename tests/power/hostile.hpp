// Somebody who may write below the root, and wants the store to go outside: swaps what lies there for links that lead out,
// for pipes, sockets and devices, and back again, as fast as can be.
#pragma once

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <map>
#include <random>
#include <set>

#include <power/disks.hpp>

namespace power {

constexpr int native_builds = 8;          ///< 1 to 8 lie below the root, and outside
constexpr int64_t foreign_build = 9001;   ///< lies outside only
constexpr const char *secret = "SECRET";

/// Follows no link, whatever becomes of openat().
inline Descriptor open_plainly(int dir, const char *name, int flags)
{
    return Descriptor(static_cast<int>(::syscall(SYS_openat, dir, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644)));
}

/// A build as a store has it, with that text in every file.
inline void make_build(const fs::path &folder, int64_t runid, const std::string &text)
{
    const auto put = [](const Descriptor &dir, const char *name, const std::string &content) {
        const Descriptor fd = open_plainly(dir.get(), name, O_WRONLY | O_CREAT | O_TRUNC);
        (void)!::write(fd.get(), content.data(), content.size());
    };
    ::mkdir(folder.c_str(), 0755);
    const Descriptor build = open_plainly(AT_FDCWD, folder.c_str(), O_DIRECTORY);
    for (const char *part : {".control", "out"}) ::mkdirat(build.get(), part, 0755);
    const Descriptor control = open_plainly(build.get(), ".control", O_DIRECTORY), out = open_plainly(build.get(), "out", O_DIRECTORY);
    put(build, "build.json", "{\"runid\":" + std::to_string(runid) + ",\"uuid\":\"" + text + "\"}");
    for (const char *name : {"events.jsonl", "status.json", "log", "tags", ".tags.lock"}) put(build, name, text);
    for (const char *name : {"token", "stop.1"}) put(control, name, text);
    put(out, "asset", text);
}

inline void make_outside(const fs::path &team)
{
    fs::create_directories(team / "logs/archive");
    for (const char *list : {"logs", "logs/archive"})
        for (int64_t runid = 1; runid <= native_builds + 1; ++runid) {
            const int64_t id = runid > native_builds ? foreign_build : runid;
            make_build(team / list / std::to_string(id), id, secret);
        }
    fs::create_directories(team / "logs/.ops");
    for (const char *name : {"logs/.next", "logs/.next.lock", "logs/.ops/op.json"}) {
        const Descriptor fd(::open((team / name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        (void)!::write(fd.get(), secret, std::strlen(secret));
    }
}

/// All that can be told of a tree without opening what is in it, and the content of its files: any change changes it.
inline std::map<std::string, std::string> portrait(const fs::path &tree)
{
    std::map<std::string, std::string> out;
    const auto add = [&](const fs::path &path) {
        struct stat found;
        if (::lstat(path.c_str(), &found) != 0) return;
        std::string text;
        for (const int64_t value : {static_cast<int64_t>(found.st_ino), static_cast<int64_t>(found.st_mode), static_cast<int64_t>(found.st_nlink),
                                    static_cast<int64_t>(found.st_uid), static_cast<int64_t>(found.st_size), static_cast<int64_t>(found.st_mtim.tv_sec),
                                    static_cast<int64_t>(found.st_mtim.tv_nsec), static_cast<int64_t>(found.st_ctim.tv_sec), static_cast<int64_t>(found.st_ctim.tv_nsec)})
            text += std::to_string(value) + " ";
        if (S_ISREG(found.st_mode)) {
            const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOATIME));
            char piece[256];
            const ssize_t got = ::read(fd.get(), piece, sizeof piece);
            text.append(piece, static_cast<size_t>(std::max<ssize_t>(got, 0)));
        }
        out[path.string()] = text;
    };
    add(tree);
    for (const auto &entry : fs::recursive_directory_iterator(tree)) add(entry.path());
    return out;
}

class Hostile {
public:
    /// `root` holds the team, `outside` a team of the same name; `lair` is a folder for what is swapped away, on the same
    /// file system, and nobody else's.
    Hostile(fs::path root, fs::path outside, fs::path lair, std::string team, uint64_t seed)
        : root_(std::move(root)), outside_(std::move(outside)), lair_(std::move(lair)), team_(std::move(team)), random_(seed),
          base_(::open(root_.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))
    {
        put_right();
    }

    uint64_t swaps() const noexcept { return swaps_; }

    void step()
    {
        if (++steps_ % 500 == 0) put_right();
        const fs::path inner = victim();
        // Sometimes a second one above it at the same time.
        const bool nested = dice(4) == 0;
        const bool done = swap(inner, "inner");
        fs::path outer = inner.parent_path();
        if (nested && outer != root_.parent_path() && swap(outer, "outer")) {
            rest();
            undo(outer, "outer");
        } else {
            rest();
        }
        if (done) undo(inner, "inner");
        sweep(inner.parent_path());
    }

    /// The tree as it was, whatever has become of it; what the store made goes.
    void put_right()
    {
        const fs::path logs = root_ / team_ / "logs";
        for (const fs::path &folder : {root_, root_ / team_, logs, logs / "archive"}) {
            std::error_code error;
            if (!fs::is_directory(fs::symlink_status(folder, error))) fs::remove_all(folder, error);
            fs::create_directories(folder, error);
            sweep(folder);
        }
        std::error_code error;
        for (const fs::path &folder : {logs, logs / "archive"})
            for (const auto &entry : fs::directory_iterator(folder, error)) {
                const std::string name = entry.path().filename();
                const bool native = name.size() == 1 && name[0] >= '1' && name[0] <= '0' + native_builds;
                if (!native && name != "archive" && name.front() != '.') fs::remove_all(entry.path(), error);
                if (name.starts_with(".new-") || name.starts_with(".mv-") || name.starts_with(".trash-")) drafts_.insert(entry.path());
            }
        // What is being made just now is left until the next time.
        for (const fs::path &draft : old_drafts_) fs::remove_all(draft, error);
        old_drafts_.swap(drafts_);
        drafts_.clear();
        for (int id = 1; id <= native_builds; ++id) {
            const std::string name = std::to_string(id);
            const bool live = fs::is_directory(fs::symlink_status(logs / name, error));
            const bool archived = fs::is_directory(fs::symlink_status(logs / "archive" / name, error));
            if (live && archived) fs::remove_all(logs / "archive" / name, error);
            make_build(live || !archived ? logs / name : logs / "archive" / name, id, "own");
        }
    }

private:
    uint64_t dice(uint64_t sides) { return random_() % sides; }
    void rest()
    {
        for (uint64_t i = dice(dice(3) == 0 ? 30'000 : 500); i > 0; --i) asm volatile("");
    }

    fs::path victim()
    {
        const fs::path logs = root_ / team_ / "logs";
        const fs::path build = (dice(2) == 0 ? logs : logs / "archive") / std::to_string(1 + dice(native_builds));
        constexpr const char *parts[] = {".control", "tags", ".tags.lock", "build.json", "events.jsonl", "status.json", "log",
                                         "out", "out/asset", ".control/token", ".control/stop.1"};
        switch (dice(9)) {
        case 0: return root_ / team_;
        case 1: return logs;
        case 2: return logs / "archive";
        case 3: return logs / (dice(2) == 0 ? ".next" : ".next.lock");
        case 4: return logs / ".ops";
        case 5:
        case 6: return build;
        case 7: {
            // What is in the making.
            std::error_code error;
            for (const fs::path &folder : {logs, logs / "archive"})
                for (const auto &entry : fs::directory_iterator(folder, error)) {
                    const std::string name = entry.path().filename();
                    if (name.starts_with(".new-") || name.starts_with(".mv-") || name.starts_with(".trash-") || name.starts_with(".tmp-")) return entry.path();
                }
            return build;
        }
        default: return build / parts[dice(std::size(parts))];
        }
    }

    void make_bait(const fs::path &at, const fs::path &victim)
    {
        std::error_code error;
        fs::path twin = outside_ / victim.lexically_relative(root_);
        if (!fs::exists(fs::symlink_status(twin, error))) twin = outside_ / team_ / "logs" / std::to_string(foreign_build);
        switch (dice(10)) {
        default: fs::create_symlink(twin, at, error); return;
        case 0: fs::create_symlink(twin.lexically_relative(victim.parent_path()), at, error); return;
        case 1: ::mkfifo(at.c_str(), 0666); return;
        case 2: ::mknod(at.c_str(), S_IFSOCK | 0666, 0); return;
        case 3: ::mknod(at.c_str(), S_IFCHR | 0666, ::makedev(1, 5)); return;   // an endless file of zeroes
        case 4: fs::create_symlink(at.filename(), at, error); return;           // a circle
        case 5: fs::create_directory(at, error); return;
        }
    }

    // Where the store has moved a link meanwhile it may still stand above a victim, and would lead us outside ourselves.
    Descriptor folder_of(const fs::path &victim) const
    {
        open_how how{};
        how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
        const fs::path folder = victim.parent_path().lexically_relative(root_.parent_path());
        return Descriptor(static_cast<int>(::syscall(SYS_openat2, base_.get(), folder.c_str(), &how, sizeof how)));
    }

    bool swap(const fs::path &victim, const char *place)
    {
        const fs::path bait = lair_ / place;
        std::error_code error;
        fs::remove_all(bait, error);
        make_bait(bait, victim);
        const Descriptor folder = folder_of(victim);
        const std::string name = victim.filename();
        if (!folder) return false;
        if (::renameat2(AT_FDCWD, bait.c_str(), folder.get(), name.c_str(), RENAME_EXCHANGE) != 0 &&
            (errno != ENOENT || ::renameat2(AT_FDCWD, bait.c_str(), folder.get(), name.c_str(), RENAME_NOREPLACE) != 0))
            return false;
        ++swaps_;
        return true;
    }

    void undo(const fs::path &victim, const char *place)
    {
        const fs::path kept = lair_ / place;
        const Descriptor folder = folder_of(victim);
        const std::string name = victim.filename();
        std::error_code error;
        if (!fs::exists(fs::symlink_status(kept, error))) {
            // Nothing was there before.
            struct stat now;
            if (folder && ::fstatat(folder.get(), name.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(now.st_mode) &&
                !S_ISREG(now.st_mode))
                ::unlinkat(folder.get(), name.c_str(), 0);
            return;
        }
        if (folder && ::renameat2(AT_FDCWD, kept.c_str(), folder.get(), name.c_str(), RENAME_EXCHANGE) != 0)
            ::renameat2(AT_FDCWD, kept.c_str(), folder.get(), name.c_str(), RENAME_NOREPLACE);
        fs::remove_all(kept, error);
    }

    // The store may have moved a bait about.
    static void sweep(const fs::path &folder)
    {
        std::error_code error;
        for (const auto &entry : fs::directory_iterator(folder, error)) {
            const fs::file_status status = entry.symlink_status(error);
            if (!fs::is_directory(status) && !fs::is_regular_file(status)) ::unlink(entry.path().c_str());
        }
    }

    fs::path root_, outside_, lair_;
    std::string team_;
    std::mt19937_64 random_;
    Descriptor base_;   // what the root is in
    std::set<fs::path> drafts_, old_drafts_;
    uint64_t steps_ = 0, swaps_ = 0;
};

}  // namespace power
