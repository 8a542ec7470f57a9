// Lists of teams of many builds, each beside its floor in one run: medians of five, and the ratio.
//     litbuild-list-bench FOLDER [BUILDS...]     default: 1000 10000 100000
// Every build has ended, with a status.json and tags as a runner and a person leave them. Of more than 200,000 the floors
// without an index are left out: they take minutes.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <litbuild/engine.hpp>

#include "figures.hpp"

using namespace litbuild;
namespace fs = std::filesystem;

namespace {

constexpr int rounds = 5;

double median(const std::function<void()> &body, const std::function<void()> &before = [] {})
{
    std::vector<double> all;
    for (int i = 0; i < rounds; ++i) {
        before();
        all.push_back(figures::time_of(body));
    }
    return figures::median(all);
}

void put(int dir, const char *name, const std::string &text)
{
    const int fd = ::openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
    ::close(fd);
}

/// Returns the bytes of all status.json and tags.
uint64_t make_team(const fs::path &logs, int64_t builds)
{
    fs::create_directories(logs);
    uint64_t bytes = 0;
    constexpr const char *states[] = {"complete", "complete", "complete", "failed", "stopped"};
    for (int64_t id = 1; id <= builds; ++id) {
        const std::string state = states[id % 5], folder = (logs / std::to_string(id)).string();
        const std::string step = R"("state":")" + state + R"(","exit":0,"started":"2026-01-01T00:00:00.000001Z","ended":"2026-01-01T00:01:00.000002Z"})";
        const std::string status = R"({"seq":9,"offset":900,"time":"2026-01-01T00:01:00.000002Z","state":")" + state +
                                   R"(","created":"2026-01-01T00:00:00.000001Z","started":"2026-01-01T00:00:00.000001Z",)"
                                   R"("ended":"2026-01-01T00:01:00.000002Z","exit":0,"progress":1.0,"steps":[{"name":"load",)" +
                                   step + R"(,{"name":"publish",)" + step + "]}\n";
        const std::string tags = "nightly,batch" + std::to_string(id % 100) + "\n";
        ::mkdir(folder.c_str(), 0755);
        const int dir = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        put(dir, "status.json", status);
        put(dir, "tags", tags);
        ::close(dir);
        bytes += status.size() + tags.size();
    }
    return bytes;
}

void read_whole(const fs::path &file)
{
    static std::vector<char> buffer(1 << 20);
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    while (::read(fd, buffer.data(), buffer.size()) > 0) {}
    ::close(fd);
}

void bare_getdents(const fs::path &folder)
{
    static std::vector<char> buffer(1 << 20);
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (::getdents64(fd, buffer.data(), buffer.size()) > 0) {}
    ::close(fd);
}

void open_read_close(const fs::path &logs, int64_t builds, int threads)
{
    std::atomic<int64_t> next{1};
    std::vector<std::jthread> all;
    for (int i = 0; i < threads; ++i)
        all.emplace_back([&] {
            char buffer[4096];
            const std::string start = logs.string() + "/";
            for (int64_t id; (id = next++) <= builds;)
                for (const char *file : {"/status.json", "/tags"}) {
                    const int fd = ::open((start + std::to_string(id) + file).c_str(), O_RDONLY | O_CLOEXEC);
                    while (::read(fd, buffer, sizeof buffer) > 0) {}
                    ::close(fd);
                }
        });
}

bool drop_caches()
{
    ::sync();
    std::ofstream out("/proc/sys/vm/drop_caches");
    return static_cast<bool>(out << "3\n" << std::flush);
}

uint64_t count(const Engine &engine, const Filter &filter = {})
{
    uint64_t ended = 0, words = 0;
    const Listed listed = engine.list("bench", filter, [&](const Row &row) {
        ended += is_terminal(row.state()) ? 1u : 0u;
        words += row.tags().size();
        return true;
    }, Call::within(std::chrono::hours(1)));
    if (!listed.complete || ended != listed.count || words != 2 * ended) std::abort();
    return listed.count;
}

