// How results are shown: to people as they come, to programs as one JSON object.
#pragma once

#include <span>
#include <string>

#include <conformance/conformance.hpp>

namespace litbuild::plugin {

/// One line, and where it did not pass, what a plugin's author needs to put it right.
std::string as_text(const conformance::Result &result);
/// "71 passed, 1 failed, 12 skipped"; whatever is neither passed nor skipped has failed.
std::string totals(std::span<const conformance::Result> results);
bool all_good(std::span<const conformance::Result> results);

std::string as_json(std::span<const conformance::Result> results, const std::string &library);
std::string as_text(const conformance::Description &found, const std::string &library);
std::string as_json(const conformance::Description &found, const std::string &library);
std::string as_text(std::span<const conformance::Check> checks);
std::string as_json(std::span<const conformance::Check> checks);

}  // namespace litbuild::plugin
