// Builds on a real Slurm cluster of three nodes.
#define BOOST_TEST_MODULE slurm
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>

#include <sys/socket.h>
#include <sys/un.h>

#include "slurm/real_cluster.hpp"

using namespace slurm_fixture;
using namespace litbuild;
namespace json = boost::json;
namespace data = boost::unit_test::data;

namespace {

const std::vector<std::string> both = {"library", "rest"};

bool is_long() { return ::getenv("LITBUILD_TEST_LONG") && *::getenv("LITBUILD_TEST_LONG"); }

/// One for the whole program. Null: it cannot be run here, and that was said.
std::unique_ptr<Cluster> running;
Cluster *cluster_for(const char *test)
{
    if (const std::string why = Cluster::missing(); !why.empty()) {
        std::printf("SKIPPED: slurm/%s: %s\n", test, why.c_str());
        return nullptr;
    }
    if (!running) running = std::make_unique<Cluster>();
    return running.get();
}
struct EndIt {
    ~EndIt() { running.reset(); }
};

std::string log_of(const Build &build) { return slurp(build.path() / "log"); }

size_t count_of(const std::string &text, const std::string &what)
{
    size_t out = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++out;
    return out;
}

void until_running(const Build &build)
{
    eventually("it runs", [&] { return build.get_status().state == State::running; }, 60s);
}

/// A step that tells of each of its runs, and ends when it is told to.
std::string counted(const fs::path &folder)
{
    return shell("echo run >>" + (folder / "runs").string() + "; until [ -e " + (folder / "go").string() + " ]; do sleep 0.1; done");
}

size_t runs_in(const fs::path &folder) { return count_of(slurp(folder / "runs"), "run\n"); }

}  // namespace

BOOST_GLOBAL_FIXTURE(EndIt);

#define CLUSTER_OR_SKIP(test)                  \
    Cluster *const chosen = cluster_for(test); \
    if (!chosen) return;                       \
    Cluster &cluster = *chosen

// ------------------------------------------------------------------------------------------------ one build

BOOST_DATA_TEST_CASE(from_the_queue_to_the_archive, data::make(both), way)
{
    CLUSTER_OR_SKIP("from_the_queue_to_the_archive");
    const Room room(cluster);
    const Engine engine = room.open(way);
    const Build build = engine.launch("contoso", R"({"steps": [
        {"name": "one", "command": ["sh", "-c", "echo first; echo progress 1/2 half >$LITBUILD_REPORT; sleep 0.3; date >one"]},
        {"name": "two", "command": ["sh", "-c", "echo second; cat one >two; env | grep -c RUNNER_"]}]})");
    std::string followed;
    build.follow([&](std::string_view text) {
        followed += text;
        return true;
    });
    BOOST_TEST(followed == "first\nsecond\n0\n");
    const Status status = build.wait(Call::within(60s));
    BOOST_TEST(name(status.state) == "failed");   // grep found none
    BOOST_TEST(fs::exists(build.path() / "two"));
    const json::value detail = json::parse(status.detail);
    BOOST_TEST(detail.at("cluster").as_string() == cluster.name());
    BOOST_TEST(detail.at("job").to_number<int64_t>() == std::stoll(Cluster::job_of(build)));
    BOOST_TEST(std::string(detail.at("place").as_string()) ==
               "Slurm job " + Cluster::job_of(build) + " on node " + std::string(detail.at("node").as_string()));
    const std::string config = (room.root() / "config.json").string();
    spill(config, json::serialize(json::object{{"root", room.root().string()}, {"plugin_folders", {::getenv("LITBUILD_PLUGIN_DIR")}},
                                               {"process", cluster.process(way)}}));
    const std::string shown = cluster.run(std::string(::getenv("LITBUILD_BIN_DIR")) + "/litbuild --config " + config + " status contoso 1");
    BOOST_TEST(shown.find("\nplace       Slurm job " + Cluster::job_of(build) + " on node ") != std::string::npos, shown);
    // What Slurm knows of it.
    BOOST_TEST(cluster.of_job(build, "JobName") == "litbuild-" + uuid_of(build));
    BOOST_TEST(fs::exists(build.archive() / "two"));
    BOOST_TEST(fs::exists(build.restore() / "two"));
    BOOST_TEST(engine.get_builds("contoso").size() == 1u);
}

