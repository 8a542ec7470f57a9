// list and teams: what there is.
#include <map>

#include <boost/json.hpp>

#include "commands.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

Filter to_filter(const Options &options)
{
    Filter out;
    if (options.archived) out.scope = Scope::archived;
    if (options.all) out.scope = Scope::all;
    out.tag = options.tag;
    if (options.tag) check_tag(*options.tag);
    if (options.state) out.state = to_state(*options.state);
    if (options.limit) out.limit = to_count(*options.limit, "a limit");
    if (options.before) out.before = to_runid(*options.before);
    if (options.since) out.since = now() - std::chrono::nanoseconds(to_duration(*options.since)).count();
    return out;
}

std::string as_json(const std::vector<Summary> &builds)
{
    std::string out = "[";
    for (const Summary &build : builds) out += (out.size() > 1 ? "," : "") + to_json(build);
    return out + "]\n";
}

std::string as_table(const std::vector<Summary> &builds, bool all)
{
    std::vector<Cell> head = {"ID", "STATE", "STEP", "PROGRESS", "STARTED", "TOOK"};
    if (all) head.emplace_back("ARCHIVED");
    head.emplace_back("TAGS");
    Table table(std::move(head));
    for (const Summary &build : builds) {
        const Status &now = build.status;
        std::vector<Cell> row = {std::to_string(build.name.runid),
                                 Cell(name(now.state), colour_of(now.state)),
                                 escaped(now.step().value_or("-")),
                                 percent(now.progress),
                                 local_time(now.started),
                                 // Of a build that is gone without a word nobody knows how long it took.
                                 now.ended == 0 && !is_active(now.state) ? "-" : time_taken(now.started, now.ended)};
        if (all) row.emplace_back(build.archived ? "archived" : "-");
        row.emplace_back(joined(build.tags));
        table.add(std::move(row));
    }
    return table.text();
}

/// Builds by state, in the order of the states; those that none is in are left out.
using Counts = std::map<State, uint64_t>;

std::string as_text(const Counts &counts, bool json)
{
    if (json) {
        boost::json::object out;
        for (const auto &[state, count] : counts) out[name(state)] = count;
        return boost::json::serialize(out) + "\n";
    }
    Table table({"STATE", "BUILDS"});
    for (const auto &[state, count] : counts) table.add({Cell(name(state), colour_of(state)), std::to_string(count)});
    return table.text();
}

}  // namespace

int list(const Options &options)
{
    check_team(options.team);
    const Filter filter = to_filter(options);
    std::vector<Summary> builds;
    Counts counts;
    const Listed listed = open_engine(options).list(options.team, filter, [&](Summary &summary) {
        if (options.count) ++counts[summary.status.state];
        else builds.push_back(std::move(summary));
        return true;
    });
    print(options.count ? as_text(counts, options.json) : options.json ? as_json(builds) : as_table(builds, options.all));
    if (listed.complete) return Exit::done;
    // As far as it came is better than nothing, but it is not all.
    complain(options.team + ": the list is not complete; it shows the newest " + std::to_string(listed.count) +
             " of what was asked for: " + listed.why);
    return Exit::unavailable;
}

int teams(const Options &options)
{
    const std::vector<std::string> found = open_engine(options).teams();
    std::string out;
    if (options.json) out = boost::json::serialize(boost::json::value_from(found)) + "\n";
    else for (const std::string &team : found) out += team + "\n";
    print(out);
    return Exit::done;
}

}  // namespace litbuild::cli
