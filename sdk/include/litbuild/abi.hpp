// Between the C structs of <litbuild/plugin.h> and the C++ types of this SDK, for both sides of the edge. Plugin authors
// need only <litbuild/export.hpp>, which uses this.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <litbuild/process.hpp>
#include <litbuild/status.hpp>
#include <litbuild/store.hpp>

namespace litbuild::abi {

inline lb_str str(std::string_view text) noexcept { return {text.data(), text.size()}; }
inline std::string_view view(lb_str text) noexcept { return text.data ? std::string_view(text.data, text.size) : ""; }
inline std::string text(lb_str from) { return std::string(view(from)); }

/// Rule 1: what the author of `from` compiled, over zeroes.
template <class Struct>
Struct copy(const Struct *from) noexcept
{
    Struct out{};
    if (from) {
        const size_t size = std::min<size_t>(from->struct_size, sizeof(Struct));
        if (size > 0) std::memcpy(static_cast<void *>(&out), from, size);
    }
    return out;
}

/// Rule 1 for arrays: each element is as large as the first one says.
template <class Struct, class Each>
void for_each(const Struct *first, size_t count, Each each)
{
    if (!first || count == 0) return;
    const size_t stride = first->struct_size;
    const char *at = reinterpret_cast<const char *>(first);
    for (size_t i = 0; i < count; ++i, at += stride) each(copy(reinterpret_cast<const Struct *>(at)));
}

template <class Struct>
constexpr Struct sized() noexcept
{
    Struct out{};
    out.struct_size = sizeof(Struct);
    return out;
}

/// Fills a caller-owned error as far as its author knew it; cuts at a character's edge.
inline void fill(lb_error *error, const char *message, int os_errno) noexcept
{
    constexpr size_t head = offsetof(lb_error, message);
    if (!error || error->struct_size < head) return;
    error->os_errno = os_errno;
    const size_t room = std::min<size_t>(error->struct_size, sizeof(lb_error)) - head;
    if (room == 0) return;
    size_t size = std::min(std::strlen(message), room - 1);
    if (message[size] != 0)
        while (size > 0 && (static_cast<unsigned char>(message[size]) & 0xc0) == 0x80) --size;
    std::memcpy(error->message, message, size);
    error->message[size] = 0;
}

inline int32_t fail(lb_error *error, Code code, const char *message, int os_errno = 0) noexcept
{
    fill(error, message, os_errno);
    return static_cast<int32_t>(code);
}

/// The only place where an exception of the inside meets the edge.
template <class Body>
int32_t guard(lb_error *error, Body body) noexcept
{
    try {
        body();
        return LB_OK;
    } catch (const Error &e) {
        return fail(error, e.code(), e.what(), e.os_errno());
    } catch (const std::bad_alloc &) {
        return fail(error, Code::unavailable, "memory: none left", ENOMEM);
    } catch (const std::system_error &e) {
        return fail(error, code_of_errno(e.code().value()), e.what(), e.code().value());
    } catch (const std::exception &e) {
        return fail(error, Code::internal, e.what());
    } catch (...) {
        return fail(error, Code::internal, "plugin: an exception of unknown type");
    }
}

/// The other way: turns a code into the exception.
inline void raise(int32_t code, const lb_error &error, const std::string &object)
{
    if (code == LB_OK) return;
    const bool known = code > LB_OK && code <= LB_REFUSED;
    std::string sentence(error.message, ::strnlen(error.message, sizeof error.message));
    if (sentence.empty()) sentence = object + ": " + (known ? name(static_cast<Code>(code)) : "unknown error code");
    throw Error(known ? static_cast<Code>(code) : Code::internal, sentence, error.os_errno);
}

/// A receiver across the edge: pass `receive` and the object's address. An exception of its body waits until the call is
/// back home, where rethrow() lets it go on. A body that had enough is not called again, whatever the plugin does.
template <class... Args>
class Receiver {
public:
    explicit Receiver(std::function<bool(Args...)> body) : body_(std::move(body)) {}
    static int receive(void *ctx, Args... args) noexcept
    {
        Receiver &self = *static_cast<Receiver *>(ctx);
        if (self.enough_) return 1;
        try {
            self.enough_ = !self.body_(args...);
        } catch (...) {
            self.caught_ = std::current_exception();
            self.enough_ = true;
        }
        return self.enough_ ? 1 : 0;
    }
    bool enough() const noexcept { return enough_; }
    void rethrow() const
    {
        if (caught_) std::rethrow_exception(caught_);
    }

private:
    std::function<bool(Args...)> body_;
    std::exception_ptr caught_;
    bool enough_ = false;
};

/// A call, as the other side sees it. Lives as long as the call.
class OutgoingCall {
public:
    explicit OutgoingCall(const Call &source) noexcept : source_(&source)
    {
        raw_.struct_size = sizeof raw_;
        raw_.cancel_fd = source.cancel_fd();
        if (source.has_deadline())
            raw_.deadline_ns = std::max<int64_t>(
                1, std::chrono::nanoseconds(source.deadline().time_since_epoch()).count());
        raw_.cancelled = [](const lb_call *call) noexcept -> int {
            // `raw_` is the first member of a standard-layout class.
            return reinterpret_cast<const OutgoingCall *>(call)->source_->cancelled() ? 1 : 0;
        };
        raw_.progress = [](const lb_call *call, uint64_t done, uint64_t total) noexcept {
            reinterpret_cast<const OutgoingCall *>(call)->source_->tell(done, total);
        };
    }
    const lb_call *get() const noexcept { return &raw_; }

private:
    lb_call raw_{};
    const Call *source_;
};

// ---------------------------------------------------------------------------------------------------- values

inline lb_build to_c(const BuildName &build) noexcept
{
    lb_build out = sized<lb_build>();
    out.team = str(build.team);
    out.runid = build.runid;
    return out;
}
inline BuildName from_c(const lb_build *from)
{
    const lb_build raw = copy(from);
    return {text(raw.team), raw.runid};
}

inline lb_entry to_c(const Entry &entry) noexcept
{
    lb_entry out = sized<lb_entry>();
    out.scope = entry.archived ? LB_ARCHIVED : LB_LIVE;
    out.runid = entry.runid;
    out.path = str(entry.path);
    return out;
}
inline Entry from_c(const lb_entry &raw) { return {raw.runid, raw.scope == LB_ARCHIVED, text(raw.path)}; }

/// `files` holds what the result points to.
inline lb_new_build to_c(const NewBuild &build, std::vector<lb_file> &files)
{
    files.clear();
    for (const auto &[name, content] : build.files) {
        lb_file file = sized<lb_file>();
        file.name = str(name);
        file.content = str(content);
        files.push_back(file);
    }
    lb_new_build out = sized<lb_new_build>();
    out.team = str(build.team);
    out.uuid = str(build.uuid);
    out.document = str(build.document);
    out.files = files.data();
    out.file_count = files.size();
    return out;
}

inline lb_finding to_c(const Finding &finding) noexcept
{
    lb_finding out = sized<lb_finding>();
    out.state = static_cast<uint32_t>(finding.state);
    out.runid = finding.runid;
    out.kind = str(finding.kind);
    out.text = str(finding.text);
    out.action = str(finding.action);
    return out;
}
inline Finding from_c(const lb_finding *from)
{
    const lb_finding raw = copy(from);
    // What an engine does not know is not called repaired.
    const bool known = raw.state >= LB_FOUND_REPAIRED && raw.state <= LB_FOUND_LEFT;
    return {known ? static_cast<Finding::State>(raw.state) : Finding::State::left, raw.runid, text(raw.kind),
            text(raw.text), text(raw.action)};
}

inline lb_change to_c(const Change &change) noexcept
{
    lb_change out = sized<lb_change>();
    out.kind = static_cast<uint32_t>(change.kind);
    out.runid = change.runid;
    out.delay_ms = static_cast<uint32_t>(std::clamp<int64_t>(change.delay.count(), 0, UINT32_MAX));
    return out;
}
/// None: a kind that is not known here, or one that names no build.
inline std::optional<Change> from_c(const lb_change *from)
{
    const lb_change raw = copy(from);
    if (raw.kind < LB_CHANGE_WATCHING || raw.kind > LB_CHANGE_REMOVED) return std::nullopt;
    if (raw.kind != LB_CHANGE_WATCHING && raw.runid < 1) return std::nullopt;
    return Change{static_cast<Change::Kind>(raw.kind), raw.runid, std::chrono::milliseconds(raw.delay_ms)};
}

inline std::vector<lb_str> to_c(std::span<const std::string> words)
{
    std::vector<lb_str> out;
    for (const std::string &word : words) out.push_back(str(word));
    return out;
}
inline std::vector<std::string> from_c(const lb_str *words, size_t count)
{
    std::vector<std::string> out;
    for (size_t i = 0; i < count; ++i) out.push_back(text(words[i]));
    return out;
}

inline std::optional<int> exit_of(int32_t code) noexcept
{
    return code == LB_NO_EXIT ? std::nullopt : std::optional<int>(code);
}
inline std::optional<double> progress_of(double value) noexcept
{
    if (value >= 0.0 && value <= 1.0) return value;
    return std::nullopt;
}
inline State state_of(uint32_t value) noexcept
{
    return value <= LB_STATE_LOST ? static_cast<State>(value) : State::unknown;
}

inline std::chrono::milliseconds milliseconds_of(uint64_t value) noexcept
{
    return std::min(std::chrono::milliseconds(static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX))), longest_duration);
}