BOOST_DATA_TEST_CASE(what_a_job_is_given, data::make(both), way)
{
    CLUSTER_OR_SKIP("what_a_job_is_given");
    const Room room(cluster);
    ::setenv("SLURM_TEST_SECRET", "do not inherit", 1);
    const Engine engine = room.open(way, {}, {{"cpus", 2}, {"memory", "300M"}, {"environment", {{"FROM_CONFIG", "it's \"so\""}}}});
    const Build build = engine.launch("contoso", shell("echo $FROM_CONFIG; echo secret=$SLURM_TEST_SECRET; ulimit -p; sleep 60",
                                                       {{"limits", {{"memory", "200M"}, {"processes", 5000}}},
                                                        {"process", {{"cpus", 3}, {"time", "90m"}}}}));
    until_running(build);
    BOOST_TEST(cluster.of_job(build, "NumCPUs") == "3");
    BOOST_TEST(cluster.of_job(build, "MinMemoryNode") == "200M");
    BOOST_TEST(cluster.of_job(build, "TimeLimit") == "01:30:00");
    BOOST_TEST(cluster.of_job(build, "Partition") == "all");
    eventually("its words", [&] { return count_of(log_of(build), "\n") == 3; });
    BOOST_TEST(log_of(build) == "it's \"so\"\nsecret=\n5000\n");
    BOOST_TEST(build.stop().message == "Build id 1 has been stopped");
}

// It waits, and says why; a stop takes it out of the queue.
BOOST_DATA_TEST_CASE(queued_with_a_reason, data::make(both), way)
{
    CLUSTER_OR_SKIP("queued_with_a_reason");
    const Room room(cluster);
    const Engine engine = room.open(way);
    const Build build = engine.launch("contoso", shell("touch ran", {{"process", {{"partition", "closed"}}}}));
    Status status;
    eventually("Slurm's reason", [&] { return (status = build.get_status()).message.find("PartitionDown") != std::string::npos; });
    BOOST_TEST(name(status.state) == "queued");
    BOOST_TEST(status.message == "its job " + Cluster::job_of(build) + " waits in partition closed: PartitionDown");
    BOOST_TEST(build.stop().message == "Build id 1 has been stopped");
    BOOST_TEST(name(build.get_status().state) == "stopped");
    BOOST_TEST(cluster.of_job(build, "JobState") == "CANCELLED");
    // A controller that is killed may have forgotten that; then the runner does.
    BOOST_TEST(slurp(build.path() / ".control/runner") == "none: it was stopped before it began\n");
    BOOST_TEST(!fs::exists(build.path() / "ran"));
}

BOOST_DATA_TEST_CASE(refusals, data::make(both), way)
{
    CLUSTER_OR_SKIP("refusals");
    const Room room(cluster);
    const Engine engine = room.open(way);
    const auto refused = [&](json::object process, Code code, const std::string &why) {
        try {
            engine.launch("contoso", shell("touch ran", {{"process", std::move(process)}}));
            BOOST_ERROR("no error: " << why);
        } catch (const Error &e) {
            BOOST_TEST(name(e.code()) == name(code), e.what());
            BOOST_TEST(std::string(e.what()).find(why) != std::string::npos, e.what());
            BOOST_TEST(std::string(e.what()).starts_with("contoso/"), e.what());
        }
    };
    refused({{"partition", "nowhere"}}, Code::invalid, "Invalid partition name specified");
    refused({{"memory", "900G"}}, Code::invalid, "Requested node configuration is not available");
    refused({{"speed", 3}}, Code::invalid, "unknown key 'speed'; known are partition, ");
    refused({{"restart", "always"}}, Code::invalid, "a build runs once");
    for (const Build &build : engine.get_builds("contoso")) {
        BOOST_TEST(name(build.get_status().state) == "error");
        BOOST_TEST(!fs::exists(build.path() / ".control/token"));
    }
}

// The nodes have no runner where the engine has one.
BOOST_AUTO_TEST_CASE(a_runner_that_is_not_there)
{
    CLUSTER_OR_SKIP("a_runner_that_is_not_there");
    const Room room(cluster);
    const Engine engine = room.open("library", {}, {{"runner", "/nowhere/litbuild-runner"}});
    const Build build = engine.launch("contoso", shell("true"));
    Status status;
    eventually("its end", [&] { return (status = build.get_status()).state == State::lost; });
    const std::string error = status.error;
    BOOST_TEST(error.find("its job " + Cluster::job_of(build) + " failed at ") == 0, error);
    BOOST_TEST(error.ends_with(", with exit code 127"), error);
    BOOST_TEST(slurp(build.path() / ".control/slurm.out").find("/nowhere/litbuild-runner") != std::string::npos);
    BOOST_TEST(build.stop().message == "Build id 1 has been stopped");
}

// From outside, by Slurm's own command: as if somebody had stopped it.
BOOST_AUTO_TEST_CASE(cancelled_by_an_operator)
{
    CLUSTER_OR_SKIP("cancelled_by_an_operator");
    const Room room(cluster);
    const Engine engine = room.open();
    const Build build = engine.launch("contoso", shell("(setsid sleep 500 &); sleep 500"));
    until_running(build);
    cluster.run("scancel " + Cluster::job_of(build));
    const Status status = build.wait(Call::within(60s));
    BOOST_TEST(name(status.state) == "stopped");
    BOOST_TEST(status.stopped_by.starts_with("Slurm, by signal 15 from pid "), status.stopped_by);
    check_only_runner_leaves(build);
}

