// Where an installation has put what the engine needs beside itself.
#pragma once

#include <filesystem>

namespace litbuild::detail {

/// The runner: `wanted` where it is given, else LITBUILD_RUNNER, beside this program, of the installation that the engine's
/// library or this program belongs to. Code::not_found: it is at none of these.
std::filesystem::path find_runner(const std::filesystem::path &wanted);

/// The installation's folder of plugins; it need not be there.
std::filesystem::path usual_plugins();

}  // namespace litbuild::detail
