// A status source, over builds that the kit lets it read; one that knows other builds has little to show here, which is said.
#include "checks.hpp"
#include "crowd.hpp"
#include "tour.hpp"

namespace litbuild::conformance {

using abi::OutgoingCall;
using namespace std::chrono_literals;

namespace {

struct Told : Answer {
    size_t count = 0;
    lb_status raw{};
    Status value;
    std::vector<uint32_t> step_states;
    std::vector<int32_t> parents;
};

class Source {
public:
    explicit Source(Context &context) : reader(context.folder()), instance(context, reader.get()) {}

    Told status(int64_t runid, const Call &call = {}) const
    {
        Told out;
        Collector<const lb_status *> each([&](const lb_status *status) {
            ++out.count;
            out.raw = abi::copy(status);
            out.value = abi::from_c(status);
            out.step_states.clear();
            out.parents.clear();
            abi::for_each(out.raw.steps, out.raw.step_count, [&](const lb_step &step) {
                out.step_states.push_back(step.state);
                out.parents.push_back(step.parent);
            });
        });
        const BuildName name{"contoso", runid};
        const lb_build raw = abi::to_c(name);
        const OutgoingCall outgoing(call);
        static_cast<Answer &>(out) =
            instance.call("status", to_string(name), &lb_status_source::status, outgoing.get(),
                          static_cast<const lb_build *>(&raw), each.receive, static_cast<void *>(&each));
        if (out.ok())
            expect(out.count == 1, out.what + ": returned LB_OK and called the receiver " + std::to_string(out.count) +
                                       " times; it calls it once");
        return out;
    }

    struct Events : Answer {
        std::vector<Event> value;
    };
    Events poll(int64_t runid, uint64_t cursor, const Call &call, const std::function<bool(const Event &)> &more = {}) const
    {
        Events out;
        struct Polling {
            std::vector<Event> &events;
            const std::function<bool(const Event &)> &more;
            bool enough = false, after_enough = false;
        } polling{out.value, more};
        const lb_event_fn receive = [](void *ctx, const lb_event *event) noexcept -> int {
            Polling &self = *static_cast<Polling *>(ctx);
            self.after_enough |= self.enough;
            self.events.push_back(abi::from_c(event));
            self.enough |= self.more && !self.more(self.events.back());
            return self.enough ? 1 : 0;
        };
        const BuildName name{"contoso", runid};
        const lb_build raw = abi::to_c(name);
        const OutgoingCall outgoing(call);
        static_cast<Answer &>(out) =
            instance.call("poll", to_string(name), &lb_status_source::poll, outgoing.get(), static_cast<const lb_build *>(&raw),
                          cursor, receive, static_cast<void *>(&polling));
        expect(!polling.after_enough,
               out.what + ": called the receiver again after that had returned non-zero, which means enough");
        return out;
    }

    /// Skips where it does not know the kit's builds.
    void need_kit_builds() const
    {
        const Told told = status(1);
        if (told.code == LB_NOT_FOUND || (told.ok() && told.raw.state == LB_STATE_UNKNOWN))
            skip("it does not read what the runner writes, and so knows no build of the kit's");
        expect_ok(told);
    }