// A runner that hears nothing any more: Slurm ends all of it.
BOOST_AUTO_TEST_CASE(scancel_is_the_guarantee)
{
    CLUSTER_OR_SKIP("scancel_is_the_guarantee");
    const Room room(cluster);
    const Engine engine = room.open();
    const Build build = engine.launch("contoso", shell("(setsid sh -c 'trap \"\" TERM; sleep 500; sleep 500' &); sleep 500"));
    until_running(build);
    eventually("its processes", [&] { return count_alive(build) >= 4; });
    const pid_t runner = runner_here(build);
    BOOST_REQUIRE(runner > 0);
    ::kill(runner, SIGSTOP);
    StopOptions options;
    options.plan = StopPlan{{SIGTERM, 1s}, {SIGKILL, 1s}};
    const StopResult result = build.stop(options);
    BOOST_TEST(result.message == "Build id 1 has been stopped");
    BOOST_TEST(result.report.mechanism == "scancel");
    BOOST_TEST(count_alive(build) == 0u);
    BOOST_TEST(name(build.get_status().state) == "stopped");
}

// The quick start's build, by its own spec; only the configuration differs.
BOOST_DATA_TEST_CASE(the_quick_start, data::make(both), way)
{
    CLUSTER_OR_SKIP("the_quick_start");
    const Room room(cluster);
    const Engine engine = room.open(way);
    const fs::path here = fs::path(::getenv("LITBUILD_SOURCE_DIR")) / "host/quickstart.d/ucd";
    std::string spec = slurp(here / "ucd.json");
    for (size_t at = spec.find("@HERE@"); at != std::string::npos; at = spec.find("@HERE@")) spec.replace(at, 6, here.string());
    const Build build = engine.launch("demo", spec);
    const Status status = build.wait(Call::within(300s));
    BOOST_TEST(name(status.state) == "complete", status.error << log_of(build));
    const std::string found = cluster.run("sqlite3 '" + (build.path() / "ucd.sqlite").string() +
                                          "' \"SELECT name FROM characters WHERE codepoint = '1F600'\"");
    BOOST_TEST(found == "GRINNING FACE");
}

// --------------------------------------------------------------------------------------------- sixty builds

namespace {

struct Plan {
    const char *kind;
    int count;
    std::string spec;
    State end;
};

std::string is_wrong(const std::string &kind, const Build &build, const Status &status, State end)
{
    std::string what = kind + " " + std::to_string(build.runid()) + " is " + name(status.state) + " (" + status.error + ")";
    if (status.state != end) return what;
    if (kind == "out of memory" && status.error.find("memory") == std::string::npos) return what;
    if (kind == "over time" && status.error.find("reached its time limit of ") == std::string::npos) return what;
    if (kind == "exit" && status.exit_code != 3) return what;
    return "";
}

}  // namespace

