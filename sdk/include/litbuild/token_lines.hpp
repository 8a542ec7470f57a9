// The form of a token that a controller may use: a first line that names the plugin and its version, then lines "KEY VALUE".
// Text that people can read, to which a runner may add lines, and in which what is not known yet is left out.
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include <litbuild/names.hpp>

namespace litbuild {

class TokenWriter {
public:
    explicit TokenWriter(std::string_view first_line) : text_(std::string(first_line) + "\n") {}
    /// Left out where it is empty. Neither may hold a line break, nor `key` a space.
    void add(std::string_view key, std::string_view value)
    {
        if (!value.empty()) text_ += std::string(key) + " " + std::string(value) + "\n";
    }
    /// Left out where it is 0.
    void add(std::string_view key, uint64_t value)
    {
        if (value != 0) add(key, std::string_view(std::to_string(value)));
    }
    std::string text() && { return std::move(text_); }

private:
    std::string text_;
};

/// Calls `each(key, value)` for each line behind the first one, which must be `first_line`, such as "local-process 1".
/// A line without a space is passed over. Code::corrupt: it is another plugin's.
template <class Each>
void read_token(std::string_view text, std::string_view first_line, Each each)
{
    const auto take_line = [&] {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        return line;
    };
    if (const std::string_view line = take_line(); line != first_line)
        throw Error(Code::corrupt, "token: not of " + std::string(first_line.substr(0, first_line.find(' '))) +
                                       " (starts with " + quote(line.substr(0, 40)) + ")");
    while (!text.empty()) {
        const std::string_view line = take_line();
        const size_t space = line.find(' ');
        if (space != std::string_view::npos) each(line.substr(0, space), line.substr(space + 1));
    }
}

/// 0: it is none, or begins with none.
inline uint64_t token_number(std::string_view value) noexcept
{
    uint64_t out = 0;
    std::from_chars(value.data(), value.data() + value.size(), out);
    return out;
}

}  // namespace litbuild
