// Who launched a build, or ran it, is killed: the others still tell the truth and can stop it.
#define BOOST_TEST_MODULE crash
#include "support.hpp"

using namespace litbuild;
using namespace support;

BOOST_TEST_GLOBAL_FIXTURE(Subreaper);

namespace {

std::string helper(const char *name)
{
    const char *folder = ::getenv("LITBUILD_HELPER_DIR");
    BOOST_REQUIRE_MESSAGE(folder, "LITBUILD_HELPER_DIR is not set");
    return std::string(folder) + "/" + name;
}

/// A process of ours, killed at the latest when the test ends.
class Process {
public:
    explicit Process(std::vector<std::string> words)
    {
        int ends[2];
        BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        out_.reset(ends[0]);
        std::vector<char *> argv;
        for (std::string &word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(ends[1], 1);
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
        ::close(ends[1]);
    }
    ~Process() { kill(); }
    std::string line()
    {
        std::string text;
        for (char c; ::read(out_.get(), &c, 1) == 1 && c != '\n';) text += c;
        return text;
    }
    void kill()
    {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    pid_t pid() const { return pid_; }

private:
    pid_t pid_ = 0;
    litbuild::linux_::Descriptor out_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_build_outlives_who_launched_it)
{
    const TempRoot root;
    Process launcher({helper("launcher"), root.path().string(), "touch up; while [ ! -e go ]; do sleep 0.05; done; echo done"});
    BOOST_TEST(launcher.line() == "1");
    const Engine engine({.root = root.path()});
    const Build build = engine.build("contoso", 1);
    until_file(build.path() / "up");
    launcher.kill();
    BOOST_TEST(name(build.get_status().state) == "running");
    spill(build.path() / "go", "");
    BOOST_TEST(name(build.wait().state) == "complete");
    BOOST_TEST(slurp(build.path() / "log") == "done\n");
}

BOOST_AUTO_TEST_CASE(a_build_whose_launcher_was_killed_is_stopped_by_another)
{
    const TempRoot root;
    Process launcher({helper("launcher"), root.path().string(), "sleep 600 & setsid sleep 600 & touch up; wait"});
    BOOST_TEST(launcher.line() == "1");
    const Engine engine({.root = root.path()});
    const Build build = engine.build("contoso", 1);
    until_file(build.path() / "up");
    launcher.kill();
    until_alive(build, 3);
    BOOST_TEST(build.stop().message == "Build id 1 has been stopped");
    BOOST_TEST(alive(build).empty());
}

BOOST_AUTO_TEST_CASE(a_build_whose_runner_was_killed_is_lost_with_evidence_and_can_be_stopped)
{
    for (const char *containment : {"auto", "none"}) {
        const TempRoot root;
        Config config{.root = root.path()};
        config.process.config = std::string(R"({"cgroup": ")") + containment + "\"}";
        const Engine engine(config);
        const Build build = engine.launch("contoso", shell("trap '' TERM; sleep 600 & setsid sleep 600 & touch up; wait; sleep 600"));
        until_file(build.path() / "up");
        until_alive(build, 3);
        ::kill(runner_of(build), SIGKILL);
        eventually("lost", [&] { return build.get_status().state == State::lost; });
        const Status status = build.get_status();
        BOOST_TEST(status.error.find("is gone; 3 of its processes live on") != std::string::npos, status.error);
        expect_error(Code::refused, "contoso/1: is lost, but 3 processes live on", [&] { build.archive(); });
        const StopResult result = build.stop({.grace = 100ms, .by = "me", .reason = "tidy"});
        BOOST_TEST(result.message == "Build id 1 has been stopped");
        BOOST_TEST(result.report.killed >= 1u);
        BOOST_TEST(alive(build).empty());
        const Status after = build.get_status();
        BOOST_TEST(name(after.state) == "stopped");
        BOOST_TEST(after.stopped_by == "me");
        BOOST_TEST(after.error.starts_with("it was lost before it was stopped: "), after.error);
        BOOST_TEST(name(build.wait().state) == "stopped");
        build.archive();
    }
}

// As what a daemon starts: it left its parent behind and with that, maybe, the leader of its session.
BOOST_AUTO_TEST_CASE(what_is_born_into_an_older_session_is_not_taken_for_an_orphan_of_the_build)
{
    int asks[2], tells[2];
    BOOST_REQUIRE((::pipe2(asks, O_CLOEXEC) == 0 && ::pipe2(tells, O_CLOEXEC) == 0));
    const auto say = [&] {
        const pid_t self = ::getpid();
        if (::write(tells[1], &self, sizeof self) != sizeof self) ::_exit(1);
    };
    const auto heard = [&] {
        pid_t pid = 0;
        BOOST_REQUIRE(::read(tells[0], &pid, sizeof pid) == static_cast<ssize_t>(sizeof pid));
        return pid;
    };
    const pid_t leader = ::fork();
    if (leader == 0) {
        ::setsid();
        if (::fork() != 0) ::_exit(0);
        say();
        char byte;
        if (::read(asks[0], &byte, 1) != 1) ::_exit(1);
        // Whose parent ends comes to the adopter of the build's orphans.
        if (::fork() == 0) {
            if (::fork() != 0) ::_exit(0);
            say();
        }
        for (;;) ::pause();
    }
    const linux_::Descriptor daemon = linux_::open_pidfd(heard());
    ::waitpid(leader, nullptr, 0);
    BOOST_TEST(!linux_::stat_of(leader));
    // Processes tell their age in hundredths of a second, and no runner of the same one is younger for certain.
    std::this_thread::sleep_for(30ms);

    const TempRoot root;
    Config config{.root = root.path()};
    config.process.config = R"({"cgroup": "none"})";
    const Engine engine(config);
    const Build build = engine.launch("contoso", shell("trap '' TERM; setsid sleep 600 & touch up; sleep 600"));
    until_file(build.path() / "up");
    BOOST_REQUIRE(::write(asks[1], "", 1) == 1);
    const pid_t stranger = heard();
    const linux_::Descriptor held = linux_::open_pidfd(stranger);
    eventually("adopted", [&] { return linux_::stat_of(stranger)->parent == ::getpid(); });
    ::kill(runner_of(build), SIGKILL);
    const StopResult result = build.stop({.grace = 100ms});
    BOOST_TEST(result.message == "Build id 1 has been stopped");
    BOOST_TEST(name(build.get_status().state) == "stopped");
    BOOST_TEST(!linux_::has_ended(held));
    linux_::send(held, SIGKILL);
    linux_::send(daemon, SIGKILL);
    for (const int fd : {asks[0], asks[1], tells[0], tells[1]}) ::close(fd);
}

BOOST_AUTO_TEST_CASE(an_orphan_is_not_overlooked_where_its_adopter_is_gone_too)
{
    const TempRoot root;
    Config config{.root = root.path()};
    config.process.config = R"({"cgroup": "none"})";
    const pid_t adopter = ::fork();
    if (adopter == 0) {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        Engine(config).launch("contoso", R"({"steps": [{"command": [")" + helper("stop_wiped") + "\"]}]}");
        for (;;) ::pause();
    }
    const fs::path folder = root.path() / "contoso/logs/1";
    until_file(folder / "up");
    const Engine engine(config);
    const Build build = engine.build("contoso", 1);
    const pid_t wiped = std::atoi(slurp(folder / "pids").c_str());
    const linux_::Descriptor held = linux_::open_pidfd(wiped);
    BOOST_REQUIRE(held);
    ::kill(adopter, SIGKILL);
    ::waitpid(adopter, nullptr, 0);
    ::kill(runner_of(build), SIGKILL);
    eventually("adopted by us", [&] { return linux_::stat_of(wiped)->parent == ::getpid(); });
    const StopResult result = build.stop({.grace = 100ms});
    BOOST_TEST(result.message == "Build id 1 could not be stopped completely: 1 process lives on");
    BOOST_REQUIRE(result.report.survivors.size() == 1u);
    BOOST_TEST(result.report.survivors[0].pid == wiped);
    BOOST_TEST(!result.report.survivors[0].doubt.empty());
    BOOST_TEST(!linux_::has_ended(held));
    linux_::send(held, SIGKILL);
    ::waitpid(wiped, nullptr, 0);
    BOOST_TEST(build.stop().message == "Build id 1 has been stopped");
}

BOOST_AUTO_TEST_CASE(a_runner_that_stands_still_does_not_save_its_build)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    const Build build = engine.launch("contoso", shell("sleep 600 & setsid sleep 600 & touch up; wait"));
    until_file(build.path() / "up");
    ::kill(runner_of(build), SIGSTOP);
    const StopResult result = build.stop({.plan = StopPlan{{15, 50ms}, {9, 5s}}});
    BOOST_TEST(result.message == "Build id 1 has been stopped");
    BOOST_TEST(alive(build).empty());
    BOOST_TEST(name(build.get_status().state) == "stopped");
}

BOOST_AUTO_TEST_CASE(a_token_of_another_boot_is_never_signalled)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    const Build build = engine.launch("contoso", shell("touch up; exec sleep 600"));
    until_file(build.path() / "up");
    std::string token = slurp(build.path() / ".control/token");
    const std::string real = token;
    token.replace(token.find("\nboot ") + 6, 8, "00000000");
    spill(build.path() / ".control/token", token);
    BOOST_TEST(name(build.get_status().state) == "lost");
    BOOST_TEST(build.get_status().error.find("has restarted since") != std::string::npos);
    // To this token its processes are somebody else's.
    until_alive(build, 1);
    spill(build.path() / ".control/token", real);
    build.stop({.grace = 0ms});
    BOOST_TEST(alive(build).empty());
}

