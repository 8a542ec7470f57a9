#include <folder-store/build_logs.hpp>

#include <folder-store/event_lines.hpp>
#include <folder-store/fold.hpp>
#include <folder-store/run_status.hpp>

namespace litbuild::folder {

namespace {

// What one pass over events.jsonl sees.
struct Events {
    uint64_t size = 0, whole = 0;   // bytes, and those up to the end of the last line
    uint64_t strange = 0;           // lines that are no events
    std::vector<State> ends;
};

Events read_events(const Call &call, BuildStore &store, const BuildName &build)
{
    Events found;
    Lines lines(0);
    const auto line = [&](std::string_view text, uint64_t end) {
        found.whole = end;
        // A writer that starts again behind a torn line ends that first.
        if (text.empty()) return true;
        const auto record = parse_record(text);
        if (!record) ++found.strange;
        else if (is_terminal(record->state)) found.ends.push_back(record->state);
        return true;
    };
    store.read(call, build, "events.jsonl", 0, 0, [&](std::string_view piece) {
        found.size += piece.size();
        return lines.feed(piece, line);
    });
    return found;
}

bool is_missing(const Error &error) noexcept { return error.code() == Code::not_found; }

}  // namespace

std::vector<LogFault> examine_logs(const Call &call, BuildStore &store, const BuildName &build, bool is_archived)
{
    std::vector<LogFault> faults;
    RunStatus source([&](const Call &inner, const BuildName &name, std::string_view file, uint64_t offset, uint64_t max,
                         const TextSink &sink) { store.read(inner, name, file, offset, max, sink); });
    if (!is_archived && !is_terminal(source.status(call, build).state)) return faults;

    std::string snapshot;
    try {
        store.read(call, build, "status.json", 0, 16 * 1024 * 1024, [&](std::string_view piece) {
            snapshot += piece;
            return true;
        });
        if (!Fold().snapshot(snapshot))
            faults.push_back({"torn-log", "status.json is damaged", "nothing to do: events.jsonl is read instead"});
    } catch (const Error &error) {
        if (!is_missing(error)) throw;
    }
    try {
        const Events events = read_events(call, store, build);
        if (events.size > events.whole)
            faults.push_back({"torn-log", "the last line of events.jsonl is not whole", "nothing to do: it is passed over"});
        if (events.strange > 0)
            faults.push_back({"torn-log",
                              std::to_string(events.strange) + (events.strange == 1 ? " line" : " lines") +
                                  " of events.jsonl cannot be read",
                              "nothing to do: what cannot be read is passed over"});
        if (events.ends.size() > 1) {
            std::string names;
            for (const State state : events.ends) names += (names.empty() ? "" : ", ") + std::string(name(state));
            faults.push_back({"two-ends", "events.jsonl tells of more than one end: " + names,
                              "look at the log: two runners may have worked in one folder"});
        }
    } catch (const Error &error) {
        if (!is_missing(error)) throw;
    }
    return faults;
}

}  // namespace litbuild::folder
