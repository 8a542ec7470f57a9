#include "launching.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <litbuild/linux/claim.hpp>

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

// What only the node can tell. `place` is shown to people. A group is where it is mounted, of either version.
constexpr const char *on_the_node = R"(#!/bin/sh
group=
while IFS=: read -r number kinds path; do
    case ",$kinds," in
    *,memory,*) [ -d "/sys/fs/cgroup/memory$path" ] && group=/sys/fs/cgroup/memory$path ;;
    ,,) [ -z "$group" ] && [ "$path" != / ] && [ -d "/sys/fs/cgroup$path" ] && group=/sys/fs/cgroup$path ;;
    esac
done </proc/self/cgroup
export LITBUILD_RUNNER_OWN_GROUPS="$group"
detail='{"containment": "slurm job", "cluster": "%s", "job": %s, "node": "%s", "partition": "%s", "restarts": %s, '
detail=$detail'"place": "Slurm job %s on node %s"}'
# shellcheck disable=SC2059
LITBUILD_RUNNER_DETAIL=$(printf "$detail" "$SLURM_CLUSTER_NAME" "$SLURM_JOB_ID" "$SLURMD_NODENAME" "$SLURM_JOB_PARTITION" \
    "${SLURM_RESTART_COUNT:-0}" "$SLURM_JOB_ID" "$SLURMD_NODENAME")
export LITBUILD_RUNNER_DETAIL
)";

std::string script_of(const std::string &runner, const Choice &choice, const LaunchSpec &spec)
{
    std::string out = on_the_node;
    if (choice.time > 0ms) out += "export LITBUILD_RUNNER_TIME_LIMIT=" + std::to_string(choice.time.count()) + "\n";
    out += "exec " + quoted(runner);
    for (size_t i = 1; i < spec.command.size(); ++i) out += " " + quoted(spec.command[i]);
    return out + "\n";
}

json::object submission(const Settings &settings, const LaunchSpec &spec, const Token &token)
{
    const Choice choice = choose(settings, to_string(spec.build), spec.options, spec.limits);
    std::string said = spec.folder + "/.control/slurm.out";
    // Slurm has patterns there.
    for (size_t at = said.find('%'); at != std::string::npos; at = said.find('%', at + 2)) said.insert(at, 1, '%');
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
    constexpr uint64_t mib = 1024 * 1024;
    if (choice.memory_bytes > 0) job["memory_per_node"] = (choice.memory_bytes - 1) / mib + 1;
    if (choice.time > 0ms) job["time_limit"] = std::chrono::ceil<std::chrono::minutes>(choice.time).count();
    if (choice.requeue) job["requeue"] = *choice.requeue;
    json::object out = {{"script", script_of(settings.runner.empty() ? spec.command.at(0) : settings.runner, choice, spec)},
                        {"job", job}};
    if (!litbuild::is_utf8(json::serialize(out)))
        throw Error(Code::invalid, to_string(spec.build) + ": its folder, or a variable that it gets, is not UTF-8");
    return out;
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
        submit(what);
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
            } catch (const NotReached &e) {
                // Nobody has heard of it, so it may be said again.
                if (!call_.has_deadline() || call_.left(wait) < wait || call_.cancelled()) return give_up(e);
            } catch (const Unreachable &e) {
                return settle(e);
            } catch (const Error &e) {
                const bool may_be_done = e.code() == Code::timeout || e.code() == Code::cancelled;
                return may_be_done ? settle(e) : give_up(e);
            }
            pause(call_, wait);
        }
    }

    /// Whether it was submitted is not known, and it is not submitted again: its name tells.
    void settle(const Error &why)
    {
        constexpr auto late = 2s;   // what was sent before may still arrive
        const bool is_over = call_.expired() || call_.cancelled();
        const Call rest = is_over ? Call::within(5s) : call_.at_most(60s);
        Clock::time_point answered{};
        for (auto wait = 100ms; !rest.expired() && !rest.cancelled(); wait = std::min(wait * 2, std::chrono::milliseconds(1000))) {
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
            pause(rest, wait);
        }
        give_up(why);
    }

    /// Sees to it that it never runs, or finds that it does.
    void give_up(const Error &why)
    {
        try {
            const std::string object = to_string(spec_.build);
            if (litbuild::linux_::claim(spec_.folder, object, "the launch was given up") == litbuild::linux_::Claim::runners) return;
        } catch (const Error &) {
            // Then it may run, and its token stays.
            throw Error(why.code(), why.what(), why.os_errno());
        }
        remove_token();
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
