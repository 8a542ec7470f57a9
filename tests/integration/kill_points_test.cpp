// kill -9 of the engine and of the runner at every step of launch, run, stop and exit. Steps are not sampled by time: the
// one to be killed is traced, and killed as it enters its n-th system call, for every n (the short form takes every k-th).
// Calls that only look are no steps: who is killed there leaves what a kill at the next call that does something leaves.
// After each: a fresh engine tells the truth, and can finish the stop; nothing of the build is left but its folder.
#define BOOST_TEST_MODULE kill_points
#include "helpers/model_support.hpp"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <map>
#include <random>

using namespace litbuild;
using namespace support;
using Outcome = StopResult::Outcome;

BOOST_TEST_GLOBAL_FIXTURE(Subreaper);

namespace {

// --------------------------------------------------------------------------------------------------- the tracer

/// Whom the n-th system call is the last of.
enum class Victim {
    engine,   ///< the process that calls the engine
    runner,   ///< the runner, from its exec on, with the child that it goes on in
    child,    ///< the runner too, but counted by the calls of its step's process before exec, which is held meanwhile
};

/// Whether the call that this process is about to make cannot change anything that anybody else could see.
bool only_looks(pid_t pid)
{
    __ptrace_syscall_info call{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, reinterpret_cast<void *>(sizeof call), &call) <= 0) return false;
    const auto &args = call.entry.args;
    switch (call.entry.nr) {
    case SYS_openat: return (args[2] & (O_CREAT | O_TRUNC)) == 0;
    case SYS_openat2: {
        errno = 0;
        const long flags = ::ptrace(PTRACE_PEEKDATA, pid, reinterpret_cast<void *>(args[2]), nullptr);
        return errno == 0 && (flags & (O_CREAT | O_TRUNC)) == 0;
    }
    case SYS_read: case SYS_pread64: case SYS_close: case SYS_fstat: case SYS_newfstatat: case SYS_statx: case SYS_getdents64:
    case SYS_lseek: case SYS_access: case SYS_faccessat: case SYS_faccessat2: case SYS_readlink: case SYS_readlinkat: case SYS_poll:
    case SYS_fcntl: case SYS_pidfd_open: case SYS_mmap: case SYS_munmap: case SYS_mprotect: case SYS_brk: case SYS_madvise:
    case SYS_getpid: case SYS_getppid: case SYS_gettid: case SYS_geteuid: case SYS_getegid: case SYS_getuid: case SYS_uname:
    case SYS_sysinfo: case SYS_getrandom: case SYS_futex: case SYS_rt_sigaction: case SYS_rt_sigprocmask: case SYS_fstatfs:
        return true;
    default: return false;
    }
}

struct Traced {
    int calls = 0;          ///< system calls of the victim that were seen
    bool was_killed = false;
    int code = -1;          ///< exit code of the engine's process; -1: it was killed
};

