#include <poll.h>
#include <signal.h>

#include <boost/json.hpp>

#include "core.hpp"
#include "spec.hpp"

namespace litbuild {

namespace json = boost::json;
using detail::Core;
using std::chrono::milliseconds;
using Outcome = StopResult::Outcome;

namespace {

StopPlan plan_for(const Core &core, const Call &call, const BuildName &build, const StopOptions &options)
{
    StopPlan plan = core.config.stop;
    if (options.plan) {
        plan = *options.plan;
    } else {
        std::string text;
        core.store->read(call, build, "build.json", 0, 4 * 1024 * 1024, [&](std::string_view piece) {
            text += piece;
            return true;
        });
        boost::system::error_code error;
        const json::value document = json::parse(text, error);
        try {
            if (!error) plan = detail::plan_from_json(document.at("spec").at("stop"));
        } catch (const std::exception &) {
            // A damaged spec must not keep anybody from stopping its build.
        }
    }
    if (plan.empty() || plan.back().signal != SIGKILL) plan.push_back({SIGKILL, std::chrono::seconds(60)});
    if (!options.grace) return plan;
    if (plan.size() == 1 && options.grace->count() > 0) plan.insert(plan.begin(), {SIGTERM, *options.grace});
    else if (plan.size() > 1 && options.grace->count() > 0) plan.front().grace = *options.grace;
    else plan = {plan.back()};
    return plan;
}

std::string sentence(const BuildName &build, Outcome outcome, const StopReport &report)
{
    const std::string object = "Build id " + std::to_string(build.runid);
    switch (outcome) {
    case Outcome::stopped: return object + " has been stopped";
    case Outcome::already_finished: return object + " has already finished";
    case Outcome::requested: return object + " has been asked to stop; where it runs, nobody has answered yet";
    case Outcome::incomplete: break;
    }
    const size_t count = report.survivors.size();
    return object + " could not be stopped completely: " + (count == 0 ? "it has not answered" : detail::living(count));
}

/// What the runner did, which the controller only waited for.
void add_word_of_runner(StopReport &report, const Status &status)
{
    boost::system::error_code error;
    const json::value detail = json::parse(status.detail.empty() ? "{}" : status.detail, error);
    const json::value *stop = !error && detail.is_object() ? detail.as_object().if_contains("stop") : nullptr;
    const json::value *killed = stop && stop->is_object() ? stop->as_object().if_contains("killed") : nullptr;
    if (killed && killed->is_int64() && killed->as_int64() > 0) report.killed += static_cast<uint64_t>(killed->as_int64());
}

/// The runner speaks its last word when the tree is empty; where it has come to that, nobody is in doubt.
void drop_doubts(StopReport &report)
{
    std::erase_if(report.survivors, [](const ProcessInfo &each) { return !each.doubt.empty(); });
    if (report.outcome == StopOutcome::incomplete && report.survivors.empty()) report.outcome = StopOutcome::done;
}

StopResult result(const BuildName &build, Outcome outcome, StopReport report = {})
{
    return {outcome, sentence(build, outcome, report), std::move(report)};
}

/// While another process is still launching the build there is no token yet; the request waits in the folder.
std::optional<std::string> wait_for_token(const Core &core, const Call &call, const BuildName &build)
{
    for (;;) {
        if (std::optional<std::string> token = core.control(call, build, detail::control::token)) return token;
        if (!is_active(core.status(call, build).state)) return std::nullopt;
        call.check(to_string(build));
        ::poll(nullptr, 0, 10);
    }
}

/// Its runner has heard of the request and ended: it speaks its last word when nobody else is left, so nobody need be looked for.
bool has_obeyed(const Core &core, const Call &call, const BuildName &build, const std::string &token)
{
    try {
        // A verdict is an engine's word, which knows less.
        if (!is_terminal(core.told_status(call, build).state) || core.control(call, build, detail::control::verdict)) return false;
        const Probe probe = core.processes->wait(call.at_most(std::chrono::seconds(5)), token);
        return probe.life == Life::gone && probe.left_overs == 0;
    } catch (const Error &) {
        return false;
    }
}

}  // namespace

StopResult Build::stop(const StopOptions &options, Call given) const
{
    const Core &core = *core_;
    const Call looking = core.bounded(given);
    const std::string object = to_string(name_);
    core.store->find(looking, name_);
    const detail::Standing standing = core.standing(looking, name_);
    const Status &before = standing.status;
    if (before.state == State::stopped) return result(name_, Outcome::stopped);
    if (is_terminal(before.state)) return result(name_, Outcome::already_finished);
    const bool was_lost = before.state == State::lost;
    if (before.state == State::unknown)
        throw Error(Code::refused, object + ": has no process that could be stopped (its status is unknown)");

    const StopPlan plan = plan_for(core, looking, name_, options);
    const std::string by = options.by.empty() ? detail::whoami() : options.by;
    const std::string time = to_rfc3339(now());
    const json::object request = {{"time", time}, {"by", by}, {"reason", options.reason}, {"plan", detail::to_json(plan)}};
    try {
        core.store->write_control(looking, name_, detail::control::stop + detail::new_uuid(), json::serialize(request) + "\n");
    } catch (const Error &e) {
        // A full disk must not keep a build alive: where the runner is in reach, it is stopped by its own plan.
        if (e.code() != Code::no_space) throw;
        core.log(LB_LOG_WARNING, object + ": stopped without a word of who and why: " + e.what());
    }

    // Its host may only be cut off: then it hears the request when it is back, and says how the build ended.
    if (standing.lost == detail::Standing::Lost::silent) return result(name_, Outcome::requested);

    // The plan is allowed its whole time, and then some for the answer.
    Call call = given;
    if (!call.has_deadline()) {
        std::chrono::nanoseconds patience = std::chrono::seconds(30);
        for (const StopStep &step : plan) patience += step.grace;
        call = call.at_most(patience);
    }
    StopReport report;
    const std::optional<std::string> token = wait_for_token(core, call, name_);
    const Clock::time_point begin = Clock::now();
    if (token && !was_lost && has_obeyed(core, call, name_, *token)) {
        report.mechanism = "runner";
        report.took = Clock::now() - begin;
    } else {
        // Without a token the launch was cut short; what there is of it goes by the uuid alone.
        try {
            report = core.processes->stop(call, token.value_or(""), core.uuid(call, name_), plan);
        } catch (const Error &e) {
            // Not every controller can do that; one that could not just now does not know that nothing is left.
            const bool is_able = e.code() != Code::unsupported && e.code() != Code::corrupt && e.code() != Code::invalid &&
                                 e.code() != Code::not_found;
            if (token || is_able) throw;
        }
    }
    while (report.outcome == StopOutcome::requested && is_active(core.status(core.bounded(Call()), name_).state)) {
        if (call.expired()) return result(name_, Outcome::requested, std::move(report));
        if (call.cancelled()) throw Error(Code::cancelled, object + ": cancelled; the request stands");
        ::poll(nullptr, 0, 100);
    }
    const detail::Standing later = core.standing(Call::within(std::chrono::seconds(10)), name_);
    const Status &after = later.status;
    if (is_terminal(after.state)) drop_doubts(report);
    if (report.outcome == StopOutcome::incomplete) return result(name_, Outcome::incomplete, std::move(report));
    if (later.lost == detail::Standing::Lost::silent) return result(name_, Outcome::requested, std::move(report));
    if (after.state == State::stopped) {
        add_word_of_runner(report, after);
        return result(name_, Outcome::stopped, std::move(report));
    }
    if (is_terminal(after.state)) return result(name_, Outcome::already_finished, std::move(report));
    if (is_active(after.state)) return result(name_, Outcome::incomplete, std::move(report));
    if (token && !was_lost) {
        // Its runner was there and left no word: it was killed meanwhile, and what it alone knew is asked for without it.
        StopReport again = core.processes->stop(call, *token, core.uuid(call, name_), plan);
        again.killed += report.killed;
        report = std::move(again);
        if (report.outcome == StopOutcome::incomplete) return result(name_, Outcome::incomplete, std::move(report));
    }
    // Nothing of it is alive, and its runner left no word: ours is the only one there will be.
    const json::object verdict = {
        {"time", to_rfc3339(now())},
        {"state", "stopped"},
        {"by", by},
        {"reason", options.reason},
        {"message", was_lost ? "it was lost before it was stopped: " + before.error : std::string("its runner was gone")}};
    core.store->write_control(Call::within(std::chrono::seconds(10)), name_, detail::control::verdict,
                              json::serialize(verdict) + "\n");
    return result(name_, Outcome::stopped, std::move(report));
}

}  // namespace litbuild
