// The plugin container: each build in a container of its own. See README.md.
#include <signal.h>
#include <string.h>

#include <litbuild/export.hpp>
#include <litbuild/version.hpp>

#include <service/pause.hpp>

#include "launching.hpp"

namespace container {

using namespace litbuild;
using namespace std::chrono_literals;
using service::pause;

namespace {

/// An engine that was restarted is back within this; who is away for longer is told as away.
constexpr auto patience_with_engine = 2s;
// It does its own tidying up between one state of a container and the next.
constexpr auto patience_with_refusals = 10s;
/// Of those who only want to know: an engine that hangs must not hold up who reads a status.
constexpr auto patience_with_questions = 10s;
/// Beyond its plan, for the runner's last word.
constexpr auto patience_with_runner = 5s;

std::string short_id(const std::string &id) { return id.substr(0, 12); }

std::string described(const Container &found) { return found.name + " (" + short_id(found.id) + ")"; }

std::string exit_text(int64_t code)
{
    std::string out = "exit code " + std::to_string(code);
    const int signal = code > 128 && code < 128 + NSIG ? static_cast<int>(code - 128) : 0;
    if (const char *name = signal > 0 ? ::sigabbrev_np(signal) : nullptr)
        out += " (as by signal " + std::to_string(signal) + ", SIG" + name + ")";
    return out;
}

std::string memory_text(const Container &found)
{
    const std::string limit = std::to_string(found.memory / (1024 * 1024)) + " MiB";
    if (found.out_of_memory)
        return "; it ran out of memory" + (found.memory > 0 ? " (its limit is " + limit + ")" : std::string());
    if (found.exit_code == 128 + SIGKILL && found.memory > 0)
        return "; its memory limit is " + limit + ", and what goes over that is ended so";
    return "";
}

}  // namespace

class ContainerProcess final : public ProcessController {
public:
    ContainerProcess(const Host &host, std::string_view config)
        : host_(host), settings_(read_settings(config)), api_(settings_.engine, settings_.patience)
    {
    }

    uint64_t capabilities() const override { return LB_PROCESS_ATOMIC_KILL; }

    std::string launch(const Call &call, const LaunchSpec &spec) override
    {
        const Token token = container::launch(call, api_, settings_, spec);
        if (settings_.remove != Remove::never) sweep(call);
        return token.text();
    }

    Probe probe(const Call &call, const std::string &text) override
    {
        const Token token = Token::parse(text);
        try {
            return look(call.at_most(patience_with_questions), token);
        } catch (const Unreachable &e) {
            Probe out;
            out.evidence = e.what();
            return out;
        }
    }

    Probe wait(const Call &call, const std::string &text) override
    {
        const Token token = Token::parse(text);
        try {
            Probe out = look(call, token);
            while (out.life == Life::alive && !call.expired()) {
                const std::optional<Container> found = find(call, token);
                if (!found) break;
                const std::optional<Api::Ended> ended = api_.wait(call, found->id);
                if (!ended) break;
                out = look(call, token);
            }
            if (out.life == Life::gone)
                if (const std::optional<Container> found = find(call, token); found && found->is_ended() && !was_started_again(token, *found))
                    tidy(*found, found->exit_code);
            return out;
        } catch (const Unreachable &e) {
            // Whether the build has ended stands in its folder, and who waits looks there.
            Probe out;
            out.evidence = e.what();
            return out;
        }
    }

