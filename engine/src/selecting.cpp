#include "selecting.hpp"

#include <algorithm>
#include <unordered_set>

#include "listing.hpp"

namespace litbuild::detail {

using Runs = Selection::Runs;

namespace {

bool contains(const Runs &runs, int64_t runid)
{
    return runs.last == 0 ? runid == runs.first : runs.first <= runid && runid <= runs.last;
}

std::string text(const Runs &runs)
{
    return std::to_string(runs.first) + (runs.last == 0 ? "" : "-" + std::to_string(runs.last));
}

void check(const std::string &team, const Selection &which)
{
    check_team(team);
    if (which.runs.empty() && !which.filter) throw Error(Code::invalid, team + ": no builds are named");
    for (const Runs &runs : which.runs) {
        if (runs.first < 1 || runs.last < 0)
            throw Error(Code::invalid, team + ": " + text(runs) + " names no run ids; a run id is a whole number above 0");
        if (runs.last != 0 && runs.last < runs.first)
            throw Error(Code::invalid, team + ": " + text(runs) + " ends before it starts");
    }
}

/// The run ids that the filter lets pass, the newest first.
std::vector<int64_t> filtered(const Core &core, const std::string &team, const Selection &which, const Call &call)
{
    std::vector<int64_t> out;
    RunidTest among;
    if (!which.runs.empty())
        among = [&](int64_t runid) {
            return std::any_of(which.runs.begin(), which.runs.end(), [&](const Runs &runs) { return contains(runs, runid); });
        };
    for_each_build(core, team, *which.filter, call, Reads::needed, among,
                   [&](const Row &row) {
                       out.push_back(row.runid());
                       return true;
                   });
    return out;
}

}  // namespace

std::vector<int64_t> selected(const Core &core, const std::string &team, const Selection &which, const Call &call)
{
    check(team, which);
    std::vector<int64_t> passing;
    if (which.filter) passing = filtered(core, team, which, call);
    if (which.runs.empty()) return passing;

    std::vector<int64_t> all;
    core.store->list(core.bounded(call), {team, Scope::all, 0, 0}, [&](const Entry &entry) {
        all.push_back(entry.runid);
        return true;
    });
    std::reverse(all.begin(), all.end());
    const std::unordered_set<int64_t> pass(passing.begin(), passing.end());
    std::unordered_set<int64_t> taken;
    std::vector<int64_t> out;
    bool any = false;
    for (const Runs &runs : which.runs) {
        auto at = std::lower_bound(all.begin(), all.end(), runs.first);
        if (runs.last == 0) {
            const bool there = at != all.end() && *at == runs.first;
            any = true;
            // One that is not there is for the action to find out, and to say so.
            if (there && which.filter && !pass.contains(runs.first)) continue;
            if (taken.insert(runs.first).second) out.push_back(runs.first);
            continue;
        }
        for (; at != all.end() && *at <= runs.last; ++at) {
            any = true;
            if (which.filter && !pass.contains(*at)) continue;
            if (taken.insert(*at).second) out.push_back(*at);
        }
    }
    if (any) return out;
    std::string ranges;
    for (const Runs &runs : which.runs) ranges += (ranges.empty() ? "" : ", ") + text(runs);
    throw Error(Code::not_found, team + ": no build in " + ranges);
}

}  // namespace litbuild::detail
