#include "spawn_step.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

namespace runner {

using litbuild::linux_::Descriptor;

namespace {

std::vector<std::string> environment_of(const Setup &setup, const StepSpec &step)
{
    std::map<std::string, std::string> merged;
    const auto put = [&](const std::string &entry) {
        const size_t equals = entry.find('=');
        if (equals != std::string::npos) merged[entry.substr(0, equals)] = entry.substr(equals + 1);
    };
    for (char **entry = environ; entry && *entry; ++entry) put(*entry);
    for (const std::string &entry : setup.environment) put(entry);
    for (const std::string &entry : step.environment) put(entry);
    put("LITBUILD_TEAM=" + setup.team);
    put("LITBUILD_RUNID=" + std::to_string(setup.runid));
    put("LITBUILD_PATH=" + setup.folder);
    put("LITBUILD_UUID=" + setup.uuid);
    put("LITBUILD_STEP=" + step.name);
    put("LITBUILD_REPORT=" + setup.folder + "/.control/report");
    std::vector<std::string> out;
    for (const auto &[key, value] : merged) out.push_back(key + "=" + value);
    return out;
}

void tell(int words, StepWord::Kind kind, int value)
{
    const StepWord word{kind, value};
    (void)!::write(words, &word, sizeof word);
}

void join_groups(const Setup &setup, int words)
{
    for (const std::string &group : setup.groups) {
        const Descriptor procs(::open((group + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
        if (!procs || ::write(procs.get(), "0", 1) != 1) tell(words, StepWord::not_in_groups, errno);
    }
}

struct Program {
    const Setup &setup;
    char *const *argv;
    char *const *envp;
    int log;
    int words;
};

[[noreturn]] void become(const Program &program)
{
    const int devnull = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(devnull, 0);
    ::dup2(program.log, 1);
    ::dup2(program.log, 2);
    for (const Rlimit &limit : program.setup.rlimits) {
        rlimit now{};
        ::getrlimit(static_cast<__rlimit_resource>(limit.resource), &now);
        now.rlim_cur = std::min(limit.value, now.rlim_max);
        // The kernel sends XCPU at the soft limit, which can be told, and KILL at the hard one, which tells nothing.
        const rlim_t hard = limit.resource == RLIMIT_CPU ? now.rlim_cur + 5 : now.rlim_cur;
        now.rlim_max = std::min(hard, now.rlim_max);
        ::setrlimit(static_cast<__rlimit_resource>(limit.resource), &now);
    }
    // Ignored signals and the mask go through exec; the steps start as from a shell.
    // By system call: the C library keeps 32 and 33 to itself, and posix_spawn leaves them ignored.
    const unsigned long by_default[4] = {};
    for (int signal = 1; signal < NSIG; ++signal) ::syscall(SYS_rt_sigaction, signal, by_default, nullptr, 8);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setsid();
    // execvp searches the PATH of `environ`.
    environ = const_cast<char **>(program.envp);
    ::execvp(program.argv[0], program.argv);
    tell(program.words, StepWord::not_started, errno);
    ::_exit(127);
}

void put(const char *file, const std::string &text)
{
    const Descriptor out(::open(file, O_WRONLY | O_CLOEXEC));
    if (out) (void)!::write(out.get(), text.data(), text.size());
}

/// The init of a pid namespace. It keeps the signals blocked that the runner blocks, and as init gets no other by default.
[[noreturn]] void be_init(const Program &program, uid_t uid, gid_t gid)
{
    if (uid != 0) {
        // As themselves: only what is mapped can own files.
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", std::to_string(uid) + " " + std::to_string(uid) + " 1");
        put("/proc/self/gid_map", std::to_string(gid) + " " + std::to_string(gid) + " 1");
    }
    ::prctl(PR_SET_NAME, "litbuild-init");
    // With the runner goes the namespace: without it nobody could find who is in here.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Without a /proc of its own the build would see pids that are not its. Where it may not be had, it has to.
    if (::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0)
        ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
    const pid_t leader = ::fork();
    if (leader == 0) become(program);
    if (leader < 0) tell(program.words, StepWord::not_started, errno);
    for (;;) {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, __WALL);
        if (ended == leader) tell(program.words, StepWord::ended, status);
        if (ended < 0 && errno == ECHILD) ::_exit(0);
    }
}

}  // namespace

StartedStep spawn_step(const Setup &setup, const StepSpec &step, int log)
{
    const std::vector<std::string> environment = environment_of(setup, step);
    std::vector<char *> argv, envp;
    for (const std::string &word : step.command) argv.push_back(const_cast<char *>(word.c_str()));
    for (const std::string &entry : environment) envp.push_back(const_cast<char *>(entry.c_str()));
    argv.push_back(nullptr);
    envp.push_back(nullptr);

    StartedStep out;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        out.error = errno;
        return out;
    }
    out.words.reset(ends[0]);
    const Descriptor writer(ends[1]);
    ::fcntl(out.words.get(), F_SETFL, O_NONBLOCK);
    const Program program{setup, argv.data(), envp.data(), log, writer.get()};
    const uid_t uid = ::geteuid();
    const gid_t gid = ::getegid();
    // One thread and no memory shared, so that the bare system call is a fork.
    const int spaces = !setup.pid_namespace ? 0 : uid == 0 ? CLONE_NEWPID : CLONE_NEWPID | CLONE_NEWUSER;
    const int flags = SIGCHLD | spaces;
    out.pid = static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, 0));
    if (out.pid < 0) {
        out.error = errno;
        out.pid = 0;
        return out;
    }
    if (out.pid > 0) return out;
    join_groups(setup, program.words);
    if (setup.pid_namespace) be_init(program, uid, gid);
    become(program);
}

}  // namespace runner
