// A line at the bottom of the terminal that says how far a long copy is. Only where standard error is a terminal, and only
// once it has lasted for half a second.
#pragma once

#include <cstdint>
#include <string_view>

namespace litbuild::cli {

/// `what` has done so many bytes of so many; total 0: not known. Any thread.
void show_progress(std::string_view what, uint64_t done, uint64_t total);
/// Takes the line away, before something else is written. Any thread.
void erase_progress() noexcept;

}  // namespace litbuild::cli
