// Names, numbers, durations and times that come from outside.
#include <folder-store/fields.hpp>
#include <folder-store/fs.hpp>

#include <litbuild/names.hpp>
#include <litbuild/time.hpp>

#include "../target.hpp"

using namespace litbuild;

FUZZ_TARGET(names)
{
    const std::string text(input);
    if (const auto runid = parse_runid(input)) fuzz::must(*runid >= 1 && std::to_string(*runid) == text, "a run id is in its plain form");
    if (is_team(input)) fuzz::must(folder::is_component(input) && input.front() != '.' && input.size() <= 63, "a team is a name of a folder");
    if (const auto time = parse_duration(input)) fuzz::must(time->count() >= 0 && std::chrono::nanoseconds(*time).count() >= 0, "a duration fits");
    const std::string quoted = quote(input);
    fuzz::must(quoted.size() <= 80 * 4 + 5, "what is quoted is short");
    for (const char c : quoted) fuzz::must(c >= 0x20 && c < 0x7f, "what is quoted can be printed");
    try {
        check_tag(input);
        fuzz::must(is_utf8(input) && input.find_first_of(",\r\n") == input.npos && !input.empty(), "a tag is a word");
    } catch (const Error &e) {
        fuzz::must(e.code() == Code::invalid, "what is no tag is invalid");
    }
    const Timestamp time = folder::parse_time(input);
    fuzz::must(time >= 0, "times are behind 1970");
    // Six places are written; the leap second at the end of the last year is of the next.
    constexpr Timestamp year_2262 = 9'214'646'400'000'000'000;
    if (time > 0 && time < year_2262) fuzz::must(folder::parse_time(to_rfc3339(time)) == time / 1000 * 1000, "a time that is written is read as the same");
    try {
        const folder::Path path = folder::Path() / input;
        fuzz::must(path.text() == text && path.name() == text && path.parent().is_root(), "a path of one name");
    } catch (const Error &e) {
        fuzz::must(e.code() == Code::invalid, "what is no name is invalid");
    }
}
