#include <litbuild/engine.hpp>

#include "core.hpp"
#include "index.hpp"
#include "strays.hpp"

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

std::vector<TeamFinding> Engine::examine(const std::string &team, Repair repair, Call call) const
{
    std::vector<TeamFinding> out;
    const auto look_at = [&](const std::string &each) {
        core_->store->examine(call, each, repair, [&](const Finding &found) {
            out.push_back({each, found});
            return true;
        });
        if (repair == Repair::yes) detail::forget_index(*core_, core_->bounded(call), each);
    };
    const auto with_held = [&] {
        std::vector<TeamFinding> held = detail::examine_held(*core_, call, team, repair);
        out.insert(out.end(), std::make_move_iterator(held.begin()), std::make_move_iterator(held.end()));
        return std::move(out);
    };
    if (!team.empty()) {
        check_team(team);
        look_at(team);
        return with_held();
    }
    for (const std::string &each : teams(call)) {
        try {
            look_at(each);
        } catch (const Error &e) {
            // One team that cannot be looked at does not hide the others.
            if (e.code() != Code::denied && e.code() != Code::corrupt) throw;
            out.push_back({each, {Finding::State::left, 0, "unreadable", e.what(), "see to it that it can be read"}});
        }
    }
    return with_held();
}

std::vector<PluginInfo> Engine::plugins() const
{
    std::vector<PluginInfo> out;
    for (const detail::Candidate &candidate : core_->registry.all()) out.push_back(candidate.info);
    return out;
}

}  // namespace litbuild
