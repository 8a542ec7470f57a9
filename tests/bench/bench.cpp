// Ours beside the floor, measured in one run and told as ratios: absolute times of a shared machine mean little.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <litbuild/engine.hpp>

#include "empty_call.h"
#include "figures.hpp"

using namespace litbuild;
using figures::median;
using figures::tell;
namespace fs = std::filesystem;

namespace {

using Microseconds = double;

int64_t now_ns() { return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count(); }

class Fifo {
public:
    explicit Fifo(fs::path path) : path_(std::move(path))
    {
        if (::mkfifo(path_.c_str(), 0600) != 0) throw std::runtime_error("mkfifo");
        fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    }
    ~Fifo()
    {
        ::close(fd_);
        ::unlink(path_.c_str());
    }
    Fifo(const Fifo &) = delete;
    Fifo &operator=(const Fifo &) = delete;
    const fs::path &path() const { return path_; }
    int64_t next() const
    {
        int64_t ns = 0;
        if (::read(fd_, &ns, sizeof ns) != sizeof ns) throw std::runtime_error("fifo");
        return ns;
    }

private:
    fs::path path_;
    int fd_;
};

Microseconds spawn_once(const std::string &stamp, const Fifo &fifo)
{
    char *const argv[] = {const_cast<char *>(stamp.c_str()), const_cast<char *>(fifo.path().c_str()), nullptr};
    const int64_t begin = now_ns();
    pid_t pid = 0;
    if (::posix_spawn(&pid, stamp.c_str(), nullptr, nullptr, argv, environ) != 0) throw std::runtime_error("posix_spawn");
    const int64_t running = fifo.next();
    ::waitpid(pid, nullptr, 0);
    return static_cast<double>(running - begin) / 1000;
}

Microseconds launch_once(const Engine &engine, const std::string &spec, const Fifo &fifo)
{
    const int64_t begin = now_ns();
    const Build build = engine.launch("bench", spec);
    const int64_t running = fifo.next();
    build.wait();
    return static_cast<double>(running - begin) / 1000;
}

/// Touched, so that fork would have to copy the page tables.
struct Heap {
    explicit Heap(size_t bytes) : size(bytes), at(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
    {
        if (at == MAP_FAILED) throw std::runtime_error("mmap");
        ::madvise(at, size, MADV_NOHUGEPAGE);
        std::memset(at, 1, size);
    }
    ~Heap() { ::munmap(at, size); }
    Heap(const Heap &) = delete;
    Heap &operator=(const Heap &) = delete;
    size_t size;
    void *at;
};

void bench_launch(const fs::path &root, const std::string &stamp, const char *where)
{
    const Engine engine({.root = root});
    const Fifo fifo(root / "fifo");
    const std::string spec = R"({"steps": [{"name": "s", "command": [")" + stamp + "\", \"" + fifo.path().string() + "\"]}]}";
    for (const size_t megabytes : {10u, 2048u}) {
        const Heap heap(megabytes << 20);
        std::vector<Microseconds> ours, floor;
        for (int i = 0; i < 41; ++i) {
            floor.push_back(spawn_once(stamp, fifo));
            ours.push_back(launch_once(engine, spec, fifo));
        }
        char what[96];
        std::snprintf(what, sizeof what, "launch to first step, host %zu MB, %s", megabytes, where);
        tell({.what = what, .ours = median(ours), .other = "posix_spawn of the same", .theirs = median(floor), .unit = "us"});
    }
}

struct Virtual {
    virtual ~Virtual() = default;
    virtual int32_t call(const lb_call *, lb_error *) = 0;
};
struct Nothing final : Virtual {
    int32_t call(const lb_call *, lb_error *) override { return LB_OK; }
};

void bench_calls()
{
    constexpr int calls = 10'000'000;
    Nothing nothing;
    Virtual *volatile hidden = &nothing;
    const empty_table *volatile table = &empty;
    std::vector<Microseconds> by_table, by_virtual;
    int64_t sum = 0;
    for (int round = 0; round < 7; ++round) {
        int64_t begin = now_ns();
        for (int i = 0; i < calls; ++i) sum += hidden->call(nullptr, nullptr);
        by_virtual.push_back(static_cast<double>(now_ns() - begin) / calls);
        begin = now_ns();
        for (int i = 0; i < calls; ++i) sum += table->call(nullptr, nullptr, nullptr);
        by_table.push_back(static_cast<double>(now_ns() - begin) / calls);
    }
    if (sum != 0) throw std::runtime_error("a call that does nothing has failed");
    tell({.what = "empty call through the C table", .ours = median(by_table), .other = "virtual call", .theirs = median(by_virtual), .unit = "ns"});
}

/// A command from its start to its end, its output thrown away.
Microseconds run_once(const std::vector<std::string> &words)
{
    std::vector<char *> argv;
    for (const std::string &word : words) argv.push_back(const_cast<char *>(word.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    const int64_t begin = now_ns();
    pid_t pid = 0;
    const int failure = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
    int status = 0;
    if (failure == 0) ::waitpid(pid, &status, 0);
    const int64_t end = now_ns();
    ::posix_spawn_file_actions_destroy(&actions);
    if (failure != 0 || status != 0) throw std::runtime_error(words[0] + " failed");
    return static_cast<double>(end - begin) / 1000;
}

void bench_commands(const fs::path &root, const std::string &litbuild, const std::string &show_file)
{
    const Engine engine({.root = root});
    const Build build = engine.launch("commands", R"({"steps": [{"command": ["true"]}]})");
    build.wait();
    const std::string file = build.path() / "status.json";
    std::vector<Microseconds> floor, status, list, version;
    for (int i = 0; i < 201; ++i) {
        floor.push_back(run_once({show_file, file}));
        status.push_back(run_once({litbuild, "--root", root, "status", "commands", "1"}));
        list.push_back(run_once({litbuild, "--root", root, "list", "commands"}));
        version.push_back(run_once({litbuild, "version"}));
    }
    const std::string other = "static C program that prints status.json";
    tell({.what = "litbuild status, the whole command", .ours = median(status), .other = other, .theirs = median(floor), .unit = "us"});
    tell({.what = "litbuild list of one build, the whole command", .ours = median(list), .other = other, .theirs = median(floor), .unit = "us"});
    tell({.what = "litbuild version, the whole command", .ours = median(version), .other = other, .theirs = median(floor), .unit = "us"});
}

}  // namespace

int main(int argc, char **argv)
{
    if (argc != 5) {
        std::fprintf(stderr, "usage: litbuild-bench FOLDER STAMP LITBUILD SHOW_FILE\n");
        return 2;
    }
    const fs::path disk = fs::absolute(argv[1]);
    const fs::path memory = "/dev/shm/litbuild-bench-" + std::to_string(::getpid());
    try {
        for (const fs::path &folder : {disk, memory}) fs::create_directories(folder);
        bench_launch(disk, fs::absolute(argv[2]), "on disk (synced)");
        bench_launch(memory, fs::absolute(argv[2]), "on tmpfs");
        bench_calls();
        bench_commands(disk, argv[3], argv[4]);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "litbuild-bench: %s\n", e.what());
        fs::remove_all(memory);
        return 1;
    }
    fs::remove_all(memory);
    return 0;
}
