#include "setup.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <boost/json.hpp>

#include <litbuild/linux/proc.hpp>

namespace runner {

using litbuild::Code;
using litbuild::Error;

namespace {

std::string take(const char *name)
{
    const char *found = ::getenv(name);
    std::string out = found ? found : "";
    ::unsetenv(name);
    return out;
}

std::vector<std::string> split(const std::string &text, char between)
{
    std::vector<std::string> out;
    size_t at = 0;
    while (at < text.size()) {
        const size_t end = std::min(text.find(between, at), text.size());
        if (end > at) out.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

std::vector<std::string> environment_of(const boost::json::object &from)
{
    std::vector<std::string> out;
    if (const boost::json::value *found = from.if_contains("environment"))
        for (const auto &[key, value] : found->as_object())
            out.push_back(std::string(key) + "=" + std::string(value.as_string()));
    return out;
}

Milliseconds time_of(const boost::json::object &from, const char *key)
{
    const boost::json::value *found = from.if_contains(key);
    if (!found) return Milliseconds(0);
    const Milliseconds time(found->as_int64());
    if (time < Milliseconds(0) || time > litbuild::longest_duration) throw std::out_of_range(key);
    return time;
}

// The controller ends it at that time: so early that the stop plan and a last word have room before.
void limit_by_controller(Setup &setup)
{
    if (setup.controllers_limit == Milliseconds(0)) return;
    std::chrono::nanoseconds plan = std::chrono::seconds(5);
    for (size_t i = 0; i + 1 < setup.stop.size(); ++i) plan += setup.stop[i].grace;
    const Milliseconds room = std::chrono::ceil<Milliseconds>(plan);
    const Milliseconds limit = setup.controllers_limit - std::min(room, setup.controllers_limit / 2);
    if (setup.time_limit == Milliseconds(0) || setup.time_limit > limit) setup.time_limit = limit;
}

}  // namespace

Setup read_environment()
{
    Setup out;
    if (const std::string ready = take("LITBUILD_RUNNER_READY"); ready.starts_with('/')) {
        out.ready_file = ready;
    } else if (!ready.empty()) {
        std::from_chars(ready.data(), ready.data() + ready.size(), out.ready_fd);
        if (out.ready_fd >= 0) ::fcntl(out.ready_fd, F_SETFD, FD_CLOEXEC);
    }
    const std::string launcher = take("LITBUILD_RUNNER_LAUNCHER");
    std::from_chars(launcher.data(), launcher.data() + launcher.size(), out.launcher);
    out.token = take("LITBUILD_RUNNER_TOKEN");
    out.detail = take("LITBUILD_RUNNER_DETAIL");
    out.kill_group = take("LITBUILD_RUNNER_KILL_GROUP");
    out.pid_namespace = take("LITBUILD_RUNNER_ISOLATION") == "pid-namespace";
    out.groups = split(take("LITBUILD_RUNNER_GROUPS"), ':');
    out.own_groups = split(take("LITBUILD_RUNNER_OWN_GROUPS"), ':');
    out.is_shared = take("LITBUILD_RUNNER_SHARED") == "1";
    out.signaller = take("LITBUILD_RUNNER_SIGNALLER");
    int64_t limit_ms = 0;
    const std::string time_limit = take("LITBUILD_RUNNER_TIME_LIMIT");
    std::from_chars(time_limit.data(), time_limit.data() + time_limit.size(), limit_ms);
    out.controllers_limit = std::clamp<Milliseconds>(Milliseconds(limit_ms), Milliseconds(0), litbuild::longest_duration);
    for (const std::string &limit : split(take("LITBUILD_RUNNER_RLIMITS"), ';')) {
        const size_t equals = limit.find('=');
        if (equals == std::string::npos) continue;
        rlim_t value = 0;
        std::from_chars(limit.data() + equals + 1, limit.data() + limit.size(), value);
        const std::string name = limit.substr(0, equals);
        if (name == "nproc") out.rlimits.push_back({RLIMIT_NPROC, value});
        if (name == "as") out.rlimits.push_back({RLIMIT_AS, value});
        if (name == "cpu") out.rlimits.push_back({RLIMIT_CPU, value});
    }
    return out;
}

void read_spec(Setup &setup, const std::string &folder)
{
    char *const real = ::realpath(folder.c_str(), nullptr);
    if (!real) throw litbuild::os_error(folder, "open the build's folder", errno);
    setup.folder = real;
    ::free(real);

    const std::string file = setup.folder + "/build.json";
    const std::optional<std::string> text = litbuild::linux_::slurp(file.c_str());
    if (!text) throw litbuild::os_error(file, "read it", errno);
    try {
        const boost::json::value document = boost::json::parse(*text);
        setup.team = document.at("team").as_string();
        setup.runid = document.at("runid").as_int64();
        setup.uuid = document.at("uuid").as_string();
        setup.created = document.at("created").as_string();
        const boost::json::object &spec = document.at("spec").as_object();
        setup.environment = environment_of(spec);
        setup.time_limit = time_of(spec, "time_limit_ms");
        setup.linger = time_of(spec, "linger_ms");
        setup.kill_left_overs = spec.at("left_overs").as_string() == "kill";
        for (const boost::json::value &each : spec.at("stop").as_array()) {
            const auto step = litbuild::make_stop_step(each.at("signal").as_int64(), each.at("grace_ms").as_int64());
            if (!step) throw std::out_of_range("a step of the stop plan");
            setup.stop.push_back(*step);
        }
        if (!is_sound(setup.stop)) throw std::out_of_range("the stop plan");
        limit_by_controller(setup);
        for (const boost::json::value &each : spec.at("steps").as_array()) {
            const boost::json::object &step = each.as_object();
            StepSpec out;
            out.name = step.at("name").as_string();
            for (const boost::json::value &word : step.at("command").as_array())
                out.command.emplace_back(word.as_string());
            out.environment = environment_of(step);
            out.time_limit = time_of(step, "time_limit_ms");
            if (out.command.empty()) throw std::invalid_argument("a step without a command");
            setup.steps.push_back(std::move(out));
        }
    } catch (const std::exception &e) {
        throw Error(Code::corrupt, file + ": is damaged: " + e.what());
    }
}

}  // namespace runner
