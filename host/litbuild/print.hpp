// What goes out: results to standard output, diagnostics to standard error. Nothing is buffered here.
#pragma once

#include <string>
#include <string_view>

#include <litbuild/status.hpp>

namespace litbuild::cli {

/// False once nobody can read it any more; then the rest is dropped, see print_error().
bool print(std::string_view text) noexcept;
/// errno of the first print() that failed; 0: none did.
int print_error() noexcept;

/// One or more lines on standard error, "litbuild: " before the first. Control characters but line breaks are escaped.
void complain(std::string_view text);

enum class Colour { none, bold, dim, red, green, yellow, blue };

/// The text in a colour where standard output is a terminal that knows them, else as it is.
std::string coloured(std::string_view text, Colour colour);
Colour colour_of(State state) noexcept;

}  // namespace litbuild::cli
