// The plugin nfs beside what the protocol costs bare: a list of builds with their states, and the status of one build, against
// an nfs-ganesha on loopback; and in a guest of User Mode Linux, which serves itself, beside a plain walk over the mount of its
// kernel. Prints times, requests and ratios; promises nothing.
//     litbuild-nfs-bench [BUILDS [BUILDS IN THE GUEST]]
//     litbuild-nfs-bench --in-guest BUILDS URL ROOT MOUNT...    there
#include <cstdio>
#include <cstdlib>
#include <functional>

#include <litbuild/engine.hpp>

#include <folder-store/folder_store.hpp>
#include <folder-store/run_status.hpp>

#include <nfs/ganesha.hpp>
#include <nfs/mounted_fs.hpp>
#include <nfs/nfs_fs.hpp>
#include <uml/guest.hpp>

#include "figures.hpp"

using namespace litbuild;
namespace fs = std::filesystem;

namespace {

struct Cost {
    double seconds = 0;
    uint64_t requests = 0;
};

void show(const std::string &what, const Cost &cost, const Cost *beside = nullptr, const char *name = "bare READDIRPLUS")
{
    const std::string other = beside ? name : "";
    figures::tell({.what = what, .ours = cost.seconds * 1000, .other = other, .theirs = beside ? beside->seconds * 1000 : 0});
    figures::tell({.what = what, .ours = static_cast<double>(cost.requests), .other = other,
                   .theirs = beside ? static_cast<double>(beside->requests) : 0, .unit = "requests"});
}

void make_builds(const fs::path &logs, int builds)
{
    for (int i = 1; i <= builds; ++i) {
        const fs::path folder = logs / std::to_string(i);
        fs::create_directories(folder / ".control");
        std::ofstream(folder / "build.json") << "{\"runid\":" << i << ",\"uuid\":\"x\"}";
        std::ofstream(folder / "events.jsonl")
            << "{\"seq\":1,\"time\":\"2026-01-01T00:00:00Z\",\"type\":\"end\",\"state\":\"complete\"}\n";
        std::ofstream(folder / "status.json") << "{\"offset\":76,\"time\":\"2026-01-01T00:00:00Z\",\"state\":\"complete\"}\n";
    }
}

using Requests = std::function<uint64_t()>;

Cost measure(const Requests &requests, const std::function<void()> &body)
{
    const uint64_t before = requests();
    const auto begin = Clock::now();
    body();
    return {std::chrono::duration<double>(Clock::now() - begin).count(), requests() - before};
}

// What the store remembers is no more than two seconds old.
void let_it_forget() { std::this_thread::sleep_for(std::chrono::milliseconds(2500)); }

/// A team of so many builds by a store of its own.
class Listing {
public:
    Listing(std::unique_ptr<folder::Fs> fs, int builds) : store_(std::move(fs)), builds_(builds) {}

    void names()
    {
        if (ids().size() != static_cast<size_t>(builds_)) std::abort();
    }
    void states()
    {
        for (const int64_t id : ids())
            if (source_.status(Call::within(std::chrono::seconds(60)), {"contoso", id}).state != State::complete) std::abort();
    }
    void one_status() { (void)source_.status(Call(), {"contoso", builds_ / 2}); }

private:
    std::vector<int64_t> ids()
    {
        std::vector<int64_t> out;
        store_.list(Call(), {"contoso", Scope::live, 0, 0}, [&](const Entry &entry) {
            out.push_back(entry.runid);
            return true;
        });
        return out;
    }

    folder::FolderStore store_;
    folder::RunStatus source_{[this](const Call &call, const BuildName &name, std::string_view file, uint64_t offset, uint64_t max,
                                     const TextSink &sink) { store_.read(call, name, file, offset, max, sink); }};
    int builds_;
};

nfs::Options options_of(const std::string &url)
{
    nfs::Options options;
    options.address = nfs::parse_address(url);
    return options;
}

/// By libnfs. Returns what bare READDIRPLUS costs.
Cost by_url(const std::string &url, int builds)
{
    const nfs::Options options = options_of(url);
    auto owned = std::make_unique<nfs::NfsFs>(options);
    nfs::NfsFs &root = *owned;
    const Requests requests = [&] { return root.requests(); };
    Listing listing(std::move(owned), builds);

    nfs::Server server(options.address, {});
    const auto bare_listing = [&] {
        nfs::Client client(server, Call());
        const auto team = client.lookup(client.root(), "contoso");
        const auto folder = client.lookup(team->handle, "logs");
        if (client.list(folder->handle).size() < static_cast<size_t>(builds)) std::abort();
    };
    show("status of one build, nothing known", measure(requests, [&] { listing.one_status(); }));
    bare_listing();
    const Cost bare = measure([&] { return server.requests(); }, bare_listing);
    show("bare READDIRPLUS of the folder", bare);
    show("list, names", measure(requests, [&] { listing.names(); }), &bare);
    for (const char *when : {"the first time", "the second time", "after that"}) {
        show(std::string("list with states, ") + when, measure(requests, [&] { listing.states(); }), &bare);
        let_it_forget();
    }
    return bare;
}

/// Of the kernel's client, for one mount, so far.
uint64_t requests_of(const std::string &mount)
{
    std::ifstream in("/proc/self/mountstats");
    uint64_t out = 0;
    bool is_it = false, in_ops = false;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("device ")) {
            is_it = line.find(" mounted on " + mount + " ") != std::string::npos;
            in_ops = false;
        } else if (is_it && in_ops) {
            const size_t colon = line.find(": ");
            if (colon != std::string::npos) out += std::strtoull(line.c_str() + colon + 2, nullptr, 10);
        } else if (line.find("per-op statistics") != std::string::npos) {
            in_ops = true;
        }
    }
    return out;
}

