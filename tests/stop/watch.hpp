// The oracle of the stop cases: who is alive of what a case started. It shares nothing with the product, so that a fault of
// the product's walk through /proc does not hide itself.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace stop_cases {

namespace fs = std::filesystem;

struct Seen {
    pid_t pid = 0, parent = 0;
    char state = 0;
    uint64_t start = 0;
    std::string name;
    bool alive = false;   ///< one of its threads is
};

/// What can be read of it: a process may end between two looks.
inline std::string text_of(const fs::path &file)
{
    std::string out;
    const int in = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char piece[16384];
    for (ssize_t got; in >= 0 && (got = ::read(in, piece, sizeof piece)) > 0;) out.append(piece, static_cast<size_t>(got));
    if (in >= 0) ::close(in);
    return out;
}

inline std::vector<pid_t> numbers(const fs::path &folder)
{
    std::vector<pid_t> out;
    DIR *dir = ::opendir(folder.c_str());
    if (!dir) return out;
    while (const dirent *entry = ::readdir(dir))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') out.push_back(std::atoi(entry->d_name));
    ::closedir(dir);
    return out;
}

inline Seen see(const fs::path &stat)
{
    Seen out;
    const std::string text = text_of(stat);
    const size_t open = text.find('('), close = text.rfind(')');
    if (close == std::string::npos || open == std::string::npos) return out;
    out.pid = std::atoi(text.c_str());
    out.name = text.substr(open + 1, close - open - 1);
    std::istringstream rest(text.substr(close + 1));
    std::string word;
    rest >> out.state >> out.parent;
    unsigned long flags = 0;
    for (int field = 5; field <= 22; ++field) {
        rest >> word;
        if (field == 9) flags = std::strtoul(word.c_str(), nullptr, 10);
    }
    out.start = std::strtoull(word.c_str(), nullptr, 10);
    out.alive = out.state != 'Z' && out.state != 'X' && (flags & 4) == 0;   // PF_EXITING: it runs no more
    return out;
}

inline Seen see(pid_t pid)
{
    const fs::path folder = "/proc/" + std::to_string(pid);
    Seen out = see(folder / "stat");
    if (out.pid == 0 || out.alive) return out;
    for (const pid_t thread : numbers(folder / "task"))
        if (see(folder / "task" / std::to_string(thread) / "stat").alive) out.alive = true;
    return out;
}

inline std::map<pid_t, Seen> see_all()
{
    std::map<pid_t, Seen> out;
    for (const pid_t pid : numbers("/proc"))
        if (const Seen seen = see(pid); seen.pid != 0) out.emplace(pid, seen);
    return out;
}

inline bool descends(const std::map<pid_t, Seen> &all, pid_t pid, pid_t from)
{
    for (int depth = 0; depth < 100'000; ++depth) {
        const auto found = all.find(pid);
        if (found == all.end() || found->second.parent == 0) return false;
        if (found->second.parent == from) return true;
        pid = found->second.parent;
    }
    return false;
}

inline bool carries(pid_t pid, const std::string &mark)
{
    const fs::path tasks = "/proc/" + std::to_string(pid) + "/task";
    for (const pid_t thread : numbers(tasks))
        if (text_of(tasks / std::to_string(thread) / "environ").find(mark) != std::string::npos) return true;
    return false;
}

/// "PID START" lines that the helpers wrote.
inline std::vector<pid_t> recorded_and_alive(const fs::path &list)
{
    std::vector<pid_t> out;
    std::istringstream in(text_of(list));
    pid_t pid = 0;
    uint64_t start = 0;
    while (in >> pid >> start)
        if (const Seen seen = see(pid); seen.alive && seen.start == start) out.push_back(pid);
    return out;
}

inline std::set<pid_t> members(const fs::path &group)
{
    std::set<pid_t> out;
    std::istringstream in(text_of(group / "cgroup.procs"));
    for (pid_t pid = 0; in >> pid;) out.insert(pid);
    std::error_code error;
    for (const fs::directory_entry &entry : fs::directory_iterator(group, error))
        if (entry.is_directory(error)) out.merge(members(entry.path()));
    return out;
}

}  // namespace stop_cases
