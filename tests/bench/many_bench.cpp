// Builds that run at once under one engine: how fast they are launched, what they cost while they wait, how long their list
// takes, and stopping all. One run, by turns, medians of five.
//     litbuild-many-bench FOLDER [BUILDS...]     default: 1 10 100 1000
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include <litbuild/engine.hpp>
#include <litbuild/linux/cgroup.hpp>

#include "figures.hpp"

using namespace litbuild;
using figures::median;
using figures::Milliseconds;
using figures::time_of;
using linux_::Cgroup;
namespace fs = std::filesystem;

namespace {

constexpr int rounds = 5;
const std::string spec = R"({"steps": [{"name": "s", "command": ["/bin/sleep", "600"]}]})";
const std::string team = "many";

using Builds = std::vector<Build>;

pid_t runner_of(const Build &build)
{
    std::ifstream in(build.path() / ".control/token");
    for (std::string line; std::getline(in, line);)
        if (line.rfind("pid ", 0) == 0) return static_cast<pid_t>(std::stol(line.substr(4)));
    throw std::runtime_error("a build without a runner");
}

void launch(const Engine &engine, size_t count, size_t threads)
{
    std::atomic<size_t> next{0};
    std::vector<std::jthread> all;
    for (size_t i = 0; i < threads; ++i)
        all.emplace_back([&] {
            while (next++ < count) engine.launch(team, spec);
        });
}

void stop_all(const Engine &engine, size_t count)
{
    size_t stopped = 0;
    for (const BulkResult &result : engine.stop(team, {.filter = Filter{}}, {.grace = std::chrono::milliseconds(0)}))
        stopped += result.stop && result.stop->outcome == StopResult::Outcome::stopped ? 1u : 0u;
    if (stopped != count) throw std::runtime_error(std::to_string(stopped) + " of " + std::to_string(count) + " were stopped");
}

/// Until each runs its step: what would be measured next is not what is still starting.
void settle(const Builds &builds)
{
    for (const Build &build : builds)
        while (!build.get_status().current_step) ::poll(nullptr, 0, 1);
}

pid_t spawn(const std::vector<const char *> &words)
{
    std::vector<char *> argv;
    for (const char *word : words) argv.push_back(const_cast<char *>(word));
    argv.push_back(nullptr);
    pid_t pid = 0;
    if (::posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) throw std::runtime_error("posix_spawn");
    return pid;
}

Milliseconds bare_spawn(size_t count)
{
    std::vector<pid_t> pids;
    const Milliseconds took = time_of([&] {
        for (size_t i = 0; i < count; ++i) pids.push_back(spawn({"/bin/sleep", "600"}));
    });
    for (const pid_t pid : pids) ::kill(pid, SIGKILL);
    for (const pid_t pid : pids) ::waitpid(pid, nullptr, 0);
    return took;
}

/// As many groups, each with a process and its child as a runner and its step are, each killed as one and reaped. Nothing: there
/// can be no groups here.
std::optional<Milliseconds> bare_kill(size_t count)
{
    static int number = 0;
    const std::string unified = figures::mount_of("cgroup2", "");
    std::vector<std::string> groups;
    for (size_t i = 0; i < count && !unified.empty(); ++i) {
        groups.push_back(unified + "/litbuild-bench-" + std::to_string(::getpid()) + "." + std::to_string(++number));
        if (Cgroup::make(groups.back()) && Cgroup::open(groups.back()).can_kill()) continue;
        for (const std::string &group : groups) Cgroup::open(group).remove();
        return std::nullopt;
    }
    if (groups.empty()) return std::nullopt;
    std::vector<pid_t> pids;
    for (const std::string &group : groups) {
        pids.push_back(spawn({"/bin/sh", "-c", "echo 0 >\"$0/cgroup.procs\"; sleep 600; :", group.c_str()}));
    }
    for (const std::string &group : groups)
        while (!Cgroup::open(group).populated()) ::poll(nullptr, 0, 1);
    ::poll(nullptr, 0, 200);
    const Milliseconds took = time_of([&] {
        for (const std::string &group : groups) Cgroup::open(group).kill();
        for (const pid_t pid : pids) ::waitpid(pid, nullptr, 0);
        for (const std::string &group : groups)
            while (Cgroup::open(group).populated()) ::poll(nullptr, 0, 0);
    });
    for (const std::string &group : groups) Cgroup::open(group).remove();
    return took;
}

void read_all(const std::vector<std::string> &files)
{
    char buffer[4096];
    for (const std::string &file : files) {
        const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
        while (::read(fd, buffer, sizeof buffer) > 0) {
        }
        ::close(fd);
    }
}

void tell_idle(const Builds &builds)
{
    const std::string many = std::to_string(builds.size()) + (builds.size() == 1 ? " build" : " builds") + " waiting: ";
    std::vector<pid_t> runners;
    for (const Build &build : builds) runners.push_back(runner_of(build));
    long pss = 0, switches = 0;
    for (const pid_t pid : runners) {
        pss += figures::field_of(pid, "smaps_rollup", "Pss:");
        switches -= figures::field_of(pid, "status", "voluntary_ctxt_switches:");
    }
    ::poll(nullptr, 0, 10'000);
    for (const pid_t pid : runners) switches += figures::field_of(pid, "status", "voluntary_ctxt_switches:");
    const auto count = static_cast<double>(builds.size());
    figures::tell({.what = many + "PSS of all runners", .ours = static_cast<double>(pss), .unit = "kB"});
    figures::tell({.what = many + "PSS of each", .ours = static_cast<double>(pss) / count, .unit = "kB"});
    figures::tell({.what = many + "wake-ups of all runners", .ours = static_cast<double>(switches) / 10, .unit = "per s"});
}

void bench(const fs::path &place, size_t count)
{
    const std::string many = std::to_string(count) + (count == 1 ? " build: " : " builds: ");
    std::vector<Milliseconds> one_by_one, by_sixteen, spawned, listed, read, stopped, killed;
    for (int i = 0; i < rounds; ++i) {
        const fs::path root = place / ("many-" + std::to_string(count) + "-" + std::to_string(i));
        fs::create_directories(root);
        const Engine engine({.root = root});
        spawned.push_back(bare_spawn(count));
        one_by_one.push_back(time_of([&] { launch(engine, count, 1); }));
        Builds builds = engine.get_builds(team);
        settle(builds);
        if (i == 0) tell_idle(builds);
        listed.push_back(time_of([&] {
            if (engine.list(team, {.state = State::running}).size() != count) throw std::runtime_error("not all are running");
        }));
        std::vector<std::string> files;
        for (const Build &build : builds) files.push_back(build.path() / "status.json");
        read.push_back(time_of([&] { read_all(files); }));
        stopped.push_back(time_of([&] { stop_all(engine, count); }));
        if (const auto took = bare_kill(count)) killed.push_back(*took);
        fs::remove_all(root / team);
        if (count > 1) {
            by_sixteen.push_back(time_of([&] { launch(engine, count, 16); }));
            stop_all(engine, count);
        }
        fs::remove_all(root);
    }
    const auto size = static_cast<double>(count);
    figures::tell({many + "launched one after the other", median(one_by_one), "posix_spawn of as many", median(spawned), "ms", "launch, by builds", size});
    if (count > 1) figures::tell({many + "launched by 16 threads", median(by_sixteen), "posix_spawn of as many", median(spawned), "ms", "", size});
    figures::tell({many + "launch rate, 16 threads", size / median(count > 1 ? by_sixteen : one_by_one) * 1000, "", 0, "per s", "", size});
    figures::tell({many + "list of what is running", median(listed), "open-read-close of each status.json", median(read), "ms", "", size});
    if (killed.empty()) return figures::skip(many + "stopping all", "no control group can be made here");
    figures::tell({many + "stopping all", median(stopped), "cgroup.kill of the same trees, reaped", median(killed), "ms", "stop of all, by builds", size});
}

}  // namespace

int main(int argc, char **argv)
{
    if (argc < 2) {
        std::fprintf(stderr, "usage: litbuild-many-bench FOLDER [BUILDS...]\n");
        return 2;
    }
    try {
        std::vector<size_t> counts;
        for (int i = 2; i < argc; ++i) counts.push_back(std::stoul(argv[i]));
        if (counts.empty()) counts = {1, 10, 100, 1000};
        for (const size_t count : counts) bench(fs::absolute(argv[1]), count);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "litbuild-many-bench: %s\n", e.what());
        return 1;
    }
    return 0;
}
