#include "cluster.hpp"

#include <cctype>

#include <sys/wait.h>

#include <boost/json.hpp>

namespace slurm {

namespace json = boost::json;
using litbuild::Call;
using litbuild::Clock;
using litbuild::Code;
using litbuild::Error;

namespace {

/// Of Slurm's, in slurm_errno.h.
enum Number : int64_t {
    not_connected = 1001,
    no_socket = 1013,
    ctld_not_connected = 1800,
    ctld_back_off = 1804,
    invalid_partition = 2000,   // the first of those that say no
    access_denied = 2002,
    no_user = 2010,
    no_such_job = 2017,
    in_transition = 2020,
    already_done = 2021,
    in_standby = 2027,
    refusals_end = 3000,
    auth_begin = 6000,
    auth_end = 6100,
};

// How old may be what is told of many.
constexpr std::chrono::milliseconds fresh(1000);

class NoSuchJob {};
class AlreadyDone {};

// A year 2106 or later, and Slurm's own words for "none" and "no limit".
constexpr uint64_t least_special = 0xfffffffd;

uint64_t number(const json::object &from, const char *key)
{
    const json::value *found = from.if_contains(key);
    boost::system::error_code error;
    const int64_t value = found && found->is_number() ? found->to_number<int64_t>(error) : 0;
    if (error || value < 0 || static_cast<uint64_t>(value) >= least_special) return 0;
    return static_cast<uint64_t>(value);
}

/// Foreign text as a part of a sentence.
std::string text(const json::object &from, const char *key)
{
    constexpr size_t most = 300;
    const json::value *found = from.if_contains(key);
    if (!found || !found->is_string()) return {};
    std::string out(found->as_string().subview(0, most));
    const bool is_text = litbuild::is_utf8(found->as_string());
    for (char &c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || (!is_text && static_cast<unsigned char>(c) >= 0x80)) c = '?';
    while (!litbuild::is_utf8(out)) out.pop_back();   // cut within a character
    return out == "(null)" ? std::string() : out;
}

Job job_of(const json::object &from)
{
    Job out;
    out.id = number(from, "job_id");
    out.name = text(from, "name");
    out.state = text(from, "job_state");
    out.reason = text(from, "state_reason");
    if (out.reason == "None") out.reason.clear();
    out.description = text(from, "state_description");
    out.nodes = text(from, "nodes");
    out.host = text(from, "batch_host");
    out.partition = text(from, "partition");
    out.cluster = text(from, "cluster");
    out.comment = text(from, "comment");
    out.submitted = number(from, "submit_time");
    out.ended = number(from, "end_time");
    out.restarts = number(from, "restart_cnt");
    const auto status = static_cast<int>(number(from, "exit_code"));
    out.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    out.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    out.memory_mib = number(from, "memory_per_node");
    out.minutes = number(from, "time_limit");
    return out;
}

[[noreturn]] void fail(const std::string &object, const json::object &error)
{
    // slurmrestd writes it so, or, of a submission, so.
    const char *key = error.contains("error_number") ? "error_number" : "error_code";
    const auto code = static_cast<int64_t>(number(error, key));
    const std::string said = text(error, "error"), more = text(error, "description");
    const std::string sentence =
        said.empty() ? "Slurm's error " + std::to_string(code) + (more.empty() ? "" : ": " + more) : said;
    switch (code) {
    case no_such_job: throw NoSuchJob();
    case in_transition:
    case already_done: throw AlreadyDone();
    case not_connected:
    case no_socket:
    case ctld_not_connected:
    case ctld_back_off:
    case in_standby: throw NotReached(Code::unavailable, object + ": Slurm's controller is not to be reached: " + sentence);
    case access_denied:
    case no_user: throw Refusal(Code::denied, object + ": " + sentence);
    default: break;
    }
    if (code >= auth_begin && code < auth_end) throw Refusal(Code::denied, object + ": " + sentence);
    if (code >= invalid_partition && code < refusals_end) throw Refusal(Code::invalid, object + ": " + sentence);
    // Of the way there and back, such as an answer that broke off.
    throw Unreachable(Code::unavailable, object + ": Slurm's controller does not answer: " + sentence);
}

std::vector<Job> jobs_of(const std::string &object, const json::object &answer)
{
    std::vector<Job> out;
    const json::value *found = answer.if_contains("jobs");
    if (!found || !found->is_array())
        throw Unreachable(Code::unavailable, object + ": what answers is not Slurm: it tells no jobs");
    for (const json::value &each : found->as_array())
        if (each.is_object()) out.push_back(job_of(each.as_object()));
    return out;
}

}  // namespace

Cluster::Cluster(std::unique_ptr<Transport> transport, std::chrono::milliseconds patience)
    : transport_(std::move(transport)), patience_(patience)
{
}

json::object Cluster::ask(const Call &call, Verb verb, const std::string &target, const std::string &body) const
{
    call.check(object());
    std::string answer;
    try {
        answer = transport_->ask(call.at_most(patience_), verb, target, body);
    } catch (const Error &e) {
        // Its own patience, and not the caller's, is over.
        if (e.code() != Code::timeout || call.expired()) throw;
        throw Unreachable(Code::unavailable, object() + ": Slurm has not answered for " +
                                                 std::to_string(patience_.count() / 1000) + " s");
    }
    boost::system::error_code error;
    json::parse_options options;
    options.allow_invalid_utf8 = true;   // names of jobs are any bytes
    json::value out = json::parse(answer, error, {}, options);
    if (error || !out.is_object()) throw Unreachable(Code::unavailable, object() + ": its answer is not JSON");
    const json::value *errors = out.as_object().if_contains("errors");
    // A gateway before it has answers of its own.
    if (!errors || !errors->is_array()) throw Unreachable(Code::unavailable, object() + ": what answers is not Slurm");
    // A job that was taken although nothing can run it now: the error is only a hint, and the job's reason tells the same.
    if (number(out.as_object(), "job_id") > 0) return std::move(out.as_object());
    if (!errors->as_array().empty()) {
        const json::value &first = errors->as_array()[0];
        fail(object(), first.is_object() ? first.as_object() : json::object());
    }
    return std::move(out.as_object());
}

uint64_t Cluster::submit(const Call &call, const json::object &what) const
{
    try {
        const uint64_t id = number(ask(call, Verb::post, "/job/submit", json::serialize(what)), "job_id");
        if (id == 0) throw Unreachable(Code::unavailable, object() + ": its answer names no job");
        return id;
    } catch (const NoSuchJob &) {
    } catch (const AlreadyDone &) {
    }
    throw Unreachable(Code::unavailable, object() + ": its answer makes no sense");
}

std::optional<Job> Cluster::job(const Call &call, uint64_t id) const
{
    try {
        for (Job &each : jobs_of(object(), ask(call, Verb::get, "/job/" + std::to_string(id))))
            if (each.id == id) return std::move(each);
    } catch (const NoSuchJob &) {
    } catch (const AlreadyDone &) {
    }
    return std::nullopt;
}

std::vector<Job> Cluster::all(const Call &call) const
{
    try {
        const json::object answer = ask(call, Verb::get, "/jobs");
        std::vector<Job> out = jobs_of(object(), answer);
        // The program litbuild-slurm tells it in any case.
        const std::string name = out.empty() ? text(answer, "cluster") : out.front().cluster;
        const std::lock_guard guard(mutex_);
        if (!name.empty()) name_ = name;
        return out;
    } catch (const NoSuchJob &) {
    } catch (const AlreadyDone &) {
    }
    return {};
}

std::vector<Job> Cluster::named(const Call &call, const std::string &name) const
{
    std::vector<Job> out = all(call);
    std::erase_if(out, [&](const Job &job) { return job.name != name; });
    return out;
}

std::optional<Job> Cluster::seen(uint64_t id) const
{
    const auto found = seen_.find(id);
    return found != seen_.end() && Clock::now() - seen_at_ < fresh ? std::optional(found->second) : std::nullopt;
}

// Whether more than a few have come within a second.
bool Cluster::are_many()
{
    constexpr int few = 4;
    const Clock::time_point now = Clock::now();
    if (now - counted_from_ >= fresh) {
        counted_from_ = now;
        asked_ = 0;
    }
    return ++asked_ > few && now - seen_at_ >= fresh;
}

void Cluster::see_all(const Call &call, std::unique_lock<std::mutex> &guard)
{
    is_loading_ = true;
    const uint64_t changes = changes_;
    guard.unlock();
    std::map<uint64_t, Job> found;
    std::exception_ptr thrown;
    try {
        for (Job &each : all(call)) found.emplace(each.id, std::move(each));
    } catch (...) {
        thrown = std::current_exception();
    }
    guard.lock();
    is_loading_ = false;
    if (!thrown && changes == changes_) {
        seen_ = std::move(found);
        seen_at_ = Clock::now();
    }
    loaded_.notify_all();
    if (thrown) std::rethrow_exception(thrown);
}

std::optional<Job> Cluster::glance_now(const Call &call, uint64_t id)
{
    constexpr std::chrono::milliseconds look_for_cancel(50);
    std::unique_lock guard(mutex_);
    while (is_loading_ && !seen(id)) {
        loaded_.wait_for(guard, std::min<Clock::duration>(call.left(look_for_cancel), look_for_cancel));
        call.check(object());
        if (Clock::now() < away_until_) throw Unreachable(Code::unavailable, why_away_);
    }
    if (std::optional<Job> found = seen(id)) return found;
    if (are_many()) see_all(call, guard);
    if (std::optional<Job> found = seen(id)) return found;
    guard.unlock();
    return job(call, id);
}

std::optional<Job> Cluster::glance(const Call &call, uint64_t id)
{
    constexpr std::chrono::milliseconds pause(2000), short_call(1000);
    {
        const std::lock_guard guard(mutex_);
        if (Clock::now() < away_until_) throw Unreachable(Code::unavailable, why_away_);
    }
    const Clock::time_point begun = Clock::now();
    try {
        return glance_now(call, id);
    } catch (const Error &e) {
        const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
        // Whose own time was short says nothing of the controller.
        if (call.cancelled() || (e.code() != Code::unavailable && (e.code() != Code::timeout || time < short_call))) throw;
        const std::lock_guard guard(mutex_);
        away_until_ = Clock::now() + pause;
        why_away_ = e.code() == Code::unavailable
                        ? e.what()
                        : object() + ": Slurm's controller has not answered for " + std::to_string(time.count() / 1000) + " s";
        loaded_.notify_all();
        throw Unreachable(Code::unavailable, why_away_);
    }
}

bool Cluster::send(const Call &call, uint64_t id, Signal signal)
{
    bool is_done = false;
    try {
        (void)ask(call, Verb::remove, "/job/" + std::to_string(id) + (signal == Signal::look ? "?signal=TERM" : "?signal=KILL"));
        is_done = true;
    } catch (const NoSuchJob &) {
    } catch (const AlreadyDone &) {
    }
    forget_seen();
    return is_done;
}

void Cluster::forget_seen()
{
    const std::lock_guard guard(mutex_);
    seen_.clear();
    ++changes_;
}

bool Cluster::is_cut_off(const Call &call, const std::string &node) const
{
    json::object answer;
    try {
        answer = ask(call, Verb::get, "/node/" + node);
    } catch (const NoSuchJob &) {
    } catch (const AlreadyDone &) {
    } catch (const Refusal &) {
        return true;   // there is no such node any more
    }
    const json::value *nodes = answer.if_contains("nodes");
    if (!nodes || !nodes->is_array() || nodes->as_array().empty() || !nodes->as_array()[0].is_object()) return true;
    const json::object &one = nodes->as_array()[0].as_object();
    std::string state = text(one, "state");
    if (const json::value *flags = one.if_contains("state_flags"); flags && flags->is_array())
        for (const json::value &each : flags->as_array())
            if (each.is_string()) state += " " + std::string(each.as_string());
    for (char &c : state) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return state.find("DOWN") != std::string::npos || state.find("NOT_RESPONDING") != std::string::npos;
}

std::string Cluster::name(const Call &call) const
{
    {
        const std::lock_guard guard(mutex_);
        if (!name_.empty()) return name_;
    }
    (void)all(call);
    const std::lock_guard guard(mutex_);
    return name_;
}

}  // namespace slurm