inline lb_step to_c(const Step &step) noexcept
{
    lb_step out = sized<lb_step>();
    out.state = static_cast<uint32_t>(step.state);
    out.name = str(step.name);
    out.parent = step.parent;
    out.exit_code = step.exit_code.value_or(LB_NO_EXIT);
    out.signal = step.signal;
    out.started_ns = step.started;
    out.ended_ns = step.ended;
    out.progress = step.progress.value_or(-1.0);
    return out;
}
inline Step from_c(const lb_step &raw)
{
    return {text(raw.name), state_of(raw.state), raw.parent,   exit_of(raw.exit_code),
            raw.signal,     raw.started_ns,      raw.ended_ns, progress_of(raw.progress)};
}

/// `steps` holds what the result points to.
inline lb_status to_c(const Status &status, std::vector<lb_step> &steps)
{
    steps.clear();
    for (const Step &step : status.steps) steps.push_back(to_c(step));
    lb_status out = sized<lb_status>();
    out.state = static_cast<uint32_t>(status.state);
    out.time_ns = status.time;
    out.created_ns = status.created;
    out.started_ns = status.started;
    out.ended_ns = status.ended;
    out.cursor = status.cursor;
    out.current_step = status.current_step ? static_cast<int32_t>(*status.current_step) : -1;
    out.exit_code = status.exit_code.value_or(LB_NO_EXIT);
    out.signal = status.signal;
    out.progress = status.progress.value_or(-1.0);
    out.message = str(status.message);
    out.error = str(status.error);
    out.stopped_by = str(status.stopped_by);
    out.reason = str(status.reason);
    out.steps = steps.data();
    out.step_count = steps.size();
    out.detail = str(status.detail);
    out.as_of_ms = static_cast<uint64_t>(std::max<int64_t>(status.as_of.count(), 0));
    return out;
}
inline Status from_c(const lb_status *from)
{
    const lb_status raw = copy(from);
    Status out;
    out.state = state_of(raw.state);
    out.time = raw.time_ns;
    out.created = raw.created_ns;
    out.started = raw.started_ns;
    out.ended = raw.ended_ns;
    out.cursor = raw.cursor;
    for_each(raw.steps, raw.step_count, [&](const lb_step &step) { out.steps.push_back(from_c(step)); });
    if (raw.current_step >= 0 && static_cast<size_t>(raw.current_step) < out.steps.size())
        out.current_step = static_cast<size_t>(raw.current_step);
    out.exit_code = exit_of(raw.exit_code);
    out.signal = raw.signal;
    out.progress = progress_of(raw.progress);
    out.message = text(raw.message);
    out.error = text(raw.error);
    out.stopped_by = text(raw.stopped_by);
    out.reason = text(raw.reason);
    out.detail = text(raw.detail);
    out.as_of = milliseconds_of(raw.as_of_ms);
    return out;
}