    KitReader reader;
    Instance<lb_status_source> instance;
};

void expect_sound(const Told &told)
{
    const lb_status &raw = told.raw;
    const auto sound = [&](bool good, const std::string &why) { expect(good, told.what + ": " + why); };
    sound(raw.state <= LB_STATE_LOST, "state " + std::to_string(raw.state) + " is no LB_STATE_*");
    sound(raw.current_step >= -1 && (raw.current_step < 0 || static_cast<size_t>(raw.current_step) < raw.step_count),
          "current_step " + std::to_string(raw.current_step) + " is no index of its " + std::to_string(raw.step_count) +
              " steps, and not -1");
    sound(!(raw.progress > 1.0), "progress " + std::to_string(raw.progress) + " is above 1");
    sound(raw.started_ns == 0 || raw.ended_ns == 0 || raw.started_ns <= raw.ended_ns, "it ended before it started");
    for (const lb_str text : {raw.message, raw.error, raw.stopped_by, raw.reason, raw.detail})
        sound(text.size == 0 || (text.data && text.size < 1'000'000), "a text is a null pointer with a size, or absurdly long");
    sound(raw.detail.size == 0 || told.value.detail.starts_with("{"), "detail is no JSON object: " + quote(told.value.detail));
    for (size_t i = 0; i < told.parents.size(); ++i) {
        sound(told.step_states[i] <= LB_STATE_LOST,
              "step " + std::to_string(i) + " is in state " + std::to_string(told.step_states[i]));
        sound(told.parents[i] >= -1 && told.parents[i] < static_cast<int32_t>(i),
              "step " + std::to_string(i) + " is a part of step " + std::to_string(told.parents[i]) +
                  "; a part stands behind what it is a part of");
    }
}

void sound(Context &context)
{
    const Source source(context);
    for (int64_t runid = 1; runid <= 4; ++runid) {
        const Told told = source.status(runid);
        if (told.ok()) expect_sound(told);
        else expect_code(told, {LB_OK, LB_NOT_FOUND});
    }
}

void complete(Context &context)
{
    const Source source(context);
    source.need_kit_builds();
    const Told told = source.status(1);
    expect_ok(told);
    expect_same("state of a complete build", name(State::complete), name(told.value.state));
    expect(!told.value.steps.empty(), told.what + ": tells no steps, and the build has one");
    expect(told.raw.time_ns > 0, told.what + ": does not tell since when");
    const Told running = source.status(2);
    expect_ok(running);
    expect_same("state of a running build", name(State::running), name(running.value.state));
}

void no_word(Context &context)
{
    const Source source(context);
    source.need_kit_builds();
    const Told told = source.status(3);
    expect_ok(told);
    expect_same("state of a build without any word of it", name(State::unknown), name(told.value.state));
}

void unreadable(Context &context)
{
    Source source(context);
    source.need_kit_builds();
    source.reader.set(KitReader::Mode::broken);
    const Told told = source.status(1);
    expect(!told.ok(),
           told.what + ": is LB_OK (state " + name(told.value.state) +
               ") although the engine's reader said LB_UNAVAILABLE; what could not be read is an error, and nobody's state");
    expect_code(told, {LB_UNAVAILABLE, LB_TIMEOUT});
}

void events(Context &context)
{
    const Source source(context);
    source.need_kit_builds();
    const auto all = source.poll(1, 0, Call::within(5s));
    expect_ok(all);
    if (all.value.empty()) skip("it tells no events of a build that has some");
    uint64_t last = 0;
    for (const Event &event : all.value) {
        expect(event.cursor > last, all.what + ": an event has cursor " + std::to_string(event.cursor) + " behind one of " +
                                        std::to_string(last) + "; cursors grow, and start above 0");
        last = event.cursor;
        expect(!event.type.empty() && event.json.starts_with("{"),
               all.what + ": an event has no type, or its json is no object: " + quote(event.json));
    }
    expect_same("state of the last event of a complete build", name(State::complete), name(all.value.back().state));
    const auto rest = source.poll(1, all.value.front().cursor, Call::within(5s));
    expect_ok(rest);
    expect_same("number of events behind the first one's cursor", std::to_string(all.value.size() - 1),
                std::to_string(rest.value.size()));
    const auto none = source.poll(1, last, Call::within(100ms));
    expect_ok(none);
    expect(none.value.empty(), none.what + ": told an event behind the last one of a build that has ended");
    const Told status = source.status(1);
    expect_ok(status);
    if (status.raw.cursor != 0)
        expect_same("cursor of the status, and of the last event that it includes", std::to_string(last),
                    std::to_string(status.raw.cursor));
}

void poll_enough(Context &context)
{
    const Source source(context);
    source.need_kit_builds();
    const auto one = source.poll(1, 0, Call::within(5s), [](const Event &) { return false; });
    expect_ok(one);
}

void poll_deadline(Context &context)
{
    const Source source(context);
    source.need_kit_builds();
    const auto all = source.poll(2, 0, Call::within(5s));
    expect_ok(all);
    const auto none = source.poll(2, all.value.empty() ? 0 : all.value.back().cursor, Call::within(100ms));
    expect_same(none.what + ", where no event comes until the deadline", "LB_OK and none",
                described(none) + " and " + (none.value.empty() ? "none" : "some"));
}

void poll_cancel(Context &context)
{
    const Source source(context);
    source.need_kit_builds();
    const auto all = source.poll(2, 0, Call::within(5s));
    expect_ok(all);
    Canceller canceller;
    Call call;
    call.cancelled_by(canceller);
    const std::jthread cancelling = soon([&] { canceller.cancel(); });
    const auto none = source.poll(2, all.value.empty() ? 0 : all.value.back().cursor, call);
    expect_code(none, {LB_CANCELLED, LB_OK});
}

void poll_waits(Context &context)
{
    Source source(context);
    source.need_kit_builds();
    const auto all = source.poll(2, 0, Call::within(5s));
    expect_ok(all);
    if (all.value.empty()) skip("it tells no events of a build that has some");
    const std::jthread writing = soon([&] { source.reader.complete_running_build(); });
    const auto more = source.poll(2, all.value.back().cursor, Call::within(15s));
    expect_ok(more);
    expect(!more.value.empty(), more.what + ": did not tell an event that came while it waited");
}

constexpr Check checks[] = {
    {"status.sound", "A status makes sense in itself: states, steps, times.", "lb_status", sound},
    {"status.complete", "What the runner wrote is what is told.", "lb_status_source.status", complete},
    {"status.no-word", "A build without any word of its state is LB_STATE_UNKNOWN and LB_OK.", "lb_status_source.status",
     no_word},
    {"status.unreadable", "What cannot be read is an error, and no state.", "lb_reader.read", unreadable},
    {"status.events", "Events come oldest first, with cursors that grow, and those behind a cursor alone.",
     "lb_status_source.poll", events},
    {"status.poll-enough", "A receiver that returns non-zero ends a poll early, with LB_OK.", "lb_event_fn", poll_enough},
    {"status.poll-deadline", "Where no event comes a poll is LB_OK at its deadline.", "lb_status_source.poll", poll_deadline},
    {"status.poll-cancel", "A poll that is cancelled returns.", "lb_call.cancelled, cancel_fd", poll_cancel},
    {"status.poll-waits", "A poll tells what comes while it waits.", "lb_status_source.poll", poll_waits},
};

}  // namespace

std::span<const Check> status_checks() { return checks; }

}  // namespace litbuild::conformance
