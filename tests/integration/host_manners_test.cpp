// The host process stays the host's, however it lives; and what it does to itself does not reach its builds.
#define BOOST_TEST_MODULE host_manners
#include <sys/resource.h>

#include "support.hpp"

using namespace litbuild;
using namespace support;

namespace {

/// The main job in a process of its own that was prepared by `prepare`; its exit status is the verdict.
template <class Prepare>
void in_a_host(const char *what, Prepare prepare)
{
    const TempRoot root;
    const pid_t host = ::fork();
    if (host == 0) {
        prepare();
        int verdict = 1;
        try {
            const Engine engine({.root = root.path()});
            const Build good = engine.launch("contoso", shell("echo hello"));
            if (good.wait(Call::within(30s)).state != State::complete) ::_exit(2);
            const Build build = engine.launch("contoso", shell("sleep 600 & setsid sleep 600 & touch up; wait"));
            while (!fs::exists(build.path() / "up")) std::this_thread::sleep_for(5ms);
            if (build.stop({.grace = 5s}).outcome != StopResult::Outcome::stopped) ::_exit(3);
            verdict = alive(build).empty() ? 0 : 4;
        } catch (const std::exception &e) {
            spill("/tmp/litbuild-host-manners", e.what());
        }
        ::_exit(verdict);
    }
    int status = 0;
    ::waitpid(host, &status, 0);
    BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0),
               what << ": " << (WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status)));
}

}  // namespace

BOOST_AUTO_TEST_CASE(any_host_will_do)
{
    in_a_host("plain", [] {});
    in_a_host("SIGCHLD ignored", [] { ::signal(SIGCHLD, SIG_IGN); });
    in_a_host("every signal blocked", [] {
        sigset_t all;
        ::sigfillset(&all);
        ::sigprocmask(SIG_SETMASK, &all, nullptr);
    });
    in_a_host("every signal ignored", [] {
        for (int signal = 1; signal < 32; ++signal) ::signal(signal, SIG_IGN);
    });
    in_a_host("descriptors 0 to 2 closed", [] {
        for (int fd = 0; fd < 3; ++fd) ::close(fd);
    });
    in_a_host("a thread that steals children", [] {
        std::thread([] {
            for (;;)
                if (::waitpid(-1, nullptr, 0) < 0) std::this_thread::sleep_for(1ms);
        }).detach();
    });
    in_a_host("few descriptors", [] {
        const rlimit few{64, 64};
        ::setrlimit(RLIMIT_NOFILE, &few);
    });
}

BOOST_AUTO_TEST_CASE(nothing_of_the_host_is_changed)
{
    const TempRoot root;
    const auto descriptors = [] {
        return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
    };
    const auto signals = [] {
        std::string text = slurp("/proc/self/status");
        return text.substr(text.find("SigBlk:"), text.find("CapInh:") - text.find("SigBlk:"));
    };
    const fs::path folder = fs::current_path();
    const mode_t mask = ::umask(027);
    const std::string before = signals();
    const auto open_before = descriptors();
    {
        const Engine engine({.root = root.path()});
        const Build build = engine.launch("contoso", shell("umask; ls /proc/self/fd | wc -l; echo $LITBUILD_RUNNER_TOKEN$LITBUILD_RUNNER_READY"));
        build.wait();
        const std::string log = slurp(build.path() / "log");
        // 0, 1, 2 and the one that ls itself reads.
        BOOST_TEST(log == "0027\n4\n\n", log);
        BOOST_TEST(static_cast<int>(fs::status(build.path() / "log").permissions()) == 0640);
    }
    BOOST_TEST(descriptors() == open_before);
    BOOST_TEST(signals() == before);
    BOOST_TEST(fs::current_path() == folder);
    BOOST_TEST(::umask(mask) == 027u);
    BOOST_TEST(::getenv("LITBUILD_UUID") == nullptr);
    // Our only child was the one between us and the runner, and it is reaped.
    BOOST_TEST(::waitpid(-1, nullptr, WNOHANG) == -1);
}
