// The engine in C: each function is the C++ one of its name between two conversions.
#include <litbuild/litbuild.h>

#include <poll.h>

#include <litbuild/abi.hpp>
#include <litbuild/engine.hpp>

using namespace litbuild;
using namespace litbuild::abi;

struct litbuild_engine {
    Engine engine;
};

struct litbuild_canceller {
    Canceller canceller;
};

namespace {

/// A canceller's descriptor is readable once it has cancelled.
int is_cancelled(const lb_call *call) noexcept
{
    pollfd wait{call->cancel_fd, POLLIN, 0};
    return call->cancel_fd >= 0 && ::poll(&wait, 1, 0) > 0 ? 1 : 0;
}

Config config_of(const litbuild_config *given)
{
    const litbuild_config raw = copy(given);
    Config out = Config::from_json(raw.json.size == 0 ? std::string_view("{}") : view(raw.json));
    if (raw.log)
        out.log = [log = raw.log, ctx = raw.log_ctx](int level, std::string_view line) { log(ctx, level, str(line)); };
    if (raw.plugins) out.linked.assign(raw.plugins, raw.plugins + raw.plugin_count);
    return out;
}

Filter filter_of(const litbuild_filter *given)
{
    const litbuild_filter raw = copy(given);
    Filter out{.since = raw.since, .limit = raw.limit, .before = raw.before};
    if (raw.scope > LB_ALL) throw Error(Code::invalid, "filter: " + std::to_string(raw.scope) + " is not a scope");
    if (raw.scope != 0) out.scope = static_cast<Scope>(raw.scope);
    if (raw.tag.size != 0) out.tag = text(raw.tag);
    if (raw.state.size != 0) {
        out.state = parse_state(view(raw.state));
        if (!out.state) throw Error(Code::invalid, "filter: " + quote(text(raw.state)) + " is not a state");
    }
    return out;
}

StopOptions stop_options_of(const litbuild_stop_options *given)
{
    StopOptions out;
    if (!given) return out;
    const litbuild_stop_options raw = copy(given);
    if (raw.grace_ms > longest_duration.count())
        throw Error(Code::invalid, "stop: a grace of " + std::to_string(raw.grace_ms) + " ms is too long");
    if (raw.grace_ms >= 0) out.grace = std::chrono::milliseconds(raw.grace_ms);
    out.by = text(raw.by);
    out.reason = text(raw.reason);
    return out;
}

Build build_of(const litbuild_engine *engine, const lb_build *build)
{
    const BuildName name = from_c(build);
    return engine->engine.build(name.team, name.runid);
}

int32_t outcome_of(StopResult::Outcome outcome) noexcept
{
    switch (outcome) {
    case StopResult::Outcome::stopped: return LITBUILD_STOPPED;
    case StopResult::Outcome::already_finished: return LITBUILD_ALREADY_FINISHED;
    case StopResult::Outcome::requested: return LITBUILD_REQUESTED;
    case StopResult::Outcome::incomplete: return LITBUILD_INCOMPLETE;
    }
    return LITBUILD_INCOMPLETE;
}

bool tell(const std::string &value, lb_text_fn receive, void *ctx) { return !receive || receive(ctx, str(value)) == 0; }

bool tell(const Status &status, lb_status_fn receive, void *ctx)
{
    std::vector<lb_step> steps;
    const lb_status raw = to_c(status, steps);
    return !receive || receive(ctx, &raw) == 0;
}

bool tell(const Summary &summary, litbuild_summary_fn receive, void *ctx)
{
    const std::string path = summary.path.string();
    const std::string json = to_json(summary);
    const std::vector<lb_str> tags = to_c(summary.tags);
    std::vector<lb_step> steps;
    const lb_status status = to_c(summary.status, steps);
    const lb_build build = to_c(summary.name);
    litbuild_summary out = sized<litbuild_summary>();
    out.scope = summary.archived ? LB_ARCHIVED : LB_LIVE;
    out.build = &build;
    out.path = str(path);
    out.tags = tags.data();
    out.tag_count = tags.size();
    out.status = &status;
    out.json = str(json);
    return !receive || receive(ctx, &out) == 0;
}

void tell_all(const std::vector<std::string> &words, lb_text_fn receive, void *ctx)
{
    for (const std::string &word : words)
        if (!tell(word, receive, ctx)) return;
}

}  // namespace

