// What a spec may ask for.
#pragma once

#include "options.hpp"

namespace container {

/// Where the runner lies in every container.
inline constexpr const char *runner_target = "/litbuild-runner";

/// Throws Code::denied, or Code::invalid where a mount makes no sense. Mounts and files become what was looked at: their paths
/// without links. `choice` holds what was chosen of image, user and network.
void check_allowed(const Settings &settings, const std::string &object, const Choice &choice, std::vector<Mount> &mounts,
                   std::map<std::string, Value> &environment, const std::string &folder);

}  // namespace container