BOOST_AUTO_TEST_CASE(a_bystander_with_the_recorded_pid_is_left_alone)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    const Build build = engine.launch("contoso", shell("sleep 600"));
    std::string token = slurp(build.path() / ".control/token");
    ::kill(runner_of(build), SIGKILL);
    eventually("lost", [&] { return build.get_status().state == State::lost; });
    // A number comes round much later than in the tick (10 ms) in which it was last given.
    std::this_thread::sleep_for(20ms);
    Process bystander({"/bin/sleep", "600"});
    const size_t at = token.find("\npid ") + 5;
    token.replace(at, token.find('\n', at) - at, std::to_string(bystander.pid()));
    spill(build.path() / ".control/token", token);
    BOOST_TEST(build.stop({.grace = 0ms}).message == "Build id 1 has been stopped");
    BOOST_TEST(alive(build).empty());
    BOOST_TEST(::waitpid(bystander.pid(), nullptr, WNOHANG) == 0);
}

BOOST_AUTO_TEST_CASE(a_build_runs_once)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    const Build build = engine.launch("contoso", shell("echo x >> runs"));
    build.wait();
    const char *folder = ::getenv("LITBUILD_BIN_DIR");
    BOOST_REQUIRE(folder);
    const std::string again = std::string(folder) + "/litbuild-runner " + build.path().string() + " 2>&1 | grep -q 'a build runs once'";
    BOOST_TEST(::system(again.c_str()) == 0);
    BOOST_TEST(slurp(build.path() / "runs") == "x\n");
}