BOOST_AUTO_TEST_CASE(sixty_builds)
{
    CLUSTER_OR_SKIP("sixty_builds");
    const Room room(cluster);
    const Engine engine = room.open();
    const std::string children = "(setsid sh -c 'trap \"\" TERM; exec 0</dev/null; sleep 500; :' &); (sleep 500 &); ";
    const std::string hog = "head -c 400M /dev/zero | tail >/dev/null";
    const std::vector<Plan> plans = {
        {"complete", 34, shell("echo one; sleep 0.2; echo two"), State::complete},
        {"stop", 12, shell(children + "sleep 500", {{"stop", {{{"signal", "TERM"}, {"grace", "1s"}}, {{"signal", "KILL"}}}}}), State::stopped},
        {"exit", 8, shell("echo bad; exit 3"), State::failed},
        {"out of memory", 3, shell(hog, {{"limits", {{"memory", "100M"}}}}), State::failed},
        {"over time", 3, shell(children + "sleep 500", {{"process", {{"time", "1m"}}}}), State::failed},
    };
    std::map<int64_t, const Plan *> kinds;
    std::vector<Build> builds;
    std::atomic<bool> is_over{false};
    std::atomic<int64_t> newest{0};
    std::atomic<uint64_t> lists{0};
    std::string wrong;
    // What is listed is all that there is, and nothing goes back or is lost.
    std::thread lister([&] {
        const Engine other = room.open();
        std::map<int64_t, State> last;
        while (!is_over) {
            const int64_t least = newest;
            std::map<int64_t, State> now;
            try {
                for (const Summary &each : other.list("contoso")) now[each.name.runid] = each.status.state;
            } catch (const Error &e) {
                if (least > 0) wrong += std::string("a list fails: ") + e.what() + "\n";
                continue;
            }
            ++lists;
            for (int64_t i = 1; i <= least; ++i)
                if (!now.contains(i)) wrong += std::to_string(i) + " is not in the list\n";
            for (const auto &[runid, state] : now) {
                if (state == State::lost || state == State::unknown || state == State::error)
                    wrong += std::to_string(runid) + " is listed as " + name(state) + "\n";
                const auto before = last.find(runid);
                if (before != last.end() && is_terminal(before->second) && state != before->second)
                    wrong += std::to_string(runid) + " was " + name(before->second) + ", and is " + name(state) + "\n";
                last[runid] = state;
            }
        }
    });
    struct Join {
        std::atomic<bool> &is_over;
        std::thread &thread;
        void now()
        {
            is_over = true;
            if (thread.joinable()) thread.join();
        }
        ~Join() { now(); }
    } join{is_over, lister};
    // Of all kinds in turn.
    std::vector<int> left;
    for (const Plan &plan : plans) left.push_back(plan.count);
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < plans.size(); ++i) {
            if (left[i]-- <= 0) continue;
            any = true;
            builds.push_back(engine.launch("contoso", plans[i].spec));
            kinds[builds.back().runid()] = &plans[i];
            newest = builds.back().runid();
        }
    }
    BOOST_TEST(builds.size() == 60u);
    std::set<std::string> nodes;
    for (const Build &build : builds) {
        const Plan &plan = *kinds.at(build.runid());
        if (std::string(plan.kind) == "complete") {
            std::string text;
            build.follow([&](std::string_view piece) {
                text += piece;
                return true;
            });
            BOOST_TEST(text == "one\ntwo\n");
        }
        if (plan.end == State::stopped) {
            until_running(build);
            eventually("its children", [&] { return count_alive(build) >= 5; });
            BOOST_TEST(build.stop().message == "Build id " + std::to_string(build.runid()) + " has been stopped");
            check_only_runner_leaves(build);
        }
        const Status status = build.wait(Call::within(180s));
        const std::string fault = is_wrong(plan.kind, build, status, plan.end);
        BOOST_TEST(fault == "", fault);
        check_only_runner_leaves(build);
        nodes.insert(std::string(json::parse(status.detail).at("node").as_string()));
    }
    join.now();
    BOOST_TEST(wrong == "");
    BOOST_TEST(nodes.size() > 1u);
    std::printf("60 builds on %zu nodes, listed %lu times meanwhile\n", nodes.size(), static_cast<unsigned long>(lists.load()));
    for (const Build &build : builds) build.archive();
    BOOST_TEST(engine.get_builds("contoso").empty());
    Filter archived;
    archived.scope = Scope::archived;
    BOOST_TEST(engine.list("contoso", archived).size() == 60u);
}

// ------------------------------------------------------------------------------------------------- failures

// The node's daemon dies; the build goes on, but Slurm gives the node up and puts the job back into its queue. Its second run
// finds the first's word, and leaves.
BOOST_AUTO_TEST_CASE(a_job_that_is_requeued_runs_once)
{
    CLUSTER_OR_SKIP("a_job_that_is_requeued_runs_once");
    const Room room(cluster);
    const Engine engine = room.open();
    const TempRoot first_folder, second_folder;
    const Build first = engine.launch("contoso", counted(first_folder.path()));
    const Build second = engine.launch("contoso", counted(second_folder.path()));
    until_running(first);
    until_running(second);
    std::set<int> ended;
    for (const Build *build : {&first, &second}) ended.insert(cluster.number_of(cluster.of_job(*build, "BatchHost")));
    for (const int number : ended) cluster.end_node(number, SIGKILL);

    std::string wrong;
    const auto look = [&] {
        for (const Build *build : {&first, &second}) {
            const Status status = build->get_status();
            if (status.state != State::running) wrong += std::string(name(status.state)) + ": " + status.error + "\n";
        }
    };
    // All the way: the node is not heard of, is down, the jobs wait again, run again, and leave.
    const auto is_settled = [&](const Build &build) {
        return cluster.of_job(build, "Restarts") == "1" && cluster.of_job(build, "JobState") == "FAILED";
    };
    const auto end = Clock::now() + 300s;
    std::set<std::string> seen;
    bool is_hurried = is_long();
    while (!(is_settled(first) && is_settled(second)) && Clock::now() < end) {
        look();
        const std::string restarts = cluster.of_job(first, "Restarts");
        seen.insert(cluster.of_job(first, "JobState") + "/" + restarts);
        // Slurm lets them wait for two minutes.
        if (!is_hurried && restarts == "1" && cluster.of_job(second, "Restarts") == "1") {
            for (const Build *build : {&first, &second}) cluster.run("scontrol update StartTime=now JobId=" + Cluster::job_of(*build));
            is_hurried = true;
        }
        std::this_thread::sleep_for(200ms);
    }
    BOOST_TEST(is_settled(first));
    BOOST_TEST(is_settled(second));
    for (int i = 0; i < 10; ++i) look();
    BOOST_TEST(wrong == "");
    std::string states;
    for (const std::string &each : seen) states += each + " ";
    std::printf("the job as Slurm told it: %s\n", states.c_str());
    // The first ends by itself, the other is stopped through its folder.
    spill(first_folder.path() / "go", "");
    BOOST_TEST(name(first.wait(Call::within(30s)).state) == "complete");
    BOOST_TEST(second.stop().message == "Build id 2 has been stopped");
    BOOST_TEST(name(second.get_status().state) == "stopped");
    check_only_runner_leaves(second);
    BOOST_TEST(runs_in(first_folder.path()) == 1u);
    BOOST_TEST(runs_in(second_folder.path()) == 1u);
    for (const int number : ended) cluster.start_node(number);
    eventually("the nodes are back", [&] { return cluster.run("sinfo -h -p all -o '%t %D'").starts_with("idle 3"); }, 90s);
}

