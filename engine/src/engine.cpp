#include <litbuild/engine.hpp>

#include "core.hpp"

namespace litbuild {

using detail::Core;

Engine::Engine(Config config) : core_(std::make_shared<const Core>(std::move(config))) {}
Engine::~Engine() = default;
Engine::Engine(Engine &&) noexcept = default;
Engine &Engine::operator=(Engine &&) noexcept = default;

Build Engine::build(const std::string &team, int64_t runid) const
{
    BuildName name{team, runid};
    check(name);
    return Build(core_, std::move(name));
}

std::vector<std::string> Engine::teams(Call call) const
{
    std::vector<std::string> out = core_->store->teams(core_->bounded(call));
    std::sort(out.begin(), out.end());
    return out;
}

std::vector<PluginInfo> Engine::plugins() const
{
    std::vector<PluginInfo> out;
    for (const detail::Candidate &candidate : core_->registry.all()) out.push_back(candidate.info);
    return out;
}

namespace {

bool has_tag(const std::vector<std::string> &tags, const std::optional<std::string> &tag)
{
    return !tag || std::find(tags.begin(), tags.end(), *tag) != tags.end();
}

/// Calls `each` with the entries that the filter lets pass, what was read of them for it, until the limit.
template <class Each>
void for_each_build(const Core &core, const std::string &team, const Filter &filter, const Call &given, bool all, Each each)
{
    check_team(team);
    if (filter.tag) check_tag(*filter.tag);
    const Call call = core.bounded(given);
    const bool filtered = filter.tag || filter.state;
    std::vector<Entry> entries;
    // First the names, whole: what is read of the builds meanwhile must not move the list under us.
    core.store->list(call, {team, filter.scope, filter.before, filtered ? 0 : filter.limit}, [&](const Entry &entry) {
        entries.push_back(entry);
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

}  // namespace

std::vector<Build> Engine::get_builds(const std::string &team, const Filter &filter, Call call) const
{
    std::vector<Build> out;
    for_each_build(*core_, team, filter, call, false,
                   [&](Summary summary) { out.push_back(Build(core_, std::move(summary.name))); });
    return out;
}

std::vector<Summary> Engine::list(const std::string &team, const Filter &filter, Call call) const
{
    std::vector<Summary> out;
    for_each_build(*core_, team, filter, call, true, [&](Summary summary) { out.push_back(std::move(summary)); });
    return out;
}

}  // namespace litbuild
