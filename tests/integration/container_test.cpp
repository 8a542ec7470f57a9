// The plugin container against real engines: one suite for dockerd and for podman.
#define BOOST_TEST_MODULE container
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "container/engines.hpp"

using namespace engines;
using namespace litbuild;
namespace json = boost::json;
namespace data = boost::unit_test::data;

namespace {

const std::vector<std::string> both = {"docker", "podman"};

/// One of each for the whole program.
std::map<std::string, std::unique_ptr<ContainerEngine>> running;
struct EndAll {
    ~EndAll() { running.clear(); }
};

/// Null: it cannot be run here, and that was said.
ContainerEngine *engine_named(const std::string &name)
{
    if (const std::string why = ContainerEngine::missing(name); !why.empty()) {
        std::printf("SKIPPED: container/%s: %s\n", name.c_str(), why.c_str());
        return nullptr;
    }
    std::unique_ptr<ContainerEngine> &found = running[name];
    if (!found) found = std::make_unique<ContainerEngine>(name);
    return found.get();
}

bool is_long() { return ::getenv("LITBUILD_TEST_LONG") && *::getenv("LITBUILD_TEST_LONG"); }

std::string log_of(const Build &build) { return slurp(build.path() / "log"); }

}  // namespace

BOOST_GLOBAL_FIXTURE(EndAll);

#define ON_EACH_ENGINE(name) BOOST_DATA_TEST_CASE(name, data::make(both), engine_name)
#define ENGINE_OR_SKIP                                   \
    ContainerEngine *const chosen = engine_named(engine_name); \
    if (!chosen) return;                                 \
    ContainerEngine &engine = *chosen

ON_EACH_ENGINE(steps_progress_and_log)
{
    ENGINE_OR_SKIP;
    Room room(engine);
    const Engine litbuild = room.open();
    const Build build = litbuild.launch("contoso", R"({"steps": [
        {"name": "one", "command": ["sh", "-c", "echo first; echo progress 1/2 half >$LITBUILD_REPORT; sleep 0.7; date >one"]},
        {"name": "two", "command": ["sh", "-c", "echo second; cat one >two; id -u"]}]})");
    std::string followed;
    build.follow([&](std::string_view text) {
        followed += text;
        return true;
    });
    BOOST_TEST(followed == "first\nsecond\n" + std::to_string(::geteuid()) + "\n");
    const Status status = build.wait(Call::within(60s));
    BOOST_TEST(name(status.state) == "complete", status.error);
    BOOST_TEST(status.exit_code.value_or(-1) == 0);
    BOOST_TEST(status.steps.size() == 2u);
    BOOST_TEST(fs::exists(build.path() / "two"));
    BOOST_TEST(status.detail.find("\"containment\":\"container\"") != std::string::npos, status.detail);
    std::string types;
    for (uint64_t cursor = 0;;) {
        const std::vector<Event> events = build.events(cursor, Call::within(5s));
        if (events.empty()) break;
        for (const Event &each : events) types += each.type + " ";
        cursor = events.back().cursor;
    }
    BOOST_TEST(types == "queued running step_started progress step_ended step_started step_ended complete ");
    room.until_removed(litbuild, {build});
    // After the end nothing holds the folder.
    const fs::path archived = build.archive();
    BOOST_TEST(fs::exists(archived / "two"));
    BOOST_TEST(fs::exists(build.restore() / "two"));
}

ON_EACH_ENGINE(what_a_build_may_do_in_there)
{
    ENGINE_OR_SKIP;
    Room room(engine);
    const Engine litbuild = room.open();
    const Build build = litbuild.launch("contoso", shell(
        "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; touch /x 2>/dev/null || echo root is read-only; "
        "echo : >/litbuild-runner 2>/dev/null || echo runner is read-only; echo t >/tmp/t && echo tmp is writable; "
        "ls /sys/class/net; cat /proc/1/comm; readlink /proc/self/ns/pid; env | grep -c RUNNER_"));
    BOOST_TEST(name(build.wait(Call::within(60s)).state) == "failed");
    const std::string said = log_of(build);
    for (const char *each :
         {"CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n", "root is read-only\n",
          "runner is read-only\n", "tmp is writable\n", "\nlo\n", "litbuild-runner\n", "\n0\n"})
        BOOST_TEST(said.find(each) != std::string::npos, each << " is not in: " << said);
    char own[64] = {};
    BOOST_TEST(::readlink("/proc/self/ns/pid", own, sizeof own - 1) > 0);
    BOOST_TEST(said.find(own) == std::string::npos);
}

