#include <folder-store/run_status.hpp>

#include <algorithm>

#include <folder-store/fold.hpp>
#include <folder-store/pause.hpp>

namespace litbuild::folder {

using std::chrono::milliseconds;

namespace {

constexpr size_t largest_snapshot = 16 * 1024 * 1024;
constexpr const char *snapshot_file = "status.json";
constexpr const char *events_file = "events.jsonl";
constexpr const char *verdict_file = ".control/stopped";

}  // namespace

RunStatus::Found RunStatus::read_whole(const Call &call, const BuildName &build, std::string_view name,
                                       std::string &text) const
{
    text.clear();
    try {
        reader_(call, build, name, 0, largest_snapshot, [&](std::string_view piece) {
            text += piece;
            return true;
        });
    } catch (const Error &error) {
        if (error.code() == Code::not_found) return Found::nothing;
        // Something else stands in its place: a folder, a pipe, a link.
        if (error.code() == Code::corrupt) return Found::damage;
        throw;
    }
    return Found::text;
}

// `each` gets every event behind the cursor and returns false for "enough". Damage: lines, but no event among them.
template <class Each>
RunStatus::Found RunStatus::read_events(const Call &call, const BuildName &build, uint64_t cursor,
                                        const Each &each) const
{
    Found found = Found::nothing;
    bool in_sink = false;
    Lines lines(cursor);
    const auto line = [&](std::string_view text, uint64_t end) {
        const auto record = parse_record(text);
        if (!record) {
            if (found == Found::nothing) found = Found::damage;
            return true;
        }
        found = Found::text;
        in_sink = true;
        const bool more = each(*record, text, end);
        in_sink = false;
        return more;
    };
    try {
        reader_(call, build, events_file, cursor, 0, [&](std::string_view piece) { return lines.feed(piece, line); });
    } catch (const Error &error) {
        if (in_sink) throw;
        if (error.code() == Code::corrupt && found == Found::nothing) return Found::damage;
        if (error.code() != Code::not_found && error.code() != Code::corrupt) throw;
    }
    return found;
}

Status RunStatus::status(const Call &call, const BuildName &build)
{
    Fold fold;
    std::string text;
    Found snapshot = read_whole(call, build, snapshot_file, text);
    if (snapshot == Found::text && !fold.snapshot(text)) snapshot = Found::damage;
    if (is_terminal(fold.state())) return fold.result();

    const Found events = read_events(call, build, fold.cursor(), [&](const Record &record, auto, uint64_t end) {
        fold.add(record, end);
        return true;
    });
    // A runner's last word counts more than an engine's.
    if (!is_terminal(fold.state()) && read_whole(call, build, verdict_file, text) == Found::text)
        if (const auto verdict = parse_object(text)) fold.ended_from_outside(*verdict);

    Status status = fold.result();
    if (status.state != State::unknown) return status;
    if (snapshot == Found::damage) status.error = to_string(build) + ": status.json is damaged";
    else if (events == Found::damage) status.error = to_string(build) + ": events.jsonl is damaged";
    return status;
}

bool RunStatus::deliver(const Call &call, const BuildName &build, uint64_t cursor, const EventSink &each) const
{
    bool any = false;
    read_events(call, build, cursor, [&](const Record &record, std::string_view text, uint64_t end) {
        any = true;
        return each(Event{end, record.time, record.state, record.type, std::string(text)});
    });
    return any;
}

void RunStatus::poll(const Call &call, const BuildName &build, uint64_t cursor, const EventSink &each)
{
    bool ended = false;
    for (milliseconds wait(5);; wait = std::min(wait * 2, milliseconds(200))) {
        try {
            if (deliver(call, build, cursor, each) || ended) return;
            // The last events may have come between the two reads: they are looked for once more.
            ended = is_terminal(status(call, build).state);
        } catch (const Error &error) {
            if (error.code() == Code::timeout && call.expired()) return;
            throw;
        }
        if (ended) continue;
        if (call.cancelled()) throw Error(Code::cancelled, to_string(build) + ": cancelled");
        if (call.expired()) return;
        pause(call, wait);
    }
}

}  // namespace litbuild::folder