class Sized {
public:
    Sized(const fs::path &place, int64_t builds)
        : builds_(builds), root_(place / ("list-" + std::to_string(builds))), logs_(root_ / "bench/logs"), index_(logs_ / ".index"),
          one_(place / "one-file")
    {
        std::ofstream(one_) << std::string(make_team(logs_, builds), 'x');
        // Until its lists have rested, their version is not told.
        rest();
    }
    ~Sized()
    {
        fs::remove_all(root_);
        fs::remove(one_);
    }
    Sized(const Sized &) = delete;
    Sized &operator=(const Sized &) = delete;

    void run()
    {
        const Engine engine({.root = root_});
        const auto all = [&] {
            if (count(engine) != static_cast<uint64_t>(builds_)) std::abort();
        };
        if (builds_ <= 200'000) without_index(all);
        all();
        rest();
        all();
        const auto one_file = [&] { read_whole(one_); };
        const auto names = [&] { bare_getdents(logs_); };
        row("all, with states and tags", median(all), "reading one file of the same bytes", median(one_file), "list of all");
        row("those with one tag of 100", median([&] { count(engine, {.tag = "batch7"}); }), "reading the index", median([&] {
                for (const auto &note : fs::directory_iterator(index_)) read_whole(note.path());
            }), "list of one tag");
        row("the failed of the last week", median([&] { count(engine, {.state = State::failed, .since = now() - 604'800'000'000'000}); }),
            "reading one file of the same bytes", median(one_file));
        row("the newest 50", median([&] { count(engine, {.limit = 50}); }), "bare getdents64 of the folder", median(names), "list of the newest 50");
        // As it is while builds come and go: the list itself has to be read.
        const auto touched = [&] {
            fs::create_directory(logs_ / ".touch");
            fs::remove(logs_ / ".touch");
        };
        row("the newest 50, just changed", median([&] { count(engine, {.limit = 50}); }, touched), "bare getdents64 of the folder", median(names),
            "list of the newest 50, just changed");
        row("all, just changed", median(all, touched), "getdents64, then one file of the same bytes", median([&] {
                names();
                one_file();
            }));
    }

private:
    static void rest() { std::this_thread::sleep_for(std::chrono::milliseconds(2500)); }

    void row(const std::string &what, double ours, const std::string &other, double theirs, const std::string &line = {}) const
    {
        figures::tell({.what = std::to_string(builds_) + " builds: " + what, .ours = ours, .other = other, .theirs = theirs, .line = line,
                       .size = static_cast<double>(builds_)});
    }

    void without_index(const std::function<void()> &all) const
    {
        const auto forget_index = [&] { fs::remove_all(index_); };
        beside_best("all, no index, files in memory", {1, 2, 4, 8, 16, 32}, all, forget_index);
        if (!drop_caches()) return figures::skip("nothing in memory", "the caches may not be dropped");
        beside_best("all, no index, nothing in memory", {8, 16, 32}, all, [&] {
            forget_index();
            drop_caches();
        });
    }

    void beside_best(const std::string &what, const std::vector<int> &threads, const std::function<void()> &all,
                     const std::function<void()> &before) const
    {
        double best = 1e9;
        int of = 0;
        for (const int many : threads)
            if (const double took = median([&] { open_read_close(logs_, builds_, many); }, before); took < best) best = took, of = many;
        row(what, median(all, before), "open-read-close, " + std::to_string(of) + " threads", best);
    }

    const int64_t builds_;
    const fs::path root_, logs_, index_, one_;
};

}  // namespace

int main(int argc, char **argv)
{
    if (argc < 2) {
        std::fprintf(stderr, "litbuild-list-bench: name a folder to work in\n");
        return 2;
    }
    std::vector<int64_t> sizes;
    for (int i = 2; i < argc; ++i) sizes.push_back(std::atoll(argv[i]));
    if (sizes.empty()) sizes = {1000, 10'000, 100'000};
    for (const int64_t builds : sizes) Sized(argv[1], builds).run();
    return 0;
}
