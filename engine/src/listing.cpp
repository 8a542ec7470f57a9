#include "listing.hpp"

namespace litbuild {

namespace detail {
namespace {

bool has_tag(const std::vector<std::string> &tags, const std::optional<std::string> &tag)
{
    return !tag || std::find(tags.begin(), tags.end(), *tag) != tags.end();
}

}  // namespace

void for_each_build(const Core &core, const std::string &team, const Filter &filter, const Call &given, Reads reads,
                    const RunidTest &among, const SummarySink &each)
{
    check_team(team);
    if (filter.tag) check_tag(*filter.tag);
    const Call call = core.bounded(given);
    const bool all = reads == Reads::everything;
    const bool filtered = filter.tag || filter.state || among;
    std::vector<Entry> entries;
    // First the names, whole: what is read of the builds meanwhile must not move the list under us.
    core.store->list(call, {team, filter.scope, filter.before, filtered ? 0 : filter.limit}, [&](const Entry &entry) {
        if (!among || among(entry.runid)) entries.push_back(entry);
        return true;
    });
    uint64_t given_out = 0;
    for (const Entry &entry : entries) {
        if (filter.limit > 0 && given_out == filter.limit) return;
        call.check(team);
        Summary summary{{team, entry.runid}, entry.path, entry.archived, {}, {}};
        try {
            if (all || filter.tag) summary.tags = core.store->tags(call, summary.name);
            if (!has_tag(summary.tags, filter.tag)) continue;
            if (all || filter.state) summary.status = core.status(call, summary.name);
            if (filter.state && summary.status.state != *filter.state) continue;
        } catch (const Error &e) {
            // Gone since it was listed.
            if (e.code() == Code::not_found) continue;
            // One damaged build must not hide the others.
            if (e.code() != Code::corrupt && e.code() != Code::denied) throw;
            if (filter.tag || (filter.state && *filter.state != State::unknown)) continue;
            summary.status.error = e.what();
        }
        ++given_out;
        each(std::move(summary));
    }
}

}  // namespace detail

std::vector<Build> Engine::get_builds(const std::string &team, const Filter &filter, Call call) const
{
    std::vector<Build> out;
    detail::for_each_build(*core_, team, filter, call, detail::Reads::needed, {},
                           [&](Summary summary) { out.push_back(Build(core_, std::move(summary.name))); });
    return out;
}

std::vector<Summary> Engine::list(const std::string &team, const Filter &filter, Call call) const
{
    std::vector<Summary> out;
    detail::for_each_build(*core_, team, filter, call, detail::Reads::everything, {},
                           [&](Summary summary) { out.push_back(std::move(summary)); });
    return out;
}

}  // namespace litbuild
