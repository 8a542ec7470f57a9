// The status of a build from what its runner wrote into its folder.
//
//     status.json        where the build is; what a finished build needs, and all that it needs
//     events.jsonl       how it came there, an object a line; tells what status.json does not know yet, or lost
//     .control/stopped   the verdict of an engine on a build whose runner cannot speak (it is gone, or never started);
//                        it counts where the runner has left no last word of its own
//
// The cursor of an event is the offset behind its line. A last line without its end is not there yet; a line that is no
// event is passed over.
#pragma once

#include <litbuild/status.hpp>

namespace litbuild::folder {

/// Threads: any, where the reader takes any.
class RunStatus : public StatusSource {
public:
    explicit RunStatus(FileReader reader) : reader_(std::move(reader)) {}

    /// State::unknown: none of the files is there, or (then with an error) none can be understood.
    /// A reader does not tell a build that is not there from a file that is not: both are State::unknown.
    Status status(const Call &call, const BuildName &build) override;
    /// Waits by looking every 5 to 200 ms. Returns at once where the build has ended.
    void poll(const Call &call, const BuildName &build, uint64_t cursor, const EventSink &each) override;

private:
    enum class Found { nothing, text, damage };

    Found read_whole(const Call &call, const BuildName &build, std::string_view name, std::string &text) const;
    template <class Each>
    Found read_events(const Call &call, const BuildName &build, uint64_t cursor, const Each &each) const;
    bool deliver(const Call &call, const BuildName &build, uint64_t cursor, const EventSink &each) const;

    FileReader reader_;
};

}  // namespace litbuild::folder
