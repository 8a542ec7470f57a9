// How the tree is ended: the part of the supervisor that carries out requests, time limits and plans.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "stop_request.hpp"
#include "supervisor.hpp"

namespace runner {

using litbuild::State;
using litbuild::Status;
using Sync = Journal::Sync;
using namespace std::chrono_literals;
using litbuild::StopPlan;
using litbuild::StopStep;
using litbuild::linux_::Cgroup;
using litbuild::linux_::Descriptor;
using litbuild::linux_::Held;

namespace {

std::string seconds_text(std::chrono::nanoseconds time)
{
    const int64_t ms = std::chrono::duration_cast<Milliseconds>(time).count();
    if (ms % 1000 != 0) return std::to_string(ms) + "ms";
    if (ms % 60'000 != 0 || ms == 0) return std::to_string(ms / 1000) + "s";
    if (ms % 3'600'000 != 0) return std::to_string(ms / 60'000) + "m";
    return std::to_string(ms / 3'600'000) + "h";
}

}  // namespace

void Supervisor::read_requests()
{
    const Descriptor control(::openat(folder_, ".control", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!control) return;
    const std::string path = "/proc/self/fd/" + std::to_string(control.get());
    DIR *dir = ::opendir(path.c_str());
    if (!dir) return;
    std::vector<std::string> found;
    while (const dirent *entry = ::readdir(dir)) {
        const std::string name = entry->d_name;
        if (name.rfind("stop.", 0) == 0 && !requests_.contains(name)) found.push_back(name);
    }
    ::closedir(dir);
    for (const std::string &name : found) {
        const std::optional<std::string> text = litbuild::linux_::slurp(name.c_str(), control.get());
        if (!text) continue;
        const std::optional<StopRequest> wish = parse_stop_request(*text);
        if (!wish) continue;
        requests_.insert(name);
        request(wish->by, wish->reason, wish->plan.empty() ? setup_.stop : wish->plan);
    }
}

void Supervisor::request(const std::string &by, const std::string &reason, const StopPlan &plan)
{
    // What ended before the request was read has ended by itself.
    see_ends();
    if (!verdict_) {
        Status &status = journal_.status();
        status.state = State::stopping;
        status.stopped_by = by;
        status.reason = reason;
        verdict_ = Verdict{State::stopped, std::nullopt, 0, ""};
        // Not synced: nothing may hold up the stop, and the request that lies in the folder is.
        write("stopping", {{"stopped_by", by}, {"reason", reason}}, Sync::no);
    }
    begin_stop(plan);
}

void Supervisor::begin_stop(const StopPlan &plan)
{
    const Clock::time_point now = Clock::now();
    Clock::time_point kill_at = now;
    for (const StopStep &step : plan)
        if (step.signal != SIGKILL) kill_at += step.grace;
    if (phase_ == Phase::stopping || phase_ == Phase::killing) {
        kill_at_ = std::min(kill_at_, kill_at);
        return;
    }
    phase_ = Phase::stopping;
    stop_began_ = now;
    plan_ = plan;
    plan_at_ = 0;
    kill_at_ = kill_at;
    next_plan_step();
}

void Supervisor::next_plan_step()
{
    const StopStep &step = plan_[std::min(plan_at_, plan_.size() - 1)];
    ++plan_at_;
    if (step.signal == SIGKILL || plan_at_ > plan_.size() || Clock::now() >= kill_at_) {
        phase_ = Phase::killing;
        plan_due_ = Clock::now() + std::max<std::chrono::nanoseconds>(plan_.back().grace, 1s);
        kill_pass();
        return;
    }
    plan_due_ = Clock::now() + step.grace;
    // By group first: it also knows those whose parents end while we walk down the tree. Nobody is told before all are
    // found: what somebody starts on being told, to tidy up, must be let work.
    std::vector<Held> found = litbuild::linux_::members_of(group_);
    std::set<pid_t> known;
    for (const Held &held : found) known.insert(held.pid);
    for (Held &held : litbuild::linux_::descendants_of(::getpid(), [](const Held &) {}))
        if (known.insert(held.pid).second) found.push_back(std::move(held));
    for (const Held &held : found) {
        litbuild::linux_::send(held, step.signal);
        litbuild::linux_::send(held, SIGCONT);
    }
}

void Supervisor::kill_pass()
{
    const bool populated = group_.populated();
    if (!populated && group_ && more_to_reap_ && passes_for_the_dead_ > 0) {
        // Who is only to be reaped need not be looked for; and that does not go on for ever.
        --passes_for_the_dead_;
    } else if (!populated) {
        kill_by_descent();
    } else {
        group_.kill();
        // The kernel's kill does not reach a process whose first thread has ended while others live (seen on 6.18). To look
        // at each costs more than the kill, so it is done where that has stopped getting on.
        if (killed_before_ == killed_)
            for (const Held &held : litbuild::linux_::members_of(group_)) litbuild::linux_::send(held, SIGKILL);
        killed_before_ = killed_;
    }
    kill_again_ = Clock::now() + kill_pause_;
    kill_pause_ = std::min<Milliseconds>(kill_pause_ * 2, survivors_named_ ? 1000ms : 50ms);
}

// Not atomic, so it is done without a pause until a walk finds nobody, or a while has passed in which others must be heard.
void Supervisor::kill_by_descent()
{
    const pid_t self = ::getpid();
    const Clock::time_point enough = Clock::now() + 200ms;
    std::vector<Held> found;
    do {
        // Our children: every orphan of the tree. Only we reap them, so their pids are theirs. A process that forks and ends
        // faster than it can be looked at is met here; what it has forked since may fork no more.
        for (const pid_t child : litbuild::linux_::children_of(self)) {
            // It may end before a walk finds it.
            const auto stat = group_ ? litbuild::linux_::stat_of(child) : std::nullopt;
            if (stat && !stat->is_ending()) escaped_.insert(child);
            const rlimit none{0, 0};
            ::prlimit(child, RLIMIT_NPROC, &none, nullptr);
            ::kill(child, SIGKILL);
        }
        more_to_reap_ = reap();
        // The rest is stopped as it is found, so that none can fork unseen, and killed when a walk finds nobody new.
        for (size_t round = 0, before = 0; round < 16; ++round) {
            found = litbuild::linux_::descendants_of(
                self, [](const Held &held) { litbuild::linux_::send(held, SIGSTOP); });
            if (found.size() <= before) break;
            before = found.size();
        }
        for (const Held &held : found) {
            litbuild::linux_::send(held, SIGKILL);
            if (group_) escaped_.insert(held.pid);
        }
    } while (!found.empty() && Clock::now() < enough);
}

void Supervisor::name_survivors()
{
    survivors_named_ = true;
    boost::json::array survivors;
    for (const Held &held : litbuild::linux_::descendants_of(::getpid(), [](const Held &) {})) {
        const auto stat = litbuild::linux_::stat_of(held.pid);
        survivors.push_back({{"pid", held.pid},
                             {"command", clean(litbuild::linux_::command_of(held.pid), 200)},
                             {"state", stat ? std::string(1, stat->state) : std::string()},
                             {"where", litbuild::linux_::line_of(litbuild::linux_::proc_path(held.pid, "wchan").c_str())}});
        if (survivors.size() == 100) break;
    }
    write("stop_incomplete", {{"survivors", std::move(survivors)}}, Sync::yes);
}

void Supervisor::time_limit_reached()
{
    const bool of_step = step_due_ != Clock::time_point{} && Clock::now() >= step_due_;
    const std::string text =
        of_step && step_ ? "step '" + setup_.steps[*step_].name + "' reached its time limit of " +
                               seconds_text(setup_.steps[*step_].time_limit)
                         : "the build reached its time limit of " + seconds_text(setup_.time_limit);
    step_due_ = build_due_ = {};
    Status &status = journal_.status();
    status.state = State::stopping;
    status.reason = text;
    verdict_ = Verdict{State::failed, std::nullopt, 0, text};
    write("stopping", {{"reason", text}}, Sync::no);
    begin_stop(setup_.stop);
}

}  // namespace runner
