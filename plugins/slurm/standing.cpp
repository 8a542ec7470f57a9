#include "standing.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <string.h>

#include <litbuild/time.hpp>

namespace slurm {

using litbuild::Life;
using litbuild::Probe;

namespace {

bool is_one_of(const std::string &state, std::initializer_list<std::string_view> which)
{
    return std::find(which.begin(), which.end(), state) != which.end();
}

std::string time_of(uint64_t seconds)
{
    return seconds == 0 ? std::string() : " at " + litbuild::to_rfc3339(static_cast<int64_t>(seconds) * 1'000'000'000);
}

std::string on_nodes(const Job &job) { return job.nodes.empty() ? std::string() : " on " + job.nodes; }

std::string exit_text(const Job &job)
{
    if (job.signal != 0) {
        const char *name = ::sigabbrev_np(job.signal);
        return ", by signal " + std::to_string(job.signal) + (name ? std::string(" (SIG") + name + ")" : "");
    }
    return job.exit_code != 0 ? ", with exit code " + std::to_string(job.exit_code) : "";
}

/// How it ended, in words.
std::string end_of(const Job &job)
{
    const std::string &state = job.state;
    if (state == "COMPLETED") return "ended";
    if (state == "CANCELLED") return "was cancelled";
    if (state == "TIMEOUT")
        return "was ended by Slurm at its time limit" + (job.minutes > 0 ? " of " + std::to_string(job.minutes) + " min" : "");
    if (state == "OUT_OF_MEMORY")
        return "ran out of memory" + (job.memory_mib > 0 ? " (its limit is " + std::to_string(job.memory_mib) + " MiB)" : "");
    if (state == "NODE_FAIL") return "was given up, for its node failed";
    if (state == "PREEMPTED") return "was ended by Slurm for a job that goes first (PREEMPTED)";
    if (state == "BOOT_FAIL") return "was never started, for its node did not boot";
    if (state == "DEADLINE") return "was ended by Slurm at its deadline";
    if (state == "REVOKED") return "runs at another cluster of the federation (REVOKED)";
    if (state == "FAILED") return "failed";
    return "is " + state;
}

}  // namespace

Phase phase_of(const Job &job)
{
    if (is_one_of(job.state, {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}))
        return Phase::waiting;
    if (is_one_of(job.state, {"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE",
                              "OUT_OF_MEMORY", "REVOKED"}))
        return Phase::ended;
    // CONFIGURING, RUNNING, COMPLETING, SUSPENDED, ..., and what a later Slurm may call it.
    return Phase::running;
}

Certainty certainty_of(const Job &job)
{
    if (job.restarts > 0 || is_one_of(job.state, {"NODE_FAIL", "REVOKED"})) return Certainty::uncertain;
    // Of the others its node has told the end.
    return is_one_of(job.state, {"CANCELLED", "TIMEOUT", "PREEMPTED", "DEADLINE"}) ? Certainty::killed : Certainty::certain;
}

std::string described(const Job &job)
{
    std::string out = "its job " + std::to_string(job.id);
    if (job.restarts > 0)
        out += ", put back into Slurm's queue " + (job.restarts == 1 ? "once" : std::to_string(job.restarts) + " times") + ",";
    return out;
}

Probe probe_of(const Job &job)
{
    Probe out;
    const std::string object = described(job);
    switch (phase_of(job)) {
    case Phase::waiting:
        out.life = Life::queued;
        out.evidence = object + " waits in partition " + job.partition +
                       (job.reason.empty() ? "" : ": " + job.reason) + (job.description.empty() ? "" : ", " + job.description);
        break;
    case Phase::running:
        // A node that is on its way up.
        out.life = is_one_of(job.state, {"CONFIGURING", "POWER_UP_NODE"}) ? Life::queued : Life::alive;
        out.evidence = object + " is " + job.state + on_nodes(job);
        break;
    case Phase::ended:
        out.life = certainty_of(job) == Certainty::uncertain ? Life::unknown : Life::gone;
        out.evidence = object + " " + end_of(job) + time_of(job.ended) + on_nodes(job) + exit_text(job);
        if (job.signal != 0) out.signal = job.signal;
        else out.exit_code = job.exit_code;
        break;
    }
    return out;
}

}  // namespace slurm