ON_EACH_ENGINE(exit_codes)
{
    ENGINE_OR_SKIP;
    Room room(engine, {{"remove", "on success"}});
    const Engine litbuild = room.open();
    const auto end_of = [&](const std::string &script) {
        const Build build = litbuild.launch("contoso", shell(script));
        return build.wait(Call::within(60s));
    };
    const Status good = end_of("exit 0"), three = end_of("exit 3"), killed = end_of("kill -9 $$");
    BOOST_TEST(name(good.state) == "complete");
    BOOST_TEST(name(three.state) == "failed");
    BOOST_TEST(three.exit_code.value_or(-1) == 3);
    BOOST_TEST(three.error == "step 'script' exited with 3");
    BOOST_TEST(name(killed.state) == "failed");
    BOOST_TEST(killed.exit_code.value_or(-1) == 137);
    BOOST_TEST(killed.error == "step 'script' was ended by signal 9 (SIGKILL), not sent by litbuild");
    // The containers of those that failed are kept, with their exit codes; that of the good one goes with the next launch at
    // the latest.
    room.until_removed(litbuild, {litbuild.build("contoso", 1)});
    for (const auto &[runid, code] : {std::pair<int64_t, int>{2, 3}, {3, 137}}) {
        // The runner's last word comes before the end of its container.
        std::optional<container::Container> kept;
        eventually("the container has ended", [&, id = runid] {
            kept = room.container_of(litbuild.build("contoso", id));
            return !kept || kept->is_ended();
        });
        BOOST_REQUIRE(kept.has_value());
        BOOST_TEST(kept->exit_code == code);
    }
}

ON_EACH_ENGINE(stop_within_grace)
{
    ENGINE_OR_SKIP;
    Room room(engine);
    const Engine litbuild = room.open();
    const Build build =
        litbuild.launch("contoso", shell("trap 'echo tidied; exit 0' TERM; touch up; while :; do sleep 0.1; done"));
    until_file(build.path() / "up");
    const StopResult result = build.stop({.by = "someone", .reason = "wrong input"});
    BOOST_TEST(result.message == "Build id 1 has been stopped");
    BOOST_TEST(result.report.mechanism == "runner");
    const Status status = build.get_status();
    BOOST_TEST(name(status.state) == "stopped");
    BOOST_TEST(status.stopped_by == "someone");
    BOOST_TEST(status.reason == "wrong input");
    BOOST_TEST(log_of(build).find("tidied\n") != std::string::npos, log_of(build));
    BOOST_TEST(count_alive(build) == 0u);
    eventually("the container is removed", [&] { return !room.container_of(build); });
    BOOST_TEST(build.stop().message == "Build id 1 has been stopped");
}

ON_EACH_ENGINE(stop_of_a_tree_that_ignores_term)
{
    ENGINE_OR_SKIP;
    Room room(engine);
    const Engine litbuild = room.open();
    // Daemons in sessions of their own, one without its mark, all deaf.
    const Build build = litbuild.launch("contoso", shell(
        "trap '' TERM HUP INT; (setsid sh -c 'echo >daemon1; while :; do sleep 0.1; done' &) ; "
        "(setsid env -i /bin/sh -c \"echo >$LITBUILD_PATH/daemon2; while :; do sleep 0.1; done\" &) ; "
        "i=0; while [ $i -lt 20 ]; do sleep 1000 & i=$((i+1)); done; touch up; while :; do sleep 0.1; done"));
    for (const char *file : {"daemon1", "daemon2", "up"}) until_file(build.path() / file);
    const std::optional<container::Container> alive_now = room.container_of(build);
    BOOST_REQUIRE(alive_now.has_value());
    BOOST_TEST(engine.api().processes(Call::within(30s), alive_now->id).size() >= 24u);
    const StopResult result = build.stop({.grace = 300ms});
    BOOST_TEST((result.outcome == StopResult::Outcome::stopped), result.message);
    BOOST_TEST(result.report.killed >= 23u);
    BOOST_TEST(count_alive(build) == 0u);
    BOOST_TEST(name(build.get_status().state) == "stopped");
    eventually("the container is removed", [&] { return !room.container_of(build); });
}