inline lb_event to_c(const Event &event) noexcept
{
    lb_event out = sized<lb_event>();
    out.state = static_cast<uint32_t>(event.state);
    out.cursor = event.cursor;
    out.time_ns = event.time;
    out.type = str(event.type);
    out.json = str(event.json);
    return out;
}
inline Event from_c(const lb_event *from)
{
    const lb_event raw = copy(from);
    return {raw.cursor, raw.time_ns, state_of(raw.state), text(raw.type), text(raw.json)};
}

/// `argv` and `env` hold what the result points to.
inline lb_launch to_c(const LaunchSpec &spec, std::vector<lb_str> &argv, std::vector<lb_str> &env)
{
    argv = to_c(spec.command);
    env = to_c(spec.environment);
    lb_launch out = sized<lb_launch>();
    out.team = str(spec.build.team);
    out.runid = spec.build.runid;
    out.uuid = str(spec.uuid);
    out.folder = str(spec.folder);
    out.argv = argv.data();
    out.argv_count = argv.size();
    out.env = env.data();
    out.env_count = env.size();
    out.limits = str(spec.limits);
    out.options = str(spec.options);
    return out;
}

inline lb_probe to_c(const Probe &probe) noexcept
{
    lb_probe out = sized<lb_probe>();
    out.life = static_cast<uint32_t>(probe.life);
    out.exit_code = probe.exit_code.value_or(LB_NO_EXIT);
    out.signal = probe.signal;
    out.evidence = str(probe.evidence);
    out.left_overs = probe.left_overs;
    return out;
}
inline Life life_of(uint32_t life) noexcept
{
    return life <= LB_LIFE_GONE ? static_cast<Life>(life) : Life::unknown;
}
inline Probe from_c(const lb_probe *from)
{
    const lb_probe raw = copy(from);
    return {life_of(raw.life), exit_of(raw.exit_code), raw.signal, text(raw.evidence), raw.left_overs};
}

