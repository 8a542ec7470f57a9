#include "hearing.hpp"

#include <litbuild/linux/proc.hpp>

#include "core.hpp"

namespace litbuild::detail {

namespace {

// Forgetting makes nobody lost: what is forgotten is watched anew.
constexpr size_t most_watched = 10'000;

std::string host_of(const std::string &beat)
{
    const size_t at = beat.find("\nhost ");
    if (at == std::string::npos) return "?";
    const size_t from = at + 6;
    return beat.substr(from, beat.find('\n', from) - from);
}

/// None: that clock cannot be asked.
std::optional<std::chrono::nanoseconds> age_of(const Core &core, const Call &call, const BuildName &build,
                                               const std::string &file)
{
    try {
        return core.store->age(call, build, file);
    } catch (const Error &e) {
        if (e.code() == Code::not_found) return std::chrono::nanoseconds(0);
        if (e.code() != Code::unsupported && e.code() != Code::denied && e.code() != Code::no_space) throw;
        return std::nullopt;
    }
}

std::string seconds_of(std::chrono::nanoseconds time)
{
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

Hearing::Seen Hearing::look(const std::string &build, const std::string &beat)
{
    const Clock::time_point now = Clock::now();
    const std::lock_guard<std::mutex> hold(mutex_);
    if (seen_.size() >= most_watched && !seen_.contains(build)) seen_.clear();
    Seen &seen = seen_[build];
    if (seen.since == Clock::time_point{}) seen = {beat, now, now, {}};
    if (seen.beat != beat) seen = {beat, now, now, seen.looked};
    seen.looked = now;
    return seen;
}

std::string Hearing::silence(const Core &core, const Call &call, const BuildName &build)
{
    const std::chrono::nanoseconds limit = core.config.lost_after;
    const std::optional<std::string> beat = core.control(call, build, control::beat);
    if (limit.count() == 0 || !beat) return "";
    const Seen seen = look(to_string(build), *beat);
    const Clock::time_point now = Clock::now();
    // Whatever the server's clock does: it has moved before our eyes.
    if (seen.after != Clock::time_point{} && now - seen.after <= limit) return "";
    const std::string who = "host " + host_of(*beat) + ", which runs it, has not been heard of for ";
    if (const auto age = age_of(core, call, build, ".control/" + std::string(control::beat)))
        return *age > limit ? who + seconds_of(*age) + " by the file server's clock" : "";
    return now - seen.since > limit ? who + seconds_of(now - seen.since) + " by the clock of who asks" : "";
}

bool Hearing::is_heard(const Core &core, const Call &call, const BuildName &build)
{
    const std::optional<std::string> beat = core.control(call, build, control::beat);
    return beat && beat->find("\nboot " + linux_::boot_id() + "\n") == std::string::npos && silence(core, call, build).empty();
}

std::string Hearing::silence_of_launcher(const Core &core, const Call &call, const BuildName &build, const std::string &host)
{
    const std::chrono::nanoseconds limit = core.config.lost_after;
    if (limit.count() == 0) return "";
    const auto age = age_of(core, call, build, "build.json");
    if (!age || *age <= limit) return "";
    return "host " + host + ", which was to start it, has not been heard of for " + seconds_of(*age) +
           " by the file server's clock";
}

}  // namespace litbuild::detail
