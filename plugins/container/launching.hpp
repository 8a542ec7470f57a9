// From a spec to a container whose runner is at work.
#pragma once

#include <litbuild/process.hpp>

#include "api.hpp"
#include "options.hpp"
#include "token.hpp"

namespace container {

// Labels of every container of this plugin.
namespace label {
inline constexpr const char *uuid = "litbuild.uuid";
inline constexpr const char *team = "litbuild.team";
inline constexpr const char *runid = "litbuild.runid";
inline constexpr const char *remove = "litbuild.remove";   ///< "always", "on success", "never"
}  // namespace label

/// Where this returns, the runner is at work or has ended; where it throws, it is not and never will be at work.
Token launch(const litbuild::Call &call, const Api &api, const Settings &settings, const litbuild::LaunchSpec &spec);

/// "contoso/19", of a container of this plugin; else what it is.
std::string owner_of(const Container &container);

}  // namespace container
