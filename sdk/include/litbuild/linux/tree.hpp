// Finding the processes of a build: by descent, by control group, by the mark in their environment. What is found is held
// by pidfd, and that it belongs is checked again once it is held, so that a pid that changed hands meanwhile is let go.
#pragma once

#include <chrono>
#include <set>

#include <litbuild/linux/cgroup.hpp>

namespace litbuild::linux_ {

/// A living process that is held: it can be signalled, and nobody else by mistake.
struct Held {
    pid_t pid = 0;
    Descriptor pidfd;   ///< none only of a descendant, where the kernel or a seccomp filter allows no pidfds
};

inline bool send(const Held &held, int signal) noexcept
{
    return held.pidfd ? send(held.pidfd, signal) : ::kill(held.pid, signal) == 0;
}

/// The children of a process, of every thread of it. Falls back to reading the parent of every process where the kernel
/// has no list of children.
inline std::vector<pid_t> children_of(pid_t parent)
{
    std::vector<pid_t> out;
    bool listed = false;
    for (const pid_t thread : numbers_in(proc_path(parent, "task").c_str())) {
        const std::string path = proc_path(parent, ("task/" + std::to_string(thread) + "/children").c_str());
        const std::optional<std::string> text = slurp(path.c_str());
        if (!text) continue;
        listed = true;
        const char *at = text->data();
        const char *const end = at + text->size();
        while (at < end) {
            pid_t pid = 0;
            const auto [next, error] = std::from_chars(at, end, pid);
            if (error == std::errc{} && pid > 0) out.push_back(pid);
            at = next + 1;
        }
    }
    if (listed || ::access("/proc/thread-self/children", F_OK) == 0) return out;
    for (const pid_t pid : numbers_in("/proc")) {
        const std::optional<ProcStat> stat = stat_of(pid);
        if (stat && stat->parent == parent) out.push_back(pid);
    }
    return out;
}

/// Living descendants of `root`, without it. `on_find` is called as each is found, before its own children are read: a
/// process that is stopped there cannot make more of them unseen.
template <class OnFind>
std::vector<Held> descendants_of(pid_t root, OnFind on_find)
{
    std::vector<Held> out;
    std::set<pid_t> known{root};
    std::vector<pid_t> front{root};
    while (!front.empty()) {
        std::vector<pid_t> next;
        for (const pid_t parent : front) {
            for (const pid_t pid : children_of(parent)) {
                if (known.contains(pid)) continue;
                Held held{pid, open_pidfd(pid)};
                if (!held.pidfd && errno != ENOSYS && errno != EPERM) continue;
                const std::optional<ProcStat> stat = stat_of(pid);
                // Its parent may have ended meanwhile; then it is the root's, a subreaper's, own.
                if (!stat || !known.contains(stat->parent)) continue;
                known.insert(pid);
                next.push_back(pid);
                if (held.pidfd ? has_ended(held.pidfd) : stat->state == 'Z') continue;
                on_find(held);
                out.push_back(std::move(held));
            }
        }
        front = std::move(next);
    }
    return out;
}

/// Living processes of a control group and those below it. Who left the group before it was held is let go.
inline std::vector<Held> members_of(const Cgroup &group)
{
    std::vector<Held> out;
    if (!group) return out;
    for (const pid_t pid : group.members()) {
        Held held{pid, open_pidfd(pid)};
        if (!held.pidfd || has_ended(held.pidfd)) continue;
        const std::string where = slurp(proc_path(pid, "cgroup").c_str()).value_or("");
        const size_t line = where.rfind("0::", 0) == 0 ? 0 : where.find("\n0::");
        if (line == std::string::npos) continue;
        const size_t from = where.find("::", line) + 2;
        const std::string path = where.substr(from, where.find('\n', from) - from);
        // The path in /proc is relative to the mount, so it is the end of ours, or ours is its beginning.
        const std::string name = group.path().substr(group.path().rfind('/'));
        if ((path + "/").find(name + "/") == std::string::npos) continue;
        out.push_back(std::move(held));
    }
    return out;
}

/// Living processes of this host whose environment holds `assignment`, without `except`. One that is in the middle of exec
/// when it is come to is waited for until it shows its environment, all of them together at most `patience`.
inline std::vector<Held> marked_with(std::string_view assignment, pid_t except,
                                     std::chrono::milliseconds patience = std::chrono::seconds(1))
{
    std::vector<Held> out, hidden;
    for (const pid_t pid : numbers_in("/proc")) {
        if (pid == except || mark_of(pid, assignment) == Mark::none) continue;
        Held held{pid, open_pidfd(pid)};
        if (!held.pidfd || has_ended(held.pidfd)) continue;
        const Mark mark = mark_of(pid, assignment);
        if (mark != Mark::none) (mark == Mark::there ? out : hidden).push_back(std::move(held));
    }
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!hidden.empty() && std::chrono::steady_clock::now() < end) {
        ::poll(nullptr, 0, 1);
        std::vector<Held> still;
        for (Held &held : hidden) {
            const Mark mark = has_ended(held.pidfd) ? Mark::none : mark_of(held.pid, assignment);
            if (mark != Mark::none) (mark == Mark::there ? out : still).push_back(std::move(held));
        }
        hidden = std::move(still);
    }
    return out;
}

}  // namespace litbuild::linux_
