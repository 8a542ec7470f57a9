// A process controller, with the real runner and builds of one shell script.
#include <poll.h>
#include <signal.h>

#include <fstream>

#include <litbuild/linux/proc.hpp>

#include "checks.hpp"
#include "crowd.hpp"
#include "tour.hpp"

namespace litbuild::conformance {

using abi::OutgoingCall;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

template <class T>
struct Told : Answer {
    T value{};
    size_t count = 0;
};

class Controller {
public:
    explicit Controller(Context &context) : context_(context), instance(context)
    {
        if (context.subject().runner.empty()) skip("there is no litbuild-runner beside this program (--runner FILE)");
    }

    RunnableBuild build(const std::string &script) const { return RunnableBuild(context_.folder() / fresh_team(), script); }

    Told<std::string> launch(const RunnableBuild &build, const std::vector<std::string> &environment = {},
                             const Call &call = {}) const
    {
        Told<std::string> out;
        Collector<lb_str> each([&](lb_str token) {
            out.value = abi::text(token);
            ++out.count;
        });
        const std::string folder = build.folder.string();
        const LaunchSpec spec{build.name, build.uuid, folder, {context_.subject().runner.string(), folder}, environment, {}, {}};
        std::vector<lb_str> argv, env;
        const lb_launch raw = abi::to_c(spec, argv, env);
        const OutgoingCall outgoing(call);
        static_cast<Answer &>(out) =
            instance.call("launch", to_string(build.name), &lb_process_controller::launch, outgoing.get(),
                          &raw, each.receive, static_cast<void *>(&each));
        if (!out.ok()) return out;
        expect(out.count == 1 && !out.value.empty() && out.value.size() <= 4096,
               out.what + ": returned LB_OK and gave " + std::to_string(out.count) + " tokens, the last of " +
                   std::to_string(out.value.size()) + " bytes; it gives one of 1 to 4096 bytes");
        return out;
    }
    /// LB_UNAVAILABLE: whatever it starts builds with is not there, and nothing can be said.
    std::string launched(const RunnableBuild &build, const std::vector<std::string> &environment = {}) const
    {
        const Told<std::string> told = launch(build, environment);
        if (told.code == LB_UNAVAILABLE) skip(told.sentence);
        expect_ok(told);
        return told.value;
    }
    Told<Probe> probe(const std::string &token) const { return look("probe", &lb_process_controller::probe, token, {}); }
    Told<Probe> wait(const std::string &token, const Call &call) const
    {
        return look("wait", &lb_process_controller::wait, token, call);
    }
    Probe waited(const std::string &token) const
    {
        const Told<Probe> told = wait(token, Call::within(60s));
        expect_ok(told);
        return told.value;
    }
    /// TERM, 500 ms, then KILL.
    Told<StopReport> stop(const RunnableBuild &build, const std::string &token) const
    {
        std::ofstream(build.folder / ".control" / ("stop." + fresh_uuid()))
            << R"({"time":"2024-06-08T16:40:30.000000Z","by":"check",)"
            << R"("plan":[{"signal":15,"grace_ms":500},{"signal":9,"grace_ms":10000}]})" << "\n";
        Told<StopReport> out;
        uint32_t outcome = 0;
        Collector<const lb_stop_report *> each([&](const lb_stop_report *report) {
            out.value = abi::from_c(report);
            outcome = abi::copy(report).outcome;
            ++out.count;
        });
        lb_stop_step plan[2] = {abi::sized<lb_stop_step>(), abi::sized<lb_stop_step>()};
        plan[0].signal = SIGTERM;
        plan[0].grace_ns = 500'000'000;
        plan[1].signal = SIGKILL;
        plan[1].grace_ns = 10'000'000'000;
        const Call call = Call::within(60s);
        const OutgoingCall outgoing(call);
        static_cast<Answer &>(out) = instance.call(
            "stop", to_string(build.name), &lb_process_controller::stop, outgoing.get(), abi::str(token), abi::str(build.uuid),
            static_cast<const lb_stop_step *>(plan), size_t{2}, each.receive, static_cast<void *>(&each));
        if (!out.ok()) return out;
        expect(out.count == 1, out.what + ": returned LB_OK and gave " + std::to_string(out.count) + " reports; it gives one");
        expect(outcome >= LB_STOP_DONE && outcome <= LB_STOP_INCOMPLETE,
               out.what + ": outcome " + std::to_string(outcome) + " is no LB_STOP_*");
        return out;
    }

private:
    using Look = int32_t (*)(void *, const lb_call *, lb_str, lb_probe_fn, void *, lb_error *);
    Told<Probe> look(const char *name, Look lb_process_controller::*function, const std::string &token, const Call &call) const
    {
        Told<Probe> out;
        uint32_t life = 0;
        Collector<const lb_probe *> each([&](const lb_probe *probe) {
            out.value = abi::from_c(probe);
            life = abi::copy(probe).life;
            ++out.count;
        });
        const OutgoingCall outgoing(call);
        static_cast<Answer &>(out) = instance.call(name, "a launch", function, outgoing.get(), abi::str(token), each.receive,
                                                   static_cast<void *>(&each));
        if (!out.ok()) return out;
        expect(out.count == 1,
               out.what + ": returned LB_OK and called the receiver " + std::to_string(out.count) + " times; it calls it once");
        expect(life <= LB_LIFE_GONE, out.what + ": life " + std::to_string(life) + " is no LB_LIFE_*");
        return out;
    }

