// A store on a real folder that goes away with the test.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <folder-store/folder_store.hpp>
#include <folder-store/posix_fs.hpp>

namespace fixture {

namespace fs = std::filesystem;
using namespace litbuild;
using folder::Resolve;

class TempFolder {
public:
    TempFolder()
    {
        std::string name = (fs::temp_directory_path() / "litbuild-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
        path = name;
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

inline std::string slurp(const fs::path &file)
{
    std::ifstream in(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

inline void spill(const fs::path &file, const std::string &content)
{
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
}

inline std::string uuid(int number)
{
    char text[48];
    std::snprintf(text, sizeof text, "%08x-0000-4000-8000-%012x", number, static_cast<unsigned>(::getpid()));
    return text;
}

inline NewBuild new_build(const std::string &team, int number)
{
    return {team, uuid(number), "{\"uuid\":\"" + uuid(number) + "\"}", {{"events.jsonl", "{}\n"}}};
}

inline std::string text_of(BuildStore &store, const BuildName &build, std::string_view name, uint64_t offset = 0,
                           uint64_t max = 0)
{
    std::string text;
    store.read(Call(), build, name, offset, max, [&](std::string_view piece) {
        text += piece;
        return true;
    });
    return text;
}

/// "21 20 a19": the ids of a list, archived ones marked.
inline std::string listed(BuildStore &store, const Query &query)
{
    std::string text;
    store.list(Call(), query, [&](const Entry &entry) {
        text += (text.empty() ? "" : " ") + std::string(entry.archived ? "a" : "") + std::to_string(entry.runid);
        return true;
    });
    return text;
}

/// The code and the sentence of what the body throws.
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

/// Runs the body in `count` processes at once; the number of those that failed.
template <class Body>
int in_processes(int count, Body body)
{
    std::vector<pid_t> children;
    for (int i = 0; i < count; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            int code = 1;
            try {
                body(i);
                code = 0;
            } catch (const std::exception &e) {
                (void)!::write(2, e.what(), std::strlen(e.what()));
                (void)!::write(2, "\n", 1);
            }
            ::_exit(code);
        }
        children.push_back(child);
    }
    int failed = 0;
    for (const pid_t child : children) {
        int status = 0;
        if (::waitpid(child, &status, 0) != child || status != 0) ++failed;
    }
    return failed;
}

/// Inside of in_processes(), where BOOST_TEST counts for nothing.
inline void expect(bool good, const std::string &what)
{
    if (!good) throw std::runtime_error(what);
}

/// Mounts that only this process and its children see; they go with it.
inline void own_mounts()
{
    expect(::unshare(CLONE_NEWNS) == 0, "unshare");
    expect(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
}
inline void mount_small_disk(const fs::path &at, const char *options)
{
    expect(::mount("none", at.c_str(), "tmpfs", 0, options) == 0, "mount tmpfs");
}
inline void make_read_only(const fs::path &at)
{
    expect(::mount(at.c_str(), at.c_str(), nullptr, MS_BIND, nullptr) == 0, "bind");
    expect(::mount(nullptr, at.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0, "remount");
}
/// Says so where not: nobody is to believe that what was left out has passed.
inline bool can_mount(const char *test)
{
    const bool can = ::geteuid() == 0 && in_processes(1, [](int) {
        own_mounts();
        mount_small_disk("/tmp", "size=64k");
    }) == 0;
    if (!can) std::fprintf(stderr, "SKIPPED %s: this process may not mount\n", test);
    return can;
}

}  // namespace fixture