    StopReport stop(const Call &call, const std::string &text, const std::string &uuid, std::span<const StopStep> plan) override
    {
        Token token;
        if (!text.empty()) token = Token::parse(text);
        if (!text.empty() && token.uuid != uuid) throw Error(Code::corrupt, "token: is of another build (" + token.uuid + ")");
        token.uuid = uuid;
        Stop stop{call, token, plan};
        const Clock::time_point begin = Clock::now();
        for (;;) {
            try {
                attempt(stop);
                break;
            } catch (const Refusal &) {
                // Podman refuses what comes while a container is on its way from one state to the next.
                if (is_too_long(stop, stop.refused, patience_with_refusals)) throw;
            } catch (const Unreachable &e) {
                // One that was there for a while since is away anew.
                if (stop.found != Clock::time_point{} && Clock::now() - stop.found > patience_with_engine) stop.away = {};
                // Its runner hears of the request through the folder and needs no engine; whether it does, its status tells.
                if (is_too_long(stop, stop.away, patience_with_engine)) {
                    host_.log(LB_LOG_WARNING, e.what());
                    stop.report.outcome = text.empty() ? StopOutcome::incomplete : StopOutcome::requested;
                    break;
                }
            }
            if (call.cancelled()) throw Error(Code::cancelled, "container " + token.name + ": cancelled; the request stands");
            pause(call, 100ms);
        }
        stop.report.took = Clock::now() - begin;
        return std::move(stop.report);
    }

    void held(const Call &call, const std::string &team, const HeldSink &each) override
    {
        const std::string wanted = team.empty() ? label::team : std::string(label::team) + "=" + team;
        for (const Api::Listed &listed : api_.list(call, wanted)) {
            const std::optional<Container> found = api_.inspect(call, listed.id);
            if (!found) continue;
            const std::optional<int64_t> runid = parse_runid(found->label(label::runid));
            if (!runid) continue;
            if (!each(held_as(*found, {found->label(label::team), *runid}, listed.created))) return;
        }
    }

    void forget(const Call &call, const std::string &text) override
    {
        const std::optional<Container> found = find(call, Token::parse(text));
        if (!found) return;
        if (found->is_alive()) throw Error(Code::refused, "container " + described(*found) + ": is " + found->state);
        api_.remove(call, found->id, Api::Force::no);
    }

private:
    struct Stop {
        const Call &call;
        const Token &token;
        std::span<const StopStep> plan;
        StopReport report{};
        bool seen_alive = false;
        Clock::time_point asked{};   ///< its runner, to look at the request
        Clock::time_point found{};             ///< when the engine told of it, in this attempt
        Clock::time_point away{}, refused{};   ///< since when the engine is, and refuses
    };

    // ------------------------------------------------------------------------------------------- identity

    /// The container of the token's build, by its label and not by its name. Throws Code::corrupt where the token names
    /// another's.
    std::optional<Container> find(const Call &call, const Token &token) const
    {
        std::string id = token.id;
        if (id.empty()) {
            const std::vector<Api::Listed> found = api_.list(call, std::string(label::uuid) + "=" + token.uuid);
            if (found.empty()) return std::nullopt;
            id = found.front().id;
        }
        std::optional<Container> out = api_.inspect(call, id);
        if (out && out->label(label::uuid) != token.uuid)
            throw Error(Code::corrupt, "token: its container " + described(*out) + " is of " + owner_of(*out));
        return out;
    }

    static bool was_started_again(const Token &token, const Container &found)
    {
        return !token.started.empty() && !found.started.empty() && found.started != token.started;
    }

    /// Where no such container is: whether that is the engine to know. Throws Unreachable.
    void check_same_engine(const Call &call, const Token &token) const
    {
        if (token.kept_in.empty()) return;
        const std::string folder = api_.folder(call);
        if (folder.empty() || token.kept_in.starts_with(folder + "/")) return;
        throw Unreachable(Code::unavailable, api_.object() +
                                                 ": another container engine answers there now (it keeps its containers in " +
                                                 folder + "), and the build's is not to be asked");
    }

