// ProcessController: how a build's process is started and stopped.
//
// The engine hands over one command (the runner and the build's folder); a controller starts it somewhere with that folder
// in reach, and returns a token: plain text by which any process, on any day, finds that launch and no other.
// Ownership, threads and errors: as in <litbuild/store.hpp>.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <litbuild/call.hpp>
#include <litbuild/names.hpp>

namespace litbuild {

struct LaunchSpec {
    BuildName build;
    std::string uuid;                   ///< of the build
    std::string folder;                 ///< of the build
    std::vector<std::string> command;   ///< the runner and its arguments
    std::vector<std::string> environment;   ///< NAME=value, on top of what the deployment gives
    std::string limits;                 ///< the spec's "limits", a JSON object; empty: none
    std::string options;                ///< the spec's "process", a JSON object; empty: none
};

/// Sends `signal` to every process of the build and waits up to `grace` until none is left.
struct StopStep {
    int signal = 0;
    std::chrono::nanoseconds grace{};
};
/// Ordered; the last one is a kill (signal 9), whose grace is how long to wait for what cannot be killed at once.
using StopPlan = std::vector<StopStep>;

/// From numbers that somebody else wrote. None: no signal (1 to 64), or no time up to longest_duration.
inline std::optional<StopStep> make_stop_step(int64_t signal, int64_t grace_ms) noexcept
{
    if (signal < 1 || signal > 64 || grace_ms < 0 || grace_ms > longest_duration.count()) return std::nullopt;
    return StopStep{static_cast<int>(signal), std::chrono::milliseconds(grace_ms)};
}

/// It ends with a kill, and all of it takes no longer than longest_duration.
inline bool is_sound(const StopPlan &plan) noexcept
{
    std::chrono::nanoseconds left = longest_duration;
    for (const StopStep &step : plan) {
        if (step.grace > left) return false;
        left -= step.grace;
    }
    return !plan.empty() && plan.back().signal == 9;
}

enum class Life : uint32_t {
    unknown = LB_LIFE_UNKNOWN,   ///< cannot be told from here
    queued = LB_LIFE_QUEUED,     ///< accepted, not started
    alive = LB_LIFE_ALIVE,
    gone = LB_LIFE_GONE,
};

struct Probe {
    Life life = Life::unknown;
    std::optional<int> exit_code;
    int signal = 0;
    std::string evidence;        ///< how it is known, in words
    uint64_t left_overs = 0;     ///< processes of the build that live on although the command is gone
};

enum class StopOutcome : uint32_t {
    done = LB_STOP_DONE,               ///< no process of the build is alive
    already = LB_STOP_ALREADY,         ///< none was, before anything was sent
    requested = LB_STOP_REQUESTED,     ///< asked for where the build runs; no answer yet
    incomplete = LB_STOP_INCOMPLETE,   ///< see StopReport::survivors
};

struct ProcessInfo {
    int64_t pid = 0;
    char state = 0;        ///< as ps shows it; 0: not known
    std::string command;
    std::string where;     ///< what it hangs in; empty: not known
    std::string doubt{};   ///< why it may be none of the build's after all; empty: it is the build's
};

struct StopReport {
    StopOutcome outcome = StopOutcome::done;
    uint64_t killed = 0;                 ///< processes that had to be killed; of a controller, those it killed itself
    std::chrono::nanoseconds took{};
    std::string mechanism;
    std::vector<ProcessInfo> survivors;
};

/// What a controller still holds of a launch: a container, a job.
struct Held {
    BuildName build;
    std::string uuid;
    std::string token;    ///< by which forget() finds it
    Life life = Life::unknown;
    std::string text;     ///< what it is and how it stands: "its container c1 has ended"
    std::string action;   ///< what a person may do to be rid of it: "docker rm c1"
    bool due = false;     ///< by the rules it was launched with it should be gone; forget() loses nothing
};
/// Returns false for "enough".
using HeldSink = std::function<bool(const Held &)>;

class ProcessController {
public:
    virtual ~ProcessController() = default;

    /// LB_PROCESS_* bits. Default: no promise.
    virtual uint64_t capabilities() const { return 0; }

    /// Starts the command so that it outlives this process; returns the token, at most 4096 bytes.
    virtual std::string launch(const Call &call, const LaunchSpec &spec) = 0;
    virtual Probe probe(const Call &call, const std::string &token) = 0;
    /// Ends every process of the launch by the plan. The request already lies in the build's folder. `token` is empty where
    /// the launching process died before there was one; then `uuid` alone tells what may be left of the launch.
    virtual StopReport stop(const Call &call, const std::string &token, const std::string &uuid,
                            std::span<const StopStep> plan) = 0;
    /// Waits until the command has ended or the deadline has passed; then as probe().
    virtual Probe wait(const Call &call, const std::string &token) = 0;

    /// What it holds of a team's launches, or of all (empty), in any order, whatever engine and root they are of.
    virtual void held(const Call &, const std::string & /*team*/, const HeldSink &) { throw unsupported("tell what it holds"); }
    /// Removes what it holds of a launch that has ended, or was never started. Code::refused: the launch is alive. Where
    /// nothing is held: no error.
    virtual void forget(const Call &, const std::string & /*token*/) { throw unsupported("forget a launch"); }

protected:
    static Error unsupported(const char *what)
    {
        return Error(Code::unsupported, std::string("process controller: this plugin cannot ") + what);
    }
};

}  // namespace litbuild
