// Starts the runner without forking the host.
#pragma once

#include <string>
#include <vector>

#include <litbuild/call.hpp>

namespace local_process {

/// Starts `command` with exactly this environment, in a session of its own, nothing but its word back in common with this
/// process, and waits for that word: "ok", and lines of a token behind it. `object` starts the errors. Throws what the
/// runner said went wrong, Code::timeout where it said nothing by the deadline, Code::unavailable where it ended without a
/// word.
std::string spawn_runner(const litbuild::Call &call, const std::string &object, const std::vector<std::string> &command,
                     const std::vector<std::string> &environment);

}  // namespace local_process