BOOST_AUTO_TEST_CASE(a_controller_that_dies)
{
    CLUSTER_OR_SKIP("a_controller_that_dies");
    const Room room(cluster);
    const Engine engine = room.open();
    const TempRoot folder;
    const auto place = [&](const char *name) {
        fs::create_directories(folder.path() / name);
        return folder.path() / name;
    };
    const Build ends = engine.launch("contoso", counted(place("ends")));
    const Build stays = engine.launch("contoso", counted(place("stays")));
    const Build waits = engine.launch("contoso", shell("touch ran", {{"process", {{"partition", "closed"}}}}));
    until_running(ends);
    until_running(stays);
    // It writes down every five seconds what it was given, and has forgotten the rest when it starts again.
    std::this_thread::sleep_for(12s);
    cluster.end_controller(SIGKILL);

    // While it is away: nobody is lost, what ends is told, what is to be stopped is.
    eventually("its reason to be out of reach", [&] {
        const Status queued = waits.get_status();
        BOOST_TEST(name(queued.state) == "queued");
        return queued.message.find(": Slurm's controller ") != std::string::npos;
    });
    BOOST_TEST(name(ends.get_status().state) == "running");
    spill(folder.path() / "ends/go", "");
    BOOST_TEST(name(ends.wait(Call::within(30s)).state) == "complete");
    BOOST_TEST(stays.stop().message == "Build id 2 has been stopped");
    check_only_runner_leaves(stays);
    try {
        engine.launch("contoso", shell("touch ran"), Call::within(15s));
        BOOST_ERROR("launched without a controller");
    } catch (const Error &e) {
        // By the library's own patience or by the caller's.
        BOOST_TEST((e.code() == Code::unavailable || e.code() == Code::timeout), e.what());
        BOOST_TEST(std::string(e.what()).find("contoso/4: could not be started: ") == 0, e.what());
    }
    BOOST_TEST(name(engine.build("contoso", 4).get_status().state) == "error");

    // A launch that begins while it is away goes on when it is back.
    std::optional<Build> launched;
    std::string why;
    std::thread launcher([&] {
        try {
            launched = engine.launch("contoso", shell("true"), Call::within(60s));
        } catch (const Error &e) {
            why = e.what();
        }
    });
    std::this_thread::sleep_for(500ms);
    // Here, for it dies with the thread that starts it.
    cluster.start_controller();
    launcher.join();
    BOOST_REQUIRE_MESSAGE(launched.has_value(), why);
    const Build late = *launched;
    BOOST_TEST(cluster.hurry_until([&] { return !is_active(late.get_status().state); }, 180s));
    BOOST_TEST(name(late.get_status().state) == "complete");
    BOOST_TEST(name(waits.get_status().state) == "queued");
    BOOST_TEST(waits.stop().message == "Build id 3 has been stopped");
    BOOST_TEST(runs_in(folder.path() / "ends") == 1u);
    BOOST_TEST(runs_in(folder.path() / "stays") == 1u);
}

