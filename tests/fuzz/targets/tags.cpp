// The file `tags`, read, and edited by one more tag and one less: content, tag to add, tag to remove.
#include <algorithm>

#include <litbuild/names.hpp>

#include <folder-store/tag_list.hpp>

#include "../target.hpp"

using namespace litbuild;
using Words = std::vector<std::string>;

namespace {

bool is_tag(const std::string &word)
{
    try {
        check_tag(word);
        return true;
    } catch (const Error &) {
        return false;
    }
}

bool contains(const Words &words, const std::string &word) { return std::find(words.begin(), words.end(), word) != words.end(); }

}  // namespace

FUZZ_TARGET(tags)
{
    const std::string_view content = fuzz::next_piece(input);
    const std::string add(fuzz::next_piece(input)), remove(fuzz::next_piece(input));
    const Words before = folder::parse_tags(content);
    for (const std::string &word : before) {
        fuzz::must(is_tag(word), "what is read is a tag");
        fuzz::must(std::count(before.begin(), before.end(), word) == 1, "a tag is there once");
    }
    fuzz::must(folder::edit_tags(content, {}, {}) == content, "no edit, no change");
    if (!is_tag(add) || !is_tag(remove) || add == remove) return;
    const std::string edited = folder::edit_tags(content, Words{add}, Words{remove});
    const Words after = folder::parse_tags(edited);
    fuzz::must(contains(after, add), "what was added is there");
    fuzz::must(!contains(after, remove), "what was removed is not");
    for (const std::string &word : before) fuzz::must(word == remove || contains(after, word), "nothing else is lost");
    fuzz::must(folder::edit_tags(edited, Words{add}, Words{remove}) == edited, "once is as good as twice");
}
