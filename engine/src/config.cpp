#include <fstream>

#include <litbuild/engine.hpp>

#include "reading.hpp"

namespace litbuild {

using detail::Reading;
namespace json = boost::json;

namespace {

PluginChoice choice_of(const Reading &config, std::string_view key, PluginChoice otherwise)
{
    const json::value *found = config.find(key);
    if (!found) return otherwise;
    const Reading part(*found, config.where() + ": " + std::string(key));
    otherwise.plugin = part.text("plugin", otherwise.plugin);
    // The rest is the plugin's own, and checked by it.
    json::object rest = found->as_object();
    rest.erase("plugin");
    otherwise.config = json::serialize(rest);
    return otherwise;
}

}  // namespace

Config Config::from_json(std::string_view text, const std::string &source)
{
    const json::value value = detail::parse_json(text, source);
    const Reading in(value, source);
    in.allow({"root", "store", "status", "process", "plugin_folders", "runner", "deadline", "lost_after", "stop"});
    Config out;
    out.root = in.text("root", out.root.string());
    if (out.root.empty()) in.fail("'root' is empty");
    out.store = choice_of(in, "store", out.store);
    out.status = choice_of(in, "status", out.status);
    out.process = choice_of(in, "process", out.process);
    for (const std::string &folder : in.words("plugin_folders")) out.plugin_folders.emplace_back(folder);
    out.runner = in.text("runner", "");
    out.deadline = in.duration("deadline", out.deadline, true);
    out.lost_after = in.duration("lost_after", out.lost_after, true);
    out.stop = in.stop_plan("stop", out.stop);
    return out;
}

Config Config::from_file(const std::filesystem::path &file)
{
    std::error_code error;
    if (!std::filesystem::exists(file, error)) throw Error(Code::not_found, file.string() + ": no such file (configuration)");
    if (!std::filesystem::is_regular_file(file, error))
        throw Error(Code::invalid, file.string() + ": is no file that a configuration could be read from");
    std::ifstream in(file, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (!in) throw Error(Code::denied, file.string() + ": the configuration cannot be read");
    return from_json(text, file.string());
}

}  // namespace litbuild