ON_EACH_ENGINE(a_runner_that_does_not_answer_is_ended_by_the_engine)
{
    ENGINE_OR_SKIP;
    if (!is_long() && engine_name != "docker") return;
    Room room(engine);
    const Engine litbuild = room.open();
    const Build build = litbuild.launch("contoso", shell("touch up; sleep 1000"));
    until_file(build.path() / "up");
    // Stopped by a signal from outside, the runner can do nothing at all.
    const pid_t runner = runner_here(build);
    BOOST_REQUIRE(runner > 0);
    BOOST_REQUIRE(::kill(runner, SIGSTOP) == 0);
    const StopResult result = build.stop({.plan = StopPlan{{SIGTERM, 100ms}, {SIGKILL, 10s}}});
    BOOST_TEST((result.outcome == StopResult::Outcome::stopped), result.message);
    BOOST_TEST(result.report.killed >= 2u);
    BOOST_TEST(count_alive(build) == 0u);
    BOOST_TEST(name(build.get_status().state) == "stopped");
}

ON_EACH_ENGINE(limits)
{
    ENGINE_OR_SKIP;
    Room room(engine, {{"limits", {{"processes", 200}, {"cpus", 0.5}}}});
    const Engine litbuild = room.open();
    const Build memory =
        litbuild.launch("contoso", shell("a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done", {{"limits", {{"memory", "24M"}}}}));
    const Build processes =
        litbuild.launch("contoso", shell("i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i+1)); done; echo all",
                                         {{"limits", {{"processes", 20}}}, {"linger", "0s"}}));
    const Build time = litbuild.launch("contoso", shell("while :; do :; done", {{"limits", {{"cpu_time", "1s"}}}}));
    Status status = memory.wait(Call::within(60s));
    BOOST_TEST(name(status.state) == "failed");
    BOOST_TEST(status.error == "step 'script' ran out of memory: the limit of the build was reached");
    status = processes.wait(Call::within(60s));
    BOOST_TEST(log_of(processes).find("can't fork") != std::string::npos, log_of(processes));
    BOOST_TEST(status.detail.find(R"("processes":{"value":20,"by":"container"})") != std::string::npos, status.detail);
    status = time.wait(Call::within(60s));
    BOOST_TEST(status.error == "step 'script' used up its CPU time limit");
}

ON_EACH_ENGINE(who_is_killed_from_outside_is_told_as_lost_with_evidence)
{
    ENGINE_OR_SKIP;
    Room room(engine);
    const Engine litbuild = room.open();
    const auto lose = [&](const Engine &by) {
        const Build build = by.launch("contoso", shell("touch up; sleep 1000", {{"limits", {{"memory", "64M"}}}}));
        until_file(build.path() / "up");
        engine.api().kill(Call::within(30s), room.token(build).id, SIGKILL);
        eventually("it is gone", [&] {
            const auto now = room.container_of(build);
            return !now || now->is_ended();
        });
        return build;
    };
    // Where containers are removed with their end, the engine's memory of it is asked.
    const Build removed = lose(litbuild);
    room.until_removed(litbuild, {removed});
    Status status = removed.get_status();
    BOOST_TEST(name(status.state) == "lost");
    BOOST_TEST(status.error == "its container " + room.token(removed).name + " (" + room.token(removed).id.substr(0, 12) +
                                   ") is gone; it ended with exit code 137 (as by signal 9, SIGKILL)");
    Config keeping = room.config();
    json::object process = json::parse(keeping.process.config).as_object();
    process["remove"] = "never";
    keeping.process.config = json::serialize(process);
    const Engine other(keeping);
    const Build kept = lose(other);
    status = kept.get_status();
    BOOST_TEST(name(status.state) == "lost");
    BOOST_TEST(status.error.find("with exit code 137 (as by signal 9, SIGKILL); its memory limit is 64 MiB") !=
                   std::string::npos,
               status.error);
    BOOST_TEST(kept.stop().message == "Build id 2 has been stopped");
    BOOST_TEST(name(kept.get_status().state) == "stopped");
}