inline std::vector<lb_stop_step> to_c(std::span<const StopStep> plan)
{
    std::vector<lb_stop_step> out;
    for (const StopStep &step : plan) {
        lb_stop_step raw = sized<lb_stop_step>();
        raw.signal = step.signal;
        raw.grace_ns = step.grace.count();
        out.push_back(raw);
    }
    return out;
}
inline StopPlan from_c(const lb_stop_step *plan, size_t count)
{
    StopPlan out;
    for_each(plan, count, [&](const lb_stop_step &raw) {
        out.push_back({raw.signal, std::chrono::nanoseconds(raw.grace_ns)});
    });
    return out;
}

/// `survivors` holds what the result points to.
inline lb_stop_report to_c(const StopReport &report, std::vector<lb_process_info> &survivors)
{
    survivors.clear();
    for (const ProcessInfo &info : report.survivors) {
        lb_process_info raw = sized<lb_process_info>();
        raw.state = static_cast<uint32_t>(static_cast<unsigned char>(info.state));
        raw.pid = info.pid;
        raw.command = str(info.command);
        raw.where = str(info.where);
        raw.doubt = str(info.doubt);
        survivors.push_back(raw);
    }
    lb_stop_report out = sized<lb_stop_report>();
    out.outcome = static_cast<uint32_t>(report.outcome);
    out.killed = report.killed;
    out.took_ns = report.took.count();
    out.mechanism = str(report.mechanism);
    out.survivors = survivors.data();
    out.survivor_count = survivors.size();
    return out;
}
inline StopReport from_c(const lb_stop_report *from)
{
    const lb_stop_report raw = copy(from);
    StopReport out;
    // What an engine does not know is not called done.
    out.outcome = raw.outcome >= LB_STOP_DONE && raw.outcome <= LB_STOP_INCOMPLETE
                      ? static_cast<StopOutcome>(raw.outcome)
                      : StopOutcome::incomplete;
    out.killed = raw.killed;
    out.took = std::chrono::nanoseconds(raw.took_ns);
    out.mechanism = text(raw.mechanism);
    for_each(raw.survivors, raw.survivor_count, [&](const lb_process_info &info) {
        out.survivors.push_back({info.pid, static_cast<char>(info.state), text(info.command), text(info.where),
                                 text(info.doubt)});
    });
    return out;
}

inline lb_held to_c(const Held &held) noexcept
{
    lb_held out = sized<lb_held>();
    out.life = static_cast<uint32_t>(held.life);
    out.team = str(held.build.team);
    out.runid = held.build.runid;
    out.uuid = str(held.uuid);
    out.token = str(held.token);
    out.text = str(held.text);
    out.action = str(held.action);
    out.due = held.due ? 1u : 0u;
    return out;
}
inline Held from_c(const lb_held *from)
{
    const lb_held raw = copy(from);
    return {{text(raw.team), raw.runid}, text(raw.uuid), text(raw.token), life_of(raw.life), text(raw.text), text(raw.action),
            raw.due == 1};
}

}  // namespace litbuild::abi