/// Runs `body` in a child and kills the victim at its call number `at`; 0: nobody is killed.
template <class Body>
Traced run_traced(Victim victim, int at, Body body)
{
    Traced out;
    const pid_t engine = ::fork();
    if (engine == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        int code = 99;
        try {
            code = body();
        } catch (const std::exception &) {
        }
        ::_exit(code);
    }
    const auto options = static_cast<uintptr_t>(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL |
                                                (victim == Victim::engine ? 0 : PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC));
    enum Role { is_engine, is_starter, is_runner, is_step };
    struct Process {
        Role role;
        bool started = false;   ///< its first stop was seen
        bool inside = false;    ///< of a system call
        bool counts = false;
    };
    std::map<pid_t, Process> known;
    known[engine] = {is_engine, false, false, victim == Victim::engine};
    std::map<pid_t, int> early;   ///< stops of those whose birth we have not heard of yet
    pid_t runner = 0, held = 0;
    const auto go_on = [&](pid_t pid, int signal) {
        const Process &process = known[pid];
        const bool by_call = process.counts && !out.was_killed;
        ::ptrace(by_call ? PTRACE_SYSCALL : PTRACE_CONT, pid, nullptr, reinterpret_cast<void *>(static_cast<uintptr_t>(signal)));
    };
    const auto stopped = [&](pid_t pid, int status) {
        Process &process = known[pid];
        const int signal = WSTOPSIG(status);
        const int event = status >> 16;
        if (!process.started) {
            process.started = true;
            if (pid == engine) ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, reinterpret_cast<void *>(options));
            if (process.role == is_step && victim != Victim::child) {
                ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
                known.erase(pid);
                return;
            }
            go_on(pid, 0);
            return;
        }
        if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
            unsigned long born = 0;
            ::ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &born);
            const pid_t child = static_cast<pid_t>(born);
            const Role role = process.role == is_engine ? is_starter : process.role == is_starter ? is_runner : is_step;
            known[child] = {role, false, false, (role == is_runner && victim == Victim::runner) || (role == is_step && victim == Victim::child)};
            if (role == is_runner) runner = child;
            go_on(pid, 0);
            if (early.contains(child)) {
                early.erase(child);
                known[child].started = true;
                if (role == is_step && victim != Victim::child) {
                    ::ptrace(PTRACE_DETACH, child, nullptr, nullptr);
                    known.erase(child);
                } else {
                    go_on(child, 0);
                }
            }
            return;
        }
        if (event == PTRACE_EVENT_EXEC) {
            if (process.role == is_starter) process.counts = victim == Victim::runner;
            process.inside = true;   // the end of its execve comes next
            if (process.role == is_step) {
                ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
                known.erase(pid);
                return;
            }
            go_on(pid, 0);
            return;
        }
        if (signal == (SIGTRAP | 0x80)) {
            process.inside = !process.inside;
            if (process.inside && !only_looks(pid) && ++out.calls == at) {
                out.was_killed = true;
                if (victim == Victim::child) {
                    held = pid;
                    ::kill(runner, SIGKILL);
                    return;
                }
                ::kill(pid, SIGKILL);
                return;
            }
            go_on(pid, 0);
            return;
        }
        go_on(pid, event == 0 && signal != SIGTRAP ? signal : 0);
    };
    for (;;) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR) continue;
        if (pid < 0) break;
        if (WIFSTOPPED(status)) {
            if (known.contains(pid)) stopped(pid, status);
            else early[pid] = status;
            continue;
        }
        known.erase(pid);
        if (pid == held) held = 0;
        if (pid != engine) continue;
        out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        break;
    }
    // The engine has done all it would; whoever was held goes on, and must not be alive for long.
    for (const auto &[pid, process] : known) ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
    for (auto &[pid, process] : known) {
        // A tracee that runs cannot be let go of; it is stopped for that.
        int status = 0;
        while (::waitpid(pid, &status, __WALL | WNOHANG) == pid && WIFSTOPPED(status)) ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
        if (::ptrace(PTRACE_DETACH, pid, nullptr, nullptr) == 0 || errno == ESRCH) {
            const linux_::Descriptor live = linux_::open_pidfd(pid);
            if (!live || linux_::has_ended(live)) continue;
            const std::string text = slurp("/proc/" + std::to_string(pid) + "/status");
            if (text.find("TracerPid:\t" + std::to_string(::getpid()) + "\n") == std::string::npos) continue;
            ::kill(pid, SIGSTOP);
            while (::waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
                const int signal = WSTOPSIG(status) == SIGSTOP ? 0 : WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
                ::ptrace(PTRACE_DETACH, pid, nullptr, reinterpret_cast<void *>(static_cast<uintptr_t>(signal)));
                if (WSTOPSIG(status) == SIGSTOP) break;
            }
            ::kill(pid, SIGCONT);
        }
    }
    return out;
}

bool can_trace()
{
    const Traced traced = run_traced(Victim::engine, 0, [] { return ::getppid() > 0 ? 7 : 8; });
    if (traced.code == 7 && traced.calls > 0) return true;
    std::printf("SKIPPED: kill_points: processes cannot be traced here\n");
    return false;
}

// -------------------------------------------------------------------------------------------------- the oracle

