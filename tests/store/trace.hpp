// A process whose system calls are stopped at one by one: counted, made its last, refused, or given another answer.
// All its threads and children are followed. Linux, x86-64 where answers are changed.
#pragma once

#include <dirent.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

namespace support {

/// What becomes of a system call.
enum class Fate {
    goes_on,
    kills_before,   ///< the process dies as it enters: the call is not executed
    kills_after,    ///< the process dies as it leaves: the call was executed
    refused,        ///< not executed; the process is told of an error
    belied,         ///< executed; the process is told of an error
};

struct Verdict {
    Fate fate = Fate::goes_on;
    int error = 0;   ///< errno of the last two
};

struct SystemCall {
    uint64_t number = 0;
    const uint64_t *arguments = nullptr;   ///< six
};

/// Asked at the entry of each call of the part that is watched, in the order in which they come.
using Judge = std::function<Verdict(const SystemCall &)>;

/// In the traced process, which may have been replaced by exec meanwhile: from here on, and up to here.
inline void watch_begins() { ::kill(::getpid(), SIGSTOP); }
inline constexpr long end_mark = 0x4c42;
inline void watch_ends() { ::syscall(SYS_getpriority, end_mark, 0); }

class TracedProcess {
public:
    /// Runs `body` in a child of this process, up to its watch_ends(), where it is held, or to its death.
    template <class Body>
    TracedProcess(const Judge &judge, Body body)
    {
        leader_ = ::fork();
        if (leader_ < 0) throw std::runtime_error("fork");
        if (leader_ == 0) {
            ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            // Who hangs is ended: that is a finding, too.
            ::alarm(300);
            try {
                body();
            } catch (...) {
                ::_exit(99);
            }
            ::_exit(0);
        }
        threads_[leader_] = {};
        watch(judge);
    }
    ~TracedProcess() { end(); }
    TracedProcess(const TracedProcess &) = delete;
    TracedProcess &operator=(const TracedProcess &) = delete;

    bool is_held() const { return held_; }
    bool was_killed() const { return killed_; }
    /// Descriptors that were open at watch_begins() and are at watch_ends().
    int descriptors_before() const { return before_; }
    int descriptors_now() const
    {
        int count = 0;
        DIR *const dir = ::opendir(("/proc/" + std::to_string(leader_) + "/fd").c_str());
        if (!dir) return -1;
        while (const dirent *entry = ::readdir(dir)) count += entry->d_name[0] != '.';
        ::closedir(dir);
        return count;
    }

    /// Lets one that is held run to its end, unwatched. Its exit status; -1: a signal.
    int finish()
    {
        held_ = false;
        for (const auto &[pid, thread] : threads_) ::ptrace(PTRACE_CONT, pid, nullptr, nullptr);
        while (const std::optional<Stop> stop = next()) go_on(PTRACE_CONT, stop->pid, stop->is_call() ? 0 : stop->signal());
        return WIFEXITED(end_) ? WEXITSTATUS(end_) : -1;
    }

private:
    struct Thread {
        bool started = false;
        Verdict verdict;   ///< of the call that it is inside of
    };
    struct Stop {
        pid_t pid = 0;
        int status = 0;
        bool is_birth() const { return status >> 16 != 0; }
        bool is_call() const { return WSTOPSIG(status) == (SIGTRAP | 0x80); }
        int signal() const { return is_birth() ? 0 : WSTOPSIG(status); }
    };

    static void go_on(__ptrace_request how, pid_t pid, int signal)
    {
        ::ptrace(how, pid, nullptr, reinterpret_cast<void *>(static_cast<uintptr_t>(signal)));
    }

    /// Nothing: all have ended.
    std::optional<Stop> next()
    {
        while (!threads_.empty()) {
            Stop stop;
            stop.pid = ::waitpid(-1, &stop.status, __WALL);
            if (stop.pid < 0 && errno == EINTR) continue;
            if (stop.pid < 0) throw std::runtime_error("traced processes were lost");
            if (WIFSTOPPED(stop.status)) return stop;
            threads_.erase(stop.pid);
            if (stop.pid == leader_) end_ = stop.status;
        }
        return std::nullopt;
    }

