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

using namespace litbuild;
namespace fs = std::filesystem;

namespace {

using Microseconds = double;

Microseconds median(std::vector<Microseconds> values)
{
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

int64_t now_ns() { return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count(); }

void row(const char *what, Microseconds ours, const char *floor_name, Microseconds floor)
{
    std::printf("%-44s %10.1f us   %-26s %9.1f us   ratio %6.2f\n", what, ours, floor_name, floor, ours / floor);
}

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
        row(what, median(ours), "posix_spawn of the same", median(floor));
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
    std::printf("%-44s %10.2f ns   %-26s %9.2f ns   ratio %6.2f\n", "empty call through the C table", median(by_table),
                "virtual call", median(by_virtual), median(by_table) / median(by_virtual) + static_cast<double>(sum));
}

long field_of(pid_t pid, const char *file, const char *field)
{
    std::ifstream in("/proc/" + std::to_string(pid) + "/" + file);
    long sum = 0;
    for (std::string line; std::getline(in, line);)
        if (line.rfind(field, 0) == 0) sum += std::strtol(line.c_str() + std::strlen(field), nullptr, 10);
    return sum;
}

pid_t runner_of(const Build &build)
{
    std::ifstream in(build.path() / ".control/token");
    for (std::string line; std::getline(in, line);)
        if (line.rfind("pid ", 0) == 0) return static_cast<pid_t>(std::stol(line.substr(4)));
    return 0;
}

void bench_memory(const fs::path &root)
{
    const Engine engine({.root = root});
    const std::string spec = R"({"steps": [{"name": "s", "command": ["sleep", "600"]}]})";
    const auto measure = [&](size_t count) {
        std::vector<Build> builds;
        for (size_t i = 0; i < count; ++i) builds.push_back(engine.launch("memory", spec));
        ::poll(nullptr, 0, 500);
        long pss = 0, dirty = 0, switches = 0;
        for (const Build &build : builds) {
            const pid_t pid = runner_of(build);
            pss += field_of(pid, "smaps_rollup", "Pss:");
            dirty += field_of(pid, "smaps_rollup", "Private_Dirty:");
            switches -= field_of(pid, "status", "voluntary_ctxt_switches:");
        }
        ::poll(nullptr, 0, 2000);
        for (const Build &build : builds) switches += field_of(runner_of(build), "status", "voluntary_ctxt_switches:");
        std::printf("runner of a waiting build, %3zu of them:       PSS %ld kB, dirty %ld kB each; %.2f wake-ups/s each\n", count,
                    pss / static_cast<long>(count), dirty / static_cast<long>(count),
                    static_cast<double>(switches) / 2.0 / static_cast<double>(count));
        for (const Build &build : builds) build.stop({.grace = std::chrono::milliseconds(0)});
    };
    measure(1);
    measure(50);
}

}  // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: litbuild-bench FOLDER STAMP\n");
        return 2;
    }
    const fs::path disk = fs::absolute(argv[1]);
    const fs::path memory = "/dev/shm/litbuild-bench-" + std::to_string(::getpid());
    try {
        for (const fs::path &folder : {disk, memory}) fs::create_directories(folder);
        bench_launch(disk, argv[2], "on disk (synced)");
        bench_launch(memory, argv[2], "on tmpfs");
        bench_calls();
        bench_memory(memory);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "litbuild-bench: %s\n", e.what());
        fs::remove_all(memory);
        return 1;
    }
    fs::remove_all(memory);
    return 0;
}
