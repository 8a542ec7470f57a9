#include "launching.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <boost/json.hpp>

#include <litbuild/linux/claim.hpp>

#include "policy.hpp"

namespace container {

namespace json = boost::json;
using litbuild::Call;
using litbuild::Code;
using litbuild::Error;
using litbuild::LaunchSpec;
using litbuild::quote;
using namespace std::chrono_literals;

std::string owner_of(const Container &container)
{
    if (container.label(label::uuid).empty()) return "a container that is none of litbuild's";
    return container.label(label::team) + "/" + container.label(label::runid) + " (" + container.label(label::uuid) + ")";
}

namespace {

const char *word_for(Remove remove)
{
    switch (remove) {
    case Remove::on_success: return "on success";
    case Remove::never: return "never";
    case Remove::always: break;
    }
    return "always";
}

std::string name_for(const std::string &pattern, const LaunchSpec &spec)
{
    std::string out = pattern;
    const auto put = [&](const std::string &word, const std::string &value) {
        for (size_t at = out.find(word); at != std::string::npos; at = out.find(word, at + value.size()))
            out.replace(at, word.size(), value);
    };
    put("{team}", spec.build.team);
    put("{runid}", std::to_string(spec.build.runid));
    put("{uuid}", spec.uuid);
    put("{uuid8}", spec.uuid.substr(0, 8));
    return out;
}

/// Who owns the folder can write in it. Where the engine is a user's own, that user is root in its containers.
std::string user_for(const Settings &settings, const std::string &folder)
{
    struct stat socket{}, info{};
    if (!settings.engine.path.empty() && ::stat(settings.engine.path.c_str(), &socket) == 0 && socket.st_uid != 0) return "0:0";
    if (::stat(folder.c_str(), &info) != 0) return "0:0";
    return std::to_string(info.st_uid) + ":" + std::to_string(info.st_gid);
}

json::object bound(const std::string &source, const std::string &target, Access access)
{
    return {{"Type", "bind"}, {"Source", source}, {"Target", target}, {"ReadOnly", access == Access::read}};
}

json::object detail_of(const Settings &settings, const Choice &choice, const std::string &name)
{
    json::object limits;
    const auto note = [&](const char *key, const json::value &value) { limits[key] = {{"value", value}, {"by", "container"}}; };
    if (choice.processes > 0) note("processes", choice.processes);
    if (choice.memory_bytes > 0) note("memory", choice.memory_bytes);
    if (choice.cpus > 0) note("cpus", choice.cpus);
    if (choice.cpu_ms > 0) limits["cpu_time"] = {{"value", choice.cpu_ms}, {"by", "rlimit of each process"}};
    return {{"containment", "container"},
            {"engine", settings.engine.text},
            {"container", name},
            {"image", choice.image},
            {"limits", limits}};
}

// dockerd 20.10 that is killed and started again ends and removes running containers that are to be removed with their end
// (seen), and so loses builds. Podman leaves that to the container's own monitor.
enum class Removal { by_engine, by_litbuild };

json::object creation(const Settings &settings, const Choice &choice, const LaunchSpec &spec, const Token &token,
                      Removal removal)
{
    json::array env, mounts;
    for (const std::string &each : values_of(choice.environment, to_string(spec.build) + ": process")) env.emplace_back(each);
    for (const std::string &each : spec.environment) env.emplace_back(each);
    const auto tell = [&](const char *name, const std::string &value) { env.emplace_back(std::string(name) + "=" + value); };
    tell("LITBUILD_UUID", spec.uuid);
    tell("LITBUILD_RUNNER_READY", spec.folder + "/.control/ready");
    tell("LITBUILD_RUNNER_TOKEN", token.text());
    tell("LITBUILD_RUNNER_DETAIL", json::serialize(detail_of(settings, choice, token.name)));
    // As a container sees its own groups: of version 2, and of version 1.
    tell("LITBUILD_RUNNER_OWN_GROUPS", "/sys/fs/cgroup:/sys/fs/cgroup/memory:/sys/fs/cgroup/pids");
    if (choice.cpu_ms > 0) tell("LITBUILD_RUNNER_RLIMITS", "cpu=" + std::to_string((choice.cpu_ms + 999) / 1000));

    mounts.push_back(bound(settings.runner.empty() ? spec.command.at(0) : settings.runner, runner_target, Access::read));
    for (const Mount &each : choice.mounts) mounts.push_back(bound(each.source, each.target, each.access));
    mounts.push_back(bound(spec.folder, spec.folder, Access::write));

    json::object tmpfs;
    for (const auto &[folder, how] : settings.tmpfs) tmpfs[folder] = how;
    json::object host = {{"Mounts", mounts},
                         {"NetworkMode", choice.network},
                         {"Tmpfs", tmpfs},
                         {"ReadonlyRootfs", settings.read_only_root},
                         {"Privileged", false},
                         {"CapDrop", json::array{"ALL"}},
                         {"CapAdd", json::value_from(settings.capabilities)},
                         {"AutoRemove", removal == Removal::by_engine},
                         {"RestartPolicy", {{"Name", "no"}}},
                         {"Init", false},
                         {"LogConfig", {{"Type", "json-file"}, {"Config", json::object()}}}};
    if (!settings.new_privileges) host["SecurityOpt"] = json::array{"no-new-privileges"};
    if (choice.processes > 0) host["PidsLimit"] = choice.processes;
    if (choice.memory_bytes > 0) {
        // Of both together: with swap on top the limit would be none.
        host["Memory"] = choice.memory_bytes;
        host["MemorySwap"] = choice.memory_bytes;
    }
    if (choice.cpus > 0) host["NanoCpus"] = static_cast<int64_t>(choice.cpus * 1e9);
    json::array command;
    for (size_t i = 1; i < spec.command.size(); ++i) command.emplace_back(spec.command[i]);
    return {{"Image", choice.image},
            {"Entrypoint", json::array{runner_target}},
            {"Cmd", command},
            {"User", choice.user.empty() ? user_for(settings, spec.folder) : choice.user},
            {"Env", env},
            {"WorkingDir", "/"},
            {"Healthcheck", {{"Test", json::array{"NONE"}}}},
            {"StopSignal", "SIGTERM"},
            {"Labels",
             {{label::uuid, spec.uuid},
              {label::team, spec.build.team},
              {label::runid, std::to_string(spec.build.runid)},
              {label::remove, word_for(settings.remove)}}},
            {"HostConfig", host}};
}

class Launch {
public:
    Launch(const Call &call, const Api &api, const Settings &settings, const LaunchSpec &spec)
        : call_(call), api_(api), settings_(settings), spec_(spec), ready_(spec.folder + "/.control/ready")
    {
    }

