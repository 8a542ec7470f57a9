// What is done to several builds of a team, one result for each.
#include "bulk.hpp"

#include <algorithm>

#include "crew.hpp"
#include "selecting.hpp"

namespace litbuild {

using detail::Crew;
using detail::selected;

namespace {

constexpr size_t stops_at_once = 16;

Selection within(const Selection &which, Scope scope)
{
    Selection out = which;
    if (out.filter) out.filter->scope = scope;
    return out;
}

}  // namespace

namespace detail {

bool run_one(BulkResult &result, const Call &call, const std::function<void()> &action)
{
    if (call.cancelled()) return false;
    const std::string object = to_string(result.build);
    if (call.expired()) {
        result.error = Error(Code::timeout, object + ": not begun; the deadline has passed");
        return true;
    }
    try {
        action();
    } catch (const Error &e) {
        if (e.code() == Code::cancelled && call.cancelled()) return false;
        result.error = e;
    }
    return true;
}

Error cancelled(const std::string &team, size_t done, size_t of)
{
    return Error(Code::cancelled, team + ": cancelled; " + std::to_string(done) + " of " + std::to_string(of) +
                                      (of == 1 ? " build" : " builds") + " had been done");
}

}  // namespace detail

namespace {

std::vector<BulkResult> blank(const std::string &team, const std::vector<int64_t> &runids)
{
    std::vector<BulkResult> out;
    out.reserve(runids.size());
    for (const int64_t runid : runids) out.push_back({.build = {team, runid}});
    return out;
}

/// One after the other: what is moved and removed shares one disk.
std::vector<BulkResult> in_turn(const std::string &team, const std::vector<int64_t> &runids, const BulkSink &each,
                                const Call &call, const std::function<void(BulkResult &)> &action)
{
    std::vector<BulkResult> out = blank(team, runids);
    for (size_t i = 0; i < out.size(); ++i) {
        if (!detail::run_one(out[i], call, [&] { action(out[i]); })) throw detail::cancelled(team, i, out.size());
        if (each) each(out[i]);
    }
    return out;
}

}  // namespace

std::vector<BulkResult> Engine::archive(const std::string &team, const Selection &which, const BulkSink &each,
                                        Call call) const
{
    const std::vector<int64_t> runids = selected(*core_, team, within(which, Scope::live), call);
    return in_turn(team, runids, each, call,
                   [&](BulkResult &result) { result.path = Build(core_, result.build).archive(call); });
}

std::vector<BulkResult> Engine::restore(const std::string &team, const Selection &which, const BulkSink &each,
                                        Call call) const
{
    const std::vector<int64_t> runids = selected(*core_, team, within(which, Scope::archived), call);
    return in_turn(team, runids, each, call,
                   [&](BulkResult &result) { result.path = Build(core_, result.build).restore(call); });
}

std::vector<BulkResult> Engine::remove(const std::string &team, const Selection &which, const BulkSink &each,
                                       Call call) const
{
    const std::vector<int64_t> runids = selected(*core_, team, within(which, Scope::archived), call);
    return in_turn(team, runids, each, call, [&](BulkResult &result) { Build(core_, result.build).remove(call); });
}

std::vector<BulkResult> Engine::edit_tags(const std::string &team, const Selection &which,
                                          const std::vector<std::string> &add, const std::vector<std::string> &remove,
                                          const BulkSink &each, Call call) const
{
    for (const std::string &tag : add) check_tag(tag);
    for (const std::string &tag : remove) check_tag(tag);
    const bool edits = !add.empty() || !remove.empty();
    return in_turn(team, selected(*core_, team, which, call), each, call, [&](BulkResult &result) {
        const Build build(core_, result.build);
        result.tags = edits ? build.edit_tags(add, remove, call) : build.tags(call);
    });
}

std::vector<BulkResult> Engine::stop(const std::string &team, const Selection &which, const StopOptions &options,
                                     const BulkSink &each, Call call) const
{
    std::vector<BulkResult> out = blank(team, selected(*core_, team, which, call));
    const Crew::Action action = [&](BulkResult &result) { result.stop = Build(core_, result.build).stop(options, call); };
    Crew crew(out, call, action);
    crew.hire(std::min(stops_at_once, out.size()));
    for (size_t i = 0; i < out.size(); ++i) {
        if (!crew.wait(i)) throw detail::cancelled(team, i, out.size());
        if (each) each(out[i]);
    }
    return out;
}

}  // namespace litbuild
