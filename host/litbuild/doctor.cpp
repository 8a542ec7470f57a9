// doctor: what crashes, people and other programs have left behind.
#include <boost/json.hpp>

#include "commands.hpp"
#include "interrupt.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

namespace json = boost::json;

Colour colour_of(Finding::State state)
{
    switch (state) {
    case Finding::State::repaired: return Colour::green;
    case Finding::State::repairable: return Colour::yellow;
    case Finding::State::left: break;
    }
    return Colour::red;
}

std::string as_json(const std::vector<TeamFinding> &findings)
{
    json::array out;
    for (const auto &[team, found] : findings)
        out.push_back({{"team", team},
                       {"runid", found.runid == 0 ? json::value(nullptr) : json::value(found.runid)},
                       {"kind", as_utf8(found.kind)},
                       {"state", name(found.state)},
                       {"text", as_utf8(found.text)},
                       {"action", as_utf8(found.action)}});
    return json::serialize(out) + "\n";
}

/// "repairable  contoso/19: lies in both places; remove the copy in the archive"
std::string as_text(const std::vector<TeamFinding> &findings)
{
    std::string out;
    size_t repairable = 0;
    for (const auto &[team, found] : findings) {
        std::string state = name(found.state);
        state.resize(10, ' ');
        out += coloured(state, colour_of(found.state)) + "  " + escaped(found.text) +
               (found.action.empty() ? "" : "; " + escaped(found.action)) + "\n";
        if (found.state == Finding::State::repairable) ++repairable;
    }
    if (repairable > 0) out += std::to_string(repairable) + " of these can be put right with --repair\n";
    return out.empty() ? "nothing found\n" : out;
}

}  // namespace

int doctor(const Options &options)
{
    if (options.one_team) check_team(*options.one_team);
    const Repair repair = options.repair ? Repair::yes : Repair::no;
    const std::vector<TeamFinding> findings =
        open_engine(options).examine(options.one_team.value_or(""), repair, interruptible_call());
    print(options.json ? as_json(findings) : as_text(findings));
    const bool done = std::all_of(findings.begin(), findings.end(),
                                  [](const TeamFinding &each) { return each.found.state == Finding::State::repaired; });
    return done ? Exit::done : Exit::left;
}

}  // namespace litbuild::cli
