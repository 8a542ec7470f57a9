// Lists of teams of many builds, each beside its floor in one run: medians of five, and the ratio.
//     litbuild-list-bench FOLDER [BUILDS...]     default: 1000 10000 100000
// Every build has ended, with a status.json and tags as a runner and a person leave them.
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

using namespace litbuild;
namespace fs = std::filesystem;

namespace {

constexpr int rounds = 5;

double milliseconds(const std::function<void()> &body)
{
    const auto begin = Clock::now();
    body();
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}
double median(const std::function<void()> &body, const std::function<void()> &before = [] {})
{
    std::vector<double> all;
    for (int i = 0; i < rounds; ++i) {
        before();
        all.push_back(milliseconds(body));
    }
    std::sort(all.begin(), all.end());
    return all[rounds / 2];
}
void row(const std::string &what, double ours, const std::string &floor_name, double floor)
{
    std::printf("%-52s %10.2f ms   %-50s %10.2f ms   ratio %6.2f\n", what.c_str(), ours, floor_name.c_str(), floor, ours / floor);
    std::fflush(stdout);
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

void bench(const fs::path &place, int64_t builds)
{
    const fs::path root = place / ("list-" + std::to_string(builds)), logs = root / "bench/logs", index = logs / ".index";
    const uint64_t bytes = make_team(logs, builds);
    const fs::path one = place / "one-file";
    std::ofstream(one) << std::string(bytes, 'x');
    // Until its lists have rested, their version is not told.
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    const Engine engine({.root = root});
    const std::string size = std::to_string(builds) + " builds: ";
    const auto whole = [&] {
        if (count(engine) != static_cast<uint64_t>(builds)) std::abort();
    };
    const auto without_index = [&] { fs::remove_all(index); };

    double best = 1e9;
    int threads = 0;
    for (const int many : {1, 2, 4, 8, 16, 32})
        if (const double took = median([&] { open_read_close(logs, builds, many); }); took < best) best = took, threads = many;
    row(size + "all, no index, files in memory", median(whole, without_index), "open-read-close, " + std::to_string(threads) + " threads", best);
    if (drop_caches()) {
        const auto forget = [&] {
            without_index();
            drop_caches();
        };
        best = 1e9;
        for (const int many : {8, 16, 32})
            if (const double took = median([&] { open_read_close(logs, builds, many); }, forget); took < best) best = took, threads = many;
        row(size + "all, no index, nothing in memory", median(whole, forget), "open-read-close, " + std::to_string(threads) + " threads", best);
    }
    whole();
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    whole();
    row(size + "all, with states and tags", median(whole), "reading one file of the same bytes", median([&] { read_whole(one); }));
    const auto read_index = [&] {
        for (const auto &note : fs::directory_iterator(index)) read_whole(note.path());
    };
    row(size + "those with one tag of 100", median([&] { count(engine, {.tag = "batch7"}); }), "reading the index", median(read_index));
    row(size + "the newest 50", median([&] { count(engine, {.limit = 50}); }), "bare getdents64 of the folder", median([&] { bare_getdents(logs); }));
    // As it is while builds come and go: the list itself has to be read.
    const auto touched = [&] {
        fs::create_directory(logs / ".touch");
        fs::remove(logs / ".touch");
    };
    row(size + "the newest 50, just changed", median([&] { count(engine, {.limit = 50}); }, touched), "bare getdents64 of the folder",
        median([&] { bare_getdents(logs); }));
    row(size + "all, just changed", median(whole, touched), "getdents64, then one file of the same bytes", median([&] {
            bare_getdents(logs);
            read_whole(one);
        }));
    fs::remove_all(root);
    fs::remove(one);
}

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
    for (const int64_t builds : sizes) bench(argv[1], builds);
    return 0;
}