ON_EACH_ENGINE(paused_started_again_and_taken)
{
    ENGINE_OR_SKIP;
    Room room(engine, {{"remove", "never"}, {"name", "lb-{team}-{runid}"}});
    const Engine litbuild = room.open();
    const Build paused = litbuild.launch("contoso", shell("touch up; sleep 1000"));
    until_file(paused.path() / "up");
    BOOST_REQUIRE(run({"docker", "-H", engine.address(), "pause", room.token(paused).id}, {}, "/dev/null"));
    BOOST_TEST(name(paused.get_status().state) == "running");
    BOOST_TEST(paused.stop().message == "Build id 1 has been stopped");

    // What somebody starts again is not the build's: its runner leaves at once, and the state stays what it was.
    const Build again = litbuild.launch("contoso", shell("touch up; exec sleep 1000"));
    until_file(again.path() / "up");
    engine.api().kill(Call::within(30s), room.token(again).id, SIGKILL);
    eventually("it has ended", [&] { return room.container_of(again)->is_ended(); });
    engine.api().start(Call::within(30s), room.token(again).id);
    Status status = again.get_status();
    BOOST_TEST(name(status.state) == "lost");
    BOOST_TEST(status.error.find("was started again at") != std::string::npos, status.error);
    BOOST_TEST(again.stop().message == "Build id 2 has been stopped");

    // A name that another build has: its container is not touched.
    Room second(engine, {{"name", "lb-{team}-{runid}"}});
    const Engine elsewhere = second.open();
    try {
        elsewhere.launch("contoso", shell("true"));
        BOOST_ERROR("a name was given twice");
    } catch (const Error &e) {
        BOOST_TEST(name(e.code()) == "exists");
        BOOST_TEST(std::string(e.what()) == "contoso/1: could not be started: " + engine.address() +
                                                ": the container name 'lb-contoso-1' is taken by contoso/1 (" +
                                                uuid_of(paused) + ")");
    }
    BOOST_TEST(name(elsewhere.build("contoso", 1).get_status().state) == "error");

    // A token that names another build's container stops nothing.
    const Build victim = litbuild.launch("contoso", shell("touch up; sleep 1000"));
    const Build forged = litbuild.launch("contoso", shell("touch up; sleep 1000"));
    for (const Build &each : {victim, forged}) until_file(each.path() / "up");
    container::Token token = room.token(forged);
    const std::string true_text = token.text();
    token.id = room.token(victim).id;
    spill(forged.path() / ".control/token", token.text());
    BOOST_CHECK_THROW(forged.stop(), Error);
    BOOST_TEST(room.container_of(victim)->state == "running");
    spill(forged.path() / ".control/token", true_text);
    forged.stop();
    victim.stop();
}