    Token run()
    {
        const std::string object = to_string(spec_.build);
        struct stat info{};
        if (::stat(spec_.folder.c_str(), &info) != 0) throw litbuild::os_error(spec_.folder, "reach the build's folder", errno);
        const Choice choice = choose(settings_, object, spec_.options, spec_.limits, spec_.folder);
        token_.engine = settings_.engine.text;
        token_.uuid = spec_.uuid;
        token_.name = name_for(settings_.name, spec_);
        const Removal removal =
            settings_.remove == Remove::always && api_.is_podman(call_) ? Removal::by_engine : Removal::by_litbuild;
        const json::object what = creation(settings_, choice, spec_, token_, removal);
        if (choice.pull == Pull::always) api_.pull(call_, choice.image);
        create(choice, what);
        try {
            api_.start(call_, token_.id);
            wait_for_word();
        } catch (const Error &e) {
            settle(e);
        }
        ::unlink(ready_.c_str());
        complete_token();
        return token_;
    }

private:
    void create(const Choice &choice, const json::object &what)
    {
        for (bool pulled = choice.pull != Pull::missing;;) {
            try {
                token_.id = api_.create(call_, token_.name, what);
                return;
            } catch (const Refusal &e) {
                // Docker answers 409 to a name that is taken, and Podman 500.
                if ((e.status() == 409 || e.status() >= 500) && take_over()) return;
                if (e.status() != 404) throw;
                if (pulled) throw Error(Code::invalid, "image " + quote(choice.image) + " is not there: " + e.what());
            } catch (const Unreachable &) {
                // Whether it was made is not known; nothing starts it.
                forget(token_.name);
                throw;
            }
            try {
                api_.pull(call_, choice.image);
            } catch (const Refusal &e) {
                throw Error(Code::invalid, "image " + quote(choice.image) + " is not there and cannot be fetched: " + e.what());
            }
            pulled = true;
        }
    }

