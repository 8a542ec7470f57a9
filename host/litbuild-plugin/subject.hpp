// What is checked, from files: the library and the configuration of its interfaces.
#pragma once

#include <optional>
#include <string>

#include <conformance/conformance.hpp>

namespace litbuild::plugin {

/// `config`: a file with a JSON object like an engine's configuration: the members "store", "status" and "process" are what
/// each interface is opened with ("plugin" is left out); others are passed over. A store without "root" is given the check's
/// own folder. Throws Error(Code::not_found): no such file. Code::invalid: not such an object.
conformance::Subject make_subject(const std::string &library, const std::optional<std::string> &config,
                                  const std::optional<std::string> &runner);

/// What is wrong with the manifest beside the library, NAME.json, which engines find a plugin by. Empty: nothing, or there is
/// none.
std::string manifest_problem(const conformance::Description &found, const std::filesystem::path &library);

}  // namespace litbuild::plugin
