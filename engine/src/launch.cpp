#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
// Of Boost.Process 1.81 the search along PATH holds; its launchers do not, see plugins/local-process/spawn.cpp.
#include <boost/process/search_path.hpp>

#include <litbuild/linux/claim.hpp>

#include "core.hpp"
#include "spec.hpp"

namespace litbuild {

namespace json = boost::json;
using detail::Core;
using detail::Spec;

namespace {

/// Refuses a first program that cannot be started here, before a build is made of it.
void check_program(const Spec &spec)
{
    const std::string &program = spec.first_program;
    const std::string object = "spec: step 1 " + quote(spec.step_names.front());
    if (program.find('/') == std::string::npos) {
        std::vector<std::filesystem::path> folders;
        const char *inherited = ::getenv("PATH");
        std::string rest = spec.first_path ? *spec.first_path : inherited ? inherited : "/bin:/usr/bin";
        for (size_t at = 0; at <= rest.size();) {
            const size_t end = std::min(rest.find(':', at), rest.size());
            if (end > at) folders.emplace_back(rest.substr(at, end - at));
            at = end + 1;
        }
        if (boost::process::search_path(program, folders).empty())
            throw Error(Code::invalid, object + ": command not found: " + quote(program));
        return;
    }
    // A relative one is looked for in the build's folder, which is not there yet.
    if (program.front() != '/') return;
    struct stat info{};
    if (::stat(program.c_str(), &info) != 0) throw Error(Code::invalid, object + ": no such program: " + quote(program));
    if (!S_ISREG(info.st_mode) || ::access(program.c_str(), X_OK) != 0)
        throw Error(Code::invalid, object + ": is not executable: " + quote(program));
}

json::object launcher()
{
    const auto stat = linux_::stat_of(::getpid());
    return {{"host", linux_::host_name()},
            {"boot", linux_::boot_id()},
            {"pid", ::getpid()},
            {"start", stat ? stat->start : 0}};
}

NewBuild new_build(const std::string &team, const Spec &spec)
{
    NewBuild out{team, detail::new_uuid(), {}, {}};
    const std::string time = to_rfc3339(now());
    const json::object document = {{"team", team},         {"uuid", out.uuid},       {"created", time},
                                   {"host", linux_::host_name()}, {"launcher", launcher()}, {"spec", spec.document}};
    out.document = json::serialize(document);

    const json::object event = {{"seq", 1},         {"time", time},      {"type", "queued"},
                                {"state", "queued"}, {"uuid", out.uuid}, {"steps", json::value_from(spec.step_names)}};
    const std::string line = json::serialize(event) + "\n";
    json::array steps;
    for (const std::string &name : spec.step_names)
        steps.push_back({{"name", name}, {"state", "queued"}, {"parent", -1}});
    const json::object snapshot = {{"seq", 1},        {"offset", line.size()}, {"state", "queued"},
                                   {"time", time},    {"created", time},       {"current_step", nullptr},
                                   {"steps", steps}};
    out.files.emplace_back("events.jsonl", line);
    out.files.emplace_back("status.json", json::serialize(snapshot) + "\n");
    if (!spec.tags.empty()) {
        std::string tags;
        for (const std::string &tag : spec.tags)
            if ((',' + tags + ',').find(',' + tag + ',') == std::string::npos) tags += (tags.empty() ? "" : ",") + tag;
        out.files.emplace_back("tags", tags + "\n");
    }
    return out;
}

}  // namespace

Build Engine::launch(const std::string &team, std::string_view text, Call given) const
{
    check_team(team);
    const Spec spec = detail::parse_spec(text, core_->config.stop);
    if ((core_->processes->capabilities() & LB_PROCESS_HOST_COMMANDS) != 0) check_program(spec);
    const Call call = core_->bounded(given);
    const NewBuild made = new_build(team, spec);
    const Entry entry = core_->store->create(call, made);
    const Build build = this->build(team, entry.runid);
    std::string token;
    try {
        token = core_->processes->launch(
            call, {build.name_, made.uuid, entry.path, {core_->runner.string(), entry.path}, {}, spec.limits, spec.options});
    } catch (const Error &e) {
        std::string why = e.what();
        const std::string object = to_string(build.name_) + ": ";
        if (why.starts_with(object)) why.erase(0, object.size());
        try {
            const Call telling = Call::within(std::chrono::seconds(10));
            // Where nothing was started nobody else will ever say how this build ended. A runner that was only too late will.
            const bool is_late = e.code() == Code::timeout || e.code() == Code::cancelled;
            std::optional<std::string> runner;
            if (is_late) runner = core_->control(telling, build.name_, detail::control::runner);
            const bool has_begun = runner && !runner->starts_with(linux_::no_runner);
            if (!has_begun && !core_->control(telling, build.name_, detail::control::token)) {
                const json::object verdict = {{"time", to_rfc3339(now())},
                                              {"state", "error"},
                                              {"message", "could not be started: " + why}};
                core_->store->write_control(telling, build.name_, detail::control::verdict, json::serialize(verdict) + "\n");
            }
        } catch (const Error &untold) {
            core_->log(LB_LOG_WARNING, object + "could not be started, and that could not be written down: " + untold.what());
        }
        throw Error(e.code(), object + "could not be started: " + why, e.os_errno());
    }
    // Controllers whose runner keeps the token itself have done so by now; the others rely on this.
    // What was launched past the deadline was launched all the same.
    const Call keeping = call.expired() || call.cancelled() ? Call::within(std::chrono::seconds(5)) : call;
    if (core_->control(keeping, build.name_, detail::control::token).value_or("") != token)
        core_->store->write_control(keeping, build.name_, detail::control::token, token);
    return build;
}

}  // namespace litbuild
