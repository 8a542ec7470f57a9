// Events, folded into the status that they have led to.
#pragma once

#include <folder-store/event_lines.hpp>

namespace litbuild::folder {

/// Steps behind this many are not shown.
constexpr size_t most_steps = 10'000;

class Fold {
public:
    /// Starts from the content of a status.json. False: it is none; nothing has changed.
    bool snapshot(std::string_view content);
    /// An event, and the offset behind its line.
    void add(const Record &record, uint64_t cursor);
    /// The verdict of an engine on a build whose runner cannot speak: stopped, or never started ("state": "error").
    void ended_from_outside(const boost::json::object &verdict);

    /// Of the last event that is in.
    uint64_t cursor() const noexcept { return status_.cursor; }
    State state() const noexcept { return status_.state; }
    /// With the progress of the build worked out from its steps, where the build told none itself.
    Status result() const;

private:
    void queued(const Record &record);
    void step_started(const Record &record);
    void step_ended(const Record &record);
    void progress(const Record &record);
    void terminal(const Record &record);
    void end(Timestamp when);
    Step *step_of(const Record &record);

    Status status_;
    bool progress_told_ = false;   ///< by the build itself, for the whole of it
};

}  // namespace litbuild::folder
