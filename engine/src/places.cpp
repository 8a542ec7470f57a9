#include "places.hpp"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include <litbuild/error.hpp>

namespace litbuild::detail {

namespace {

namespace fs = std::filesystem;

constexpr const char *runner_name = "litbuild-runner";

/// The folder of the shared library that this code is in; empty: it is in the program itself.
fs::path library_folder()
{
    static const char here = 0;
    Dl_info info{};
    void *found = nullptr;
    if (::dladdr1(&here, &info, &found, RTLD_DL_LINKMAP) == 0 || !found) return {};
    const fs::path file = static_cast<const link_map *>(found)->l_name;
    std::error_code error;
    const fs::path real = file.is_absolute() ? fs::canonical(file, error) : fs::path();
    return error ? fs::path() : real.parent_path();
}

fs::path program_folder()
{
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    return error ? fs::path() : self.parent_path();
}

}  // namespace

fs::path find_runner(const fs::path &wanted)
{
    std::vector<fs::path> places;
    if (!wanted.empty()) {
        places.push_back(wanted);
    } else {
        if (const char *named = ::secure_getenv("LITBUILD_RUNNER"); named && *named == '/') places.emplace_back(named);
        if (const fs::path program = program_folder(); !program.empty()) {
            places.push_back(program / runner_name);
            places.push_back((program / LITBUILD_RUNNERS_FROM_PROGRAM / runner_name).lexically_normal());
        }
        if (const fs::path library = library_folder(); !library.empty()) {
            places.push_back(library / runner_name);
            places.push_back((library / LITBUILD_RUNNERS_FROM_LIBRARY / runner_name).lexically_normal());
        }
        places.emplace_back(LITBUILD_INSTALL_RUNNER);
#ifdef LITBUILD_BUILD_RUNNER
        places.emplace_back(LITBUILD_BUILD_RUNNER);
#endif
    }
    std::string tried;
    for (const fs::path &place : places) {
        if (::access(place.c_str(), X_OK) == 0) return fs::absolute(place);
        tried += (tried.empty() ? "" : ", ") + place.string();
    }
    throw Error(Code::not_found, std::string(runner_name) + ": not found; looked at " + tried);
}

fs::path usual_plugins()
{
    fs::path beside;
    if (const fs::path library = library_folder(); !library.empty()) beside = library / "litbuild/plugins";
    else if (const fs::path program = program_folder(); !program.empty())
        beside = (program / LITBUILD_PLUGINS_FROM_PROGRAM).lexically_normal();
    std::error_code error;
    return fs::is_directory(beside, error) ? beside : fs::path(LITBUILD_INSTALL_PLUGINS);
}

}  // namespace litbuild::detail