    /// The name is taken. True: by this very launch, whose answer was lost.
    bool take_over()
    {
        const std::optional<Container> other = api_.inspect(call_, token_.name);
        if (!other) return false;
        if (other->label(label::uuid) != spec_.uuid)
            throw Error(Code::exists,
                        api_.object() + ": the container name " + quote(token_.name) + " is taken by " + owner_of(*other));
        token_.id = other->id;
        return true;
    }

    /// The runner's word, "ok" or why it cannot run. Empty: none yet.
    std::string word() const
    {
        const std::string text = litbuild::linux_::slurp(ready_.c_str()).value_or("");
        return text.ends_with('\n') ? text : std::string();
    }

    static bool is_good(const std::string &word)
    {
        if (word.starts_with("ok\n")) return true;
        if (word.empty()) return false;
        std::string why = word.starts_with("error ") ? word.substr(6) : word;
        while (why.ends_with('\n')) why.pop_back();
        throw Refusal(0, Code::unavailable, why);
    }

    // It comes through the folder, not through the engine, and so is heard even while that is dead.
    void wait_for_word() const
    {
        litbuild::Clock::time_point look = litbuild::Clock::now() + 250ms;
        for (auto pause = 1ms;; pause = std::min(pause * 2, std::chrono::milliseconds(20))) {
            if (is_good(word())) return;
            if (litbuild::Clock::now() >= look) {
                look_at_container();
                look = litbuild::Clock::now() + 500ms;
            }
            call_.check(to_string(spec_.build));
            ::poll(nullptr, 0, static_cast<int>(pause.count()));
        }
    }

    void look_at_container() const
    {
        std::optional<Container> now;
        std::string said;
        try {
            now = api_.inspect(call_, token_.id);
            if (now && !now->is_ended()) return;
            if (now) said = api_.output(call_, token_.id);
        } catch (const Unreachable &) {
            return;
        }
        if (is_good(word())) return;
        if (!now) throw Refusal(0, Code::unavailable, "the runner's container is gone, and it left no word");
        if (!said.empty()) throw Refusal(0, Code::unavailable, said);
        throw Refusal(0, Code::unavailable, "the runner ended with " + std::to_string(now->exit_code) + " and left no word" +
                                                (now->error.empty() ? "" : ": " + now->error));
    }

    /// Something went wrong behind the start. Returns where the runner is at work after all; else sees to it that it never is.
    void settle(const Error &why)
    {
        using litbuild::linux_::Claim;
        std::optional<Claim> claim;
        try {
            claim = litbuild::linux_::claim(spec_.folder, to_string(spec_.build), "the launch was given up");
        } catch (const Error &) {
            // Then it may run, and its token stays.
            throw Error(why.code(), why.what(), why.os_errno());
        }
        if (claim != Claim::runners) {
            forget(token_.id);
            throw Error(why.code(), why.what(), why.os_errno());
        }
        const Call rest = Call::within(5s);
        while (!rest.expired()) {
            try {
                if (is_good(word())) return;
            } catch (const Error &e) {
                forget(token_.id);
                throw Error(e.code(), e.what());
            }
            ::poll(nullptr, 0, 5);
        }
        // It has claimed the build, so it is the build's runner, and everything else is in the folder.
    }

    /// Removes what must not be left, as well as can be; what cannot be reached now, a later launch removes.
    void forget(const std::string &container) const
    {
        try {
            const Call little = Call::within(5s);
            const std::optional<Container> found = api_.inspect(little, container);
            if (found && found->label(label::uuid) == spec_.uuid) api_.remove(little, found->id, Api::Force::yes);
        } catch (const Error &) {
            // The launch has failed for a reason that matters more.
        }
    }

    void complete_token()
    {
        try {
            const std::optional<Container> now = api_.inspect(call_.at_most(5s), token_.id);
            if (!now) return;
            token_.started = now->started;
            token_.kept_in = now->kept_in;
        } catch (const Error &) {
            // It runs; what is not known of it now is found by its labels.
        }
    }

    const Call &call_;
    const Api &api_;
    const Settings &settings_;
    const LaunchSpec &spec_;
    const std::string ready_;
    Token token_;
};

}  // namespace

Token launch(const Call &call, const Api &api, const Settings &settings, const LaunchSpec &spec)
{
    return Launch(call, api, settings, spec).run();
}

}  // namespace container
