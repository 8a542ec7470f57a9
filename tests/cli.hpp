// The program litbuild as scripts see it.
#pragma once

#include <spawn.h>

#include <cstdlib>
#include <vector>

#include "support.hpp"

namespace support {

inline std::string program(const char *name)
{
    const char *folder = ::getenv("LITBUILD_BIN_DIR");
    BOOST_REQUIRE_MESSAGE(folder, "LITBUILD_BIN_DIR names the folder of litbuild");
    return std::string(folder) + "/" + name;
}

struct Result {
    int status = -1;
    std::string out;
    std::string err;
};

using Words = std::vector<std::string>;

/// litbuild over a root of its own, with both outputs in files: what it prints is what a script would read.
class Cli {
public:
    Cli()
    {
        ::setenv("LITBUILD_ROOT", root.path().c_str(), 1);
        ::unsetenv("LITBUILD_CONFIG");
        ::setenv("TERM", "xterm", 1);
        ::unsetenv("NO_COLOR");
    }

    /// Starts it; `pid` is for wait_for().
    pid_t start(const Words &words, const fs::path &out, const fs::path &err, const char *in = "/dev/null") const
    {
        const std::string binary = program("litbuild");
        std::vector<char *> argv = {const_cast<char *>("litbuild")};
        for (const std::string &word : words) argv.push_back(const_cast<char *>(word.c_str()));
        argv.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_addopen(&actions, 0, in, O_RDONLY, 0);
        ::posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ::posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        pid_t pid = -1;
        const int failed = ::posix_spawn(&pid, binary.c_str(), &actions, nullptr, argv.data(), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        BOOST_REQUIRE_MESSAGE(failed == 0, "cannot start " << binary);
        return pid;
    }

    static int wait_for(pid_t pid)
    {
        int status = 0;
        BOOST_REQUIRE(::waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

    Result run(const Words &words, const char *in = "/dev/null") const
    {
        const fs::path out = work.path() / "out", err = work.path() / "err";
        const int status = wait_for(start(words, out, err, in));
        return {status, slurp(out), slurp(err)};
    }

    std::string good(const Words &words) const
    {
        const Result result = run(words);
        BOOST_TEST(result.status == 0, result.err);
        return result.out;
    }

    /// The one JSON value that it prints.
    boost::json::value value(Words words) const
    {
        words.insert(words.begin(), "--json");
        return boost::json::parse(good(words));
    }

    std::string launch(const std::string &script) const
    {
        std::string id = good({"launch", "contoso", "--", "sh", "-c", script});
        BOOST_REQUIRE(!id.empty() && id.back() == '\n');
        id.pop_back();
        return id;
    }

    void fails(const Words &words, int status, const std::string &sentence) const
    {
        const Result result = run(words);
        BOOST_TEST(result.status == status, "status " << result.status << " of: " << sentence);
        BOOST_TEST(result.err.starts_with("litbuild: " + sentence), result.err);
        BOOST_TEST(result.out.empty(), result.out);
    }

    TempRoot root;
    TempRoot work;
};

}  // namespace support