    Probe look(const Call &call, const Token &token) const
    {
        Probe out;
        const std::optional<Container> found = find(call, token);
        if (!found) {
            check_same_engine(call, token);
            out.life = Life::gone;
            out.evidence = gone_text(call, token, out);
            return out;
        }
        const std::string object = "its container " + described(*found);
        if (was_started_again(token, *found)) {
            out.life = Life::gone;
            out.evidence =
                object + " was started again at " + found->started + "; what ran in it since " + token.started + " has ended";
            return out;
        }
        if (found->state == "created") {
            out.life = Life::queued;
            out.evidence = object + " is made and not started";
            return out;
        }
        if (!found->is_ended()) {
            out.life = Life::alive;
            out.evidence = object + " is " + found->state;
            return out;
        }
        out.life = Life::gone;
        out.exit_code = static_cast<int>(found->exit_code);
        out.evidence = object + " ended at " + found->ended + " with " + exit_text(found->exit_code) + memory_text(*found) +
                       (found->error.empty() ? "" : "; " + found->error);
        return out;
    }

    std::string gone_text(const Call &call, const Token &token, Probe &probe) const
    {
        std::string out =
            "its container " + token.name + (token.id.empty() ? "" : " (" + short_id(token.id) + ")") + " is gone";
        if (!token.name.empty())
            if (const std::optional<Container> other = api_.inspect(call, token.name))
                out += "; its name is now that of " + owner_of(*other);
        if (token.id.empty()) return out;
        try {
            const std::optional<int64_t> code = api_.remembered_exit(call, token.id);
            if (!code) return out;
            probe.exit_code = static_cast<int>(*code);
            out += "; it ended with " + exit_text(*code);
        } catch (const Error &) {
            // What the engine remembers is more than it owes.
        }
        return out;
    }

    // ----------------------------------------------------------------------------------------------- stop

    static bool is_too_long(const Stop &stop, Clock::time_point &since, std::chrono::seconds patience)
    {
        if (since == Clock::time_point{}) since = Clock::now();
        return stop.call.expired() || Clock::now() - since > patience;
    }

    void attempt(Stop &stop) const
    {
        const Token &token = stop.token;
        stop.found = {};
        const std::optional<Container> found = find(stop.call, token);
        stop.found = Clock::now();
        stop.report.mechanism = "runner";
        if (!found) check_same_engine(stop.call, token);
        if (!found || was_started_again(token, *found)) {
            stop.report.outcome = stop.seen_alive ? StopOutcome::done : StopOutcome::already;
            return;
        }
        if (found->state == "created") {
            api_.remove(stop.call, found->id, Api::Force::no);
            stop.report.outcome = StopOutcome::already;
            return;
        }
        if (found->is_ended()) {
            tidy(*found, found->exit_code);
            stop.report.outcome = stop.seen_alive ? StopOutcome::done : StopOutcome::already;
            return;
        }
        stop.seen_alive = true;
        if (found->state == "paused") api_.unpause(stop.call, found->id);
        std::optional<Api::Ended> ended = ask(stop, found->id);
        if (!ended) ended = end(stop, found->id);
        if (!ended) return;
        stop.report.outcome = StopOutcome::done;
        if (ended->exit_code) tidy(*found, *ended->exit_code);
    }

    /// Makes the runner look at the request, and waits for its end. None: it did not end in time.
    std::optional<Api::Ended> ask(Stop &stop, const std::string &id) const
    {
        if (stop.asked == Clock::time_point{}) {
            (void)api_.kill(stop.call, id, SIGTERM);
            stop.asked = Clock::now();
            stop.away = stop.refused = {};
        }
        Clock::time_point until = stop.asked + patience_with_runner;
        for (const StopStep &step : stop.plan) until += step.grace;
        if (Clock::now() >= until) return std::nullopt;
        const std::optional<Api::Ended> ended = api_.wait(stop.call.at_most(until - Clock::now()), id);
        stop.away = stop.refused = {};
        return ended;
    }