/// Living processes of a build: its runner, by its command line, and its steps, by their mark.
std::vector<std::string> processes_of(const fs::path &folder, const std::string &uuid, bool with_runner)
{
    std::vector<std::string> out;
    for (const pid_t pid : linux_::numbers_in("/proc")) {
        if (pid == ::getpid()) continue;
        const std::string command = linux_::slurp(linux_::proc_path(pid, "cmdline").c_str()).value_or("");
        const bool is_runner = command.find("litbuild-runner") != std::string::npos && command.find(folder.string() + '\0') != std::string::npos;
        if (!(is_runner && with_runner) && !(!is_runner && linux_::has_environment(pid, "LITBUILD_UUID=" + uuid))) continue;
        const linux_::Descriptor held = linux_::open_pidfd(pid);
        if (!held || linux_::has_ended(held)) continue;
        const auto stat = linux_::stat_of(pid);
        out.push_back(std::to_string(pid) + " " + linux_::command_of(pid) + " (" + (stat ? stat->state : '?') + " of " +
                      std::to_string(stat ? stat->parent : 0) + ", " + linux_::line_of(linux_::proc_path(pid, "wchan").c_str()) + ")");
    }
    return out;
}

struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class Ready>
void until(const std::string &what, Ready ready)
{
    const auto end = litbuild::Clock::now() + 60s;
    while (!ready()) {
        if (litbuild::Clock::now() > end) throw Wrong("never came: " + what);
        ::usleep(500);
    }
}

class Place {
public:
    explicit Place(const char *containment) : containment_(containment)
    {
        config_.root = root_.path();
        config_.process.config = std::string(R"({"cgroup": ")") + containment + "\"}";
    }
    ~Place() { sweep(); }
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;
    Engine engine() const { return Engine(config_); }
    const fs::path &root() const { return root_.path(); }
    const char *containment() const { return containment_; }

    /// The build that has come since; none: it does not exist. More than one, or an id of before, is wrong.
    std::optional<Build> newest()
    {
        std::optional<Build> out;
        if (!fs::exists(root_.path() / "contoso/logs")) return out;
        for (const Build &build : engine().get_builds("contoso", {.scope = Scope::all})) {
            if (runids_.contains(build.runid())) continue;
            if (out) throw Wrong("one launch has made two builds");
            out = build;
        }
        if (!out) return out;
        runids_.insert(out->runid());
        // Whole or absent.
        boost::system::error_code error;
        const boost::json::value document = boost::json::parse(slurp(out->path() / "build.json"), error);
        if (error || document.at("runid").as_int64() != out->runid() || !document.as_object().contains("spec"))
            throw Wrong("build.json is not whole");
        return out;
    }

    /// A fresh engine: tells a state of `allowed` within a bounded time, finishes the stop, and then nothing is left.
    void judge(const Build &found, std::set<State> allowed)
    {
        const Engine fresh = engine();
        const Build build = fresh.build("contoso", found.runid());
        const std::string uuid = uuid_of(build);
        Status status = build.get_status();
        until("a state other than queued", [&] {
            status = build.get_status();
            return status.state != State::queued;
        });
        if (!allowed.contains(status.state)) throw Wrong(std::string("is ") + name(status.state) + " (" + status.error + ")");
        if (is_active(status.state) && processes_of(build.path(), uuid, true).empty() && is_active(build.get_status().state))
            throw Wrong(std::string("is ") + name(status.state) + ", and nothing of it is alive");
        if (status.state == State::complete && !fs::exists(build.path() / "ran")) throw Wrong("is complete, but did not run");
        const StopResult result = build.stop({.grace = 20ms});
        const Status after = build.get_status();
        if (result.outcome != Outcome::stopped && result.outcome != Outcome::already_finished) throw Wrong(result.message);
        const bool agrees = result.outcome == Outcome::stopped ? after.state == State::stopped
                                                               : is_terminal(after.state) && after.state != State::stopped;
        if (!agrees) throw Wrong(result.message + ", and it is " + name(after.state) + " (" + after.error + ")");
        if (is_terminal(status.state) && after.state != status.state)
            throw Wrong(std::string("was ") + name(status.state) + " and is " + name(after.state));
        if (const auto left = processes_of(build.path(), uuid, false); !left.empty())
            throw Wrong(result.message + ", and " + std::to_string(left.size()) + " are alive: " + left.front());
        // A runner that was just starting, or is just ending, may not change anything any more.
        const auto end = litbuild::Clock::now() + 60s;
        for (auto left = processes_of(build.path(), uuid, true); !left.empty(); left = processes_of(build.path(), uuid, true)) {
            if (litbuild::Clock::now() > end) throw Wrong("for a minute after the stop there is " + left.front());
            ::usleep(1000);
        }
        if (build.get_status().state != after.state) throw Wrong(std::string("was ") + name(after.state) + ", and became " + name(build.get_status().state));
        if (const auto groups = groups_of({uuid}); !groups.empty())
            throw Wrong(std::to_string(groups.size()) + " groups are left: " + groups.front());
        if (const size_t ends = terminal_events(build); ends > 1) throw Wrong(std::to_string(ends) + " terminal events");
    }

