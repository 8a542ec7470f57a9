// Names that nobody else takes.
#pragma once

#include <array>
#include <string>

#include <sys/random.h>

#include <litbuild/error.hpp>

namespace litbuild::folder {

/// 16 random hexadecimal digits.
inline std::string noise()
{
    std::array<unsigned char, 8> bytes;
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        throw os_error("random numbers", "get them", errno);
    std::string text;
    for (const unsigned char byte : bytes) {
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

}  // namespace litbuild::folder
