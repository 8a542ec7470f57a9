// The API that users know, on the embedded default.
#define BOOST_TEST_MODULE main_job
#include "support.hpp"

using namespace litbuild;
using namespace support;

namespace {

struct Fixture {
    TempRoot root;
    Engine engine{{.root = root.path()}};
    Build launch(const std::string &script, boost::json::object more = {}) { return engine.launch("contoso", shell(script, more)); }
};

std::string log_of(const Build &build)
{
    std::string out;
    build.read("log", [&](std::string_view piece) {
        out += piece;
        return true;
    });
    return out;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(main_job, Fixture)

BOOST_AUTO_TEST_CASE(a_build_runs_its_steps_in_order)
{
    const Build build = engine.launch("contoso", R"({"tags": ["a", "b"], "environment": {"GREETING": "hello"}, "steps": [
        {"name": "one", "command": ["sh", "-c", "pwd; echo $GREETING $LITBUILD_TEAM $LITBUILD_RUNID"]},
        {"name": "two", "command": ["sh", "-c", "echo $WORD >&2; test $LITBUILD_PATH = \"$(pwd)\"; touch asset"], "environment": {"WORD": "two"}}]})");
    BOOST_TEST(build.team() == "contoso");
    BOOST_TEST(build.runid() == 1);
    const Status status = build.wait();
    BOOST_TEST(name(status.state) == "complete");
    BOOST_TEST(status.exit_code.value() == 0);
    BOOST_TEST(!status.step());
    BOOST_TEST(status.progress.value() == 1.0);
    BOOST_REQUIRE(status.steps.size() == 2u);
    BOOST_TEST(status.steps[0].name == "one");
    BOOST_TEST(name(status.steps[1].state) == "complete");
    BOOST_TEST((status.created <= status.started && status.started <= status.steps[0].started));
    BOOST_TEST((status.steps[0].ended <= status.steps[1].started && status.steps[1].ended <= status.ended));
    BOOST_TEST(build.path().string() == root.path().string() + "/contoso/logs/1");
    BOOST_TEST(fs::exists(build.path() / "asset"));
    BOOST_TEST(log_of(build) == build.path().string() + "\nhello contoso 1\ntwo\n");
    BOOST_TEST(build.tags() == (std::vector<std::string>{"a", "b"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_current_step_and_its_progress_are_told)
{
    const Build build = launch("echo progress 40% counting > $LITBUILD_REPORT; echo step tables > $LITBUILD_REPORT; "
                               "while [ ! -e go ]; do sleep 0.05; done");
    eventually("progress and part", [&] {
        const Status status = build.get_status();
        return status.progress.value_or(0) == 0.4 && status.steps.size() == 2 && status.message == "counting";
    });
    const Status status = build.get_status();
    BOOST_TEST(name(status.state) == "running");
    BOOST_TEST(status.step().value() == "script");
    BOOST_TEST(status.steps[1].name == "tables");
    BOOST_TEST(status.steps[1].parent == 0);
    spill(build.path() / "go", "");
    BOOST_TEST(name(build.wait().state) == "complete");
    BOOST_TEST(name(build.get_status().steps[1].state) == "complete");
}

BOOST_AUTO_TEST_CASE(a_step_that_fails_ends_the_build)
{
    const Build build = engine.launch("contoso", R"({"steps": [{"name": "bad", "command": ["sh", "-c", "exit 3"]}, {"name": "never", "command": ["true"]}]})");
    const Status status = build.wait();
    BOOST_TEST(name(status.state) == "failed");
    BOOST_TEST(status.exit_code.value() == 3);
    BOOST_TEST(status.error == "step 'bad' exited with 3");
    BOOST_TEST(name(status.steps[1].state) == "queued");
}

BOOST_AUTO_TEST_CASE(what_ended_a_step_is_told)
{
    const Status killed = launch("kill -9 $$").wait();
    BOOST_TEST(name(killed.state) == "failed");
    BOOST_TEST(killed.signal == 9);
    BOOST_TEST(killed.exit_code.value() == 137);
    BOOST_TEST(killed.error == "step 'script' was ended by signal 9 (SIGKILL), not sent by litbuild");

    const Status missing = engine.launch("contoso", R"({"steps": [{"command": ["true"]}, {"name": "x", "command": ["no-such-program"]}]})").wait();
    BOOST_TEST(name(missing.state) == "error");
    BOOST_TEST(missing.error == "step 'x': cannot start 'no-such-program': No such file or directory");

    const Status late = engine.launch("contoso", R"({"steps": [{"name": "slow", "command": ["sleep", "600"], "time_limit": "100ms"}]})").wait();
    BOOST_TEST(name(late.state) == "failed");
    BOOST_TEST(late.error == "step 'slow' reached its time limit of 100ms");
}

BOOST_AUTO_TEST_CASE(stop_ends_every_subprocess)
{
    // One that ignores TERM, one in a session of its own, one that lost its parent.
    const Build build = launch("trap '' TERM; setsid sleep 600 & (setsid sh -c 'trap \"\" TERM; touch up; sleep 600' &); sleep 600");
    until_file(build.path() / "up");
    until_alive(build, 5);
    const StopResult result = build.stop({.grace = 200ms, .by = "tester", .reason = "enough"});
    BOOST_TEST(result.message == "Build id 1 has been stopped");
    BOOST_TEST(alive(build).empty());
    const Status status = build.get_status();
    BOOST_TEST(name(status.state) == "stopped");
    BOOST_TEST(status.stopped_by == "tester");
    BOOST_TEST(status.reason == "enough");
    BOOST_TEST(build.stop().message == "Build id 1 has been stopped");
}

BOOST_AUTO_TEST_CASE(a_program_that_tidies_up_on_term_is_let_finish)
{
    const Build build = launch("trap 'sleep 0.3; touch tidy; exit 0' TERM; touch up; while :; do sleep 0.05; done");
    until_file(build.path() / "up");
    build.stop({.grace = 20s});
    BOOST_TEST(fs::exists(build.path() / "tidy"));
    BOOST_TEST(name(build.get_status().state) == "stopped");
}

BOOST_AUTO_TEST_CASE(stop_of_a_finished_build_changes_nothing)
{
    const Build build = launch("true");
    build.wait();
    until_left(build);
    const std::string before = slurp(build.path() / "status.json");
    const StopResult result = build.stop();
    BOOST_TEST(result.message == "Build id 1 has already finished");
    BOOST_TEST((result.outcome == StopResult::Outcome::already_finished));
    BOOST_TEST(slurp(build.path() / "status.json") == before);
    BOOST_TEST(name(build.get_status().state) == "complete");
}

BOOST_AUTO_TEST_CASE(left_overs_of_a_build_are_ended_too)
{
    const Build build = launch("setsid sleep 600 & exit 0", {{"linger", "100ms"}});
    BOOST_TEST(name(build.wait().state) == "complete");
    BOOST_TEST(alive(build).empty());
}

BOOST_AUTO_TEST_CASE(archive_and_restore)
{
    const Build build = launch("echo x > asset");
    build.wait();
    const fs::path live = build.path();
    const fs::path archived = root.path() / "contoso/logs/archive/1";
    BOOST_TEST(build.archive() == archived);
    BOOST_TEST(build.archive() == archived);
    BOOST_TEST(build.path() == archived);
    BOOST_TEST(slurp(archived / "asset") == "x\n");
    BOOST_TEST(name(build.get_status().state) == "complete");
    BOOST_TEST(engine.get_builds("contoso").empty());
    BOOST_TEST(engine.get_builds("contoso", {.scope = Scope::archived}).size() == 1u);
    BOOST_TEST(build.edit_tags({"kept"}).size() == 1u);
    BOOST_TEST(build.restore() == live);
    BOOST_TEST(build.restore() == live);
    BOOST_TEST(engine.get_builds("contoso").size() == 1u);
    BOOST_TEST(build.tags().at(0) == "kept");
}

BOOST_AUTO_TEST_CASE(a_running_build_is_not_archived)
{
    const Build build = launch("sleep 600");
    expect_error(Code::refused, "contoso/1: is running; stop it before archiving", [&] { build.archive(); });
    build.stop({.grace = 0ms});
    BOOST_TEST(build.archive().filename() == "1");
}

BOOST_AUTO_TEST_CASE(lists_are_filtered_and_paged)
{
    for (int i = 1; i <= 5; ++i) launch(i % 2 ? "true" : "false", {{"tags", {i > 3 ? "new" : "old"}}}).wait();
    engine.build("contoso", 3).archive();
    const auto ids = [&](const Filter &filter) {
        std::string out;
        for (const Build &build : engine.get_builds("contoso", filter)) out += std::to_string(build.runid()) + " ";
        return out;
    };
    BOOST_TEST(ids({}) == "5 4 2 1 ");
    BOOST_TEST(ids({.scope = Scope::archived}) == "3 ");
    BOOST_TEST(ids({.scope = Scope::all}) == "5 4 3 2 1 ");
    BOOST_TEST(ids({.tag = "new"}) == "5 4 ");
    BOOST_TEST(ids({.state = State::failed}) == "4 2 ");
    BOOST_TEST(ids({.scope = Scope::all, .tag = "old", .state = State::complete}) == "3 1 ");
    BOOST_TEST(ids({.limit = 2}) == "5 4 ");
    BOOST_TEST(ids({.limit = 2, .before = 4}) == "2 1 ");
    BOOST_TEST(ids({.state = State::complete, .limit = 1}) == "5 ");
    const std::vector<Summary> all = engine.list("contoso", {.scope = Scope::all});
    BOOST_TEST(all.at(2).archived);
    BOOST_TEST(all.at(0).tags.at(0) == "new");
    BOOST_TEST(engine.teams().at(0) == "contoso");
}

BOOST_AUTO_TEST_CASE(the_log_is_followed_to_its_end)
{
    const Build build = launch("for i in 1 2 3; do echo line $i; sleep 0.1; done");
    std::string text;
    const uint64_t end = build.follow([&](std::string_view piece) {
        text += piece;
        return true;
    });
    BOOST_TEST(text == "line 1\nline 2\nline 3\n");
    BOOST_TEST(end == text.size());
    std::string rest;
    build.follow([&](std::string_view piece) {
        rest += piece;
        return true;
    }, {}, 7);
    BOOST_TEST(rest == "line 2\nline 3\n");
}

BOOST_AUTO_TEST_CASE(events_come_as_they_happen)
{
    const Build build = launch("sleep 0.2");
    std::vector<std::string> types;
    uint64_t cursor = 0;
    for (;;) {
        const std::vector<Event> events = build.events(cursor);
        if (events.empty()) break;
        for (const Event &event : events) types.push_back(event.type);
        cursor = events.back().cursor;
    }
    const std::vector<std::string> expected = {"queued", "running", "step_started", "step_ended", "complete"};
    BOOST_TEST(types == expected, boost::test_tools::per_element());
    BOOST_TEST(build.events(cursor, Call::within(1s)).empty());
}

BOOST_AUTO_TEST_CASE(wait_honours_its_deadline_and_can_be_cancelled)
{
    const Build build = launch("sleep 600");
    expect_error(Code::timeout, "contoso/1: ", [&] { build.wait(Call::within(200ms)); });
    Canceller canceller;
    std::thread other([&] {
        std::this_thread::sleep_for(200ms);
        canceller.cancel();
    });
    expect_error(Code::cancelled, "", [&] { build.wait(Call().cancelled_by(canceller)); });
    other.join();
    BOOST_TEST(name(build.get_status().state) == "running");
    build.stop({.grace = 0ms});
}

BOOST_AUTO_TEST_CASE(two_engines_over_two_roots_do_not_meet)
{
    const TempRoot second;
    const Engine other({.root = second.path()});
    launch("true").wait();
    BOOST_TEST(other.teams().empty());
    BOOST_TEST(other.launch("contoso", shell("true")).runid() == 1);
    other.build("contoso", 1).wait();
    BOOST_TEST(launch("true").runid() == 2);
    engine.build("contoso", 2).wait();
}

BOOST_AUTO_TEST_CASE(calls_come_from_many_threads)
{
    std::vector<std::thread> threads;
    std::atomic<int> complete{0};
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            for (int k = 0; k < 3; ++k) {
                const Build build = launch("echo $LITBUILD_RUNID");
                build.edit_tags({"t"});
                if (build.wait().state == State::complete) ++complete;
                engine.list("contoso");
                build.archive();
                build.restore();
            }
        });
    for (std::thread &thread : threads) thread.join();
    BOOST_TEST(complete == 24);
    const std::vector<Build> builds = engine.get_builds("contoso");
    BOOST_TEST(builds.size() == 24u);
    BOOST_TEST(builds.front().runid() == 24);
}

BOOST_AUTO_TEST_CASE(stop_called_by_many_at_once_gives_all_the_same_answer)
{
    const Build build = launch("trap '' TERM; sleep 600 & touch up; wait; sleep 600");
    until_file(build.path() / "up");
    std::vector<std::thread> threads;
    std::atomic<int> stopped{0};
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] { stopped += build.stop({.grace = 300ms}).outcome == StopResult::Outcome::stopped; });
    for (std::thread &thread : threads) thread.join();
    BOOST_TEST(stopped == 8);
    BOOST_TEST(alive(build).empty());
}

