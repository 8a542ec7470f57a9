#define BOOST_TEST_MODULE mark
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>

#include <sys/wait.h>

#include <litbuild/linux/tree.hpp>

// Processes that are known by the mark in their environment, at any moment of theirs.

namespace fs = std::filesystem;
using namespace litbuild::linux_;

namespace {

/// A program that runs until the end of the test, in a folder of its own.
class Program {
public:
    Program(const std::string &file, const std::vector<std::string> &environment)
    {
        std::string name = (fs::temp_directory_path() / "litbuild-mark-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
        folder = name;
        pid = ::fork();
        if (pid != 0) return;
        std::vector<char *> words;
        for (const std::string &each : environment) words.push_back(const_cast<char *>(each.c_str()));
        words.push_back(nullptr);
        if (::chdir(name.c_str()) == 0) ::execle(file.c_str(), file.c_str(), nullptr, words.data());
        ::_exit(127);
    }
    ~Program()
    {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        std::error_code error;
        fs::remove_all(folder, error);
    }
    Program(const Program &) = delete;
    Program &operator=(const Program &) = delete;

    fs::path folder;
    pid_t pid = 0;
};

std::string helper(const char *name)
{
    const char *folder = std::getenv("LITBUILD_HELPER_DIR");
    return std::string(folder ? folder : ".") + "/" + name;
}

bool is_among(const std::vector<Held> &all, pid_t pid)
{
    return std::any_of(all.begin(), all.end(), [&](const Held &each) { return each.pid == pid; });
}

}  // namespace

BOOST_AUTO_TEST_CASE(in_the_middle_of_exec_a_process_is_waited_for)
{
    const std::string mark = "LITBUILD_UUID=mark-test-" + std::to_string(::getpid());
    Program program(helper("stop_execs"), {mark});
    const Descriptor parent = open_pidfd(program.pid);
    for (int i = 0; i < 3000 && !fs::exists(program.folder / "up"); ++i) ::poll(nullptr, 0, 10);
    BOOST_REQUIRE(fs::exists(program.folder / "up"));
    pid_t daemon = 0;
    BOOST_REQUIRE(std::ifstream(program.folder / "pids") >> daemon);
    const Descriptor held = open_pidfd(daemon);
    size_t hidden = 0, missed = 0;
    for (int i = 0; i < 400; ++i) {
        hidden += mark_of(daemon, mark) == Mark::hidden;
        missed += !is_among(marked_with(mark, 0, std::chrono::seconds(60)), daemon);
        ::poll(nullptr, 0, i % 10);
    }
    BOOST_TEST(!has_ended(held));
    send(held, SIGKILL);
    BOOST_TEST(missed == 0u);
    // Else it shows nothing.
    BOOST_TEST(hidden > 0u);
    for (int i = 0; i < 6000 && !has_ended(held); ++i) ::poll(nullptr, 0, 10);
    BOOST_TEST(has_ended(held));
    BOOST_TEST(!is_among(marked_with(mark, 0), daemon));
}

BOOST_AUTO_TEST_CASE(an_empty_environment_is_no_reason_to_wait)
{
    Program program(helper("stop_execs"), {});
    for (int i = 0; i < 3000 && !fs::exists(program.folder / "up"); ++i) ::poll(nullptr, 0, 10);
    // The parent, which goes on sleeping.
    BOOST_TEST((mark_of(program.pid, "LITBUILD_UUID=") == Mark::none));
    pid_t daemon = 0;
    std::ifstream(program.folder / "pids") >> daemon;
    if (daemon > 0) ::kill(daemon, SIGKILL);
    BOOST_TEST((mark_of(1, "LITBUILD_UUID=no") == Mark::none));
}

BOOST_AUTO_TEST_CASE(where_the_environment_stands_is_read_from_the_last_fields)
{
    const auto stat = stat_of(::getpid());
    BOOST_REQUIRE(stat);
    BOOST_TEST(stat->environment_begin > 0u);
    BOOST_TEST(stat->environment_end > stat->environment_begin);
    BOOST_TEST(!stat->is_kernel_thread());
}
