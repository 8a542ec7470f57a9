// The file `tags` of a build: words with commas between them. People edit it by hand, so spaces around a word, empty
// words, line breaks and repetitions mean nothing.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace litbuild::folder {

/// The words that check_tag() accepts, in order, each once.
std::vector<std::string> parse_tags(std::string_view content);

/// The content after an edit; `content` itself where it changes nothing. Words that are no tags are kept.
std::string edit_tags(std::string_view content, std::span<const std::string> add, std::span<const std::string> remove);

}  // namespace litbuild::folder
