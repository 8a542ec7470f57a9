// StatusSource: what a build's status is.
//
// The default one reads what the runner wrote. Derive from it to show the builds of another system, or a status that is
// kept elsewhere. Ownership, threads and errors: as in <litbuild/store.hpp>.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <litbuild/store.hpp>
#include <litbuild/time.hpp>

namespace litbuild {

/// `failed` is the build's own fault (a step exited non-zero), `error` the platform's (could not start, disk full).
/// `unknown` (no status to read) and `lost` (its process is gone and left no word) are derived, never written.
enum class State : uint32_t {
    unknown = LB_STATE_UNKNOWN,
    queued = LB_STATE_QUEUED,
    running = LB_STATE_RUNNING,
    stopping = LB_STATE_STOPPING,
    complete = LB_STATE_COMPLETE,
    failed = LB_STATE_FAILED,
    error = LB_STATE_ERROR,
    stopped = LB_STATE_STOPPED,
    lost = LB_STATE_LOST,
};

inline constexpr const char *state_names[] = {"unknown", "queued", "running", "stopping", "complete",
                                              "failed",  "error",  "stopped", "lost"};

inline const char *name(State state) noexcept
{
    const auto index = static_cast<size_t>(state);
    return index < std::size(state_names) ? state_names[index] : "unknown";
}

inline std::optional<State> parse_state(std::string_view text) noexcept
{
    for (size_t i = 0; i < std::size(state_names); ++i)
        if (text == state_names[i]) return static_cast<State>(i);
    return std::nullopt;
}

/// It has ended and its own word says how.
inline bool is_terminal(State state) noexcept
{
    return state == State::complete || state == State::failed || state == State::error || state == State::stopped;
}

/// It may have processes: queued, running, stopping.
inline bool is_active(State state) noexcept
{
    return state == State::queued || state == State::running || state == State::stopping;
}

struct Step {
    std::string name;
    State state = State::queued;
    int parent = -1;                 ///< index of the step that this one is a part of; -1: none
    std::optional<int> exit_code;
    int signal = 0;                  ///< that ended it; 0: none
    Timestamp started = 0;
    Timestamp ended = 0;
    std::optional<double> progress;  ///< 0 to 1
};

/// A plain value.
struct Status {
    State state = State::unknown;
    Timestamp time = 0;              ///< when this became so
    Timestamp created = 0;
    Timestamp started = 0;
    Timestamp ended = 0;
    uint64_t cursor = 0;             ///< of the last event that this includes; 0: none
    std::optional<size_t> current_step;
    std::optional<int> exit_code;
    int signal = 0;
    std::optional<double> progress;  ///< of the build, 0 to 1
    std::string message;             ///< what the build last said of its progress
    std::string error;               ///< one sentence; empty: none
    std::string stopped_by;          ///< empty: nobody asked
    std::string reason;
    std::vector<Step> steps;
    std::string detail;              ///< a JSON object with whatever else the source knows, or empty
    std::chrono::milliseconds as_of{0};   ///< how old this may be, because other hosts are seen late; 0: it is as it is

    /// Name of the current step, or none.
    std::optional<std::string> step() const
    {
        if (!current_step || *current_step >= steps.size()) return std::nullopt;
        return steps[*current_step].name;
    }
};

struct Event {
    uint64_t cursor = 0;
    Timestamp time = 0;
    State state = State::unknown;    ///< of the build from here on
    std::string type;
    std::string json;                ///< the event as one JSON object
};

/// Receives an event; returns false for "enough".
using EventSink = std::function<bool(const Event &)>;

/// Reads files of builds through the engine's store; what a status source is given at its construction.
using FileReader = std::function<void(const Call &, const BuildName &, std::string_view name, uint64_t offset,
                                      uint64_t max, const TextSink &)>;

class StatusSource {
public:
    virtual ~StatusSource() = default;

    /// A build without any word of its state: State::unknown. Code::not_found: no such build.
    virtual Status status(const Call &call, const BuildName &build) = 0;
    /// The events behind `cursor` (0: from the first), oldest first. Where there is none yet, waits for one until the
    /// deadline of the call, which here is no error. Default: none ever come.
    virtual void poll(const Call &, const BuildName &, uint64_t /*cursor*/, const EventSink &) {}
};

}  // namespace litbuild