ON_EACH_ENGINE(a_launch_that_was_cut_short_is_found_by_its_label)
{
    ENGINE_OR_SKIP;
    Room room(engine);
    const Engine litbuild = room.open();
    // The runner keeps the token itself, so that a launching process that dies loses nothing.
    const Build build = litbuild.launch("contoso", shell("touch up; sleep 1000"));
    until_file(build.path() / "up");
    const std::string id = room.token(build).id;
    container::Token part = room.token(build);
    part.id = part.started = part.kept_in = "";
    spill(build.path() / ".control/token", part.text() + "pid 1\nstart 12345\n");
    BOOST_TEST(name(build.get_status().state) == "running");
    BOOST_TEST(build.stop().message == "Build id 1 has been stopped");
    eventually("the container is removed", [&] { return !engine.api().inspect(Call::within(30s), id); });
    // And where there is no token at all.
    const Build second = litbuild.launch("contoso", shell("touch up; sleep 1000"));
    until_file(second.path() / "up");
    const std::string second_id = room.token(second).id;
    fs::remove(second.path() / ".control/token");
    json::object document = json::parse(slurp(second.path() / "build.json")).as_object();
    document["launcher"].as_object()["start"] = 1;
    spill(second.path() / "build.json", json::serialize(document));
    BOOST_TEST(name(second.get_status().state) == "running");
    // Its runner hears of the request through the folder; the rest goes by the label.
    BOOST_TEST(second.stop({}, Call::within(60s)).message == "Build id 2 has been stopped");
    eventually("the container is removed", [&] { return !engine.api().inspect(Call::within(30s), second_id); });
}

ON_EACH_ENGINE(options_of_a_spec)
{
    ENGINE_OR_SKIP;
    TempRoot raw;
    ::chmod(raw.path().c_str(), 0755);
    spill(raw.path() / "open/input", "raw data\n");
    spill(raw.path() / "closed/secret", "s3cret-of-file\n");
    fs::create_symlink("../closed", raw.path() / "open/way-out");
    ::setenv("LBTEST_ALLOWED", "s3cret-of-variable", 1);
    ::setenv("LBTEST_OTHER", "not for builds", 1);
    const std::string open = (raw.path() / "open").string(), closed = (raw.path() / "closed").string();
    Room room(engine, {{"mounts", {{{"source", open}, {"target", "/deployment"}}}},
                       {"environment", {{"FROM_DEPLOYMENT", "yes"}}},
                       {"allow",
                        {{"mounts", json::array{open}},
                         {"users", json::array{"1000:*"}},
                         {"files", json::array{closed}},
                         {"variables", json::array{"LBTEST_ALLOWED"}},
                         {"images", json::array{"localhost/*"}}}}});
    const Engine litbuild = room.open();
    const auto with = [](json::object process) {
        return shell(
            "cat /raw/input /deployment/input; echo x >/raw/new || echo raw is read-only; echo $FROM_DEPLOYMENT $PLAIN; "
            "[ ${#A} = 14 ] && [ ${#B} = 18 ] && echo secrets are there",
            {{"process", std::move(process)}});
    };
    const Build good = litbuild.launch("contoso", with({{"mounts", {{{"source", open}, {"target", "/raw"}}}},
                                                        {"environment", {{"A", {{"file", closed + "/secret"}}},
                                                                         {"B", {{"variable", "LBTEST_ALLOWED"}}},
                                                                         {"PLAIN", "plain"}}}}));
    BOOST_TEST(name(good.wait(Call::within(60s)).state) == "complete", log_of(good));
    BOOST_TEST(log_of(good).find("raw data\nraw data\n") == 0u, log_of(good));
    for (const char *each : {"raw is read-only\n", "yes plain\n", "secrets are there\n"})
        BOOST_TEST(log_of(good).find(each) != std::string::npos, log_of(good));
    // Nothing of what the folder keeps, and nothing that was logged, holds a secret.
    for (const fs::directory_entry &each : fs::recursive_directory_iterator(good.path()))
        if (each.is_regular_file()) BOOST_TEST(slurp(each.path()).find("s3cret") == std::string::npos, each.path());
    BOOST_TEST(room.logged().find("s3cret") == std::string::npos);

    const auto refused = [&](json::object process, Code code, const std::string &sentence) {
        try {
            litbuild.launch("contoso", with(std::move(process)));
            BOOST_ERROR("was allowed: " << sentence);
        } catch (const Error &e) {
            BOOST_TEST(name(e.code()) == name(code), e.what());
            BOOST_TEST(std::string(e.what()).find(sentence) != std::string::npos, e.what());
        }
    };
    refused({{"mounts", {{{"source", "/"}, {"target", "/raw"}}}}}, Code::denied, "process: mount '/' is not allowed here");
    refused({{"mounts", {{{"source", open + "/way-out"}, {"target", "/raw"}}}}}, Code::denied, "is not allowed here");
    refused({{"mounts", {{{"source", open + "/../closed"}, {"target", "/raw"}}}}}, Code::invalid, "contains '..'");
    refused({{"mounts", {{{"source", open}, {"target", "/raw"}, {"access", "write"}}}}}, Code::denied,
            "is not allowed here (for writing)");
    refused({{"mounts", {{{"source", open}, {"target", "/proc/self"}}}}}, Code::denied, "/proc is not to be covered");
    refused({{"mounts", {{{"source", open}, {"target", "//proc"}}}}}, Code::invalid, "contains an empty part");
    refused({{"user", "0"}}, Code::denied, "process: user '0' is not allowed here");
    refused({{"network", "host"}}, Code::denied, "process: network 'host' is not allowed here");
    refused({{"image", "evil.example/x"}}, Code::denied, "process: image 'evil.example/x' is not allowed here");
    refused({{"privileged", true}}, Code::invalid, "process: unknown key 'privileged'");
    refused({{"environment", {{"A", {{"file", "/etc/shadow"}}}}}}, Code::denied, "file '/etc/shadow' is not allowed here");
    refused({{"environment", {{"A", {{"variable", "LBTEST_OTHER"}}}}}}, Code::denied,
            "variable 'LBTEST_OTHER' is not allowed here");
    refused({{"environment", {{"LITBUILD_UUID", "x"}}}}, Code::invalid, "is litbuild's own");
    BOOST_TEST(slurp(good.path() / "build.json").find("s3cret") == std::string::npos);
}

