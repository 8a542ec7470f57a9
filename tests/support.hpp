// What the tests share: a root that vanishes, and an oracle that knows which processes of a build are alive.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <litbuild/engine.hpp>
#include <litbuild/linux/tree.hpp>

namespace support {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class TempRoot {
public:
    TempRoot()
    {
        char name[] = "/tmp/litbuild-test-XXXXXX";
        if (!::mkdtemp(name)) throw std::runtime_error("mkdtemp");
        path_ = name;
    }
    ~TempRoot()
    {
        std::error_code error;
        fs::remove_all(path_, error);
    }
    TempRoot(const TempRoot &) = delete;
    TempRoot &operator=(const TempRoot &) = delete;
    const fs::path &path() const { return path_; }
    operator fs::path() const { return path_; }

private:
    fs::path path_;
};

inline std::string slurp(const fs::path &file)
{
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

inline void spill(const fs::path &file, std::string_view text)
{
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
}

/// A spec of one step that runs a shell script.
inline std::string shell(const std::string &script, boost::json::object more = {})
{
    more["steps"] = {{{"name", "script"}, {"command", {"sh", "-c", script}}}};
    return boost::json::serialize(more);
}

inline std::string uuid_of(const litbuild::Build &build)
{
    return std::string(boost::json::parse(slurp(build.path() / "build.json")).at("uuid").as_string());
}

/// Polls until `ready`; a test that waits for something says what.
template <class Ready>
void eventually(const char *what, Ready ready, std::chrono::seconds limit = 60s)
{
    const auto end = litbuild::Clock::now() + limit;
    while (!ready()) {
        if (litbuild::Clock::now() > end) BOOST_FAIL("never came: " << what);
        std::this_thread::sleep_for(5ms);
    }
}

inline void until_file(const fs::path &file)
{
    eventually(file.c_str(), [&] { return fs::exists(file); });
}

inline pid_t runner_of(const litbuild::Build &build)
{
    const std::string token = slurp(build.path() / ".control/token");
    return static_cast<pid_t>(std::stol(token.substr(token.find("\npid ") + 5)));
}

/// The build's processes that are alive, found by the mark in their environment; without its runner.
inline std::vector<litbuild::linux_::Held> alive(const litbuild::Build &build)
{
    return litbuild::linux_::marked_with("LITBUILD_UUID=" + uuid_of(build), runner_of(build));
}

/// Who has said that it is up may still have to fork or to end, and in the middle of exec shows no mark.
inline void until_alive(const litbuild::Build &build, size_t count)
{
    eventually("the processes that it has", [&] { return alive(build).size() == count; });
}

/// On this host, wherever it runs (a container, a node's daemon): all of them, the runner among them.
inline size_t count_alive(const litbuild::Build &build)
{
    return litbuild::linux_::marked_with("LITBUILD_UUID=" + uuid_of(build), 0).size();
}

/// The build's runner by its number on this host, which is not always the one that it knows itself by; 0: none.
inline pid_t runner_here(const litbuild::Build &build)
{
    for (const litbuild::linux_::Held &held : litbuild::linux_::marked_with("LITBUILD_UUID=" + uuid_of(build), 0))
        if (litbuild::linux_::command_of(held.pid).find("litbuild-runner") != std::string::npos) return held.pid;
    return 0;
}

/// The end is told before the runner has tidied up and left: whoever looks at the folder itself waits for that.
inline void until_left(const litbuild::Build &build)
{
    eventually("the runner leaves", [&] { return count_alive(build) == 0; });
}

/// As a global fixture: what is orphaned when a runner is killed comes to this program, and not to where the orphans of other
/// programs are, one of which a stop could not tell from it.
struct Subreaper {
    Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
};

/// With nobody to ask but the folder, a build ends with the runner's last word: then none but the runner lives, and it leaves.
inline void check_only_runner_leaves(const litbuild::Build &build)
{
    const size_t alive = count_alive(build);
    BOOST_TEST((alive == 0 || (alive == 1 && runner_here(build) > 0) || count_alive(build) == 0));
    until_left(build);
}

/// Checks the code, and that the sentence starts with `object`.
template <class Action>
void expect_error(litbuild::Code code, const std::string &object, Action action)
{
    try {
        action();
        BOOST_ERROR("no error, where one starting with '" << object << "' was expected");
    } catch (const litbuild::Error &e) {
        BOOST_TEST(litbuild::name(e.code()) == litbuild::name(code), e.what());
        BOOST_TEST(std::string(e.what()).starts_with(object), e.what());
    }
}

}  // namespace support
