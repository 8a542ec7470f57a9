#include "foreign_text.hpp"

#include <algorithm>
#include <cstdio>

#include <litbuild/names.hpp>

namespace litbuild::cli {
namespace {

/// Bytes of the well-formed character that the text starts with; 0: it starts with none.
size_t character(std::string_view text)
{
    for (size_t size = 1; size <= std::min<size_t>(4, text.size()); ++size)
        if (is_utf8(text.substr(0, size))) return size;
    return 0;
}

/// C0, delete, and C1 (U+0080 to U+009F), which some terminals obey as well.
bool is_control(std::string_view character)
{
    const auto byte = [&](size_t at) { return static_cast<unsigned char>(character[at]); };
    if (character.size() == 1) return byte(0) < 0x20 || byte(0) == 0x7f;
    return character.size() == 2 && byte(0) == 0xc2 && byte(1) < 0xa0;
}

std::string hex(char c)
{
    char out[8];
    std::snprintf(out, sizeof out, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    return out;
}

}  // namespace

std::string escaped(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        const size_t size = character(text);
        const std::string_view head = text.substr(0, std::max<size_t>(size, 1));
        if (head == "\n") out += "\\n";
        else if (head == "\t") out += "\\t";
        else if (size > 0 && !is_control(head)) out += head;
        else for (const char c : head) out += hex(c);
        text.remove_prefix(head.size());
    }
    return out;
}

std::string as_utf8(std::string_view bytes)
{
    if (is_utf8(bytes)) return std::string(bytes);
    std::string out;
    while (!bytes.empty()) {
        const size_t size = character(bytes);
        if (size == 0) out += "\xef\xbf\xbd";
        else out += bytes.substr(0, size);
        bytes.remove_prefix(std::max<size_t>(size, 1));
    }
    return out;
}

}  // namespace litbuild::cli
