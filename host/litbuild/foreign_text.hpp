// Text of foreign origin, fit to be shown. Both programs have it.
#pragma once

#include <string>
#include <string_view>

namespace litbuild::cli {

/// Control characters, and bytes that are no UTF-8, as \n, \t or \xNN: a build's text must not drive a terminal.
std::string escaped(std::string_view text);
/// Bytes that are no UTF-8 as U+FFFD, which JSON can hold.
std::string as_utf8(std::string_view bytes);

}  // namespace litbuild::cli