    /// The guarantee: with its first process the kernel ends all of the container.
    std::optional<Api::Ended> end(Stop &stop, const std::string &id) const
    {
        const auto grace =
            stop.plan.empty() ? std::chrono::nanoseconds(10s) : std::max<std::chrono::nanoseconds>(stop.plan.back().grace, 1s);
        stop.report.mechanism = "container";
        stop.report.killed = std::max<uint64_t>(stop.report.killed, processes(Call::within(5s), id).size());
        // A stop whose time is up still ends what it has begun to.
        const Call call = stop.call.expired() ? Call::within(5s) : stop.call.at_most(grace);
        (void)api_.kill(call, id, SIGKILL);
        if (const std::optional<Api::Ended> ended = api_.wait(call, id)) return ended;
        stop.report.outcome = StopOutcome::incomplete;
        stop.report.survivors = processes(Call::within(5s), id);
        return std::nullopt;
    }

    /// None where they cannot be listed.
    std::vector<ProcessInfo> processes(const Call &call, const std::string &id) const
    {
        try {
            return api_.processes(call, id);
        } catch (const Error &) {
            return {};
        }
    }

    // -------------------------------------------------------------------------------------------- removal

    /// By its own policy what has ended so is removed. 143: it was stopped, as it was asked to be.
    static bool is_to_go(const Container &found, int64_t exit_code)
    {
        const std::string &policy = found.label(label::remove);
        const bool good = exit_code == 0 || exit_code == 128 + SIGTERM;
        return policy == "always" || (policy == "on success" && good);
    }

    /// One whose launch is still at work is made and not started, too.
    static bool was_never_started(const std::string &state, int64_t created)
    {
        return state == "created" && created < now() / 1'000'000'000 - 3600;
    }

    Held held_as(const Container &found, BuildName build, int64_t created) const
    {
        Held out;
        out.build = std::move(build);
        out.uuid = found.label(label::uuid);
        out.token =
            Token{settings_.engine.text, out.uuid, found.name, found.id, found.started, found.kept_in}.text();
        out.life = found.is_alive() ? Life::alive : found.is_ended() ? Life::gone : Life::queued;
        out.due = out.life == Life::gone ? is_to_go(found, found.exit_code) : was_never_started(found.state, created);
        out.text = "its container " + described(found) +
                   (out.life == Life::gone     ? " is left, ended with " + exit_text(found.exit_code)
                    : out.life == Life::queued ? " was made and never started"
                                               : " is " + found.state);
        const std::string program = api_.is_podman(Call::within(patience_with_questions)) ? "podman" : "docker";
        out.action = out.due                      ? "remove it"
                     : out.life == Life::alive ? "'" + program + " kill " + found.name + "' ends it"
                                                  : "'" + program + " rm " + found.name + "' removes it";
        return out;
    }

    /// Removes what has ended, if its own policy says so.
    void tidy(const Container &found, int64_t exit_code) const
    {
        if (found.removes_itself || !is_to_go(found, exit_code)) return;
        try {
            api_.remove(Call::within(10s), found.id, Api::Force::no);
        } catch (const Error &e) {
            host_.log(LB_LOG_WARNING, e.what());
        }
    }

    /// Each launch removes what others have left to be removed: who was waited for by nobody, or made and never started.
    void sweep(const Call &call) const
    {
        try {
            const Call little = call.at_most(10s);
            for (const Api::Listed &each : api_.list(little, label::remove)) {
                if (was_never_started(each.state, each.created)) api_.remove(little, each.id, Api::Force::no);
                if (each.state != "exited" && each.state != "dead") continue;
                if (const std::optional<Container> found = api_.inspect(little, each.id); found && found->is_ended())
                    tidy(*found, found->exit_code);
            }
        } catch (const Error &e) {
            host_.log(LB_LOG_WARNING, e.what());
        }
    }

    Host host_;
    Settings settings_;
    Api api_;
};

}  // namespace container

LITBUILD_PLUGIN("container", LITBUILD_VERSION, litbuild::ProcessOf<container::ContainerProcess>)
