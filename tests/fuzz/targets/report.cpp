// What a step tells of itself, a line of it; and what is made fit for the events and for a terminal.
#include <litbuild/names.hpp>

#include "journal.hpp"
#include "report.hpp"
#include "text.hpp"

#include "../target.hpp"

using litbuild::is_utf8;

FUZZ_TARGET(report)
{
    const runner::Report report = runner::parse_report(input);
    fuzz::must(!report.progress || (*report.progress >= 0 && *report.progress <= 1), "progress is 0 to 1");
    fuzz::must(is_utf8(report.message) && is_utf8(report.part.value_or("")), "words are UTF-8");
    const std::string clean = runner::clean(input, 50);
    fuzz::must(is_utf8(clean) && clean.size() < 50 + 4, "clean text is UTF-8, and short");
    for (const char c : clean) fuzz::must(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "clean text has no control characters");
    const std::string escaped = litbuild::cli::escaped(input);
    fuzz::must(is_utf8(escaped), "escaped text is UTF-8");
    for (const char c : escaped) fuzz::must(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "escaped text does not drive a terminal");
    fuzz::must(is_utf8(litbuild::cli::as_utf8(input)), "it is UTF-8");
}
