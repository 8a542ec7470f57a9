// The daemon is killed with -9 while builds are launched, run and are stopped, and started again: what is told in between is
// true, nothing is lost and nothing runs twice.
#define BOOST_TEST_MODULE container_crash
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "container/engines.hpp"

using namespace engines;
using namespace litbuild;
namespace data = boost::unit_test::data;

namespace {

bool is_long() { return ::getenv("LITBUILD_TEST_LONG") && *::getenv("LITBUILD_TEST_LONG"); }

/// How often the build's own file was written: each run of its step writes one line.
size_t runs_of(const Build &build)
{
    const std::string text = slurp(build.path() / "ran");
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

#define ENGINE_OR_SKIP                                                                         \
    if (const std::string why = ContainerEngine::missing(engine_name); !why.empty()) {         \
        std::printf("SKIPPED: container_crash/%s: %s\n", engine_name.c_str(), why.c_str());    \
        return;                                                                                \
    }                                                                                          \
    ContainerEngine engine(engine_name)

BOOST_DATA_TEST_CASE(the_daemon_dies, data::make(std::vector<std::string>{"docker", "podman"}), engine_name)
{
    ENGINE_OR_SKIP;
    Room room(engine);
    const Engine litbuild = room.open();

    // While they run.
    const Build ends =
        litbuild.launch("contoso", shell("echo x >>ran; touch up; while [ ! -e go ]; do sleep 0.05; done; echo done"));
    const Build goes_on = litbuild.launch("contoso", shell("echo x >>ran; touch up; sleep 1000"));
    const Build is_stopped = litbuild.launch("contoso", shell("echo x >>ran; touch up; sleep 1000"));
    for (const Build &each : {ends, goes_on, is_stopped}) until_file(each.path() / "up");
    engine.kill_hard();
    BOOST_TEST(name(ends.get_status().state) == "running");
    BOOST_CHECK_EXCEPTION(ends.wait(Call::within(500ms)), Error, [](const Error &e) { return e.code() == Code::timeout; });
    // What the builds say themselves comes through their folders.
    spill(ends.path() / "go", "");
    BOOST_TEST(name(ends.wait(Call::within(30s)).state) == "complete");
    // The runner needs no daemon to hear of a stop.
    BOOST_TEST(is_stopped.stop({}, Call::within(30s)).message == "Build id 3 has been stopped");
    check_only_runner_leaves(is_stopped);
    // A launch is told as what it is: none.
    try {
        litbuild.launch("contoso", shell("true"), Call::within(10s));
        BOOST_ERROR("launched without a daemon");
    } catch (const Error &e) {
        BOOST_TEST(name(e.code()) == "unavailable");
        BOOST_TEST(std::string(e.what()).find("contoso/4: could not be started: " + engine.address() + ": ") == 0u, e.what());
    }
    BOOST_TEST(name(litbuild.build("contoso", 4).get_status().state) == "error");

    engine.begin();
    BOOST_TEST(name(goes_on.get_status().state) == "running");
    BOOST_TEST(runs_of(goes_on) == 1u);

    // During a stop that is still within its grace.
    const Build slow = litbuild.launch(
        "contoso", shell("trap 'echo heard >heard' TERM; echo x >>ran; touch up; while :; do sleep 0.05; done"));
    until_file(slow.path() / "up");
    StopResult result;
    std::thread stopper([&] { result = slow.stop({.grace = 2s}, Call::within(60s)); });
    until_file(slow.path() / "heard");
    engine.kill_hard();
    stopper.join();
    BOOST_TEST((result.outcome == StopResult::Outcome::stopped), result.message);
    BOOST_TEST(name(slow.get_status().state) == "stopped");
    check_only_runner_leaves(slow);
    // With the daemon away and a runner that cannot hear, the truth is that nobody has answered.
    const pid_t runner = runner_here(goes_on);
    BOOST_REQUIRE(runner > 0);
    ::kill(runner, SIGSTOP);
    result = goes_on.stop({.plan = StopPlan{{SIGTERM, 100ms}, {SIGKILL, 1s}}}, Call::within(15s));
    BOOST_TEST((result.outcome == StopResult::Outcome::requested), result.message);
    BOOST_TEST(count_alive(goes_on) > 0u);
    BOOST_TEST(name(goes_on.get_status().state) == "running");
    engine.begin();
    result = goes_on.stop({.plan = StopPlan{{SIGTERM, 100ms}, {SIGKILL, 10s}}}, Call::within(60s));
    BOOST_TEST((result.outcome == StopResult::Outcome::stopped), result.message);
    BOOST_TEST(count_alive(goes_on) == 0u);

    // During launches, at moments that nobody chose: each either runs, once, or never does.
    for (int round = 0; round < (is_long() ? 8 : 1); ++round) {
        std::vector<std::thread> launchers;
        std::atomic<int> launched{0}, refused{0};
        for (int i = 0; i < 6; ++i)
            launchers.emplace_back([&] {
                try {
                    litbuild.launch("fabrikam", shell("echo x >>ran; sleep 1000"), Call::within(20s));
                    ++launched;
                } catch (const Error &) {
                    ++refused;
                }
            });
        std::this_thread::sleep_for(std::chrono::milliseconds(100 + 150 * round));
        engine.kill_hard();
        for (std::thread &each : launchers) each.join();
        engine.begin();
        BOOST_TEST(launched + refused == 6);
    }
    for (const Build &build : litbuild.get_builds("fabrikam")) {
        const Status status = build.get_status();
        if (status.state == State::running) {
            until_file(build.path() / "ran");
            build.stop({}, Call::within(60s));
            BOOST_TEST(name(build.get_status().state) == "stopped");
            BOOST_TEST(runs_of(build) == 1u);
        } else {
            BOOST_TEST(name(status.state) == "error", status.error);
            BOOST_TEST(runs_of(build) == 0u);
        }
        BOOST_TEST(count_alive(build) == 0u);
    }
}
