// What the tests of the plugin boundary share: folders that go away, compilers, plugins made on the spot.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <litbuild/engine.hpp>

namespace plugins_test {

namespace fs = std::filesystem;
using namespace litbuild;

class TempFolder {
public:
    TempFolder()
    {
        std::string name = (fs::temp_directory_path() / "litbuild-plugins-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
        path = name;
        // Whatever the umask of who runs the tests: what others may write to is no place for plugins.
        fs::permissions(path, fs::perms(0755));
    }
    ~TempFolder()
    {
        std::error_code error;
        fs::remove_all(path, error);
    }
    TempFolder(const TempFolder &) = delete;
    TempFolder &operator=(const TempFolder &) = delete;

    fs::path path;
};

inline fs::path from_environment(const char *name, const fs::path &otherwise)
{
    const char *found = std::getenv(name);
    return found && *found ? fs::path(found) : otherwise;
}

/// The checkout.
inline fs::path source_dir()
{
    const fs::path here = fs::path(__FILE__).lexically_normal();
    return from_environment("LITBUILD_SOURCE_DIR", here.parent_path().parent_path().parent_path());
}
/// The folder of the plugins that were built with these tests.
inline fs::path built_plugins()
{
    return from_environment("LITBUILD_PLUGIN_DIR",
                            fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "plugins");
}

inline std::string slurp(const fs::path &file)
{
    std::ifstream in(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

inline void spill(const fs::path &file, const std::string &content)
{
    std::ofstream(file, std::ios::binary) << content;
    fs::permissions(file, fs::perms(0644));
}

/// Output of a shell command, both streams; throws with it where the command fails.
inline std::string run(const std::string &command)
{
    std::string out;
    FILE *const pipe = ::popen(("{ " + command + "; } 2>&1").c_str(), "r");
    if (!pipe) throw std::runtime_error("no pipe");
    char piece[4096];
    for (size_t size; (size = std::fread(piece, 1, sizeof piece, pipe)) > 0;) out.append(piece, size);
    const int status = ::pclose(pipe);
    if (status != 0) throw std::runtime_error(command + ": exit status " + std::to_string(status) + "\n" + out);
    return out;
}

/// A shared library of one source of this folder, built as a stranger would: his compiler, sdk/include, no file of ours
/// besides. Each is built once.
inline fs::path library(const std::string &source, const std::string &flags = "")
{
    static TempFolder workshop;
    static std::map<std::string, fs::path> built;
    fs::path &out = built[source + " " + flags];
    if (!out.empty()) return out;
    const fs::path file = workshop.path / (std::to_string(built.size()) + ".so");
    const bool is_c = source.ends_with(".c");
    const std::string compiler = is_c ? "cc -std=c11" : "c++ -std=c++20";
    const std::string sources = source_dir().string();
    run("cd '" + workshop.path.string() + "' && " + compiler + " -Wall -Wextra -Wpedantic -Werror -shared -fPIC " +
        flags + " -I'" + sources + "/sdk/include' '" + sources + "/tests/plugins/" + source + "' -o '" + file.string() +
        "'");
    return out = file;
}

inline const std::string store_id = "\"" LB_STORE_ID "\"";
inline const std::string status_id = "\"" LB_STATUS_ID "\"";
inline const std::string process_id = "\"" LB_PROCESS_ID "\"";

/// A folder of plugins, and a root for the engine that uses them.
class Place {
public:
    /// Copies the library to NAME.so, and writes its manifest.
    fs::path install(const fs::path &file, const std::string &name, const std::string &provides = store_id,
                     const std::string &abi = "1.0")
    {
        const fs::path to = plugins.path / (name + ".so");
        fs::copy_file(file, to, fs::copy_options::overwrite_existing);
        fs::permissions(to, fs::perms(0755));
        manifest(name, provides, abi);
        return to;
    }
    void manifest(const std::string &name, const std::string &provides = store_id, const std::string &abi = "1.0")
    {
        spill(plugins.path / (name + ".json"),
              R"({"name": ")" + name + R"(", "version": "1.0.0", "abi": ")" + abi + R"(", "library": ")" + name +
                  R"(.so", "provides": [)" + provides + "]}\n");
    }
    Config config(const std::string &store, const std::string &store_config = "{}") const
    {
        Config out;
        out.root = root.path;
        out.store = {store, store_config};
        out.plugin_folders = {plugins.path};
        // Otherwise the engine knows where its own is.
        const fs::path bin = from_environment("LITBUILD_BIN_DIR", "");
        if (!bin.empty()) out.runner = bin / "litbuild-runner";
        return out;
    }
    Engine engine(const std::string &store, const std::string &store_config = "{}") const
    {
        return Engine(config(store, store_config));
    }

    TempFolder plugins;
    TempFolder root;
};

/// The code and the sentence of what the body throws: "not_found; contoso/7: no such build".
template <class Body>
std::string failure(Body body)
{
    try {
        body();
    } catch (const Error &error) {
        return std::string(name(error.code())) + "; " + error.what();
    }
    return "nothing thrown";
}

inline bool contains(const std::string &text, const std::string &part) { return text.find(part) != text.npos; }

inline std::string text_of(const Build &build, std::string_view file, uint64_t offset = 0, uint64_t max = 0)
{
    std::string text;
    build.read(
        file,
        [&](std::string_view piece) {
            text += piece;
            return true;
        },
        offset, max);
    return text;
}

/// "3 a2 1": the run ids of a list, archived ones marked.
inline std::string listed(const Engine &engine, const std::string &team, const Filter &filter = {})
{
    std::string out;
    for (const Summary &each : engine.list(team, filter))
        out += (out.empty() ? "" : " ") + std::string(each.archived ? "a" : "") + std::to_string(each.name.runid);
    return out;
}

/// As another user for a while, where that is possible: what root may read tells nothing.
class Unprivileged {
public:
    Unprivileged() : was_root_(::geteuid() == 0)
    {
        if (was_root_ && ::seteuid(65534) != 0) throw std::runtime_error("cannot become another user");
    }
    ~Unprivileged()
    {
        if (was_root_ && ::seteuid(0) != 0) std::abort();
    }
    Unprivileged(const Unprivileged &) = delete;
    Unprivileged &operator=(const Unprivileged &) = delete;

private:
    bool was_root_;
};

}  // namespace plugins_test
