// What is done to several builds of a team, one result for each.
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_set>

#include "bulk.hpp"
#include "listing.hpp"

namespace litbuild {

using detail::Core;
using Runs = Selection::Runs;

namespace {

constexpr size_t stops_at_once = 16;

bool contains(const Runs &runs, int64_t runid)
{
    return runs.last == 0 ? runid == runs.first : runs.first <= runid && runid <= runs.last;
}

std::string text(const Runs &runs)
{
    return std::to_string(runs.first) + (runs.last == 0 ? "" : "-" + std::to_string(runs.last));
}

void check(const std::string &team, const Selection &which)
{
    check_team(team);
    if (which.runs.empty() && !which.filter) throw Error(Code::invalid, team + ": no builds are named");
    for (const Runs &runs : which.runs) {
        if (runs.first < 1 || runs.last < 0)
            throw Error(Code::invalid, team + ": " + text(runs) + " names no run ids; a run id is a whole number above 0");
        if (runs.last != 0 && runs.last < runs.first)
            throw Error(Code::invalid, team + ": " + text(runs) + " ends before it starts");
    }
}

/// The run ids that the filter lets pass, the newest first.
std::vector<int64_t> filtered(const Core &core, const std::string &team, const Selection &which, const Call &call)
{
    std::vector<int64_t> out;
    detail::RunidTest among;
    if (!which.runs.empty())
        among = [&](int64_t runid) {
            return std::any_of(which.runs.begin(), which.runs.end(), [&](const Runs &runs) { return contains(runs, runid); });
        };
    detail::for_each_build(core, team, *which.filter, call, detail::Reads::needed, among,
                           [&](const Summary &summary) { out.push_back(summary.name.runid); });
    return out;
}

/// The run ids that are selected, in order. However wide a range is, only what is there is looked at.
std::vector<int64_t> selected(const Core &core, const std::string &team, const Selection &which, const Call &call)
{
    check(team, which);
    std::vector<int64_t> passing;
    if (which.filter) passing = filtered(core, team, which, call);
    if (which.runs.empty()) return passing;

    std::vector<int64_t> all;
    core.store->list(core.bounded(call), {team, Scope::all, 0, 0}, [&](const Entry &entry) {
        all.push_back(entry.runid);
        return true;
    });
    std::reverse(all.begin(), all.end());
    const std::unordered_set<int64_t> pass(passing.begin(), passing.end());
    std::unordered_set<int64_t> taken;
    std::vector<int64_t> out;
    bool any = false;
    for (const Runs &runs : which.runs) {
        auto at = std::lower_bound(all.begin(), all.end(), runs.first);
        if (runs.last == 0) {
            const bool there = at != all.end() && *at == runs.first;
            any = true;
            // One that is not there is for the action to find out, and to say so.
            if (there && which.filter && !pass.contains(runs.first)) continue;
            if (taken.insert(runs.first).second) out.push_back(runs.first);
            continue;
        }
        for (; at != all.end() && *at <= runs.last; ++at) {
            any = true;
            if (which.filter && !pass.contains(*at)) continue;
            if (taken.insert(*at).second) out.push_back(*at);
        }
    }
    if (any) return out;
    std::string ranges;
    for (const Runs &runs : which.runs) ranges += (ranges.empty() ? "" : ", ") + text(runs);
    throw Error(Code::not_found, team + ": no build in " + ranges);
}

Selection within(const Selection &which, Scope scope)
{
    Selection out = which;
    if (out.filter) out.filter->scope = scope;
    return out;
}

}  // namespace

namespace detail {

bool run_one(BulkResult &result, const Call &call, const std::function<void()> &action)
{
    if (call.cancelled()) return false;
    const std::string object = to_string(result.build);
    if (call.expired()) {
        result.error = Error(Code::timeout, object + ": not begun; the deadline has passed");
        return true;
    }
    try {
        action();
    } catch (const Error &e) {
        if (e.code() == Code::cancelled && call.cancelled()) return false;
        result.error = e;
    }
    return true;
}

Error cancelled(const std::string &team, size_t done, size_t of)
{
    return Error(Code::cancelled, team + ": cancelled; " + std::to_string(done) + " of " + std::to_string(of) +
                                      (of == 1 ? " build" : " builds") + " had been done");
}

}  // namespace detail

namespace {

/// Signals are for the threads of the host.
class SignalsBlocked {
public:
    SignalsBlocked()
    {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked &) = delete;
    SignalsBlocked &operator=(const SignalsBlocked &) = delete;

private:
    sigset_t before_;
};

/// Runs an action on each build, several at a time, and gives the results in order.
class Crew {
public:
    using Action = std::function<void(BulkResult &)>;

    Crew(std::vector<BulkResult> &results, const Call &call, const Action &action)
        : results_(results), count_(results.size()), done_(count_, Done::no), call_(call), action_(action)
    {
    }
    ~Crew() { dismiss(); }
    Crew(const Crew &) = delete;
    Crew &operator=(const Crew &) = delete;

