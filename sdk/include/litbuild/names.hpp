// The names that come from outside: teams, run ids, tags, durations. One place decides what is a good one.
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <litbuild/error.hpp>

namespace litbuild {

/// A build, by name.
struct BuildName {
    std::string team;
    int64_t runid = 0;
};

/// "contoso/19", as errors start.
inline std::string to_string(const BuildName &build) { return build.team + "/" + std::to_string(build.runid); }

/// Text of foreign origin, fit to stand in an error: quoted, cut to 80 bytes, anything but printable ASCII as `\xNN`.
inline std::string quote(std::string_view text)
{
    static constexpr char digits[] = "0123456789abcdef";
    std::string out = "'";
    for (const char c : text.substr(0, 80)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            out += c;
            continue;
        }
        out += "\\x";
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out + (text.size() > 80 ? "...'" : "'");
}

/// `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`
inline bool is_team(std::string_view text) noexcept
{
    const auto alnum = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    };
    if (text.empty() || text.size() > 63 || !alnum(text.front())) return false;
    for (const char c : text)
        if (!alnum(c) && c != '.' && c != '_' && c != '-') return false;
    return true;
}

inline void check_team(std::string_view text)
{
    if (is_team(text)) return;
    throw Error(Code::invalid, quote(text) + ": not a team name; a team is 1 to 63 letters, digits, '.', '_' or '-', "
                                              "and starts with a letter or a digit");
}

/// The canonical decimal of 1 to 2^63-1: no sign, no leading zero, nothing around it.
inline std::optional<int64_t> parse_runid(std::string_view text) noexcept
{
    if (text.empty() || text.front() < '1' || text.front() > '9') return std::nullopt;
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

inline void check(const BuildName &build)
{
    check_team(build.team);
    if (build.runid >= 1) return;
    throw Error(Code::invalid, to_string(build) + ": not a run id; a run id is a whole number above 0");
}

/// Well-formed UTF-8 (no overlong form, no surrogate).
inline bool is_utf8(std::string_view text) noexcept
{
    size_t i = 0;
    while (i < text.size()) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const size_t more = lead < 0x80 ? 0 : lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2
                          : lead >= 0xf0 && lead < 0xf5 ? 3 : 4;
        if (more == 4 || i + more >= text.size()) return false;
        for (size_t k = 1; k <= more; ++k)
            if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
        if (more >= 2) {
            const auto second = static_cast<unsigned char>(text[i + 1]);
            if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
                return false;
        }
        i += more + 1;
    }
    return true;
}

/// A tag is 1 to 128 bytes of UTF-8 without comma, line break or other control character, no space at either end.
inline void check_tag(std::string_view tag)
{
    const auto refuse = [&](const char *why) { throw Error(Code::invalid, "tag " + quote(tag) + ": " + why); };
    if (tag.empty()) refuse("is empty");
    if (tag.size() > 128) refuse("is longer than 128 bytes");
    if (!is_utf8(tag)) refuse("is not UTF-8");
    if (tag.front() == ' ' || tag.back() == ' ') refuse("starts or ends with a space");
    for (const char c : tag) {
        if (c == ',') refuse("contains a comma");
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) refuse("contains a line break or a control character");
    }
}

/// A hundred years: more than any deadline, and a few of them are within 64 bits of nanoseconds.
inline constexpr std::chrono::milliseconds longest_duration(3'153'600'000'000);

/// "500ms", "10s", "2m", "1h", "7d": a whole number and its unit. Nothing else is a duration.
inline std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) noexcept
{
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number < 0 || text.empty() || text.front() == '-') return std::nullopt;
    const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
    const int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : unit == "h" ? 3'600'000
                         : unit == "d" ? 86'400'000 : 0;
    if (factor == 0 || number > longest_duration.count() / factor) return std::nullopt;
    return std::chrono::milliseconds(number * factor);
}

/// "512M", "2G": a whole number above 0 and K, M, G or T, by 1024 each; at most 2^62 bytes. Nothing else is a size.
inline std::optional<uint64_t> parse_bytes(std::string_view text) noexcept
{
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
    const int shift = unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : unit == "T" ? 40 : -1;
    if (shift < 0 || number == 0 || number > (uint64_t{1} << 62) >> shift) return std::nullopt;
    return number << shift;
}

}  // namespace litbuild