// Killed at some moment of a launch: it runs once, or not at all, and whoever launched it is told which.
BOOST_AUTO_TEST_CASE(a_controller_that_dies_during_launches)
{
    CLUSTER_OR_SKIP("a_controller_that_dies_during_launches");
    const Room room(cluster);
    const Engine engine = room.open();
    const TempRoot folder;
    std::mt19937 random(19);
    const int rounds = is_long() ? 40 : 3, each = 4;
    int launched = 0, refused = 0, forgotten = 0;
    for (int round = 0; round < rounds; ++round) {
        const auto delay = std::chrono::microseconds(random() % 40'000);
        std::thread killer([&] {
            std::this_thread::sleep_for(delay);
            cluster.end_controller(SIGKILL);
        });
        std::mutex mutex;
        std::vector<std::thread> launchers;
        for (int i = 0; i < each; ++i)
            launchers.emplace_back([&, i] {
                const fs::path own = folder.path() / (std::to_string(round) + "-" + std::to_string(i));
                fs::create_directories(own);
                spill(own / "go", "");
                // Some have the patience for it to come back.
                const Call call = Call::within(i % 2 == 0 ? std::chrono::milliseconds(300) : std::chrono::milliseconds(60'000));
                try {
                    const Build build = engine.launch("contoso", counted(own), call);
                    const std::lock_guard guard(mutex);
                    spill(own / "id", std::to_string(build.runid()));
                } catch (const Error &) {
                    spill(own / "refused", "");
                }
            });
        killer.join();
        std::this_thread::sleep_for(400ms);
        cluster.start_controller();
        for (std::thread &one : launchers) one.join();
        for (int i = 0; i < each; ++i) {
            const fs::path own = folder.path() / (std::to_string(round) + "-" + std::to_string(i));
            if (!fs::exists(own / "id")) {
                ++refused;
                continue;
            }
            const Build build = engine.build("contoso", std::stoll(slurp(own / "id")));
            Status status;
            BOOST_REQUIRE(cluster.hurry_until([&] { return !is_active((status = build.get_status()).state); }, 120s));
            const size_t runs = runs_in(own);
            // What it was given in its last seconds, a controller that was killed forgets.
            const bool is_forgotten = status.state == State::lost && runs <= 1 && cluster.of_job(build, "JobName") != "litbuild-" + uuid_of(build);
            if (is_forgotten) ++forgotten;
            else ++launched;
            BOOST_TEST((is_forgotten || (status.state == State::complete && runs == 1)),
                       "round " << round << ", " << i << ": " << name(status.state) << " " << status.error << ", run " << runs << " times");
        }
    }
    cluster.until_idle();
    for (const auto &own : fs::directory_iterator(folder.path()))
        if (fs::exists(own.path() / "refused")) BOOST_TEST(runs_in(own.path()) == 0u, own.path());
    for (const Build &build : engine.get_builds("contoso")) {
        const State state = build.get_status().state;
        BOOST_TEST((state == State::complete || state == State::error || state == State::lost), name(state));
    }
    std::printf("launches while the controller died: %d run once, %d refused and never run, %d forgotten by Slurm\n",
                launched, refused, forgotten);
}

// And of a stop: the runner obeys without it, and the answer is the same.
BOOST_AUTO_TEST_CASE(a_controller_that_dies_during_stops)
{
    CLUSTER_OR_SKIP("a_controller_that_dies_during_stops");
    const Room room(cluster);
    const Engine engine = room.open();
    std::mt19937 random(20);
    const int rounds = is_long() ? 20 : 1, each = 4;
    for (int round = 0; round < rounds; ++round) {
        std::vector<Build> builds;
        for (int i = 0; i < each; ++i) builds.push_back(engine.launch("contoso", shell("(setsid sleep 500 &); sleep 500")));
        for (const Build &build : builds) until_running(build);
        // By then it has written down that it has them.
        std::this_thread::sleep_for(12s);
        const auto delay = std::chrono::microseconds(random() % 60'000);
        std::vector<std::string> said(each);
        std::vector<std::thread> stoppers;
        for (size_t i = 0; i < builds.size(); ++i)
            stoppers.emplace_back([&, i] {
                try {
                    said[i] = builds[i].stop().message;
                } catch (const Error &e) {
                    said[i] = e.what();
                }
            });
        std::this_thread::sleep_for(delay);
        cluster.end_controller(SIGKILL);
        std::this_thread::sleep_for(400ms);
        cluster.start_controller();
        for (std::thread &one : stoppers) one.join();
        for (size_t i = 0; i < builds.size(); ++i) {
            BOOST_TEST(said[i] == "Build id " + std::to_string(builds[i].runid()) + " has been stopped");
            BOOST_TEST(name(builds[i].get_status().state) == "stopped");
            check_only_runner_leaves(builds[i]);
        }
    }
    cluster.until_idle();
}

// It stands still while the job is submitted, and does so all the same when it goes on: nobody runs then.
BOOST_DATA_TEST_CASE(a_controller_that_stands_still, data::make(both), way)
{
    CLUSTER_OR_SKIP("a_controller_that_stands_still");
    const Room room(cluster);
    const Engine engine = room.open(way, {{"deadline", "20s"}});
    const Build runs = engine.launch("contoso", shell("sleep 500"));
    until_running(runs);
    const TempRoot folder;
    struct Frozen {
        Cluster &cluster;
        explicit Frozen(Cluster &which) : cluster(which) { cluster.freeze_controller(); }
        ~Frozen() { cluster.thaw_controller(); }
    };
    auto frozen = std::make_unique<Frozen>(cluster);
    const auto begin = Clock::now();
    expect_error(Code::timeout, "contoso/2: could not be started: ", [&] {
        engine.launch("contoso", counted(folder.path()), Call::within(10s));
    });
    // The promise of a second, for what is done after the deadline, and the controller's own five.
    BOOST_TEST((Clock::now() - begin < 60s));
    BOOST_TEST(name(engine.build("contoso", 1).get_status().state) == "running");
    BOOST_TEST(name(engine.build("contoso", 2).get_status().state) == "error");
    frozen.reset();
    BOOST_TEST(runs.stop().message == "Build id 1 has been stopped");
    cluster.until_idle();
    BOOST_TEST(runs_in(folder.path()) == 0u);
    BOOST_TEST(name(engine.build("contoso", 2).get_status().state) == "error");
}

// The same, but it is back soon after the caller's deadline: what was launched is told as launched.
BOOST_DATA_TEST_CASE(a_controller_that_is_late, data::make(both), way)
{
    CLUSTER_OR_SKIP("a_controller_that_is_late");
    const Room room(cluster);
    const Engine engine = room.open(way);
    const TempRoot folder;
    spill(folder.path() / "go", "");
    cluster.freeze_controller();
    std::optional<Build> launched;
    std::string why;
    std::thread launcher([&] {
        try {
            launched = engine.launch("contoso", counted(folder.path()), Call::within(4s));
        } catch (const Error &e) {
            why = e.what();
        }
    });
    std::this_thread::sleep_for(5s);
    cluster.thaw_controller();
    launcher.join();
    // By the library it may be that it was not sent; then it is an error, and nothing runs.
    if (launched) BOOST_TEST(name(launched->wait(Call::within(60s)).state) == "complete");
    else BOOST_TEST(name(engine.build("contoso", 1).get_status().state) == "error", why);
    cluster.until_idle();
    BOOST_TEST(runs_in(folder.path()) == (launched ? 1u : 0u));
    BOOST_TEST_MESSAGE(way << ": " << (launched ? "launched" : why));
}

// All that was just listed as waiting is stopped.
BOOST_AUTO_TEST_CASE(many_are_stopped)
{
    CLUSTER_OR_SKIP("many_are_stopped");
    const Room room(cluster);
    const Engine engine = room.open();
    for (int i = 0; i < 20; ++i) engine.launch("contoso", shell("true", {{"process", {{"partition", "closed"}}}}));
    BOOST_TEST(engine.list("contoso").size() == 20u);
    Selection all;
    all.runs = {{1, 20}};
    for (const BulkResult &each : engine.stop("contoso", all)) {
        const std::string said = each.error ? each.error->what() : each.stop ? each.stop->message : "";
        BOOST_TEST(said == "Build id " + std::to_string(each.build.runid) + " has been stopped");
    }
    for (const Summary &each : engine.list("contoso")) BOOST_TEST(name(each.status.state) == "stopped");
}

// ------------------------------------------------------------------------------------------- a lost answer

namespace {

/// Between litbuild and slurmrestd; it swallows the answer to what is submitted.
class Swallower {
public:
    Swallower(const std::string &own, std::string to) : to_(std::move(to))
    {
        listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(own);
        if (::bind(listening_, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0 || ::listen(listening_, 8) != 0)
            throw std::runtime_error("cannot listen at " + own);
        thread_ = std::thread([this] {
            for (int one; (one = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ::close(one)) pass(one);
        });
    }
    ~Swallower()
    {
        ::shutdown(listening_, SHUT_RDWR);
        thread_.join();
        ::close(listening_);
    }
    Swallower(const Swallower &) = delete;
    Swallower &operator=(const Swallower &) = delete;

    std::atomic<int> swallowed{0};

private:
    static sockaddr_un address_of(const std::string &path)
    {
        sockaddr_un out{};
        out.sun_family = AF_UNIX;
        path.copy(out.sun_path, sizeof out.sun_path - 1);
        return out;
    }
    static std::string read_message(int from)
    {
        std::string text;
        char piece[4096];
        for (size_t whole = std::string::npos; text.size() < whole;) {
            const ssize_t got = ::read(from, piece, sizeof piece);
            if (got <= 0) return text;
            text.append(piece, static_cast<size_t>(got));
            const size_t head = text.find("\r\n\r\n"), length = text.find("Content-Length: ");
            if (head == std::string::npos) continue;
            whole = head + 4 + (length == std::string::npos || length > head ? 0 : std::stoul(text.substr(length + 16)));
        }
        return text;
    }
    void pass(int one)
    {
        const std::string request = read_message(one);
        const int other = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(to_);
        if (::connect(other, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0 &&
            ::write(other, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
            const std::string answer = read_message(other);
            if (request.starts_with("POST ")) ++swallowed;
            else (void)!::write(one, answer.data(), answer.size());
        }
        ::close(other);
    }

    const std::string to_;
    int listening_ = -1;
    std::thread thread_;
};

}  // namespace

// It is not submitted again: it is found by its name.
BOOST_AUTO_TEST_CASE(an_answer_that_is_lost)
{
    CLUSTER_OR_SKIP("an_answer_that_is_lost");
    const Room room(cluster);
    const TempRoot folder;
    const std::string own = (folder.path() / "s").string();
    Swallower between(own, cluster.at("rest"));
    const Engine engine = room.open("rest", {}, {{"rest", "unix://" + own}});
    const fs::path counts = folder.path();
    spill(counts / "go", "");
    const Build build = engine.launch("contoso", counted(counts), Call::within(20s));
    BOOST_TEST(between.swallowed == 1);
    BOOST_TEST(name(build.wait(Call::within(60s)).state) == "complete");
    BOOST_TEST(runs_in(counts) == 1u);
    BOOST_TEST(cluster.run("squeue -h -t all -n litbuild-" + uuid_of(build) + " -o %i") == Cluster::job_of(build));
}

// Who launches dies between his submission and his word: whoever looks finds the job by its name.
BOOST_AUTO_TEST_CASE(a_launcher_that_dies)
{
    CLUSTER_OR_SKIP("a_launcher_that_dies");
    const Room room(cluster);
    const Engine engine = room.open();
    const Build build = engine.launch("contoso", shell("sleep 500", {{"process", {{"partition", "closed"}}}}));
    // As he left it.
    const std::string token = slurp(build.path() / ".control/token");
    const std::string uuid = uuid_of(build), job = Cluster::job_of(build);
    spill(build.path() / ".control/token", "slurm 1\nuuid " + uuid + "\n");
    Status status;
    // Who only asks has little patience with a controller that is slow.
    eventually("its wait", [&] { return (status = build.get_status()).message.find("its job " + job + " waits") == 0; });
    BOOST_TEST(name(status.state) == "queued");
    // Had there been none, and he is gone: nobody will ever run it.
    spill(build.path() / ".control/token", "slurm 1\nuuid 00000000-1111-4222-8333-444444444444\nfolder " + build.path().string() + "\nhost " + cluster.run("hostname") +
                                               "\nmachine " + linux_::machine_id() + "\nboot " + linux_::boot_id() + "\npid 1\nstart 999999999\n");
    eventually("its loss", [&] { return (status = build.get_status()).state == State::lost; });
    BOOST_TEST(status.error == "who was to submit its job is gone, and Slurm has none of that name");
    // Of another cluster, this one knows nothing.
    spill(build.path() / ".control/token", "slurm 1\nuuid " + uuid + "\nfolder " + build.path().string() + "\ncluster elsewhere\njob 99999\n");
    eventually("the other cluster", [&] {
        return (status = build.get_status()).message.ends_with(": another cluster answers there, and not elsewhere");
    });
    BOOST_TEST(name(status.state) == "queued");
    spill(build.path() / ".control/token", token);
    const Room elsewhere(cluster);
    std::string strays;
    fs::create_directories(elsewhere.root() / "contoso/logs");
    for (const TeamFinding &each : elsewhere.open().examine("contoso"))
        if (each.found.kind == "stray") strays += each.found.text + "\n";
    BOOST_TEST(strays.find("its job " + job + " waits") != std::string::npos, strays);
    BOOST_TEST(build.stop().message == "Build id 1 has been stopped");
}

BOOST_DATA_TEST_CASE(the_contract, data::make(is_long() ? both : std::vector<std::string>{"library"}), way)
{
    CLUSTER_OR_SKIP("the_contract");
    json::object config = cluster.process(way);
    config.erase("plugin");
    const TempRoot folder;
    const std::string said = (folder.path() / "said").string(), file = (folder.path() / "config.json").string();
    spill(file, json::serialize(json::object{{"process", config}}));
    const std::string check = std::string(::getenv("LITBUILD_BIN_DIR")) + "/litbuild-plugin check " + ::getenv("LITBUILD_PLUGIN_DIR") +
                              "/slurm.so " + file + " >" + said + " 2>&1";
    BOOST_TEST(std::system(check.c_str()) == 0);
    const std::string all = slurp(said);
    BOOST_TEST(all.find(" passed, 0 failed, 0 skipped") != std::string::npos, all);
}

BOOST_AUTO_TEST_CASE(many_that_wait)
{
    CLUSTER_OR_SKIP("many_that_wait");
    const Room room(cluster);
    const Engine engine = room.open();
    const int count = is_long() ? 1000 : 60;
    for (int i = 0; i < count; ++i) engine.launch("contoso", shell("true", {{"process", {{"partition", "closed"}}}}));
    std::vector<Summary> all;
    eventually("what they wait for", [&] {
        all = engine.list("contoso");
        return std::all_of(all.begin(), all.end(), [](const Summary &each) { return each.status.message.find("its job ") == 0; });
    });
    BOOST_TEST(all.size() == static_cast<size_t>(count));
    for (const Summary &each : all) {
        BOOST_TEST(name(each.status.state) == "queued");
        BOOST_TEST(each.status.message.find("its job ") == 0, each.status.message);
    }
    cluster.run("scancel --user=root");
    cluster.until_idle();
}
