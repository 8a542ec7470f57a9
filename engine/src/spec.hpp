// What is to be built: the spec as people write it, checked, and as it is kept in build.json.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include <litbuild/process.hpp>

namespace litbuild::detail {

struct Spec {
    std::vector<std::string> tags;
    std::vector<std::string> step_names;
    std::string first_program;
    std::optional<std::string> first_path;   ///< PATH as the spec sets it for the first step
    std::string limits;                      ///< JSON object for the controller; empty: none
    std::string options;                     ///< the same
    boost::json::object document;            ///< for build.json: times in milliseconds, signals as numbers
};

/// Throws Code::invalid with a sentence that starts with "spec".
Spec parse_spec(std::string_view text, const StopPlan &stop);

/// The plan as it stands in build.json and in requests.
boost::json::array to_json(const StopPlan &plan);
/// Throws a std::exception: it is no such plan.
StopPlan plan_from_json(const boost::json::value &plan);

}  // namespace litbuild::detail
