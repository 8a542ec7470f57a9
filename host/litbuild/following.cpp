// logs and events: what a build says, so far or until it has ended.
#include <boost/json.hpp>

#include "commands.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

namespace json = boost::json;

/// Gives the log in pieces, each read under a deadline of its own: a pager may hold us for as long as it likes.
template <class Sink>
void read_log(const Build &build, Sink sink)
{
    static constexpr uint64_t most = 1024 * 1024;
    // It is the build that may not be there; a log that is not is one of which nothing was written.
    build.path();
    uint64_t offset = 0;
    for (;;) {
        std::string piece;
        try {
            build.read("log", [&](std::string_view part) { piece += part; return true; }, offset, most);
        } catch (const Error &e) {
            if (e.code() != Code::not_found) throw;
        }
        if (piece.empty() || !sink(piece)) return;
        offset += piece.size();
    }
}

/// The event as it was written; of a source that does not write JSON, what is known of it.
json::value value_of(const Event &event)
{
    boost::system::error_code error;
    json::value out = json::parse(event.json, error);
    if (!error && out.is_object()) return out;
    return {{"seq", event.cursor}, {"time", to_rfc3339(event.time)}, {"type", as_utf8(event.type)},
            {"state", name(event.state)}};
}

/// In a column of its own, or nothing that anyone follows a build for.
bool is_shown_elsewhere(std::string_view key)
{
    for (const std::string_view each : {"seq", "time", "type", "state", "uuid", "detail", "name", "parent"})
        if (key == each) return true;
    return false;
}

std::string plain(const json::value &value)
{
    // The one number with a fraction in an event is its progress.
    if (value.is_double()) return percent(value.get_double());
    return escaped(value.is_string() ? std::string(value.as_string()) : json::serialize(value));
}

/// "2024-06-08 16:40:31  running   step_ended    step=load  exit=0"
std::string as_line(const Event &event, const std::vector<Step> &steps)
{
    std::string state = name(event.state);
    state.resize(std::max<size_t>(state.size(), 8), ' ');
    std::string type = escaped(event.type);
    type.resize(std::max<size_t>(type.size(), 12), ' ');
    std::string out = local_time(event.time) + "  " + coloured(state, colour_of(event.state)) + "  " + type;
    const json::value value = value_of(event);
    for (const auto &[key, member] : value.as_object()) {
        if (is_shown_elsewhere(key) || member.is_null()) continue;
        const bool is_step = key == "step" && member.is_int64() && member.as_int64() >= 0;
        const size_t index = is_step ? static_cast<size_t>(member.as_int64()) : steps.size();
        out += "  " + escaped(key) + "=" + (index < steps.size() ? escaped(steps[index].name) : plain(member));
    }
    while (out.ends_with(' ')) out.pop_back();
    return out + "\n";
}

bool print_events(const Build &build, const std::vector<Event> &found, bool as_json)
{
    const std::vector<Step> steps = as_json ? std::vector<Step>() : build.get_status().steps;
    std::string out;
    for (const Event &event : found) out += as_json ? json::serialize(value_of(event)) + "\n" : as_line(event, steps);
    return print(out);
}

}  // namespace

int logs(const Options &options)
{
    if (options.follow && options.json)
        throw Error(Code::invalid, "logs: --follow shows the log as it grows, which --json cannot");
    const Build build = named_build(options);
    if (options.follow) {
        build.follow([](std::string_view piece) { return print(piece); });
        return Exit::done;
    }
    if (!options.json) {
        read_log(build, [](const std::string &piece) { return print(piece); });
        return Exit::done;
    }
    std::string log;
    read_log(build, [&](const std::string &piece) { log += piece; return true; });
    const json::object out = {{"team", build.team()}, {"runid", build.runid()}, {"log", as_utf8(log)}};
    print(json::serialize(out) + "\n");
    return Exit::done;
}

int events(const Options &options)
{
    const Build build = named_build(options);
    // A build without a status has none, and would be waited for.
    const bool silent = build.get_status().state == State::unknown;
    std::vector<Event> found = silent ? std::vector<Event>() : build.events();
    if (!options.follow && options.json) {
        json::array out;
        for (const Event &event : found) out.push_back(value_of(event));
        print(json::serialize(out) + "\n");
        return Exit::done;
    }
    while (!found.empty() && print_events(build, found, options.json) && options.follow)
        found = build.events(found.back().cursor);
    return Exit::done;
}

}  // namespace litbuild::cli
