#include "launching.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <litbuild/linux/descriptor.hpp>

#include <service/claim.hpp>
#include <service/pause.hpp>

namespace slurm {

namespace json = boost::json;
using litbuild::Call;
using litbuild::Clock;
using litbuild::Code;
using litbuild::Error;
using litbuild::LaunchSpec;
using litbuild::linux_::Descriptor;
using service::pause;
using namespace std::chrono_literals;

std::string comment_of(const litbuild::BuildName &build) { return "litbuild " + to_string(build); }

std::optional<litbuild::BuildName> build_of(const std::string &comment)
{
    constexpr std::string_view begin = "litbuild ";
    const size_t slash = comment.find('/');
    if (!comment.starts_with(begin) || slash == std::string::npos) return std::nullopt;
    const std::optional<int64_t> runid = litbuild::parse_runid(std::string_view(comment).substr(slash + 1));
    const std::string team = comment.substr(begin.size(), slash - begin.size());
    if (!runid || !litbuild::is_team(team)) return std::nullopt;
    return litbuild::BuildName{team, *runid};
}

namespace {

std::string quoted(const std::string &word)
{
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

json::object environment_of(const Settings &settings, const Choice &choice, const LaunchSpec &spec)
{
    json::object out;
    const auto put = [&](const std::string &pair) {
        const size_t equals = pair.find('=');
        if (equals != std::string::npos) out[pair.substr(0, equals)] = pair.substr(equals + 1);
    };
    for (const std::string &name : settings.inherit)
        if (const char *value = ::secure_getenv(name.c_str())) out[name] = value;
    if (!out.contains("PATH")) out["PATH"] = "/usr/local/bin:/usr/bin:/bin";
    for (const std::string &each : service::values_of(choice.environment, to_string(spec.build) + ": process")) put(each);
    for (const std::string &each : spec.environment) put(each);
    out["LITBUILD_UUID"] = spec.uuid;
    out["LITBUILD_RUNNER_SHARED"] = "1";
    out["LITBUILD_RUNNER_SIGNALLER"] = "Slurm";
    std::string limits;
    if (choice.cpu_ms > 0) limits = "cpu=" + std::to_string((choice.cpu_ms + 999) / 1000);
    if (choice.processes > 0) limits += (limits.empty() ? "nproc=" : ";nproc=") + std::to_string(choice.processes);
    if (!limits.empty()) out["LITBUILD_RUNNER_RLIMITS"] = limits;
    return out;
}

// In time for the whole of its plan and its last word; Slurm looks at limits once a minute or so, and is never early.
std::chrono::milliseconds own_time(std::chrono::milliseconds slurms)
{
    return slurms - std::min<std::chrono::milliseconds>(slurms / 10, 30s);
}

// What only the node can tell. `place` is shown to people. A group is where it is mounted, of either version.
std::string script_of(const std::string &runner, const Choice &choice, const LaunchSpec &spec)
{
    std::string out = "#!/bin/sh\n"
                      "group=\n"
                      "while IFS=: read -r number kinds path; do\n"
                      "  case \",$kinds,\" in\n"
                      "  *,memory,*) [ -d \"/sys/fs/cgroup/memory$path\" ] && group=/sys/fs/cgroup/memory$path ;;\n"
                      "  ,,) [ -z \"$group\" ] && [ \"$path\" != / ] && [ -d \"/sys/fs/cgroup$path\" ] && group=/sys/fs/cgroup$path ;;\n"
                      "  esac\n"
                      "done </proc/self/cgroup\n"
                      "export LITBUILD_RUNNER_OWN_GROUPS=\"$group\"\n"
                      "export LITBUILD_RUNNER_DETAIL=\"{\\\"containment\\\": \\\"slurm job\\\", \\\"cluster\\\": "
                      "\\\"$SLURM_CLUSTER_NAME\\\", \\\"job\\\": $SLURM_JOB_ID, \\\"node\\\": \\\"$SLURMD_NODENAME\\\", "
                      "\\\"partition\\\": \\\"$SLURM_JOB_PARTITION\\\", \\\"restarts\\\": ${SLURM_RESTART_COUNT:-0}, "
                      "\\\"place\\\": \\\"Slurm job $SLURM_JOB_ID on node $SLURMD_NODENAME\\\"}\"\n";
    if (choice.time > 0ms)
        out += "export LITBUILD_RUNNER_TIME_LIMIT=" + std::to_string(own_time(choice.time).count()) + "\n";
    out += "exec " + quoted(runner);
    for (size_t i = 1; i < spec.command.size(); ++i) out += " " + quoted(spec.command[i]);
    return out + "\n";
}

json::object submission(const Settings &settings, const LaunchSpec &spec, const Token &token)
{
    const Choice choice = choose(settings, to_string(spec.build), spec.options, spec.limits);
    const std::string said = spec.folder + "/.control/slurm.out";
    json::object job = {{"name", token.name()},
                        {"comment", comment_of(spec.build)},
                        {"environment", environment_of(settings, choice, spec)},
                        {"current_working_directory", spec.folder},
                        {"standard_input", "/dev/null"},
                        {"standard_output", said},
                        {"standard_error", said}};
    const auto put = [&](const char *key, const std::string &value) {
        if (!value.empty()) job[key] = value;
    };
    put("partition", choice.partition);
    put("account", choice.account);
    put("qos", choice.qos);
    put("constraints", choice.constraints);
    if (choice.cpus > 0) job["cpus_per_task"] = choice.cpus;
    if (choice.memory_bytes > 0) job["memory_per_node"] = std::max<uint64_t>(1, (choice.memory_bytes + 1024 * 1024 - 1) / (1024 * 1024));
    if (choice.time > 0ms) job["time_limit"] = std::chrono::ceil<std::chrono::minutes>(choice.time).count();
    if (choice.requeue) job["requeue"] = *choice.requeue;
    return {{"script", script_of(settings.runner.empty() ? spec.command.at(0) : settings.runner, choice, spec)}, {"job", job}};
}

class Launch {
public:
    Launch(const Call &call, const Cluster &cluster, const Settings &settings, const LaunchSpec &spec)
        : call_(call), cluster_(cluster), settings_(settings), spec_(spec), token_(Token::of_launch(spec.uuid, spec.folder))
    {
    }

    Token run()
    {
        struct stat info{};
        if (::stat(spec_.folder.c_str(), &info) != 0) throw litbuild::os_error(spec_.folder, "reach the build's folder", errno);
        const json::object what = submission(settings_, spec_, token_);
        // Should this process die from here on: the job is found by its name.
        write_token();
        try {
            submit(what);
        } catch (const Refusal &) {
            remove_token();
            throw;
        }
        complete_token();
        return token_;
    }

private:
    std::string control(const char *name) const { return spec_.folder + "/.control/" + name; }

    void write_token() const
    {
        const std::string text = token_.text(), temporary = control(".token.slurm");
        ::mkdir(control("").c_str(), 0777);
        const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
        if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
            ::fsync(file.get()) != 0 || ::rename(temporary.c_str(), control("token").c_str()) != 0)
            throw litbuild::os_error(to_string(spec_.build), "write its token", errno);
    }

    void remove_token() const { ::unlink(control("token").c_str()); }

    void submit(const json::object &what)
    {
        for (auto wait = 50ms;; wait = std::min(wait * 2, std::chrono::milliseconds(1000))) {
            try {
                token_.job = cluster_.submit(call_, what);
                return;
            } catch (const Refusal &) {
                throw;
            } catch (const NotReached &e) {
                // Nobody has heard of it, so it may be said again.
                if (!call_.has_deadline() || call_.left(wait) < wait || call_.cancelled()) return give_up(e);
            } catch (const Error &e) {
                return settle(e);
            }
            pause(call_, wait);
        }
    }

    /// Whether it was submitted is not known, and it is not submitted again: its name tells.
    void settle(const Error &why)
    {
        constexpr auto late = 2s;   // what was sent before may still arrive
        const Call rest = call_.expired() || call_.cancelled() ? Call::within(5s) : call_.has_deadline() ? call_ : Call::within(60s);
        Clock::time_point answered{};
        while (!rest.expired() && !rest.cancelled()) {
            try {
                if (const std::vector<Job> found = cluster_.named(rest, token_.name()); !found.empty()) {
                    token_.job = found.front().id;
                    return;
                }
                if (answered == Clock::time_point{}) answered = Clock::now();
                if (Clock::now() - answered > late) break;
            } catch (const Error &) {
                // Asked again.
            }
            pause(rest, 100ms);
        }
        give_up(why);
    }

    /// Sees to it that it never runs, or finds that it does.
    void give_up(const Error &why)
    {
        if (service::claim(spec_.folder, to_string(spec_.build), "the launch was given up") == service::Claim::runners) return;
        remove_token();
        try {
            const Call little = Call::within(2s);
            for (const Job &job : cluster_.named(little, token_.name())) (void)cluster_.send(little, job.id, Signal::kill);
        } catch (const Error &) {
            // Should there be one, it finds that it is not to run, and ends.
        }
        throw Error(why.code(), why.what(), why.os_errno());
    }

    void complete_token()
    {
        if (token_.job == 0) return;
        try {
            const std::optional<Job> job = cluster_.job(call_.at_most(5s), token_.job);
            if (!job) return;
            token_.cluster = job->cluster;
            token_.submitted = job->submitted;
            token_.restarts = job->restarts;
        } catch (const Error &) {
            // It is in the queue; its id is enough.
        }
    }

    const Call &call_;
    const Cluster &cluster_;
    const Settings &settings_;
    const LaunchSpec &spec_;
    Token token_;
};

}  // namespace

Token launch(const Call &call, const Cluster &cluster, const Settings &settings, const LaunchSpec &spec)
{
    return Launch(call, cluster, settings, spec).run();
}

}  // namespace slurm
