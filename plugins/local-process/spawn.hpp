// Starts the runner without forking the host.
#pragma once

#include <string>
#include <vector>

#include <litbuild/process.hpp>

namespace local_process {

/// Starts the command of `spec` with exactly this environment, in a session of its own, nothing but its word back in common
/// with this process, and waits for that word: "ok", and lines of a token behind it. Throws what the runner said went wrong,
/// Code::unavailable where it ended without a word; Code::timeout and Code::cancelled where it had not begun by then, and
/// it never will, unless the folder did not answer. One that had is waited for up to ten seconds longer.
std::string spawn_runner(const litbuild::Call &call, const litbuild::LaunchSpec &spec,
                         const std::vector<std::string> &environment);

}  // namespace local_process
