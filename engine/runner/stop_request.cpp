#include "stop_request.hpp"

#include <boost/json.hpp>

#include "journal.hpp"

namespace runner {

using boost::json::object;
using boost::json::value;

namespace {

litbuild::StopPlan plan_of(const object &wish)
{
    litbuild::StopPlan plan;
    const value *steps = wish.if_contains("plan");
    if (!steps || !steps->is_array()) return plan;
    for (const value &step : steps->as_array()) {
        const value *signal = step.is_object() ? step.as_object().if_contains("signal") : nullptr;
        const value *grace = step.is_object() ? step.as_object().if_contains("grace_ms") : nullptr;
        if (!signal || !grace || !signal->is_int64() || !grace->is_int64()) continue;
        const auto sound = litbuild::make_stop_step(signal->as_int64(), grace->as_int64());
        if (sound) plan.push_back(*sound);
    }
    if (!is_sound(plan)) plan.clear();
    return plan;
}

}  // namespace

std::optional<StopRequest> parse_stop_request(std::string_view text)
{
    boost::system::error_code error;
    const value parsed = boost::json::parse(text, error);
    if (error || !parsed.is_object()) return std::nullopt;
    const object &wish = parsed.as_object();
    const auto word = [&](const char *key) {
        const value *member = wish.if_contains(key);
        return member && member->is_string() ? clean(member->as_string()) : std::string();
    };
    return StopRequest{word("by"), word("reason"), plan_of(wish)};
}

}  // namespace runner
