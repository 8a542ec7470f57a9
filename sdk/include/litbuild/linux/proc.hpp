// Processes, by identity: a pid alone names nobody, for pids are used again. A process is named by the boot it lives in, its
// pid, and its start time; that is checked after a pidfd is held, and only the pidfd is signalled.
// For authors of process controllers, and for the runner. No allocation beyond small strings; no locale, no streams.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <litbuild/error.hpp>
#include <litbuild/linux/descriptor.hpp>

namespace litbuild::linux_ {

/// A small file whole, e.g. of /proc; nothing where it cannot be read.
inline std::optional<std::string> slurp(const char *path, int at = AT_FDCWD)
{
    const Descriptor file(::openat(at, path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) return std::nullopt;
    std::string text;
    char piece[4096];
    for (;;) {
        const ssize_t got = ::read(file.get(), piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) return text;
        text.append(piece, static_cast<size_t>(got));
    }
}

inline std::string line_of(const char *path)
{
    std::string text = slurp(path).value_or("");
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

inline std::string boot_id() { return line_of("/proc/sys/kernel/random/boot_id"); }

/// Several hosts may go by one name.
inline std::string host_name()
{
    utsname names{};
    ::uname(&names);
    return names.nodename;
}

/// Empty: this host has none.
inline std::string machine_id() { return line_of("/etc/machine-id"); }

/// What /proc/PID/stat tells. The name may hold anything, so fields are counted from the LAST ')' (a process called
/// "a) Z 1 (x" is legal).
struct ProcStat {
    std::string name;
    char state = 0;
    pid_t parent = 0;
    pid_t group = 0;
    pid_t session = 0;
    uint32_t flags = 0;   ///< the kernel's PF_*
    uint64_t user_ticks = 0;
    uint64_t system_ticks = 0;
    uint64_t start = 0;   ///< clock ticks since boot
    /// Where in its memory the environment stands. Both 0: nowhere yet, it is in the middle of exec; or it has no memory, or
    /// the reader may not know.
    uint64_t environment_begin = 0, environment_end = 0;

    bool is_dead() const { return state == 'Z' || state == 'X'; }
    /// It runs no more of its program: it is dead, or about to be (PF_EXITING).
    bool is_ending() const { return is_dead() || (flags & 4) != 0; }
    bool is_kernel_thread() const { return (flags & 0x200000) != 0; }   // PF_KTHREAD
};

inline std::optional<ProcStat> parse_stat(std::string_view text)
{
    const size_t open = text.find('(');
    const size_t close = text.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
    ProcStat out;
    out.name = std::string(text.substr(open + 1, close - open - 1));
    size_t at = close + 1;
    int field = 2;
    while (at < text.size() && field < 51) {
        while (at < text.size() && text[at] == ' ') ++at;
        const size_t end = std::min(text.find(' ', at), text.size());
        const std::string_view word = text.substr(at, end - at);
        ++field;
        int64_t value = 0;
        std::from_chars(word.data(), word.data() + word.size(), value);
        if (field == 3) out.state = word.empty() ? '\0' : word[0];
        if (field == 4) out.parent = static_cast<pid_t>(value);
        if (field == 5) out.group = static_cast<pid_t>(value);
        if (field == 6) out.session = static_cast<pid_t>(value);
        if (field == 9) out.flags = static_cast<uint32_t>(value);
        if (field == 14) out.user_ticks = static_cast<uint64_t>(value);
        if (field == 15) out.system_ticks = static_cast<uint64_t>(value);
        if (field == 22) out.start = static_cast<uint64_t>(value);
        if (field == 50) out.environment_begin = static_cast<uint64_t>(value);
        if (field == 51) out.environment_end = static_cast<uint64_t>(value);
        at = end;
    }
    if (field < 22) return std::nullopt;
    return out;
}

inline std::string proc_path(pid_t pid, const char *file)
{
    return "/proc/" + std::to_string(pid) + "/" + file;
}

inline std::optional<ProcStat> stat_of(pid_t pid)
{
    const std::optional<std::string> text = slurp(proc_path(pid, "stat").c_str());
    return text ? parse_stat(*text) : std::nullopt;
}

inline Descriptor open_pidfd(pid_t pid) noexcept
{
    return Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0u)));
}

inline bool send(const Descriptor &pidfd, int signal) noexcept
{
    return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0u) == 0;
}

/// All threads of it have ended (a zombie counts as ended).
inline bool has_ended(const Descriptor &pidfd) noexcept
{
    pollfd wait{pidfd.get(), POLLIN, 0};
    return ::poll(&wait, 1, 0) > 0;
}

