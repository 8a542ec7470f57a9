#include <folder-store/tag_list.hpp>

#include <algorithm>

#include <litbuild/names.hpp>

namespace litbuild::folder {

namespace {

using Words = std::vector<std::string>;

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

bool contains(std::span<const std::string> words, std::string_view word) noexcept
{
    return std::find(words.begin(), words.end(), word) != words.end();
}

Words split(std::string_view content)
{
    if (content.starts_with(byte_order_mark)) content.remove_prefix(byte_order_mark.size());
    Words words;
    while (!content.empty()) {
        const size_t end = std::min(content.find_first_of(",\r\n"), content.size());
        std::string_view word = content.substr(0, end);
        content.remove_prefix(std::min(end + 1, content.size()));
        const size_t first = word.find_first_not_of(" \t");
        if (first == std::string_view::npos) continue;
        word = word.substr(first, word.find_last_not_of(" \t") - first + 1);
        if (!contains(words, word)) words.emplace_back(word);
    }
    return words;
}

bool is_tag(std::string_view word)
{
    try {
        check_tag(word);
        return true;
    } catch (const Error &) {
        return false;
    }
}

}  // namespace

std::vector<std::string> parse_tags(std::string_view content)
{
    Words words = split(content);
    std::erase_if(words, [](const std::string &word) { return !is_tag(word); });
    return words;
}

std::string edit_tags(std::string_view content, std::span<const std::string> add, std::span<const std::string> remove)
{
    const Words before = split(content);
    Words words = before;
    std::erase_if(words, [&](const std::string &word) { return contains(remove, word); });
    for (const std::string &word : add)
        if (!contains(words, word)) words.push_back(word);
    if (words == before) return std::string(content);
    std::string text;
    // A reader takes the first one off, for editors put it there.
    if (!words.empty() && words.front().starts_with(byte_order_mark)) text = byte_order_mark;
    for (size_t i = 0; i < words.size(); ++i) text += (i == 0 ? "" : ",") + words[i];
    return text.empty() ? text : text + "\n";
}

}  // namespace litbuild::folder
