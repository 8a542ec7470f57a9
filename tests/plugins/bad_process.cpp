// A process controller of a page with one fault at a time; the configuration says which. It kills by process group and leaves
// what is in other sessions to the runner.
#include <litbuild/export.hpp>

#include <cstdlib>
#include <thread>

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

namespace {

using namespace litbuild;

class BadProcess final : public ProcessController {
public:
    BadProcess(const Host &, std::string_view config) : config_(config) {}

    std::string launch(const Call &, const LaunchSpec &spec) override
    {
        std::vector<char *> argv, env;
        for (const std::string &word : spec.command) argv.push_back(const_cast<char *>(word.c_str()));
        argv.push_back(nullptr);
        for (char **entry = environ; *entry; ++entry) env.push_back(*entry);
        if (!has("drops-environment"))
            for (const std::string &entry : spec.environment) env.push_back(const_cast<char *>(entry.c_str()));
        env.push_back(nullptr);
        posix_spawnattr_t how;
        ::posix_spawnattr_init(&how);
        sigset_t none, all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        ::posix_spawnattr_setsigmask(&how, &none);
        ::posix_spawnattr_setsigdefault(&how, &all);
        ::posix_spawnattr_setflags(&how, has("own-signals")
                                             ? POSIX_SPAWN_SETPGROUP
                                             : POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        pid_t pid = 0;
        if (const int failed = ::posix_spawn(&pid, argv[0], nullptr, &how, argv.data(), env.data()))
            throw os_error(to_string(spec.build), "start its runner", failed);
        ::posix_spawnattr_destroy(&how);
        return spec.uuid + " " + std::to_string(pid);
    }

    Probe probe(const Call &, const std::string &token) override
    {
        Probe out;
        const pid_t pid = pid_of(token);
        int status = 0;
        const pid_t ended = ::waitpid(pid, &status, WNOHANG);
        out.life = ended == pid || ::kill(pid, 0) != 0 ? Life::gone : Life::alive;
        return out;
    }

    StopReport stop(const Call &call, const std::string &token, const std::string &uuid,
                    std::span<const StopStep> plan) override
    {
        StopReport out;
        if (!has("any-token") && !token.starts_with(uuid)) throw Error(Code::corrupt, "token: is of another build");
        if (probe(call, token).life == Life::gone) {
            out.outcome = StopOutcome::already;
            return out;
        }
        if (has("says-done")) {
            // Nor does anybody else end it.
            ::kill(pid_of(token), SIGKILL);
            return out;
        }
        for (const StopStep &step : plan) {
            // What its runner would have ended in that time lives on.
            if (has("impatient") && step.signal != SIGKILL) continue;
            ::kill(-pid_of(token), step.signal);
            if (wait(call.at_most(step.grace), token).life == Life::gone) return out;
        }
        out.outcome = StopOutcome::incomplete;
        return out;
    }

    Probe wait(const Call &call, const std::string &token) override
    {
        for (;;) {
            const Probe found = probe(call, token);
            if (found.life == Life::gone || (!has("waits-for-ever") && (call.expired() || call.cancelled()))) return found;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }

private:
    bool has(const std::string &fault) const { return config_.find("\"" + fault + "\"") != config_.npos; }

    static pid_t pid_of(const std::string &token)
    {
        const size_t space = token.find(' ');
        const long pid = space == token.npos ? 0 : std::strtol(token.c_str() + space, nullptr, 10);
        if (pid <= 1) throw Error(Code::corrupt, "token: is none of this plugin");
        return static_cast<pid_t>(pid);
    }

    std::string config_;
};

}  // namespace

LITBUILD_PLUGIN("bad-process", "1.0.0", litbuild::ProcessOf<BadProcess>)