    void watch(const Judge &judge)
    {
        while (const std::optional<Stop> stop = next()) {
            Thread &thread = threads_[stop->pid];
            if (!thread.started) {
                thread.started = true;
                if (stop->pid == leader_) {
                    const uintptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                                              PTRACE_O_TRACECLONE;
                    ::ptrace(PTRACE_SETOPTIONS, stop->pid, nullptr, reinterpret_cast<void *>(options));
                } else {
                    go_on(PTRACE_SYSCALL, stop->pid, 0);
                    continue;
                }
            }
            if (!begun_) {
                begun_ = stop->signal() == SIGSTOP;
                if (begun_) before_ = descriptors_now();
                // The end of an exec is a trap.
                go_on(begun_ ? PTRACE_SYSCALL : PTRACE_CONT, stop->pid, begun_ || stop->signal() == SIGTRAP ? 0 : stop->signal());
                continue;
            }
            if (stop->is_call()) {
                __ptrace_syscall_info call{};
                ::ptrace(PTRACE_GET_SYSCALL_INFO, stop->pid, reinterpret_cast<void *>(sizeof call), &call);
                if (call.op == PTRACE_SYSCALL_INFO_ENTRY) {
                    if (call.entry.nr == SYS_getpriority && call.entry.args[0] == end_mark) {
                        held_ = true;
                        return;
                    }
                    thread.verdict = judge({call.entry.nr, call.entry.args});
                    if (thread.verdict.fate == Fate::refused) change(stop->pid, [](user_regs_struct &all) { all.orig_rax = ~0ULL; });
                }
                const Fate dies_at = call.op == PTRACE_SYSCALL_INFO_ENTRY ? Fate::kills_before : Fate::kills_after;
                if (thread.verdict.fate == dies_at) {
                    killed_ = true;
                    end();
                    return;
                }
                if (call.op == PTRACE_SYSCALL_INFO_EXIT && (thread.verdict.fate == Fate::refused || thread.verdict.fate == Fate::belied))
                    change(stop->pid, [&](user_regs_struct &all) { all.rax = static_cast<unsigned long long>(-static_cast<long long>(thread.verdict.error)); });
                if (call.op == PTRACE_SYSCALL_INFO_EXIT) thread.verdict = {};
            }
            go_on(PTRACE_SYSCALL, stop->pid, stop->is_call() ? 0 : stop->signal());
        }
    }

    template <class Change>
    void change(pid_t pid, Change how)
    {
        user_regs_struct all;
        if (::ptrace(PTRACE_GETREGS, pid, nullptr, &all) != 0) throw std::runtime_error("the registers cannot be read");
        how(all);
        if (::ptrace(PTRACE_SETREGS, pid, nullptr, &all) != 0) throw std::runtime_error("the registers cannot be set");
    }

    void end()
    {
        held_ = false;
        for (const auto &[pid, thread] : threads_) ::kill(pid, SIGKILL);
        while (const std::optional<Stop> stop = next()) ::kill(stop->pid, SIGKILL);
    }

    pid_t leader_ = -1;
    std::map<pid_t, Thread> threads_;
    bool begun_ = false, held_ = false, killed_ = false;
    int end_ = 0, before_ = -1;
};

/// False where tracing is forbidden; and where calls cannot be refused as it is done here.
inline bool can_trace()
{
    int seen = 0;
    try {
        TracedProcess process([&](const SystemCall &call) { return ++seen, Verdict{call.number == SYS_getppid ? Fate::refused : Fate::goes_on, EIO}; },
                              [] {
                                  watch_begins();
                                  const bool refused = ::syscall(SYS_getppid) == -1 && errno == EIO;
                                  watch_ends();
                                  ::_exit(refused ? 7 : 8);
                              });
        return process.is_held() && seen == 1 && process.finish() == 7;
    } catch (const std::exception &) {
        return false;
    }
}

}  // namespace support
