#include "report.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "../litbuild/foreign_text.hpp"

namespace litbuild::plugin {

namespace json = boost::json;
using cli::as_utf8;
using cli::escaped;
using conformance::Check;
using conformance::Description;
using conformance::Result;
using conformance::Verdict;

namespace {

/// What a plugin says or prints may be anything.
std::string indented(std::string_view text, const std::string &margin)
{
    std::string out;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        out += margin + escaped(text.substr(0, end)) + "\n";
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

std::string padded(std::string text, size_t width)
{
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

std::string words(const std::vector<std::string> &all)
{
    std::string out;
    for (const std::string &word : all) out += (out.empty() ? "" : " ") + word;
    return out;
}

}  // namespace

std::string as_text(const Result &result)
{
    const std::string head = padded(conformance::name(result.verdict), 8) + result.check->name;
    if (result.verdict == Verdict::passed) return head + "\n";
    if (result.verdict == Verdict::skipped) return head + ": " + escaped(result.text) + "\n";
    const std::string margin(8, ' ');
    std::string out = head + "\n" + indented(result.check->promise, margin) + indented(result.text, margin);
    if (!result.during.empty()) out += margin + "while it was in " + result.during + "\n";
    if (!result.printed.empty()) out += margin + "printed:\n" + indented(result.printed, margin + "  ");
    return out + margin + "see " + result.check->where + "\n";
}

std::string totals(std::span<const Result> results)
{
    const auto count = [&](auto wanted) { return std::to_string(std::count_if(results.begin(), results.end(), wanted)); };
    return count([](const Result &each) { return each.verdict == Verdict::passed; }) + " passed, " +
           count([](const Result &each) { return each.verdict != Verdict::passed && each.verdict != Verdict::skipped; }) +
           " failed, " + count([](const Result &each) { return each.verdict == Verdict::skipped; }) + " skipped";
}

bool all_good(std::span<const Result> results)
{
    return !results.empty() && std::all_of(results.begin(), results.end(), [](const Result &each) {
        return each.verdict == Verdict::passed || each.verdict == Verdict::skipped;
    });
}

std::string as_json(std::span<const Result> results, const std::string &library)
{
    json::array checks;
    for (const Result &each : results)
        checks.push_back({{"name", each.check->name},
                          {"verdict", conformance::name(each.verdict)},
                          {"text", as_utf8(each.text)},
                          {"during", as_utf8(each.during)},
                          {"printed", as_utf8(each.printed)},
                          {"promise", each.check->promise},
                          {"where", each.check->where},
                          {"milliseconds", each.took.count()}});
    return json::serialize(json::object{
               {"library", as_utf8(library)}, {"good", all_good(results)}, {"totals", totals(results)}, {"checks", checks}}) +
           "\n";
}

std::string as_text(const Description &found, const std::string &library)
{
    std::string out = escaped(library) + "\n  " + escaped(found.name) + " " + escaped(found.version) +
                      ", plugin contract " + found.abi + "\n";
    for (const Description::Table &table : found.tables) {
        out += "  " + table.id + ", " + std::to_string(table.size) + " bytes, " +
               (table.parallel ? "any number of calls at once" : "one call at a time") + "\n    has " + words(table.functions) +
               "\n";
        if (!table.missing.empty()) out += "    has not " + words(table.missing) + "\n";
    }
    return out;
}

std::string as_json(const Description &found, const std::string &library)
{
    json::array tables;
    for (const Description::Table &table : found.tables)
        tables.push_back({{"interface", table.id},
                          {"size", table.size},
                          {"parallel", table.parallel},
                          {"functions", json::value_from(table.functions)},
                          {"missing", json::value_from(table.missing)}});
    return json::serialize(json::object{{"library", as_utf8(library)},
                                        {"name", as_utf8(found.name)},
                                        {"version", as_utf8(found.version)},
                                        {"abi", found.abi},
                                        {"tables", tables}}) +
           "\n";
}

std::string as_text(std::span<const Check> checks)
{
    size_t width = 0;
    for (const Check &check : checks) width = std::max(width, std::string_view(check.name).size());
    std::string out;
    for (const Check &check : checks) out += padded(check.name, width + 2) + check.promise + "\n";
    return out;
}

std::string as_json(std::span<const Check> checks)
{
    json::array out;
    for (const Check &check : checks) out.push_back({{"name", check.name}, {"promise", check.promise}, {"where", check.where}});
    return json::serialize(out) + "\n";
}

}  // namespace litbuild::plugin