// What a script would do: each name, and what stands in its status.json.
void plain_walk(const fs::path &logs, int builds)
{
    int found = 0;
    for (const auto &entry : fs::directory_iterator(logs)) {
        std::ifstream in(entry.path() / "status.json");
        const std::string text(std::istreambuf_iterator<char>(in), {});
        found += text.find("\"complete\"") != std::string::npos;
    }
    if (found != builds) std::abort();
}

// As users have it: the engine keeps an index of what has ended, on the server, beside the builds.
void engine_list(const std::string &mount, int builds)
{
    Config config;
    config.root = mount;
    config.store = {.plugin = "nfs"};
    config.status = {.plugin = "nfs"};
    config.plugin_folders = {::getenv("LITBUILD_PLUGIN_DIR")};
    const Engine engine(std::move(config));
    int found = 0;
    engine.list("contoso", {}, [&](const Row &row) {
        found += row.state() == State::complete;
        return true;
    }, Call::within(std::chrono::minutes(10)));
    if (found != builds) std::abort();
}

void by_mount(const std::string &mount, int builds, const Cost &bare)
{
    const Requests requests = [&] { return requests_of(mount); };
    Listing listing(std::make_unique<nfs::MountedFs>(mount), builds);
    Cost walk;
    for (const char *when : {"the first time", "after that"}) {
        walk = measure(requests, [&] { plain_walk(mount + "/contoso/logs", builds); });
        show(mount + ": plain walk, " + when, walk, &bare);
        show(mount + ": states read one by one, " + when, measure(requests, [&] { listing.states(); }), &walk, "plain walk");
        let_it_forget();
    }
    show(mount + ": status of one build", measure(requests, [&] { listing.one_status(); }));
    fs::remove_all(mount + "/contoso/logs/.index");
    let_it_forget();
    for (const char *when : {"no index", "the index being made", "with the index", "with the index, again"}) {
        show(mount + ": a new engine's list, " + when, measure(requests, [&] { engine_list(mount, builds); }), &walk, "plain walk after the first");
        let_it_forget();
    }
}

int in_guest(int argc, char **argv)
{
    const int builds = std::atoi(argv[2]);
    make_builds(fs::path(argv[4]) / "contoso/logs", builds);
    const Cost bare = by_url(argv[3], builds);
    for (int i = 5; i < argc; ++i) by_mount(argv[i], builds, bare);
    return 0;
}

/// The guest sees the files of this host.
std::string figures_file()
{
    const char *file = ::getenv("LITBUILD_FIGURES");
    return file ? "LITBUILD_FIGURES='" + std::string(file) + "' " : "";
}

void guest_bench(int builds)
{
    if (const std::string why = uml::missing(); !why.empty()) {
        figures::skip("nfs bench, kernel mount", why);
        return;
    }
    std::string box = (fs::temp_directory_path() / "litbuild-nfs-bench-XXXXXX").string();
    if (!::mkdtemp(box.data())) throw std::runtime_error("no temporary folder");
    const std::string disk = box + "/disk";
    if (std::system(("mkfs.ext4 -q -O ^has_journal -N 100000 " + disk + " 512M >/dev/null").c_str()) != 0) throw std::runtime_error("mkfs.ext4");
    {
        uml::Guest guest(box + "/guest", "bench", uml::environment() + R"(
. $UML/client.sh; . $UML/server.sh
serve /dev/ubda && mount_nfs 3 127.0.0.1 /run/srv /run/v3 && mount_nfs 4.2 127.0.0.1 /export /run/v4
)", {"ubd0=" + disk});
        guest.boot();
        std::printf("%d builds, in a guest of User Mode Linux that serves itself\n", builds);
        const uml::Result result =
            guest.run(uml::environment() + figures_file() + fs::read_symlink("/proc/self/exe").string() + " --in-guest " + std::to_string(builds) +
                          " 'nfs://127.0.0.1/run/srv?nfsport=20490&mountport=20491' /run/srv /run/v3 /run/v4 2>&1",
                      std::chrono::seconds(1800));
        std::printf("%s", result.output.c_str());
        if (result.status != 0) std::printf("FAILED: status %d\n", result.status);
    }
    fs::remove_all(box);
}

}  // namespace

int main(int argc, char **argv)
{
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    if (argc > 5 && std::string(argv[1]) == "--in-guest") return in_guest(argc, argv);
    const int builds = argc > 1 ? std::atoi(argv[1]) : 10'000;
    if (const std::string why = nfs_fixture::Ganesha::why_not(); !why.empty()) {
        figures::skip("nfs bench", why);
        return 77;
    }
    {
        nfs_fixture::Ganesha ganesha(fs::temp_directory_path());
        make_builds(ganesha.exported / "contoso/logs", builds);
        std::printf("%d builds, nfs-ganesha on loopback, NFSv3\n", builds);
        by_url(ganesha.url(), builds);
    }
    guest_bench(argc > 2 ? std::atoi(argv[2]) : 2'000);
    return 0;
}