/// The process that had this pid and start time, if it is still alive. The start time is read after the pidfd is held, so
/// that the pid cannot change hands in between. Throws litbuild::Error where that cannot be told, for the caller has no
/// descriptors or no memory left.
inline Descriptor hold(pid_t pid, uint64_t start)
{
    const auto check = [pid] {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            throw os_error("process " + std::to_string(pid), "see whether it is alive", errno);
    };
    if (pid <= 0) return Descriptor();
    Descriptor pidfd = open_pidfd(pid);
    if (!pidfd) check();
    if (!pidfd || has_ended(pidfd)) return Descriptor();
    errno = 0;
    const std::optional<ProcStat> stat = stat_of(pid);
    if (!stat) check();
    if (!stat || stat->start != start || has_ended(pidfd)) return Descriptor();
    return pidfd;
}

/// The command line, or the name in brackets where there is none; control characters as '?', at most 200 bytes.
inline std::string command_of(pid_t pid)
{
    std::string text = slurp(proc_path(pid, "cmdline").c_str()).value_or("");
    while (!text.empty() && text.back() == '\0') text.pop_back();
    if (text.empty()) {
        const std::optional<ProcStat> stat = stat_of(pid);
        text = "[" + (stat ? stat->name : std::string("?")) + "]";
    }
    if (text.size() > 200) text.resize(200);
    for (char &c : text) {
        if (c == '\0') c = ' ';
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return text;
}

/// The entries of a folder that are numbers: the processes of /proc, the threads of a process.
inline std::vector<pid_t> numbers_in(const char *folder)
{
    std::vector<pid_t> out;
    DIR *dir = ::opendir(folder);
    if (!dir) return out;
    while (const dirent *entry = ::readdir(dir)) {
        const std::string_view text(entry->d_name);
        pid_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error == std::errc{} && end == text.data() + text.size()) out.push_back(number);
    }
    ::closedir(dir);
    return out;
}

/// Folder in /proc of the process as long as its first thread lives, then of another of its threads: one that has ended
/// tells nothing of what the others are in.
inline std::string living_part(pid_t pid)
{
    const std::optional<ProcStat> stat = stat_of(pid);
    if (stat && stat->state == 'Z')
        for (const pid_t thread : numbers_in(proc_path(pid, "task").c_str())) {
            const std::string part = proc_path(pid, ("task/" + std::to_string(thread) + "/").c_str());
            const auto one = parse_stat(slurp((part + "stat").c_str()).value_or(""));
            if (one && !one->is_dead()) return part;
        }
    return proc_path(pid, "");
}

/// Where a process lives that no fork and no exec changes, as one number: its control groups and its login. Only who may
/// write to other groups (root, mostly) leaves them.
inline uint64_t surroundings_of(pid_t pid)
{
    uint64_t hash = 14695981039346656037ull;   // FNV-1a, 64 bits
    const std::string part = living_part(pid);
    for (const char *file : {"cgroup", "sessionid"})
        for (const char c : slurp((part + file).c_str()).value_or(""))
            hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    return hash;
}

/// The user that a process acts as; nothing where there is no such process.
inline std::optional<uid_t> user_of(pid_t pid)
{
    struct stat info{};
    if (::stat(living_part(pid).c_str(), &info) != 0) return std::nullopt;
    return info.st_uid;
}

/// Whether a process bears a mark. `hidden`: it is in the middle of exec, and shows no environment; that does not last.
enum class Mark { none, there, hidden };

/// Looks for NAME=value in the environment of the process; for an `assignment` that ends in '=', whatever the value. Asks its
/// threads where the leader has ended already, for then /proc/PID/environ cannot be read although the process lives.
inline Mark mark_of(pid_t pid, std::string_view assignment)
{
    const auto holds = [&](const std::string &environment) {
        size_t at = 0;
        while ((at = environment.find(assignment, at)) != std::string::npos) {
            const size_t end = at + assignment.size();
            const bool starts = at == 0 || environment[at - 1] == '\0';
            if (starts && (assignment.back() == '=' || end == environment.size() || environment[end] == '\0')) return true;
            ++at;
        }
        return false;
    };
    for (int looks = 1;; ++looks) {
        const std::optional<std::string> whole = slurp(proc_path(pid, "environ").c_str());
        if (whole && !whole->empty()) return holds(*whole) ? Mark::there : Mark::none;
        const std::optional<ProcStat> stat = stat_of(pid);
        if (!stat) return Mark::none;
        if (stat->state == 'Z') {
            for (const pid_t thread : numbers_in(proc_path(pid, "task").c_str())) {
                const std::string path = proc_path(pid, ("task/" + std::to_string(thread) + "/environ").c_str());
                if (const std::optional<std::string> part = slurp(path.c_str()); part && holds(*part)) return Mark::there;
            }
            return Mark::none;
        }
        if (!whole || stat->is_ending() || stat->is_kernel_thread()) return Mark::none;
        if (stat->environment_end == 0) return Mark::hidden;
        // It may have come since it was asked for; an empty one stands somewhere, too.
        if (looks == 3 || stat->environment_end == stat->environment_begin) return Mark::none;
    }
}

/// Whether the environment of the process is seen to hold NAME=value: mark_of() without the case of exec.
inline bool has_environment(pid_t pid, std::string_view assignment) { return mark_of(pid, assignment) == Mark::there; }

}  // namespace litbuild::linux_