/// As authors of plugins check theirs; podman only in the long form.
ON_EACH_ENGINE(the_conformance_kit)
{
    if (engine_name == "podman" && !is_long()) return;
    ENGINE_OR_SKIP;
    const TempRoot folder;
    spill(folder.path() / "config.json",
          json::serialize(json::object{
              {"process", {{"engine", engine.address()}, {"image", "localhost/busybox:1"}, {"timeout", "60s"}}}}));
    const std::string bin = ::getenv("LITBUILD_BIN_DIR"), library = std::string(::getenv("LITBUILD_PLUGIN_DIR")) + "/container.so";
    const bool good = run({bin + "/litbuild-plugin", "check", library, (folder.path() / "config.json").string()}, {},
                          folder.path() / "printed");
    BOOST_TEST(good, slurp(folder.path() / "printed"));
    BOOST_TEST(slurp(folder.path() / "printed").find("process.held-and-forget") != std::string::npos);
}

ON_EACH_ENGINE(strays_are_told)
{
    ENGINE_OR_SKIP;
    // A team of its own: what other cases have left in the same container engine is not looked at.
    const auto told = [](const Engine &litbuild, Repair repair = Repair::no) {
        std::string out;
        for (const auto &[team, found] : litbuild.examine("strays", repair))
            if (found.kind == "stray")
                out += (found.state == Finding::State::repaired     ? "repaired "
                        : found.state == Finding::State::repairable ? "repairable "
                                                                    : "left ") +
                       found.text + "; " + found.action + "\n";
        return out;
    };
    const auto box = [](const Build &build, const Room &room) {
        const container::Token token = room.token(build);
        return token.name + " (" + token.id.substr(0, 12) + ")";
    };
    const auto until_ended = [&](const Build &build, const Room &room) {
        eventually("the container has ended", [&] { return room.container_of(build)->is_ended(); });
    };
    {
        Room room(engine, {{"remove", "on success"}});
        const Engine litbuild = room.open();
        // It outlives its launch, which removes what has ended.
        const Build build = litbuild.launch("strays", shell("until [ -e go ]; do sleep 0.1; done"));
        spill(build.path() / "go", "");
        until_ended(build, room);
        const std::string what = "strays/1: its container " + box(build, room) + " is left, ended with exit code 0; ";
        BOOST_TEST(told(litbuild) == "repairable " + what + "remove it\n");
        BOOST_TEST(told(litbuild, Repair::yes) == "repaired " + what + "removed\n");
        BOOST_TEST(told(litbuild) == "");
        BOOST_TEST(!room.container_of(build));
    }
    Room room(engine, {{"remove", "never"}});
    const Engine litbuild = room.open();
    const Build kept = litbuild.launch("strays", shell("exit 3"));
    until_ended(kept, room);
    const Build runs = litbuild.launch("strays", shell("touch up; sleep 1000"));
    until_file(runs.path() / "up");
    BOOST_TEST(told(litbuild) == "");
    const std::string kept_box = box(kept, room), kept_name = room.token(kept).name;
    kept.archive();
    kept.remove();
    const fs::path place = runs.path(), aside = room.root() / "aside";
    fs::rename(place, aside);
    const std::string both =
        "left strays/1: its container " + kept_box + " is left, ended with exit code 3, and there is no such build here; '" +
        engine_name + " rm " + kept_name + "' removes it\nleft strays/2: its container ";
    for (const Repair repair : {Repair::no, Repair::yes}) {
        const std::string seen = told(litbuild, repair);
        BOOST_TEST(seen.find(both) == 0u, seen);
        BOOST_TEST(seen.find(" is running, and there is no such build here; '" + engine_name + " kill ") != std::string::npos, seen);
    }
    fs::rename(aside, place);
    BOOST_TEST(runs.stop({}, Call::within(60s)).message == "Build id 2 has been stopped");
    engine.kill_hard();
    const std::vector<TeamFinding> away = litbuild.examine("strays");
    BOOST_REQUIRE(away.size() == 1u);
    BOOST_TEST(away[0].found.text.find(engine.address() + ": ") == 0u, away[0].found.text);
    engine.begin();
}