extern "C" {

const char *litbuild_version(void) { return LITBUILD_VERSION; }

int64_t litbuild_now_ns(void) { return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count(); }

litbuild_canceller *litbuild_canceller_new(void)
{
    try {
        return new litbuild_canceller;
    } catch (...) {
        return nullptr;
    }
}

void litbuild_cancel(litbuild_canceller *canceller)
{
    if (canceller) canceller->canceller.cancel();
}

void litbuild_canceller_free(litbuild_canceller *canceller) { delete canceller; }

void litbuild_call_init(lb_call *call, litbuild_canceller *canceller, uint64_t timeout_ms)
{
    lb_call out = sized<lb_call>();
    out.cancel_fd = canceller ? canceller->canceller.fd() : -1;
    out.cancelled = is_cancelled;
    const auto longest = static_cast<uint64_t>(longest_duration.count());
    if (timeout_ms > 0) out.deadline_ns = litbuild_now_ns() + static_cast<int64_t>(std::min(timeout_ms, longest)) * 1'000'000;
    const uint32_t known = call->struct_size;
    std::memcpy(static_cast<void *>(call), &out, std::min<size_t>(known, sizeof out));
    call->struct_size = known;
}

int32_t litbuild_open(const litbuild_config *config, litbuild_engine **engine, lb_error *error)
{
    *engine = nullptr;
    return guard(error, [&] { *engine = new litbuild_engine{Engine(config_of(config))}; });
}

void litbuild_close(litbuild_engine *engine) { delete engine; }

int32_t litbuild_teams(const litbuild_engine *engine, const lb_call *call, lb_text_fn receive, void *ctx, lb_error *error)
{
    return guard(error, [&] { tell_all(engine->engine.teams(Call(call)), receive, ctx); });
}

int32_t litbuild_list(const litbuild_engine *engine, const lb_call *call, lb_str team, const litbuild_filter *filter,
                      litbuild_summary_fn receive, void *ctx, lb_error *error)
{
    return guard(error, [&] {
        const Listed listed = engine->engine.list(text(team), filter_of(filter),
                                                  [&](const Row &row) { return tell(row.summary(), receive, ctx); }, Call(call));
        if (!listed.complete) throw Error(Code::timeout, listed.why);
    });
}

int32_t litbuild_launch(const litbuild_engine *engine, const lb_call *call, lb_str team, lb_str spec, int64_t *runid,
                        lb_error *error)
{
    return guard(error, [&] { *runid = engine->engine.launch(text(team), view(spec), Call(call)).runid(); });
}

int32_t litbuild_watch(const litbuild_engine *engine, const lb_call *call, lb_str team, litbuild_change_fn receive, void *ctx,
                       lb_error *error)
{
    return guard(error, [&] {
        engine->engine.watch(text(team), [&](const BuildChange &change) {
            std::vector<lb_step> steps;
            lb_status status{};
            const lb_build build = to_c(change.build);
            litbuild_change out = sized<litbuild_change>();
            out.kind = static_cast<uint32_t>(change.kind);
            out.build = &build;
            out.delay_ms = static_cast<uint32_t>(change.delay.count());
            if (change.status) {
                status = to_c(*change.status, steps);
                out.status = &status;
            }
            return receive && receive(ctx, &out) == 0;
        }, Call(call));
    });
}

int32_t litbuild_examine(const litbuild_engine *engine, const lb_call *call, lb_str team, uint32_t repair,
                         lb_finding_fn receive, void *ctx, lb_error *error)
{
    return guard(error, [&] {
        if (team.size == 0) throw Error(Code::invalid, "examine: no team is named");
        const Repair how = repair == LB_REPAIR_YES ? Repair::yes : Repair::no;
        for (const TeamFinding &each : engine->engine.examine(text(team), how, Call(call))) {
            const lb_finding raw = to_c(each.found);
            if (receive && receive(ctx, &raw) != 0) return;
        }
    });
}

int32_t litbuild_summarize(const litbuild_engine *engine, const lb_call *call, const lb_build *build,
                           litbuild_summary_fn receive, void *ctx, lb_error *error)
{
    return guard(error, [&] { tell(build_of(engine, build).summary(Call(call)), receive, ctx); });
}

int32_t litbuild_path(const litbuild_engine *engine, const lb_call *call, const lb_build *build, lb_text_fn receive, void *ctx,
                      lb_error *error)
{
    return guard(error, [&] { tell(build_of(engine, build).path(Call(call)).string(), receive, ctx); });
}

int32_t litbuild_get_status(const litbuild_engine *engine, const lb_call *call, const lb_build *build, lb_status_fn receive,
                            void *ctx, lb_error *error)
{
    return guard(error, [&] { tell(build_of(engine, build).get_status(Call(call)), receive, ctx); });
}

int32_t litbuild_tags(const litbuild_engine *engine, const lb_call *call, const lb_build *build, lb_text_fn receive, void *ctx,
                      lb_error *error)
{
    return guard(error, [&] { tell_all(build_of(engine, build).tags(Call(call)), receive, ctx); });
}

int32_t litbuild_edit_tags(const litbuild_engine *engine, const lb_call *call, const lb_build *build, const lb_str *add,
                           size_t add_count, const lb_str *remove, size_t remove_count, lb_text_fn receive, void *ctx,
                           lb_error *error)
{
    return guard(error, [&] {
        const std::vector<std::string> added = from_c(add, add_count);
        const std::vector<std::string> removed = from_c(remove, remove_count);
        tell_all(build_of(engine, build).edit_tags(added, removed, Call(call)), receive, ctx);
    });
}

int32_t litbuild_archive(const litbuild_engine *engine, const lb_call *call, const lb_build *build, lb_text_fn receive,
                         void *ctx, lb_error *error)
{
    return guard(error, [&] { tell(build_of(engine, build).archive(Call(call)).string(), receive, ctx); });
}

int32_t litbuild_restore(const litbuild_engine *engine, const lb_call *call, const lb_build *build, lb_text_fn receive,
                         void *ctx, lb_error *error)
{
    return guard(error, [&] { tell(build_of(engine, build).restore(Call(call)).string(), receive, ctx); });
}

int32_t litbuild_remove(const litbuild_engine *engine, const lb_call *call, const lb_build *build, lb_error *error)
{
    return guard(error, [&] { build_of(engine, build).remove(Call(call)); });
}

int32_t litbuild_stop(const litbuild_engine *engine, const lb_call *call, const lb_build *build,
                      const litbuild_stop_options *options, litbuild_stop_fn receive, void *ctx, lb_error *error)
{
    return guard(error, [&] {
        const StopResult result = build_of(engine, build).stop(stop_options_of(options), Call(call));
        std::vector<lb_process_info> survivors;
        const lb_stop_report report = to_c(result.report, survivors);
        litbuild_stop_result out = sized<litbuild_stop_result>();
        out.outcome = static_cast<uint32_t>(outcome_of(result.outcome));
        out.message = str(result.message);
        out.report = &report;
        if (receive) receive(ctx, &out);
    });
}

int32_t litbuild_wait(const litbuild_engine *engine, const lb_call *call, const lb_build *build, lb_status_fn receive,
                      void *ctx, lb_error *error)
{
    return guard(error, [&] { tell(build_of(engine, build).wait(Call(call)), receive, ctx); });
}

int32_t litbuild_follow(const litbuild_engine *engine, const lb_call *call, const lb_build *build, uint64_t offset,
                        lb_text_fn receive, void *ctx, uint64_t *end, lb_error *error)
{
    return guard(error, [&] {
        const uint64_t reached = build_of(engine, build).follow([&](std::string_view piece) {
            return !receive || receive(ctx, str(piece)) == 0;
        }, Call(call), offset);
        if (end) *end = reached;
    });
}

int32_t litbuild_events(const litbuild_engine *engine, const lb_call *call, const lb_build *build, uint64_t cursor,
                        lb_event_fn receive, void *ctx, lb_error *error)
{
    return guard(error, [&] {
        for (const Event &event : build_of(engine, build).events(cursor, Call(call))) {
            const lb_event raw = to_c(event);
            if (receive && receive(ctx, &raw) != 0) return;
        }
    });
}

int32_t litbuild_read(const litbuild_engine *engine, const lb_call *call, const lb_build *build, lb_str file, uint64_t offset,
                      uint64_t max, lb_text_fn receive, void *ctx, lb_error *error)
{
    return guard(error, [&] {
        build_of(engine, build).read(view(file), [&](std::string_view piece) {
            return !receive || receive(ctx, str(piece)) == 0;
        }, offset, max, Call(call));
    });
}

}  // extern "C"
