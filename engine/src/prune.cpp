// Retention: what a policy lets go, looked at and acted on build by build, so that little can change in between.
#include <algorithm>

#include "bulk.hpp"

namespace litbuild {

using detail::Core;

namespace {

void check(const std::string &team, const Retention &policy)
{
    check_team(team);
    for (const std::string &tag : policy.keep_tags) check_tag(tag);
    if (policy.older_than.count() < 0) throw Error(Code::invalid, team + ": an age below zero is no policy");
    if (policy.older_than.count() == 0 && policy.keep_last == 0)
        throw Error(Code::invalid, team + ": the policy says nothing of what goes; give an age or how many stay");
}

/// When it ended; where that is not known, when it was last heard of.
Timestamp end_of(const Status &status)
{
    return status.ended != 0 ? status.ended : status.time != 0 ? status.time : status.created;
}

bool is_old(const Status &status, std::chrono::milliseconds age)
{
    if (age.count() == 0) return true;
    const Timestamp end = end_of(status);
    return end != 0 && (now() - end) / 1'000'000 > age.count();
}

bool has_one_of(const std::vector<std::string> &tags, const std::vector<std::string> &wanted)
{
    return std::any_of(wanted.begin(), wanted.end(), [&](const std::string &tag) {
        return std::find(tags.begin(), tags.end(), tag) != tags.end();
    });
}

const char *doing(const Retention &policy)
{
    return policy.action == Retention::Action::archive ? "archiving" : "removing";
}

}  // namespace

std::vector<BulkResult> Engine::prune(const std::string &team, const Retention &policy, const BulkSink &each,
                                      Call call) const
{
    check(team, policy);
    const Core &core = *core_;
    const bool archives = policy.action == Retention::Action::archive;
    const bool trial = policy.trial == Retention::Trial::yes;
    std::vector<BulkResult> out;
    std::vector<Entry> entries;
    core.store->list(core.bounded(call), {team, archives ? Scope::live : Scope::archived, 0, 0}, [&](const Entry &entry) {
        entries.push_back(entry);
        return true;
    });

    for (size_t i = std::min<size_t>(policy.keep_last, entries.size()); i < entries.size(); ++i) {
        BulkResult result{.build = {team, entries[i].runid}};
        result.path = entries[i].path;
        bool goes = true;
        const bool ran = detail::run_one(result, call, [&] {
            const Call looking = core.bounded(call);
            const detail::Standing standing = core.standing(looking, result.build);
            const State state = standing.status.state;
            goes = (is_terminal(state) || state == State::lost) && is_old(standing.status, policy.older_than);
            if (!goes) return;
            if (!policy.keep_tags.empty()) result.tags = core.store->tags(looking, result.build);
            goes = !has_one_of(result.tags, policy.keep_tags);
            result.tags.clear();
            if (!goes) return;
            if (trial) return detail::refuse_where_alive(result.build, standing, doing(policy));
            const Build build(core_, result.build);
            if (archives) result.path = build.archive(call);
            else build.remove(call);
        });
        if (!ran) throw detail::cancelled(team, out.size(), entries.size());
        // Gone since it was listed.
        if (!goes || (result.error && result.error->code() == Code::not_found)) continue;
        if (result.error || (!archives && !trial)) result.path.clear();
        if (each) each(result);
        out.push_back(std::move(result));
    }
    return out;
}

}  // namespace litbuild
