#include "strays.hpp"

namespace litbuild::detail {

namespace {

constexpr const char *kind = "stray";

/// Why nobody here needs what is held, as the end of a sentence; empty: somebody does.
std::string no_need(const Core &core, const Call &call, const Held &held)
{
    try {
        (void)core.store->find(call, held.build);
        if (core.uuid(call, held.build) != held.uuid) return "and the build of this name here is another";
        const State state = core.told_status(call, held.build).state;
        if (held.life != Life::gone && is_terminal(state)) return std::string("and the build is ") + name(state);
        return "";
    } catch (const Error &e) {
        if (e.code() == Code::not_found) return "and there is no such build here";
        if (e.code() == Code::corrupt) return "";   // The store's own examination tells that.
        throw;
    }
}

Finding put_right(const Core &core, const Call &call, const Held &held, Repair repair, Finding out)
{
    out.state = Finding::State::repairable;
    if (repair == Repair::no) return out;
    try {
        core.processes->forget(call, held.token);
        out.state = Finding::State::repaired;
        out.action = "removed";
    } catch (const Error &e) {
        out.state = Finding::State::left;
        out.text += std::string(" (") + e.what() + ")";
    }
    return out;
}

}  // namespace

std::vector<TeamFinding> examine_held(const Core &core, const Call &call, const std::string &team, Repair repair)
{
    std::vector<Held> all;
    try {
        core.processes->held(call, team, [&](const Held &held) {
            all.push_back(held);
            return true;
        });
    } catch (const Error &e) {
        if (e.code() == Code::unsupported) return {};
        if (e.code() != Code::unavailable) throw;
        // What the store tells is not lost because the controller is away.
        return {{team, {Finding::State::left, 0, "unreadable", e.what(), "examine again when it answers"}}};
    }
    std::vector<TeamFinding> out;
    for (const Held &held : all) {
        Finding found{Finding::State::left, held.build.runid, kind, to_string(held.build) + ": " + held.text, held.action};
        if (held.due) {
            out.push_back({held.build.team, put_right(core, call, held, repair, std::move(found))});
        } else if (const std::string why = no_need(core, call, held); !why.empty()) {
            found.text += ", " + why;
            out.push_back({held.build.team, std::move(found)});
        }
    }
    std::stable_sort(out.begin(), out.end(), [](const TeamFinding &a, const TeamFinding &b) {
        return std::tie(a.team, a.found.runid) < std::tie(b.team, b.found.runid);
    });
    return out;
}

}  // namespace litbuild::detail
