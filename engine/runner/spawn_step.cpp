#include "spawn_step.hpp"

#include <fcntl.h>
#include <signal.h>
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

struct Failure {
    int joined;       ///< 0: a group could not be joined
    int exec_errno;
};

[[noreturn]] void become(const Setup &setup, char *const *argv, char *const *envp, int log, int word)
{
    Failure failure{1, 0};
    const int devnull = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(devnull, 0);
    ::dup2(log, 1);
    ::dup2(log, 2);
    for (const std::string &group : setup.groups) {
        const int procs = ::open((group + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
        if (procs < 0 || ::write(procs, "0", 1) != 1) failure.joined = 0;
        if (procs >= 0) ::close(procs);
    }
    if (!failure.joined) (void)!::write(word, &failure, sizeof failure);
    for (const Rlimit &limit : setup.rlimits) {
        rlimit now{};
        ::getrlimit(static_cast<__rlimit_resource>(limit.resource), &now);
        now.rlim_cur = std::min(limit.value, now.rlim_max);
        now.rlim_max = now.rlim_cur;
        ::setrlimit(static_cast<__rlimit_resource>(limit.resource), &now);
    }
    // Ignored signals and the mask go through exec; the steps start as from a shell.
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setsid();
    // execvp searches the PATH of `environ`.
    environ = const_cast<char **>(envp);
    ::execvp(argv[0], argv);
    failure.exec_errno = errno;
    (void)!::write(word, &failure, sizeof failure);
    ::_exit(127);
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
        out.exec_errno = errno;
        return out;
    }
    const Descriptor reader(ends[0]);
    Descriptor writer(ends[1]);
    out.pid = ::fork();
    if (out.pid < 0) {
        out.exec_errno = errno;
        return out;
    }
    if (out.pid == 0) become(setup, argv.data(), envp.data(), log, writer.get());
    writer.reset();
    Failure failure{};
    for (;;) {
        const ssize_t got = ::read(reader.get(), &failure, sizeof failure);
        if (got < 0 && errno == EINTR) continue;
        if (got != sizeof failure) break;
        if (!failure.joined) out.in_groups = false;
        out.exec_errno = failure.exec_errno;
    }
    if (out.exec_errno != 0) {
        while (::waitpid(out.pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    return out;
}

}  // namespace runner
