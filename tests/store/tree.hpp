// A small folder with everything in it that a copy can get wrong, and a description of a folder that leaves nothing out.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "support.hpp"

namespace support {

/// Each name below a folder ("" is the folder itself), and all that is known of what it names.
using Manifest = std::map<std::string, std::string>;

namespace detail {

inline std::string attributes(const std::string &path)
{
    char names[4096];
    const ssize_t size = ::llistxattr(path.c_str(), names, sizeof names);
    std::map<std::string, std::string> all;
    for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(std::strlen(names + at)) + 1) {
        char value[4096];
        const ssize_t got = ::lgetxattr(path.c_str(), names + at, value, sizeof value);
        all[names + at] = got < 0 ? "?" : std::string(value, static_cast<size_t>(got));
    }
    std::string text;
    for (const auto &[name, value] : all) text += " " + name + "=" + value;
    return text;
}

inline void describe(const std::string &folder, const std::string &name, std::map<ino_t, std::string> &seen, Manifest &out)
{
    const std::string path = name.empty() ? folder : folder + "/" + name;
    struct stat found;
    if (::lstat(path.c_str(), &found) != 0) throw std::runtime_error(path + ": " + std::strerror(errno));
    char text[160];
    std::snprintf(text, sizeof text, "mode %o owner %u:%u time %lld.%09ld", static_cast<unsigned>(found.st_mode), found.st_uid, found.st_gid,
                  static_cast<long long>(found.st_mtim.tv_sec), found.st_mtim.tv_nsec);
    std::string &line = out[name];
    line = text + attributes(path);
    if (!S_ISDIR(found.st_mode) && found.st_nlink > 1) {
        const auto [first, is_new] = seen.emplace(found.st_ino, name);
        line += " is " + first->second;
    }
    if (S_ISREG(found.st_mode)) {
        std::string content(static_cast<size_t>(found.st_size), '\0');
        const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        content.resize(static_cast<size_t>(std::max<ssize_t>(::read(file, content.data(), content.size()), 0)));
        ::close(file);
        line += " size " + std::to_string(found.st_size) + " content " + std::to_string(std::hash<std::string>()(content));
        if (found.st_size >= 65536 && found.st_blocks * 512 < found.st_size / 2) line += " sparse";
    } else if (S_ISLNK(found.st_mode)) {
        char target[4096];
        const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
        line += " to " + std::string(target, static_cast<size_t>(std::max<ssize_t>(size, 0)));
    } else if (S_ISDIR(found.st_mode)) {
        std::vector<std::string> names;
        DIR *const dir = ::opendir(path.c_str());
        if (!dir) throw std::runtime_error(path + ": " + std::strerror(errno));
        while (const dirent *entry = ::readdir(dir)) names.emplace_back(entry->d_name);
        ::closedir(dir);
        std::sort(names.begin(), names.end());
        for (const std::string &below : names)
            if (below != "." && below != "..") describe(folder, name.empty() ? below : name + "/" + below, seen, out);
    }
}

}  // namespace detail

inline Manifest describe(const fs::path &folder)
{
    Manifest out;
    std::map<ino_t, std::string> seen;
    detail::describe(folder.string(), "", seen, out);
    return out;
}

/// What is in one and not, or otherwise, in the other; empty: they are the same.
inline std::string difference(const Manifest &wanted, const Manifest &found)
{
    for (const auto &[name, line] : wanted) {
        const auto there = found.find(name);
        if (there == found.end()) return "'" + name + "' is missing";
        if (there->second != line) return "'" + name + "' is [" + there->second + "] and was [" + line + "]";
    }
    for (const auto &[name, line] : found)
        if (!wanted.contains(name)) return "'" + name + "' is new";
    return {};
}

/// Two names of one file in two folders, a hole, links that lead somewhere, nowhere and out, a pipe, odd modes, times,
/// attributes; into a folder that is there.
inline void grow_tree(const fs::path &folder)
{
    const auto must = [](bool good, const char *what) {
        if (!good) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
    };
    spill(folder / "log", "line one\nline two\n");
    spill(folder / "data/part-0", std::string(5000, 'a'));
    spill(folder / "data/part-1", "b");
    spill(folder / "data/empty", "");
    fs::create_hard_link(folder / "data/part-0", folder / "data/again");
    fs::create_directories(folder / "more/deep/hollow");
    fs::create_hard_link(folder / "data/part-1", folder / "more/deep/part-1");
    fs::create_symlink("data/part-0", folder / "latest");
    fs::create_symlink("/nowhere/at all", folder / "more/dangling");
    must(::mkfifo((folder / "more/pipe").c_str(), 0640) == 0, "mkfifo");
    const int hole = ::open((folder / "data/hole").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    must(hole >= 0 && ::pwrite(hole, "front", 5, 0) == 5 && ::pwrite(hole, "back", 4, 100'000) == 4, "hole");
    ::close(hole);
    must(::chmod((folder / "data/part-1").c_str(), 0751) == 0 && ::chmod((folder / "more/deep").c_str(), 02775) == 0, "chmod");
    for (const char *name : {"data/part-0", "more"})
        must(::setxattr((folder / name).c_str(), "user.litbuild", name, std::strlen(name), 0) == 0 || errno == ENOTSUP, "setxattr");
    // From the inside to the outside: each changes the time of what it is in.
    for (const char *name : {"data/part-0", "data/hole", "data", "more/deep/hollow", "more/deep", "more/dangling", "more/pipe", "more", "latest", "."}) {
        const timespec times[2] = {{1'500'000'000, 1}, {1'600'000'000, 123'456'789}};
        must(::utimensat(AT_FDCWD, (folder / name).c_str(), times, AT_SYMLINK_NOFOLLOW) == 0, "utimensat");
    }
}

}  // namespace support