ON_EACH_ENGINE(images)
{
    ENGINE_OR_SKIP;
    Room room(engine);
    const Engine litbuild = room.open();
    const auto sentence_of = [&](json::object process) {
        try {
            const Build build = litbuild.launch("contoso", shell("true", {{"process", std::move(process)}}));
            return build.wait(Call::within(60s)).error;
        } catch (const Error &e) {
            return std::string(e.what());
        }
    };
    BOOST_TEST(sentence_of({{"image", "localhost/empty:1"}}) == "step 'script': cannot start 'sh': No such file or directory");
    const std::string none = sentence_of({{"image", "localhost/none:1"}, {"pull", "never"}});
    BOOST_TEST(none.find("could not be started: image 'localhost/none:1' is not there: " + engine.address() +
                         ": the container engine says: ") != std::string::npos,
               none);
    const std::string bad = sentence_of({{"image", "localhost/UPPER case:1"}, {"pull", "never"}});
    BOOST_TEST(bad.find("the container engine says: ") != std::string::npos, bad);
    BOOST_TEST(sentence_of({{"image", "localhost/busybox:1"}}) == "");
    BOOST_TEST(sentence_of({{"mounts", {{{"source", "/nowhere"}}}}}) ==
               "contoso/5: could not be started: process: mount '/nowhere' is not there");
}

BOOST_AUTO_TEST_CASE(over_tcp_with_tls)
{
    const std::string engine_name = "docker";
    ENGINE_OR_SKIP;
    const std::string d = engine.folder().string() + "/";
    const auto with = [&](json::object tls) {
        return json::object{{"engine", engine.secure_address()}, {"tls", std::move(tls)}};
    };
    Room room(engine, with({{"ca", d + "ca.pem"}, {"cert", d + "client.pem"}, {"key", d + "client.key"}}));
    const Engine litbuild = room.open();
    const Build build = litbuild.launch("contoso", shell("touch up; sleep 1000"));
    until_file(build.path() / "up");
    BOOST_TEST(room.token(build).engine == engine.secure_address());
    BOOST_TEST(build.stop().message == "Build id 1 has been stopped");
    BOOST_TEST(count_alive(build) == 0u);

    const auto sentence_of = [&](json::object tls) {
        Room other(engine, with(std::move(tls)));
        try {
            other.open().launch("contoso", shell("true"));
        } catch (const Error &e) {
            return std::string(e.what());
        }
        return std::string("no error");
    };
    const std::string start = "contoso/1: could not be started: " + engine.secure_address() + ": ";
    // An engine that is not who it should be; a client that the engine does not know.
    std::string said = sentence_of({{"ca", d + "another.pem"}});
    BOOST_TEST(said.find(start + "no secure connection to the container engine: certificate verify failed") == 0u, said);
    said = sentence_of({{"ca", d + "ca.pem"}});
    BOOST_TEST(said.find(start) == 0u, said);
    said = sentence_of({{"ca", d + "ca.pem"}, {"cert", d + "another.pem"}, {"key", d + "another.key"}});
    BOOST_TEST(said.find(start) == 0u, said);
    said = sentence_of({{"ca", d + "none.pem"}});
    BOOST_TEST(said == d + "none.pem: cannot be used for TLS: No such file or directory", said);
}

