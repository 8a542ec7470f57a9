// Stop of a build beside the floors of the kernel, in one run, by turns, medians. All trees are made by the same helper
// (tests/helpers/model_drone.c) and are gone when the clock stops: every process has ended and was reaped.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include <litbuild/engine.hpp>
#include <litbuild/linux/cgroup.hpp>

#include "figures.hpp"

using namespace litbuild;
using linux_::Cgroup;
namespace fs = std::filesystem;
using figures::median;
using figures::Milliseconds;
using figures::mount_of;
using figures::since;

namespace {

constexpr int rounds = 5;

struct Bench {
    fs::path root;
    std::string drone;
    fs::path fifo;
    int ready = -1;
    std::string unified, pids;   ///< mount points; empty: not there
};

void row(const std::string &what, Milliseconds ours, const char *floor_name, Milliseconds floor, double size = 0)
{
    figures::tell({.what = what, .ours = ours, .other = floor_name, .theirs = floor, .line = size > 0 ? "stop, by processes" : "", .size = size});
}

void drain(const Bench &bench)
{
    char piece[4096];
    while (::read(bench.ready, piece, sizeof piece) > 0) {
    }
}

void await_ready(const Bench &bench)
{
    pollfd wait{bench.ready, POLLIN, 0};
    if (::poll(&wait, 1, 120'000) <= 0) throw std::runtime_error("the tree is not there after two minutes");
    // What has forked last is still on its way.
    ::poll(nullptr, 0, 50);
}

std::vector<std::string> tree(const Bench &bench, size_t count)
{
    return count == 0 ? std::vector<std::string>{bench.drone, "bomb", bench.fifo} : std::vector<std::string>{bench.drone, "tree", std::to_string(count), bench.fifo};
}

void reap_all()
{
    while (::waitpid(-1, nullptr, __WALL) > 0 || errno == EINTR) {
    }
}

/// A tree of ours, in a session and, where they are named, groups of its own.
pid_t start(const Bench &bench, size_t count, const std::vector<std::string> &groups)
{
    std::vector<std::string> words = tree(bench, count);
    std::vector<char *> argv;
    for (std::string &word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    drain(bench);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::setsid();
        for (const std::string &group : groups) Cgroup::open(group).write("cgroup.procs", "0");
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    await_ready(bench);
    return pid;
}

/// Measures in a process of its own, the subreaper of the tree; what the engine starts is none of its children.
template <class Measure>
Milliseconds apart(Measure measure)
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        int code = 1;
        try {
            const Milliseconds out = measure();
            code = ::write(ends[1], &out, sizeof out) == sizeof out ? 0 : 1;
        } catch (const std::exception &e) {
            std::fprintf(stderr, "litbuild-stop-bench: %s\n", e.what());
        }
        ::_exit(code);
    }
    ::close(ends[1]);
    Milliseconds out = 0;
    const bool told = ::read(ends[0], &out, sizeof out) == sizeof out;
    ::close(ends[0]);
    ::waitpid(pid, nullptr, 0);
    if (!told) throw std::runtime_error("a floor could not be measured");
    return out;
}

std::vector<std::string> make_groups(const Bench &bench, size_t most)
{
    static int number = 0;
    const std::string name = "/litbuild-bench-" + std::to_string(::getpid()) + "." + std::to_string(++number);
    std::vector<std::string> out;
    if (!bench.unified.empty() && Cgroup::make(bench.unified + name)) out.push_back(bench.unified + name);
    if (most > 0 && !bench.pids.empty() && Cgroup::make(bench.pids + name)) {
        Cgroup::open(bench.pids + name).write("pids.max", std::to_string(most));
        out.push_back(bench.pids + name);
    }
    return out;
}

void remove(const std::vector<std::string> &groups)
{
    for (const std::string &group : groups) Cgroup::open(group).remove();
}

Milliseconds by_cgroup(const Bench &bench, size_t count, size_t most)
{
    const std::vector<std::string> groups = make_groups(bench, most);
    start(bench, count, groups);
    const Cgroup group = Cgroup::open(groups.at(0));
    const auto begin = Clock::now();
    do {
        group.kill();
        reap_all();
    } while (group.populated());
    const Milliseconds out = since(begin);
    remove(groups);
    return out;
}

Milliseconds by_process_group(const Bench &bench, size_t count)
{
    const pid_t leader = start(bench, count, {});
    const auto begin = Clock::now();
    ::kill(-leader, SIGKILL);
    reap_all();
    return since(begin);
}

Milliseconds by_walk(const Bench &bench, size_t count)
{
    start(bench, count, {});
    const auto begin = Clock::now();
    for (bool any = true; any;) {
        std::multimap<pid_t, pid_t> children;
        for (const pid_t pid : linux_::numbers_in("/proc"))
            if (const auto stat = linux_::stat_of(pid); stat && stat->state != 'Z') children.emplace(stat->parent, pid);
        std::vector<pid_t> front{::getpid()};
        any = false;
        while (!front.empty()) {
            const pid_t parent = front.back();
            front.pop_back();
            for (auto [at, end] = children.equal_range(parent); at != end; ++at) {
                front.push_back(at->second);
                ::kill(at->second, SIGKILL);
                any = true;
            }
        }
        if (any) reap_all();
    }
    return since(begin);
}

Milliseconds by_us(const Bench &bench, const Engine &engine, size_t count, size_t most)
{
    std::string command;
    for (const std::string &word : tree(bench, count)) command += (command.empty() ? "\"" : ", \"") + word + "\"";
    drain(bench);
    const Build build = engine.launch("bench", R"({"steps": [{"name": "tree", "command": [)" + command + R"(]}], "limits": {"processes": )" + std::to_string(most) + "}}");
    await_ready(bench);
    const auto begin = Clock::now();
    const StopResult result = build.stop({.grace = std::chrono::milliseconds(0)});
    const Milliseconds out = since(begin);
    if (result.outcome != StopResult::Outcome::stopped) throw std::runtime_error(result.message);
    return out;
}

void bench_stop(const Bench &bench)
{
    Config config{.root = bench.root};
    const Engine with(config);
    config.process.config = R"({"cgroup": "none"})";
    const Engine without(config);
    for (const size_t count : {size_t{100}, size_t{1000}, size_t{5000}, size_t{0}}) {
        const size_t most = count == 0 ? 1200 : 20'000;
        std::vector<Milliseconds> ours, ours_without, group, pgid, walk;
        for (int i = 0; i < rounds; ++i) {
            ours.push_back(by_us(bench, with, count, most));
            if (!bench.unified.empty()) group.push_back(apart([&] { return by_cgroup(bench, count, count == 0 ? most : 0); }));
            if (count == 0) continue;
            ours_without.push_back(by_us(bench, without, count, most));
            pgid.push_back(apart([&] { return by_process_group(bench, count); }));
            walk.push_back(apart([&] { return by_walk(bench, count); }));
        }
        const std::string what = count == 0 ? "stop of a fork bomb of 1200" : "stop of " + std::to_string(count) + " processes";
        if (!group.empty()) row(what, median(ours), "bare cgroup.kill, reaped", median(group), static_cast<double>(count));
        if (count == 0) continue;
        row(what, median(ours), "kill(-pgid), reaped", median(pgid));
        row(what, median(ours), "walk of /proc, reaped", median(walk));
        if (!group.empty()) row(what + ", no groups", median(ours_without), "bare cgroup.kill, reaped", median(group));
    }
}

void bench_one(const Bench &bench)
{
    const Engine engine({.root = bench.root});
    std::vector<Milliseconds> launched, spawned, stopped, killed;
    for (int i = 0; i < 21; ++i) {
        const char *const argv[] = {"/bin/sleep", "600", nullptr};
        auto begin = Clock::now();
        pid_t pid = 0;
        if (::posix_spawn(&pid, argv[0], nullptr, nullptr, const_cast<char **>(argv), environ) != 0) throw std::runtime_error("posix_spawn");
        spawned.push_back(since(begin));
        ::poll(nullptr, 0, 5);
        begin = Clock::now();
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        killed.push_back(since(begin));

        begin = Clock::now();
        const Build build = engine.launch("bench", R"({"steps": [{"name": "s", "command": ["/bin/sleep", "600"]}]})");
        launched.push_back(since(begin));
        ::poll(nullptr, 0, 5);
        begin = Clock::now();
        build.stop({.grace = std::chrono::milliseconds(0)});
        stopped.push_back(since(begin));
    }
    row("launch() of a build", median(launched), "posix_spawn()", median(spawned));
    row("stop() of 1 process", median(stopped), "kill and waitpid", median(killed));
}

}  // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: litbuild-stop-bench FOLDER MODEL_DRONE\n");
        return 2;
    }
    Bench bench;
    bench.root = fs::absolute(argv[1]) / "stop";
    bench.drone = fs::absolute(argv[2]);
    bench.fifo = bench.root / "fifo";
    try {
        fs::create_directories(bench.root);
        if (::mkfifo(bench.fifo.c_str(), 0600) != 0) throw std::runtime_error("mkfifo");
        bench.ready = ::open(bench.fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
        bench.unified = mount_of("cgroup2", "");
        bench.pids = mount_of("cgroup", "pids");
        const std::vector<std::string> groups = make_groups(bench, 0);
        if (groups.empty() || !Cgroup::open(groups[0]).can_kill()) {
            figures::skip("bare cgroup.kill", "no control group can be made here");
            bench.unified.clear();
        }
        remove(groups);
        bench_one(bench);
        bench_stop(bench);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "litbuild-stop-bench: %s\n", e.what());
        return 1;
    }
    return 0;
}
