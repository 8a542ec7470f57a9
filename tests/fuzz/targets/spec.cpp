// A spec, as people write it.
#include <boost/json.hpp>

#include <litbuild/names.hpp>

#include "spec.hpp"

#include "../target.hpp"

using namespace litbuild;

FUZZ_TARGET(spec)
{
    const StopPlan stop{{15, std::chrono::seconds(10)}, {9, std::chrono::seconds(60)}};
    try {
        const detail::Spec spec = detail::parse_spec(input, stop);
        for (const std::string &tag : spec.tags) check_tag(tag);
        fuzz::must(!spec.step_names.empty() && !spec.first_program.empty(), "there is a step, and it has a program");
        const StopPlan plan = detail::plan_from_json(spec.document.at("stop"));
        fuzz::must(!plan.empty() && plan.back().signal == 9, "a plan ends with a kill");
        std::chrono::nanoseconds whole(0);
        for (const StopStep &step : plan) whole += step.grace;
        boost::json::parse(boost::json::serialize(spec.document));
    } catch (const Error &e) {
        fuzz::must(e.code() == Code::invalid, std::string("what is no spec is invalid: ") + e.what());
        fuzz::must(std::string_view(e.what()).starts_with("spec") || std::string_view(e.what()).starts_with("tag"), std::string("the sentence starts with the object: ") + e.what());
    }
}