    /// Where a build went wrong, nothing of it outlives the test either.
    void sweep() const
    {
        for (const pid_t pid : linux_::numbers_in("/proc")) {
            if (pid == ::getpid()) continue;
            const linux_::Descriptor held = linux_::open_pidfd(pid);
            const std::string text = linux_::slurp(linux_::proc_path(pid, "cmdline").c_str()).value_or("") +
                                     linux_::slurp(linux_::proc_path(pid, "environ").c_str()).value_or("");
            if (held && text.find(root_.path().string() + "/contoso/") != std::string::npos) linux_::send(held, SIGKILL);
        }
    }

private:
    QuickRoot root_;
    Config config_;
    const char *containment_;
    std::set<int64_t> runids_;
};

/// Goes through the points of one scenario. `once` runs it with a point, 0 for none, and throws Wrong.
template <class Once>
void every_point(const std::string &what, const Place &place, int points, Once once)
{
    const char *text = ::getenv("LITBUILD_KILL_POINT");
    int total = 0, killed = 0;
    std::vector<std::string> wrongs;
    const auto at = [&](int point) {
        try {
            const Traced traced = once(point);
            if (point == 0) total = traced.calls;
            if (traced.was_killed) ++killed;
            return traced.was_killed;
        } catch (const std::exception &e) {
            wrongs.push_back("point " + std::to_string(point) + ": " + e.what());
            place.sweep();
        }
        return true;
    };
    at(0);
    const int step = is_long() ? 1 : std::max(1, total / points);
    const int first = is_long() ? 1 : 1 + static_cast<int>(std::random_device()() % static_cast<unsigned>(step));
    if (text && *text) {
        at(std::atoi(text));
    } else if (total > 0) {
        // Somewhat beyond, for the number of calls is not the same each time.
        for (int point = first, missed = 0; missed < 3 && wrongs.size() < 40 && point < total * 3 + 100; point += step) missed = at(point) ? 0 : missed + 1;
    }
    std::printf("kill points, %s, containment %s: %d calls, every %d, killed at %d: %zu wrong\n", what.c_str(), place.containment(), total,
                step, killed, wrongs.size());
    for (size_t i = 0; i < std::min<size_t>(wrongs.size(), 40); ++i) std::printf("    %s\n", wrongs[i].c_str());
    std::fflush(stdout);
    BOOST_TEST(total > 0);
    BOOST_TEST(wrongs.empty(), what << ", " << place.containment() << ": " << wrongs.size() << " points are wrong, the first: " << (wrongs.empty() ? "" : wrongs.front()));
}

const char *const stubborn = "trap '' TERM; setsid sleep 600 & sleep 600 & touch up; wait; sleep 600";

std::string spec(const std::string &script)
{
    return shell(script, {{"linger", "0ms"}, {"stop", {{{"signal", "TERM"}, {"grace", "20ms"}}, {{"signal", "KILL"}}}}});
}

void wait_up(const Build &build)
{
    while (!fs::exists(build.path() / "up") && is_active(build.get_status().state)) ::usleep(500);
}

const char *const both[] = {"auto", "none"};

}  // namespace

