// watch: what happens to a team's builds, a line each.
#include <boost/json.hpp>

#include "commands.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

namespace json = boost::json;

std::string as_json(const BuildChange &change)
{
    json::object out = {{"time", to_rfc3339(now())}, {"change", name(change.kind)}, {"team", change.build.team}};
    if (change.kind == Change::Kind::watching) {
        out["delay_ms"] = change.delay.count();
        return json::serialize(out) + "\n";
    }
    out["runid"] = change.build.runid;
    const Status *status = change.status ? &*change.status : nullptr;
    const std::optional<std::string> step = status ? status->step() : std::nullopt;
    out["state"] = status ? json::value(name(status->state)) : json::value(nullptr);
    out["step"] = step ? json::value(as_utf8(*step)) : json::value(nullptr);
    out["progress"] = status && status->progress ? json::value(*status->progress) : json::value(nullptr);
    return json::serialize(out) + "\n";
}

/// "2024-06-08 16:40:31  changed   contoso/19  running  load 45%"
std::string as_line(const BuildChange &change)
{
    std::string kind = name(change.kind);
    kind.resize(8, ' ');
    std::string out = local_time(now()) + "  " + kind + "  ";
    if (change.kind == Change::Kind::watching) {
        out += change.build.team;
        if (change.delay.count() > 0) out += "  told within " + std::to_string(change.delay.count()) + "ms";
        return out + "\n";
    }
    out += to_string(change.build);
    if (!change.status) return out + "\n";
    const Status &now = *change.status;
    out += "  " + coloured(name(now.state), colour_of(now.state));
    if (const std::optional<std::string> step = now.step()) out += "  " + escaped(*step);
    if (now.progress && is_active(now.state)) out += "  " + percent(now.progress);
    return out + "\n";
}

}  // namespace

int watch(const Options &options)
{
    check_team(options.team);
    const Call call = options.timeout ? Call::within(to_duration(*options.timeout)) : Call();
    open_engine(options).watch(
        options.team,
        [&](const BuildChange &change) { return print(options.json ? as_json(change) : as_line(change)); }, call);
    return Exit::done;
}

}  // namespace litbuild::cli