// Whoever has the right to run the build when the launch is given up, has it for ever.
BOOST_AUTO_TEST_CASE(a_launch_that_comes_late_never_runs)
{
    const std::string real = "LITBUILD_RUNNER_LAUNCHER=$$ " + std::string(std::getenv("LITBUILD_BIN_DIR")) + "/litbuild-runner \"$@\"";
    const auto in_root = [&](const char *name) { return (root.path() / name).string(); };
    const std::string until_go = "until [ -e " + in_root("go") + " ]; do sleep 0.02; done\n";
    const std::string job = shell("touch " + in_root("seen"));
    // Launches with such a runner, and gives up when the file is there.
    const auto launch_until = [&](const std::string &script, const fs::path &file) {
        spill(root.path() / "runner", "#!/bin/sh\n" + script);
        ::chmod(in_root("runner").c_str(), 0755);
        const Engine own({.root = root.path(), .runner = root.path() / "runner"});
        Canceller canceller;
        Call call;
        call.cancelled_by(canceller);
        const std::jthread giving_up([&] {
            for (int i = 0; i < 6000 && !fs::exists(file); ++i) std::this_thread::sleep_for(10ms);
            canceller.cancel();
        });
        return own.launch("contoso", job, call);
    };
    BOOST_CHECK_EXCEPTION(
        launch_until("touch " + in_root("started") + "\n" + until_go + real + "\ntouch " + in_root("over") + "\n", in_root("started")), Error,
        [](const Error &e) {
            return e.code() == Code::cancelled && std::string(e.what()).starts_with("contoso/1: could not be started: ");
        });
    BOOST_TEST(name(engine.build("contoso", 1).get_status().state) == "error");
    spill(in_root("go"), "");
    eventually("the late runner", [&] { return fs::exists(in_root("over")); });
    until_left(engine.build("contoso", 1));
    BOOST_TEST(!fs::exists(in_root("seen")));
    BOOST_TEST(name(engine.build("contoso", 1).get_status().state) == "error");
    fs::remove(in_root("go"));
    // One that has begun was launched, though its word is late.
    const Build build = launch_until(real + " 3> " + in_root("word") + "\n" + until_go, root.path() / "contoso/logs/2/.control/runner");
    spill(in_root("go"), "");
    BOOST_TEST(name(build.wait().state) == "complete");
    BOOST_TEST(fs::exists(in_root("seen")));
}

