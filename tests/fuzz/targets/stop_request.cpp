// A request to stop, as the runner finds it in its build's folder.
#include <litbuild/names.hpp>

#include "stop_request.hpp"

#include "../target.hpp"

FUZZ_TARGET(stop_request)
{
    const auto request = runner::parse_stop_request(input);
    if (!request) return;
    fuzz::must(litbuild::is_utf8(request->by) && litbuild::is_utf8(request->reason), "words are UTF-8");
    std::chrono::nanoseconds whole(0);
    for (const litbuild::StopStep &step : request->plan) {
        fuzz::must(step.signal >= 1 && step.signal <= 64 && step.grace.count() >= 0, "a step is a signal and a time");
        whole += step.grace;
    }
    fuzz::must(whole < std::chrono::hours(24 * 365 * 100), "a plan has an end");
    fuzz::must(request->plan.empty() || request->plan.back().signal == 9, "a plan ends with a kill");
}