BOOST_AUTO_TEST_CASE(the_engine_is_killed_while_it_launches)
{
    if (!can_trace()) return;
    for (const char *containment : both) {
        Place place(containment);
        const Engine engine = place.engine();
        engine.launch("contoso", spec("exit 0")).wait();
        place.newest();
        every_point("engine, launch", place, 14, [&](int point) {
            const Traced traced = run_traced(Victim::engine, point, [&] {
                engine.launch("contoso", spec(stubborn));
                return 0;
            });
            if (!traced.was_killed && traced.code != 0) throw Wrong("the launch failed with " + std::to_string(traced.code));
            const std::optional<Build> build = place.newest();
            if (build) place.judge(*build, {State::lost, State::running});
            else if (!traced.was_killed) throw Wrong("was launched, and is not there");
            return traced;
        });
    }
}

BOOST_AUTO_TEST_CASE(the_engine_is_killed_while_it_stops)
{
    if (!can_trace()) return;
    for (const char *containment : both) {
        Place place(containment);
        for (const bool was_lost : {false, true}) {
            const Engine engine = place.engine();
            every_point(was_lost ? "engine, stop of a lost build" : "engine, stop", place, 12, [&](int point) {
                const Build build = engine.launch("contoso", spec(stubborn));
                place.newest();
                wait_up(build);
                if (was_lost) {
                    ::kill(runner_of(build), SIGKILL);
                    until("lost", [&] { return build.get_status().state == State::lost; });
                }
                const Traced traced = run_traced(Victim::engine, point, [&] { return static_cast<int>(build.stop().outcome); });
                if (!traced.was_killed && traced.code != static_cast<int>(Outcome::stopped)) throw Wrong("stop answered " + std::to_string(traced.code));
                std::set<State> allowed = {State::stopped};
                if (traced.was_killed) allowed.insert(was_lost ? State::lost : State::running);
                if (traced.was_killed && !was_lost) allowed.insert(State::stopping);
                place.judge(build, allowed);
                return traced;
            });
        }
    }
}

namespace {

constexpr int launch_failed = 40;

/// The runner is killed, the engine that launched it lives on and waits for the end, or stops.
void runner_killed(Victim victim, bool stops, const char *what, int points)
{
    if (!can_trace()) return;
    for (const char *containment : both) {
        Place place(containment);
        const Engine engine = place.engine();
        every_point(what, place, points, [&](int point) {
            const Traced traced = run_traced(victim, point, [&] {
                std::optional<Build> build;
                try {
                    build = engine.launch("contoso", spec(stops ? stubborn : "echo done > ran; sleep 600 & exit 0"));
                } catch (const Error &) {
                    return launch_failed;
                }
                if (!stops) return static_cast<int>(build->wait().state);
                wait_up(*build);
                return 20 + static_cast<int>(build->stop().outcome);
            });
            const std::optional<Build> build = place.newest();
            if (!build) throw Wrong("the build is not there");
            const std::string answer = "the engine's answer was " + std::to_string(traced.code);
            const Status status = build->get_status();
            std::set<State> allowed;
            if (traced.code == launch_failed) {
                // Killed before its word: nobody else would ever say how this build ended.
                allowed = {State::error, State::lost};
            } else if (stops) {
                if (traced.code != 20 + static_cast<int>(Outcome::stopped)) throw Wrong(answer + ", it is " + name(status.state));
                allowed = {State::stopped};
            } else {
                if (traced.code != static_cast<int>(State::complete) && traced.code != static_cast<int>(State::lost)) throw Wrong(answer);
                allowed = {static_cast<State>(traced.code)};
            }
            if (point == 0 && !stops && status.state != State::complete) throw Wrong("nobody was killed, and it is not complete");
            try {
                place.judge(*build, allowed);
            } catch (const Wrong &e) {
                throw Wrong(std::string(e.what()) + "; " + answer);
            }
            return traced;
        });
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_runner_is_killed_while_its_build_runs_and_ends)
{
    runner_killed(Victim::runner, false, "runner, launch to end", 14);
}

BOOST_AUTO_TEST_CASE(the_runner_is_killed_while_it_stops_its_build)
{
    runner_killed(Victim::runner, true, "runner, launch to stop", 14);
}

BOOST_AUTO_TEST_CASE(the_runner_is_killed_while_its_step_is_being_born)
{
    runner_killed(Victim::child, true, "runner, by its step's calls", 12);
}
