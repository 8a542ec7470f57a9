// The plugin nfs beside what the protocol costs bare: a list of builds with their states, and the status of one build, against
// an nfs-ganesha on loopback. Prints times, requests and ratios; promises nothing.
#include <cstdio>
#include <cstdlib>
#include <functional>

#include <folder-store/folder_store.hpp>
#include <folder-store/run_status.hpp>

#include <nfs/ganesha.hpp>
#include <nfs/nfs_fs.hpp>

using namespace litbuild;
namespace fs = std::filesystem;

namespace {

struct Cost {
    double seconds = 0;
    uint64_t requests = 0;
};

void show(const char *what, const Cost &cost, const Cost *bare = nullptr)
{
    std::printf("%-58s %9.1f ms %8llu requests", what, cost.seconds * 1000, static_cast<unsigned long long>(cost.requests));
    if (bare) std::printf("   %6.1f x the time, %6.1f x the requests of bare READDIRPLUS", cost.seconds / bare->seconds,
                          static_cast<double>(cost.requests) / static_cast<double>(bare->requests));
    std::printf("\n");
}

}  // namespace

int main(int argc, char **argv)
{
    const int builds = argc > 1 ? std::atoi(argv[1]) : 10'000;
    if (const std::string why = nfs_fixture::Ganesha::why_not(); !why.empty()) {
        std::printf("SKIPPED: nfs bench: %s\n", why.c_str());
        return 77;
    }
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    nfs_fixture::Ganesha ganesha(fs::temp_directory_path());
    const fs::path logs = ganesha.exported / "contoso/logs";
    for (int i = 1; i <= builds; ++i) {
        const fs::path folder = logs / std::to_string(i);
        fs::create_directories(folder / ".control");
        std::ofstream(folder / "build.json") << "{\"runid\":" << i << ",\"uuid\":\"x\"}";
        std::ofstream(folder / "events.jsonl")
            << "{\"seq\":1,\"time\":\"2026-01-01T00:00:00Z\",\"type\":\"end\",\"state\":\"complete\"}\n";
        std::ofstream(folder / "status.json") << "{\"offset\":76,\"time\":\"2026-01-01T00:00:00Z\",\"state\":\"complete\"}\n";
    }
    nfs::Options options;
    options.address = nfs::parse_address(ganesha.url());
    auto owned = std::make_unique<nfs::NfsFs>(options);
    nfs::NfsFs &root = *owned;
    folder::FolderStore store(std::move(owned));
    folder::RunStatus source([&](const Call &call, const BuildName &name, std::string_view file, uint64_t offset, uint64_t max,
                                 const TextSink &sink) { store.read(call, name, file, offset, max, sink); });

    nfs::Server server(options.address, {});
    const auto bare_listing = [&] {
        const uint64_t before = server.requests();
        const auto begin = Clock::now();
        nfs::Client client(server, Call());
        const auto team = client.lookup(client.root(), "contoso");
        const auto folder = client.lookup(team->handle, "logs");
        if (client.list(folder->handle).size() < static_cast<size_t>(builds)) std::abort();
        return Cost{std::chrono::duration<double>(Clock::now() - begin).count(), server.requests() - before};
    };
    const auto measure = [&](const std::function<void()> &body) {
        const uint64_t before = root.requests();
        const auto begin = Clock::now();
        body();
        return Cost{std::chrono::duration<double>(Clock::now() - begin).count(), root.requests() - before};
    };
    const auto names = [&] {
        int count = 0;
        store.list(Call(), {"contoso", Scope::live, 0, 0}, [&](const Entry &) { return ++count > 0; });
        if (count != builds) std::abort();
    };
    const auto states = [&] {
        std::vector<int64_t> ids;
        store.list(Call(), {"contoso", Scope::live, 0, 0}, [&](const Entry &entry) {
            ids.push_back(entry.runid);
            return true;
        });
        for (const int64_t id : ids)
            if (source.status(Call::within(std::chrono::seconds(60)), {"contoso", id}).state != State::complete) std::abort();
    };
    const auto one_status = [&] { (void)source.status(Call(), {"contoso", builds / 2}); };

    std::printf("%d builds, nfs-ganesha on loopback, NFSv3\n", builds);
    show("status of one build, nothing known", measure(one_status));
    bare_listing();
    const Cost bare = bare_listing();
    show("bare READDIRPLUS of the folder", bare);
    show("list, names", measure(names), &bare);
    show("list with states, the first time", measure(states), &bare);
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    show("list with states, the second time", measure(states), &bare);
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    show("list with states, after that", measure(states), &bare);
    return 0;
}
