// A stop races the build's own end: whoever wins, one end is told, and the answer of the stop agrees with it.
#define BOOST_TEST_MODULE race
#include "helpers/model_support.hpp"

#include <atomic>
#include <mutex>
#include <random>

using namespace litbuild;
using namespace support;
using Outcome = StopResult::Outcome;

namespace {

uint64_t seed()
{
    const char *text = ::getenv("LITBUILD_SEED");
    return text && *text ? std::stoull(text) : std::random_device()();
}

struct Counts {
    std::atomic<int> stopped{0}, complete{0}, left{0};
};

/// What is wrong with one race; empty: nothing.
std::string race(const Engine &engine, const std::string &drone, std::mt19937_64 &random, int64_t &middle, Counts &counts)
{
    const auto pick = [&](int64_t most) { return static_cast<int64_t>(random() % static_cast<uint64_t>(most)); };
    const int64_t own_end = 2000 + pick(4000);
    const bool leaves_daemon = pick(4) == 0;
    boost::json::array command = {drone, "timed", std::to_string(own_end), "0"};
    if (leaves_daemon) command.push_back("child");
    const boost::json::object spec = {{"steps", {{{"name", "race"}, {"command", command}}}},
                                      {"linger", pick(2) == 0 ? "0ms" : "2ms"},
                                      {"stop", {{{"signal", "TERM"}, {"grace", "1s"}}, {{"signal", "KILL"}}}}};
    const Build build = engine.launch("contoso", boost::json::serialize(spec));
    // `middle` follows the point at which both win equally often, however slow the host is.
    const int64_t wait = own_end + middle - 1500 + pick(3000);
    if (wait > 0) std::this_thread::sleep_for(std::chrono::microseconds(wait));

    StopOptions options;
    if (pick(2) == 0) options.grace = std::chrono::milliseconds(pick(2) * 20);
    std::string wrong;
    const Status before = build.get_status();
    std::vector<StopResult> results;
    std::mutex mutex;
    const auto stop = [&] {
        const StopResult result = build.stop(options);
        const std::lock_guard lock(mutex);
        results.push_back(result);
    };
    if (pick(8) == 0) {
        std::thread second(stop);
        stop();
        second.join();
    } else {
        stop();
    }
    const Status after = build.get_status();
    const auto is_one = [](State state) { return state == State::complete || state == State::stopped; };
    if (!is_active(before.state) && !is_one(before.state)) wrong += std::string(" before: ") + name(before.state);
    if (!is_one(after.state)) wrong += std::string(" after: ") + name(after.state) + " (" + after.error + ")";
    if (is_terminal(before.state) && before.state != after.state) wrong += " the terminal state has changed";
    for (const StopResult &result : results) {
        const Outcome expected = after.state == State::stopped ? Outcome::stopped : Outcome::already_finished;
        if (result.outcome != expected) wrong += " '" + result.message + "' of a build that is " + name(after.state);
    }
    if (const size_t ends = terminal_events(build); ends != 1) wrong += " terminal events: " + std::to_string(ends);
    if (fs::exists(build.path() / ".control/stopped")) wrong += " an engine wrote a verdict although the runner lived";
    if (!alive(build).empty()) wrong += " a process is alive";
    ++(after.state == State::stopped ? counts.stopped : counts.complete);
    if (leaves_daemon) ++counts.left;
    middle = std::clamp<int64_t>(middle + (after.state == State::stopped ? 100 : -100), -own_end, 200'000);
    if (!wrong.empty()) wrong = build.team() + "/" + std::to_string(build.runid()) + ":" + wrong;
    return wrong;
}

void run_races(const char *containment, int races)
{
    const QuickRoot root;
    const uint64_t seeded = seed();
    Config config{.root = root.path()};
    config.process.config = std::string(R"({"cgroup": ")") + containment + "\"}";
    const Engine engine(config);
    const std::string drone = helper("model_drone");
    Counts counts;
    std::atomic<int> left = races;
    std::mutex mutex;
    std::vector<std::string> wrongs;
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 4; ++thread)
        threads.emplace_back([&, thread] {
            std::mt19937_64 random(seeded + thread);
            int64_t middle = 0;
            while (left-- > 0) {
                std::string wrong;
                try {
                    wrong = race(engine, drone, random, middle, counts);
                } catch (const std::exception &e) {
                    wrong = e.what();
                }
                if (wrong.empty()) continue;
                const std::lock_guard lock(mutex);
                wrongs.push_back(wrong);
            }
        });
    for (std::thread &thread : threads) thread.join();
    std::printf("race, containment %s, seed %llu: %d races: %d stopped, %d complete; %d left a daemon\n", containment,
                static_cast<unsigned long long>(seeded), races, counts.stopped.load(), counts.complete.load(),
                counts.left.load());
    BOOST_TEST(wrongs.empty(), wrongs.size() << " races went wrong, the first: " << (wrongs.empty() ? "" : wrongs.front()));
    for (size_t i = 1; i < std::min<size_t>(wrongs.size(), 10); ++i) BOOST_TEST_MESSAGE(wrongs[i]);
    // Else it was no race.
    BOOST_TEST(counts.stopped > races / 20);
    BOOST_TEST(counts.complete > races / 20);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_stop_that_races_the_end_gives_one_end_with_groups) { run_races("auto", is_long() ? 5000 : 150); }
BOOST_AUTO_TEST_CASE(a_stop_that_races_the_end_gives_one_end_without_groups) { run_races("none", is_long() ? 5000 : 150); }
