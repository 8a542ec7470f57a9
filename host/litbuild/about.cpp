// plugins and version: what this program is made of.
#include <boost/json.hpp>

#include <litbuild/version.hpp>

#include "commands.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

namespace json = boost::json;

json::value or_null(const std::string &text)
{
    if (text.empty()) return nullptr;
    return json::value(as_utf8(text));
}

std::string as_json(const std::vector<PluginInfo> &found)
{
    json::array out;
    for (const PluginInfo &plugin : found)
        out.push_back({{"name", as_utf8(plugin.name)},
                       {"version", as_utf8(plugin.version)},
                       {"abi", as_utf8(plugin.abi)},
                       {"interfaces", json::value_from(plugin.interfaces)},
                       {"file", or_null(plugin.file.string())},
                       {"problem", or_null(plugin.problem)}});
    return json::serialize(out) + "\n";
}

std::string as_table(const std::vector<PluginInfo> &found)
{
    Table table({"NAME", "VERSION", "ABI", "INTERFACES", "FROM", "PROBLEM"});
    for (const PluginInfo &plugin : found)
        table.add({escaped(plugin.name), escaped(plugin.version), escaped(plugin.abi), joined(plugin.interfaces),
                   plugin.file.empty() ? "linked in" : escaped(plugin.file.string()),
                   plugin.problem.empty() ? Cell("-") : Cell(escaped(plugin.problem), Colour::red)});
    return table.text();
}

}  // namespace

int plugins(const Options &options)
{
    const std::vector<PluginInfo> found = open_engine(options).plugins();
    print(options.json ? as_json(found) : as_table(found));
    return Exit::done;
}

int version(const Options &options)
{
    const std::string abi = std::to_string(LITBUILD_ABI_MAJOR) + "." + std::to_string(LITBUILD_ABI_MINOR);
    if (options.json) print(json::serialize(json::object{{"version", LITBUILD_VERSION}, {"abi", abi}}) + "\n");
    else print("litbuild " LITBUILD_VERSION "\n");
    return Exit::done;
}

}  // namespace litbuild::cli
