// From the options to the engine and the build that they name.
#include <charconv>
#include <cstdlib>

#include <boost/json.hpp>

#include "commands.hpp"

namespace litbuild::cli {
namespace {

std::optional<std::string> environment(const char *name)
{
    const char *found = ::getenv(name);
    if (!found || *found == '\0') return std::nullopt;
    return found;
}

Config read_config(const Options &options)
{
    static constexpr const char *usual = "/etc/litbuild/config.json";
    const std::optional<std::string> named = options.config ? options.config : environment("LITBUILD_CONFIG");
    if (!named) {
        std::error_code error;
        return std::filesystem::exists(usual, error) ? Config::from_file(usual) : Config();
    }
    try {
        return Config::from_file(*named);
    } catch (const Error &e) {
        // The status for this code says that a team or a build is not there.
        if (e.code() == Code::not_found) throw Error(Code::invalid, e.what());
        throw;
    }
}

/// A store that has a root of its own is given the one that was asked for.
void replace_root(PluginChoice &store, const std::string &root)
{
    boost::system::error_code error;
    boost::json::value config = boost::json::parse(store.config, error);
    if (error || !config.is_object() || !config.as_object().contains("root")) return;
    config.as_object()["root"] = root;
    store.config = boost::json::serialize(config);
}

}  // namespace

std::filesystem::path absolute(const std::string &path)
{
    std::filesystem::path out;
    for (const std::filesystem::path &part : std::filesystem::absolute(path))
        if (!part.empty() && part != ".") out /= part;
    return out;
}

Engine open_engine(const Options &options)
{
    Config config = read_config(options);
    const std::optional<std::string> root = options.root ? options.root : environment("LITBUILD_ROOT");
    if (root) {
        if (root->empty()) throw Error(Code::invalid, "--root: is empty");
        config.root = absolute(*root);
        replace_root(config.store, config.root.string());
    }
    config.log = [](int level, std::string_view line) {
        if (level >= LB_LOG_WARNING) complain(line);
    };
    try {
        return Engine(std::move(config));
    } catch (const Error &e) {
        // Not "no such team or build": a script would draw wrong conclusions from a disk that is not mounted.
        if (e.code() == Code::not_found) throw Error(Code::unavailable, e.what(), e.os_errno());
        throw;
    }
}

Build named_build(const Options &options)
{
    check_team(options.team);
    const int64_t runid = to_runid(options.ids.empty() ? options.id : options.ids.front());
    return open_engine(options).build(options.team, runid);
}

std::chrono::milliseconds to_duration(const std::string &text)
{
    if (const std::optional<std::chrono::milliseconds> good = parse_duration(text)) return *good;
    throw Error(Code::invalid, quote(text) + ": not a duration; a duration is a whole number and its unit, "
                                             "such as 500ms, 10s, 2m, 1h or 7d");
}

int64_t to_runid(const std::string &text)
{
    if (const std::optional<int64_t> good = parse_runid(text)) return *good;
    throw Error(Code::invalid, quote(text) + ": not a run id; a run id is a whole number above 0");
}

State to_state(const std::string &text)
{
    if (const std::optional<State> good = parse_state(text)) return *good;
    std::string known;
    for (const char *each : state_names) known += (known.empty() ? "" : ", ") + std::string(each);
    throw Error(Code::invalid, quote(text) + ": not a state; a state is one of " + known);
}

uint64_t to_count(const std::string &text, const char *what)
{
    uint64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size() || out == 0)
        throw Error(Code::invalid, quote(text) + ": not " + what + "; " + what + " is a whole number above 0");
    return out;
}

}  // namespace litbuild::cli
