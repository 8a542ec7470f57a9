#include "subject.hpp"

#include <unistd.h>

#include <fstream>
#include <iterator>

#include <boost/json.hpp>

#include <litbuild/names.hpp>

namespace litbuild::plugin {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

json::object read_object(const fs::path &file)
{
    std::ifstream in(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (!in) throw Error(Code::not_found, file.string() + ": cannot be read");
    json::error_code error;
    const json::value value = json::parse(text, error);
    if (error || !value.is_object()) throw Error(Code::invalid, file.string() + ": is not a JSON object");
    return value.as_object();
}

std::string part_of(const json::object &config, const std::string &file, const char *interface)
{
    const json::value *found = config.if_contains(interface);
    if (!found) return "{}";
    if (!found->is_object()) throw Error(Code::invalid, file + ": '" + interface + "' is not an object");
    json::object part = found->as_object();
    part.erase("plugin");
    return json::serialize(part);
}

fs::path runner_beside_this_program()
{
    std::error_code error;
    const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
    for (const fs::path &path : {here / "litbuild-runner", here / LITBUILD_INSTALL_RUNNER})
        if (::access(path.c_str(), X_OK) == 0) return path;
    return {};
}

}  // namespace

conformance::Subject make_subject(const std::string &library, const std::optional<std::string> &config,
                                  const std::optional<std::string> &runner)
{
    conformance::Subject out;
    out.library = fs::absolute(library);
    if (!fs::exists(out.library)) throw Error(Code::not_found, library + ": no such file");
    out.runner = runner ? fs::absolute(*runner) : runner_beside_this_program();
    if (!config) return out;
    const json::object object = read_object(*config);
    if (!object.contains("store") && !object.contains("status") && !object.contains("process"))
        throw Error(Code::invalid, *config + R"(: has none of "store", "status" and "process"; )"
                                             R"(what an interface is opened with stands )"
                                             R"(there, as in {"store": {"address": "..."}})");
    out.store = part_of(object, *config, "store");
    out.status = part_of(object, *config, "status");
    out.process = part_of(object, *config, "process");
    json::object store = json::parse(out.store).as_object();
    if (!store.contains("root")) store["root"] = "@FOLDER@";
    out.store = json::serialize(store);
    return out;
}

std::string manifest_problem(const conformance::Description &found, const fs::path &library)
{
    const fs::path file = fs::path(library).replace_extension(".json");
    if (!fs::exists(file)) return "";
    const json::object manifest = read_object(file);
    const auto text = [&](const char *key) {
        const json::value *value = manifest.if_contains(key);
        return value && value->is_string() ? std::string(value->as_string()) : std::string();
    };
    const auto differs = [&](const char *key, const std::string &wanted) {
        return file.string() + ": '" + key + "' is " + quote(text(key)) + ", but of the library it is " + quote(wanted);
    };
    if (text("library") != library.filename()) return differs("library", library.filename());
    if (text("name") != found.name) return differs("name", found.name);
    if (text("version") != found.version) return differs("version", found.version);
    if (text("abi") != found.abi) return differs("abi", found.abi);
    json::array provides;
    for (const conformance::Description::Table &table : found.tables) provides.emplace_back(table.id);
    const json::value *said = manifest.if_contains("provides");
    if (!said || *said != json::value(provides))
        return file.string() + ": 'provides' is " + (said ? json::serialize(*said) : "not there") + ", but the library has " +
               json::serialize(provides);
    return "";
}

}  // namespace litbuild::plugin