    void hire(size_t count)
    {
        const SignalsBlocked blocked;
        try {
            while (threads_.size() < count) threads_.emplace_back([this] { work(); });
        } catch (const std::system_error &e) {
            // A few are as good, only slower.
            if (threads_.empty()) throw os_error("litbuild", "start a thread", e.code().value());
        }
    }
    /// Waits for the result; false: cancelled.
    bool wait(size_t index)
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return done_[index] != Done::no || failure_; });
        if (failure_) std::rethrow_exception(failure_);
        return done_[index] == Done::yes;
    }

private:
    enum class Done : char { no, yes, cancelled };

    void work()
    {
        for (;;) {
            std::unique_lock lock(mutex_);
            if (next_ == count_) return;
            const size_t index = next_++;
            lock.unlock();
            Done done = Done::no;
            std::exception_ptr failure;
            try {
                BulkResult &result = results_[index];
                done = detail::run_one(result, call_, [&] { action_(result); }) ? Done::yes : Done::cancelled;
            } catch (...) {
                failure = std::current_exception();
            }
            lock.lock();
            done_[index] = done;
            if (failure) failure_ = failure;
            changed_.notify_all();
        }
    }
    void dismiss()
    {
        {
            const std::lock_guard lock(mutex_);
            next_ = count_;
        }
        for (std::thread &thread : threads_) thread.join();
    }

    std::vector<BulkResult> &results_;
    const size_t count_;
    std::vector<Done> done_;
    const Call &call_;
    const Action &action_;
    std::mutex mutex_;
    std::condition_variable changed_;
    size_t next_ = 0;
    std::exception_ptr failure_;
    std::vector<std::thread> threads_;
};

std::vector<BulkResult> blank(const std::string &team, const std::vector<int64_t> &runids)
{
    std::vector<BulkResult> out;
    out.reserve(runids.size());
    for (const int64_t runid : runids) out.push_back({.build = {team, runid}});
    return out;
}

/// One after the other: what is moved and removed shares one disk.
std::vector<BulkResult> in_turn(const std::string &team, const std::vector<int64_t> &runids, const BulkSink &each,
                                const Call &call, const std::function<void(BulkResult &)> &action)
{
    std::vector<BulkResult> out = blank(team, runids);
    for (size_t i = 0; i < out.size(); ++i) {
        if (!detail::run_one(out[i], call, [&] { action(out[i]); })) throw detail::cancelled(team, i, out.size());
        if (each) each(out[i]);
    }
    return out;
}

}  // namespace

std::vector<BulkResult> Engine::archive(const std::string &team, const Selection &which, const BulkSink &each,
                                        Call call) const
{
    const std::vector<int64_t> runids = selected(*core_, team, within(which, Scope::live), call);
    return in_turn(team, runids, each, call,
                   [&](BulkResult &result) { result.path = Build(core_, result.build).archive(call); });
}

std::vector<BulkResult> Engine::restore(const std::string &team, const Selection &which, const BulkSink &each,
                                        Call call) const
{
    const std::vector<int64_t> runids = selected(*core_, team, within(which, Scope::archived), call);
    return in_turn(team, runids, each, call,
                   [&](BulkResult &result) { result.path = Build(core_, result.build).restore(call); });
}

std::vector<BulkResult> Engine::remove(const std::string &team, const Selection &which, const BulkSink &each,
                                       Call call) const
{
    const std::vector<int64_t> runids = selected(*core_, team, within(which, Scope::archived), call);
    return in_turn(team, runids, each, call, [&](BulkResult &result) { Build(core_, result.build).remove(call); });
}

std::vector<BulkResult> Engine::edit_tags(const std::string &team, const Selection &which,
                                          const std::vector<std::string> &add, const std::vector<std::string> &remove,
                                          const BulkSink &each, Call call) const
{
    for (const std::string &tag : add) check_tag(tag);
    for (const std::string &tag : remove) check_tag(tag);
    const bool edits = !add.empty() || !remove.empty();
    return in_turn(team, selected(*core_, team, which, call), each, call, [&](BulkResult &result) {
        const Build build(core_, result.build);
        result.tags = edits ? build.edit_tags(add, remove, call) : build.tags(call);
    });
}

std::vector<BulkResult> Engine::stop(const std::string &team, const Selection &which, const StopOptions &options,
                                     const BulkSink &each, Call call) const
{
    std::vector<BulkResult> out = blank(team, selected(*core_, team, which, call));
    const Crew::Action action = [&](BulkResult &result) { result.stop = Build(core_, result.build).stop(options, call); };
    Crew crew(out, call, action);
    crew.hire(std::min(stops_at_once, out.size()));
    for (size_t i = 0; i < out.size(); ++i) {
        if (!crew.wait(i)) throw detail::cancelled(team, i, out.size());
        if (each) each(out[i]);
    }
    return out;
}

}  // namespace litbuild