BOOST_AUTO_TEST_CASE(an_existing_tree_is_adopted)
{
    spill(root.path() / "contoso/logs/19/asset.bin", "x");
    spill(root.path() / "contoso/logs/archive/20/asset.bin", "y");
    fs::create_directories(root.path() / "contoso/logs/21");
    const std::vector<Summary> all = engine.list("contoso", {.scope = Scope::all});
    BOOST_REQUIRE(all.size() == 3u);
    BOOST_TEST(all[1].name.runid == 20);
    BOOST_TEST(all[1].archived);
    BOOST_TEST(name(all[2].status.state) == "unknown");
    const Build build = engine.build("contoso", 19);
    BOOST_TEST(build.archive() == root.path() / "contoso/logs/archive/19");
    BOOST_TEST(slurp(root.path() / "contoso/logs/archive/19/asset.bin") == "x");
    BOOST_TEST(build.restore() == root.path() / "contoso/logs/19");
    BOOST_TEST(engine.build("contoso", 20).restore() == root.path() / "contoso/logs/20");
    expect_error(Code::refused, "contoso/19: has no process that could be stopped", [&] { build.stop(); });
    BOOST_TEST(launch("true").runid() == 22);
    engine.build("contoso", 22).wait();
}

BOOST_AUTO_TEST_SUITE_END()