/// The build that the quick start makes, from the same spec; only the configuration is another.
ON_EACH_ENGINE(the_build_of_the_quick_start)
{
    ENGINE_OR_SKIP;
    if (!is_long() && engine_name != "podman") return;
    const std::string source = ::getenv("LITBUILD_SOURCE_DIR"), folder = source + "/host/quickstart.d";
    const std::string tar = (engine.folder() / "quickstart.tar").string();
    BOOST_REQUIRE(run({"sh", "-c", "'" + folder + "/container-image' >'" + tar + "'"}, {}, engine.folder() / "log"));
    BOOST_REQUIRE(engine.import(tar, "localhost/litbuild-quickstart:1"));
    const auto filled = [&](const std::string &file, const std::string &mark, const std::string &value) {
        std::string text = slurp(file);
        for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += value.size())
            text.replace(at, mark.size(), value);
        return text;
    };
    json::object process =
        json::parse(filled(folder + "/container.json", "@CHECKOUT@", source)).at("process").as_object();
    process.erase("plugin");
    Room room(engine, process);
    const Engine litbuild = room.open();
    const Build build = litbuild.launch("contoso", filled(folder + "/ucd/ucd.json", "@HERE@", folder + "/ucd"));
    const Status status = build.wait(Call::within(300s));
    BOOST_TEST(name(status.state) == "complete", status.error << "\n" << log_of(build));
    BOOST_TEST(status.steps.size() > 4u);
    BOOST_TEST(log_of(build).find("as Debian packaged them: yes\n") != std::string::npos);
    BOOST_TEST(log_of(build).find("ucd.sqlite is verified: ") != std::string::npos);
    BOOST_TEST(fs::file_size(build.path() / "ucd.sqlite") > 1'000'000u);
}

ON_EACH_ENGINE(fifty_at_once)
{
    ENGINE_OR_SKIP;
    const size_t count = is_long() ? 50 : 16;
    Room room(engine);
    const Engine litbuild = room.open();
    std::vector<std::thread> threads;
    std::vector<std::string> faults(count);
    std::atomic<size_t> complete{0}, stopped{0};
    for (size_t i = 0; i < count; ++i)
        threads.emplace_back([&, i] {
            try {
                const bool stop = i % 2 == 1;
                const Build build =
                    litbuild.launch("contoso", shell(stop ? "touch up; sleep 1000" : "echo done >asset"), Call::within(300s));
                if (stop) {
                    build.stop({}, Call::within(300s));
                    if (build.get_status().state == State::stopped && count_alive(build) == 0) ++stopped;
                } else if (build.wait(Call::within(300s)).state == State::complete && fs::exists(build.path() / "asset")) {
                    ++complete;
                }
            } catch (const std::exception &e) {
                faults[i] = e.what();
            }
        });
    for (std::thread &each : threads) each.join();
    for (const std::string &fault : faults) BOOST_TEST(fault == "");
    BOOST_TEST(complete == (count + 1) / 2);
    BOOST_TEST(stopped == count / 2);
    room.until_removed(litbuild, litbuild.get_builds("contoso"));
}