    Context &context_;

public:
    Instance<lb_process_controller> instance;
};

std::string slurp(const fs::path &file) { return linux_::slurp(file.c_str()).value_or(""); }

void until_there(const fs::path &file)
{
    for (const Clock::time_point end = Clock::now() + 60s; !fs::exists(file); ::poll(nullptr, 0, 10))
        if (Clock::now() > end) fail("the launched build never made its file " + file.filename().string());
}

const char *life_name(Life life)
{
    switch (life) {
    case Life::queued: return "queued";
    case Life::alive: return "alive";
    case Life::gone: return "gone";
    case Life::unknown: break;
    }
    return "unknown";
}

void expect_life(const std::string &what, Life expected, const Probe &probe)
{
    expect_same(what, life_name(expected),
                std::string(life_name(probe.life)) + (probe.life == expected ? "" : " (" + probe.evidence + ")"));
}

const char *outcome_name(StopOutcome outcome)
{
    switch (outcome) {
    case StopOutcome::done: return "LB_STOP_DONE";
    case StopOutcome::already: return "LB_STOP_ALREADY";
    case StopOutcome::requested: return "LB_STOP_REQUESTED";
    case StopOutcome::incomplete: break;
    }
    return "LB_STOP_INCOMPLETE";
}

/// A runner hears of the request by itself, and may be gone before the controller looks.
void expect_stopped(const char *what, const StopReport &report)
{
    if (report.outcome != StopOutcome::already) expect_same(what, "LB_STOP_DONE", outcome_name(report.outcome));
}

// ------------------------------------------------------------------------------------------------------------- checks

void runs(Context &context)
{
    const Controller controller(context);
    const RunnableBuild build = controller.build("echo ran > ran; echo a line");
    const std::string token = controller.launched(build);
    const Probe probe = controller.waited(token);
    expect_life("life once it was waited for", Life::gone, probe);
    if (probe.exit_code) expect_same("exit code of a build whose step succeeds", "0", std::to_string(*probe.exit_code));
    expect_same("what its step wrote into its folder", quote("ran\n"), quote(slurp(build.folder / "ran")));
    expect_same("its log", quote("a line\n"), quote(slurp(build.folder / "log")));
}

void exit_code(Context &context)
{
    const Controller controller(context);
    const RunnableBuild build = controller.build("exit 3");
    const Probe probe = controller.waited(controller.launched(build));
    expect_life("life once it was waited for", Life::gone, probe);
    if (!probe.exit_code) skip("the controller does not know exit codes (LB_NO_EXIT), which it need not");
    expect_same("exit code of a build whose step exits with 3", "3", std::to_string(*probe.exit_code));
}

void environment(Context &context)
{
    const Controller controller(context);
    const RunnableBuild build = controller.build("printf %s \"$CHECK_WORDS\" > words");
    const std::string words = "two words, an = and a 'quote' and grün";
    controller.waited(controller.launched(build, {"CHECK_WORDS=" + words}));
    expect_same("a variable of lb_launch.env, as the build's step has it", quote(words), quote(slurp(build.folder / "words")));
}

void alive(Context &context)
{
    const Controller controller(context);
    const RunnableBuild build = controller.build("echo up > up; sleep 1000");
    const std::string token = controller.launched(build);
    until_there(build.folder / "up");
    const Told<Probe> told = controller.probe(token);
    expect_ok(told);
    expect_life("life of a build whose step sleeps", Life::alive, told.value);
    const Told<Probe> waited = controller.wait(token, Call::within(50ms));
    expect_code(waited, {LB_OK, LB_TIMEOUT});
    if (waited.ok()) expect_life("life told by a wait that came to its deadline", Life::alive, waited.value);
    const Told<StopReport> stopped = controller.stop(build, token);
    expect_ok(stopped);
    expect_stopped("outcome of the stop", stopped.value);
    const Told<Probe> after = controller.probe(token);
    expect_ok(after);
    expect_life("life after the stop", Life::gone, after.value);
}

void wait_cancel(Context &context)
{
    const Controller controller(context);
    const RunnableBuild build = controller.build("echo up > up; sleep 1000");
    const std::string token = controller.launched(build);
    until_there(build.folder / "up");
    Canceller canceller;
    Call call;
    call.cancelled_by(canceller);
    const std::jthread cancelling = soon([&] { canceller.cancel(); });
    const Told<Probe> waited = controller.wait(token, call);
    expect_code(waited, {LB_CANCELLED, LB_OK});
    expect_ok(controller.stop(build, token));
}

/// Whoever launched it is gone, and another process takes over with the token alone.
void token_is_enough(Context &context)
{
    if (context.subject().runner.empty()) skip("there is no litbuild-runner beside this program (--runner FILE)");
    const RunnableBuild build(context.folder() / fresh_team(), "echo up > up; sleep 1000");
    const std::string token = in_process(End::killed, [&] { return Controller(context).launched(build); });
    const Controller controller(context);
    until_there(build.folder / "up");
    const Told<Probe> told = controller.probe(token);
    expect_ok(told);
    expect_life("life of a build whose launching process was killed", Life::alive, told.value);
    const Told<StopReport> stopped = controller.stop(build, token);
    expect_ok(stopped);
    expect_stopped("outcome of a stop by another process than launched it", stopped.value);
}

/// Each process of the tree writes into the build's folder for as long as it lives.
void stop_ends_all(Context &context)
{
    const Controller controller(context);
    const RunnableBuild build = controller.build(
        "trap '' TERM HUP INT\n"
        "beat() { while :; do echo >> \"$1\"; sleep 0.05; done; }\n"
        "(trap '' TERM HUP; beat deaf) &\n"
        "(setsid sh -c 'trap \"\" TERM HUP; while :; do echo >> session; sleep 0.05; done' > /dev/null 2>&1 < /dev/null &)\n"
        "beat main");
    const std::string token = controller.launched(build);
    for (const char *each : {"deaf", "session", "main"}) until_there(build.folder / each);
    const Told<StopReport> stopped = controller.stop(build, token);
    expect_ok(stopped);
    expect_stopped("outcome of the stop of a build that ignores TERM, with processes in the background and in a session of their own",
                   stopped.value);
    std::string before, after;
    for (const char *each : {"deaf", "session", "main"})
        before += std::string(each) + " " + std::to_string(fs::file_size(build.folder / each)) + "; ";
    ::poll(nullptr, 0, 300);
    for (const char *each : {"deaf", "session", "main"})
        after += std::string(each) + " " + std::to_string(fs::file_size(build.folder / each)) + "; ";
    expect(before == after,
           "processes of the build go on after LB_STOP_DONE: their files grow (" + before + "then " + after + ")");
}

void stop_again(Context &context)
{
    const Controller controller(context);
    const RunnableBuild build = controller.build("true");
    const std::string token = controller.launched(build);
    controller.waited(token);
    for (int i = 0; i < 2; ++i) {
        const Told<StopReport> stopped = controller.stop(build, token);
        expect_ok(stopped);
        expect_same("outcome of the stop of a build that has ended", "LB_STOP_ALREADY", outcome_name(stopped.value.outcome));
    }
}

/// The launching process died before it had a token.
void stop_by_uuid(Context &context)
{
    const Controller controller(context);
    const RunnableBuild build = controller.build("echo up > up; while :; do echo >> beat; sleep 0.05; done");
    const std::string token = controller.launched(build);
    until_there(build.folder / "beat");
    const Told<StopReport> stopped = controller.stop(build, "");
    // Whoever cannot find it by the uuid alone must not say that it is stopped.
    if (!stopped.ok() || (stopped.value.outcome != StopOutcome::done && stopped.value.outcome != StopOutcome::already)) {
        expect_ok(controller.stop(build, token));
        skip("with an empty token it answers " + (stopped.ok() ? outcome_name(stopped.value.outcome) : described(stopped)));
    }
    const auto before = fs::file_size(build.folder / "beat");
    ::poll(nullptr, 0, 300);
    expect(before == fs::file_size(build.folder / "beat"), stopped.what + " with an empty token and the build's uuid: said " +
                                                               outcome_name(stopped.value.outcome) +
                                                               ", and its process goes on");
}

/// Nobody's token, and another build's.
void foreign_tokens(Context &context)
{
    const Controller controller(context);
    for (const std::string &token : {std::string("no token"), std::string("1"), std::string("pid 1\nstart 1\n"),
                                     std::string(4096, 'x'), std::string("\0\xff\n", 3)}) {
        const Told<Probe> told = controller.probe(token);
        expect(!told.ok() || told.value.life != Life::alive, told.what + " of the token " + quote(token) + ": is alive");
    }
    const RunnableBuild build = controller.build("echo up > up; sleep 1000"), other = controller.build("true");
    const std::string token = controller.launched(build);
    until_there(build.folder / "up");
    // The token of one build and the uuid of another.
    const Told<StopReport> wrong = controller.stop(other, token);
    const Told<Probe> told = controller.probe(token);
    expect_ok(told);
    expect(told.value.life == Life::alive,
           wrong.what + " with the token of another build: " + described(wrong) + ", and ended that one");
    expect(!wrong.ok() || wrong.value.outcome != StopOutcome::done,
           wrong.what + " with the token of another build: said LB_STOP_DONE");
    expect_ok(controller.stop(build, token));
}

void own_signals(Context &context)
{
    const Controller controller(context);
    // What the host blocks and ignores is not the build's.
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    ::signal(SIGTERM, SIG_IGN);
    // The step's parent is the command that was launched; for the step itself that has put everything right.
    const RunnableBuild build = controller.build("grep '^SigIgn:' /proc/$PPID/status > signals");
    controller.waited(controller.launched(build));
    const std::string signals = slurp(build.folder / "signals");
    expect(signals.starts_with("SigIgn:"), "the launched command cannot be looked at: " + quote(signals));
    const uint64_t term = uint64_t{1} << (SIGTERM - 1);
    expect((std::stoull(signals.substr(8), nullptr, 16) & term) == 0,
           "the launched command inherits the signals that the host ignores, and cannot be told with TERM: " + quote(signals));
}

/// Whether `held` tells the launch, and by which token. None: it does not.
std::optional<std::string> held(const Controller &controller, const RunnableBuild &build)
{
    std::optional<std::string> out;
    std::string wrong;
    Collector<const lb_held *> each([&](const lb_held *found) {
        const lb_held raw = abi::copy(found);
        if (raw.life > LB_LIFE_GONE || raw.due > 1)
            wrong = "life " + std::to_string(raw.life) + ", due " + std::to_string(raw.due);
        if (abi::view(raw.uuid) == build.uuid) out = abi::text(raw.token);
    });
    const Call call = Call::within(30s);
    const OutgoingCall outgoing(call);
    const Answer told = controller.instance.call("held", build.name.team, &lb_process_controller::held, outgoing.get(),
                                                 abi::str(build.name.team), each.receive, static_cast<void *>(&each));
    expect_ok(told);
    expect(wrong.empty(), told.what + ": told what it holds with " + wrong);
    return out;
}

void held_and_forget(Context &context)
{
    const Controller controller(context);
    const RunnableBuild build = controller.build("echo up > up; sleep 1000");
    const std::string token = controller.launched(build);
    until_there(build.folder / "up");
    const auto forget = [&] {
        const Call call = Call::within(30s);
        const OutgoingCall outgoing(call);
        return controller.instance.call("forget", "a launch", &lb_process_controller::forget, outgoing.get(), abi::str(token));
    };
    const Answer early = forget();
    const std::optional<std::string> before = early.code == LB_UNSUPPORTED ? std::nullopt : held(controller, build);
    const Told<Probe> told = controller.probe(token);
    expect_ok(told);
    expect(told.value.life == Life::alive, early.what + " while it was alive: " + described(early) + ", and ended it");
    expect_ok(controller.stop(build, token));
    expect_code(early, {LB_REFUSED});
    expect(before.has_value(), "lb_process_controller.held: does not tell a launch that is alive");
    expect_ok(forget());
    expect(!held(controller, build),
           "lb_process_controller.held: still tells a launch that lb_process_controller.forget removed with LB_OK");
    expect_ok(forget());
}

constexpr Check checks[] = {
    {"process.runs", "The command runs in reach of the build's folder, and a wait tells its end.",
     "lb_process_controller.launch, wait", runs},
    {"process.exit-code", "The exit code is the command's.", "lb_probe.exit_code", exit_code},
    {"process.environment", "What stands in lb_launch.env reaches the command unchanged.", "lb_launch.env", environment},
    {"process.alive-then-gone", "A probe tells what runs as alive, and what was stopped as gone.",
     "lb_process_controller.probe", alive},
    {"process.wait-cancel", "A wait that is cancelled returns.", "lb_call.cancelled, cancel_fd", wait_cancel},
    {"process.token-is-enough", "A build outlives who launched it, and any process can find and stop it by its token.",
     "lb_process_controller.launch", token_is_enough},
    {"process.stop-ends-all", "LB_STOP_DONE: no process of the build is alive.", "lb_process_controller.stop", stop_ends_all},
    {"process.stop-again", "A stop of what has ended is LB_STOP_ALREADY.", "lb_process_controller.stop", stop_again},
    {"process.stop-by-uuid", "A stop with an empty token goes by the build's uuid.", "lb_process_controller.stop",
     stop_by_uuid},
    {"process.foreign-tokens", "What a token does not name for certain is not alive and not signalled.",
     "lb_process_controller.stop", foreign_tokens},
    {"process.own-signals", "The command starts with no signal blocked or ignored that the host blocks or ignores.",
     "lb_process_controller.launch", own_signals},
    {"process.held-and-forget", "What is held of a launch is told, and removed once the launch has ended, not before.",
     "lb_process_controller.held, forget", held_and_forget},
};

}  // namespace

std::span<const Check> process_checks() { return checks; }

}  // namespace litbuild::conformance
