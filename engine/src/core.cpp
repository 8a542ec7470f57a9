#include "core.hpp"

#include <poll.h>
#include <pwd.h>
#include <sys/random.h>
#include <unistd.h>

#include <cstdlib>

#include <boost/json.hpp>

#include <litbuild/linux/tree.hpp>

#include "places.hpp"

extern "C" {
extern const lb_plugin litbuild_plugin_local_fs;
extern const lb_plugin litbuild_plugin_local_process;
}

namespace litbuild::detail {

namespace {

/// A store that is not told its root is given the engine's.
PluginChoice with_root(PluginChoice choice, const std::filesystem::path &root)
{
    boost::system::error_code error;
    boost::json::value config = boost::json::parse(choice.config, error);
    if (error || !config.is_object())
        throw Error(Code::invalid, "plugin " + choice.plugin + ": its configuration is not a JSON object");
    if (!config.as_object().contains("root")) config.as_object()["root"] = root.string();
    choice.config = boost::json::serialize(config);
    return choice;
}

}  // namespace

Core::Core(Config given) : config(std::move(given)), runner(find_runner(config.runner))
{
    std::vector<const lb_plugin *> linked = config.linked;
    linked.push_back(&litbuild_plugin_local_fs);
    linked.push_back(&litbuild_plugin_local_process);
    if (config.plugin_folders.empty()) config.plugin_folders.push_back(usual_plugins());
    registry = Registry(linked, config.plugin_folders);
    store = import_store(registry.table(config.store.plugin, LB_STORE_ID), with_root(config.store, config.root), config.log);
    status_source =
        import_status(registry.table(config.status.plugin, LB_STATUS_ID), config.status, config.log, store);
    processes = import_process(registry.table(config.process.plugin, LB_PROCESS_ID), config.process, config.log);
}

Call Core::bounded(const Call &call) const
{
    if (call.has_deadline() || config.deadline.count() == 0) return call;
    return call.at_most(config.deadline);
}

std::optional<std::string> Core::control(const Call &call, const BuildName &build, std::string_view name) const
{
    std::string text;
    try {
        store->read(call, build, ".control/" + std::string(name), 0, 65536, [&](std::string_view piece) {
            text += piece;
            return true;
        });
    } catch (const Error &e) {
        if (e.code() == Code::not_found) return std::nullopt;
        throw;
    }
    return text;
}

namespace {

std::string read_identity(const Core &core, const Call &call, const BuildName &build)
{
    std::string text;
    try {
        core.store->read(call, build, "build.json", 0, 4 * 1024 * 1024, [&](std::string_view piece) {
            text += piece;
            return true;
        });
    } catch (const Error &e) {
        if (e.code() != Code::not_found) throw;
    }
    return text;
}

/// Of a build that has no runner yet.
struct Launcher {
    std::string gone;        ///< why who launched it cannot start one any more; empty: it may
    std::string elsewhere;   ///< the host that it is on, where it is not this one
};

/// What it waits for is all that there is to say of it.
Status waiting(Status status, const std::string &evidence)
{
    if (status.message.empty()) status.message = evidence;
    return status;
}

Launcher launcher_of(const Core &core, const Call &call, const BuildName &build)
{
    boost::system::error_code error;
    const boost::json::value document = boost::json::parse(read_identity(core, call, build), error);
    const boost::json::value *launcher =
        !error && document.is_object() ? document.as_object().if_contains("launcher") : nullptr;
    if (!launcher || !launcher->is_object()) return {};
    const boost::json::object &who = launcher->as_object();
    const auto word = [&](const char *key) {
        const boost::json::value *found = who.if_contains(key);
        return found && found->is_string() ? std::string(found->as_string()) : std::string();
    };
    const auto number = [&](const char *key) {
        const boost::json::value *found = who.if_contains(key);
        return found && found->is_int64() ? found->as_int64() : 0;
    };
    const bool is_this_boot = word("boot") == linux_::boot_id();
    // Several hosts may go by one name.
    const bool is_shared = (core.store->capabilities() & LB_STORE_SHARED) != 0;
    if (word("host") != linux_::host_name() || (is_shared && !is_this_boot)) return {"", word("host")};
    if (!is_this_boot) return {"host " + word("host") + " has restarted since, before it was started", ""};
    if (linux_::hold(static_cast<pid_t>(number("pid")), static_cast<uint64_t>(number("start")))) return {};
    // A runner that was just started may be on its way to its token.
    const boost::json::value *uuid = document.as_object().if_contains("uuid");
    const std::string mark = uuid && uuid->is_string() ? "LITBUILD_UUID=" + std::string(uuid->as_string()) : "";
    if (!mark.empty() && !linux_::marked_with(mark, 0).empty()) return {};
    return {"who launched it (pid " + std::to_string(number("pid")) + ") is gone and had started nothing", ""};
}

}  // namespace

Status Core::told_status(const Call &call, const BuildName &build) const
{
    Status out = status_source->status(call, build);
    out.as_of = std::max(out.as_of, store->as_of());
    return out;
}

Standing Core::standing(const Call &call, const BuildName &build) const
{
    const Status first = told_status(call, build);
    if (!is_active(first.state)) return {first};
    std::string evidence;
    uint64_t left_overs = 0;
    Standing::Lost lost = Standing::Lost::gone;
    if (const std::optional<std::string> token = control(call, build, control::token)) {
        const Probe probe = processes->probe(call, *token);
        // One that has run and waits again was put back: whether its first run is alive, only that can tell.
        const bool waits_again = probe.life == Life::queued && first.state != State::queued;
        if (probe.life == Life::alive) return {first};
        if (first.state == State::queued && probe.life == Life::queued) return {waiting(first, probe.evidence)};
        evidence = probe.evidence;
        left_overs = probe.left_overs;
        if (probe.life == Life::unknown || waits_again) {
            lost = Standing::Lost::silent;
            evidence = hearing.silence(*this, call, build);
            if (!evidence.empty() && !probe.evidence.empty()) evidence += "; " + probe.evidence;
        } else if (hearing.is_heard(*this, call, build)) {
            // Of another host that goes by the names of this one.
            return {first};
        }
        if (evidence.empty()) return {first.state == State::queued ? waiting(first, probe.evidence) : first};
    } else {
        const Launcher launcher = launcher_of(*this, call, build);
        evidence = launcher.gone;
        if (!launcher.elsewhere.empty()) {
            lost = Standing::Lost::silent;
            evidence = hearing.silence_of_launcher(*this, call, build, launcher.elsewhere);
        }
        if (evidence.empty()) return {first};
        if (control(call, build, control::token)) return {told_status(call, build)};
    }
    // It may have ended, and said so, between the two looks; then its word counts.
    Standing out{told_status(call, build)};
    if (!is_active(out.status.state)) return out;
    out.left_overs = left_overs;
    out.lost = lost;
    out.status.state = State::lost;
    out.status.error = evidence;
    out.status.current_step.reset();
    for (Step &step : out.status.steps)
        if (step.state == State::running) step.state = State::lost;
    if (left_overs > 0) out.status.message = living(left_overs) + "; stop ends them";
    return out;
}

std::string Core::uuid(const Call &call, const BuildName &build) const
{
    boost::system::error_code error;
    const boost::json::value document = boost::json::parse(read_identity(*this, call, build), error);
    const boost::json::value *found = !error && document.is_object() ? document.as_object().if_contains("uuid") : nullptr;
    if (!found || !found->is_string()) throw Error(Code::corrupt, to_string(build) + ": build.json is missing or damaged");
    return std::string(found->as_string());
}

std::string living(uint64_t count)
{
    return std::to_string(count) + (count == 1 ? " process lives on" : " processes live on");
}

void Core::log(int level, const std::string &line) const
{
    if (config.log) config.log(level, line);
}

void refuse_where_alive(const BuildName &build, const Standing &standing, const char *doing)
{
    const std::string object = to_string(build);
    const std::string advice = std::string("; stop it before ") + doing;
    const State state = standing.status.state;
    if (is_active(state)) throw Error(Code::refused, object + ": is " + name(state) + advice);
    if (standing.left_overs > 0)
        throw Error(Code::refused, object + ": is lost, but " + living(standing.left_overs) + advice);
}

void pause(const Call &call, std::chrono::milliseconds time)
{
    pollfd wait{call.cancel_fd(), POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(call.left(time));
    ::poll(&wait, 1, static_cast<int>(std::min(left, time).count()));
}

std::string new_uuid()
{
    unsigned char bytes[16];
    if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) throw os_error("uuid", "get random bytes", errno);
    bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);   // version 4
    bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);   // variant of RFC 4122
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (size_t i = 0; i < sizeof bytes; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
        out += digits[bytes[i] >> 4];
        out += digits[bytes[i] & 15];
    }
    return out;
}

std::string whoami()
{
    char buffer[4096];
    passwd entry{};
    passwd *found = nullptr;
    ::getpwuid_r(::geteuid(), &entry, buffer, sizeof buffer, &found);
    return (found ? std::string(entry.pw_name) : std::to_string(::geteuid())) + "@" + linux_::host_name();
}

}  // namespace litbuild::detail
