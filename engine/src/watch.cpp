// Watching a team: what the store tells, or where it cannot, what looking again and again shows.
#include <map>
#include <utility>

#include "core.hpp"

namespace litbuild {

using detail::Core;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds rest_between_looks(2000);

std::optional<Status> status_of(const Core &core, const Call &call, const BuildName &build)
{
    try {
        return core.status(call.at_most(std::chrono::seconds(30)), build);
    } catch (const Error &) {
        // That something happened to it is worth telling all the same.
        return std::nullopt;
    }
}

/// What was seen of a team at the last look. Tags, and the status of builds that have ended, are not looked at again.
class Looking {
public:
    Looking(const Core &core, const std::string &team, const WatchSink &sink, const Call &call)
        : core_(core), team_(team), sink_(sink), call_(call)
    {
        known_ = look();
    }

    void run()
    {
        bool more = sink_({.kind = Change::Kind::watching, .build = {team_, 0}, .delay = rest_between_looks});
        while (more) {
            detail::pause(call_, rest_between_looks);
            if (call_.cancelled()) throw Error(Code::cancelled, team_ + ": cancelled");
            if (call_.expired()) return;
            more = compare();
        }
    }

private:
    struct Seen {
        bool archived = false;
        std::optional<Status> status{};   ///< of builds in the main list
    };
    using Picture = std::map<int64_t, Seen>;

    Picture look()
    {
        Picture out;
        core_.store->list(core_.bounded(call_), {team_, Scope::all, 0, 0}, [&](const Entry &entry) {
            out[entry.runid].archived = entry.archived;
            return true;
        });
        for (auto &[runid, seen] : out) {
            if (seen.archived || call_.cancelled() || call_.expired()) continue;
            const auto before = known_.find(runid);
            const bool settled = before != known_.end() && before->second.status && !is_active(before->second.status->state);
            seen.status = settled ? before->second.status : status_of(core_, call_, {team_, runid});
        }
        return out;
    }

    bool tell(Change::Kind kind, int64_t runid, const std::optional<Status> &status)
    {
        return sink_({.kind = kind, .build = {team_, runid}, .status = status});
    }

    bool compare()
    {
        const Picture before = std::exchange(known_, look());
        for (const auto &[runid, seen] : before)
            if (!known_.contains(runid) && !tell(Change::Kind::removed, runid, std::nullopt)) return false;
        for (const auto &[runid, seen] : known_) {
            const auto old = before.find(runid);
            const bool is_new = old == before.end();
            if (is_new && !tell(Change::Kind::created, runid, seen.status)) return false;
            if (!is_new && old->second.archived != seen.archived) {
                const Change::Kind kind = seen.archived ? Change::Kind::archived : Change::Kind::restored;
                if (!tell(kind, runid, seen.archived ? old->second.status : seen.status)) return false;
                continue;
            }
            if (!is_new && differ(old->second.status, seen.status) && !tell(Change::Kind::changed, runid, seen.status))
                return false;
        }
        return true;
    }

    static bool differ(const std::optional<Status> &a, const std::optional<Status> &b)
    {
        if (a.has_value() != b.has_value()) return true;
        return a && (a->state != b->state || a->cursor != b->cursor || a->time != b->time);
    }

    const Core &core_;
    const std::string &team_;
    const WatchSink &sink_;
    const Call &call_;
    Picture known_{};
};

}  // namespace

void Engine::watch(const std::string &team, const WatchSink &sink, Call call) const
{
    check_team(team);
    const Core &core = *core_;
    bool told = false;
    try {
        core.store->watch(call, team, [&](const Change &change) {
            told = true;
            BuildChange out{.kind = change.kind, .build = {team, change.runid}, .delay = change.delay};
            if (change.kind != Change::Kind::watching && change.kind != Change::Kind::removed)
                out.status = status_of(core, call, out.build);
            return sink(out);
        });
        return;
    } catch (const Error &e) {
        if (told || e.code() != Code::unsupported) throw;
    }
    Looking(core, team, sink, call).run();
}

}  // namespace litbuild
