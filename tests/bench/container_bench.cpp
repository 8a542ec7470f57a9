// A build in a container beside the engine's own command line with the same image, in one run, by turns, medians: from the
// command to the first thing that runs inside, and stop.
#define BOOST_TEST_MODULE container_bench
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "container/engines.hpp"
#include "figures.hpp"

using namespace engines;
namespace data = boost::unit_test::data;

namespace {

constexpr int rounds = 9;
constexpr const char *script = "trap 'exit 0' TERM; touch first; while :; do sleep 0.02; done";

void row(const std::string &what, const std::vector<double> &ours, const std::string &other, const std::vector<double> &theirs)
{
    figures::tell({.what = what, .ours = figures::median(ours), .other = other, .theirs = figures::median(theirs)});
}

}  // namespace

BOOST_DATA_TEST_CASE(container, data::make(std::vector<std::string>{"docker", "podman"}), engine_name)
{
    if (const std::string why = ContainerEngine::missing(engine_name); !why.empty()) {
        figures::skip(engine_name, why);
        return;
    }
    ContainerEngine engine(engine_name);
    Room room(engine);
    const std::string config = (room.root() / "config.json").string(), root = (room.root() / "data").string();
    fs::create_directories(root);
    spill(config, R"({"root": ")" + root + R"(", "plugin_folders": [")" + ::getenv("LITBUILD_PLUGIN_DIR") +
                      R"("], "process": {"plugin": "container", "engine": ")" + engine.address() +
                      R"(", "image": "localhost/busybox:1"}})");
    const std::string litbuild = std::string(::getenv("LITBUILD_BIN_DIR")) + "/litbuild";
    const fs::path log = room.root() / "log";
    std::vector<std::string> own = {"docker", "-H", engine.address()};
    if (engine_name == "podman") own = {"podman"};
    const auto with_own = [&](std::vector<std::string> words) {
        words.insert(words.begin(), own.begin(), own.end());
        BOOST_REQUIRE(run(words, engine.environment(), log));
    };

    std::vector<double> our_start, our_stop, their_start, their_stop;
    for (int i = 1; i <= rounds; ++i) {
        const std::string id = std::to_string(i);
        int64_t begin = figures::wall();
        BOOST_REQUIRE(run({litbuild, "--config", config, "launch", "bench", "--", "sh", "-c", script}, {}, log));
        const fs::path first = fs::path(root) / "bench/logs" / id / "first";
        until_file(first);
        our_start.push_back(static_cast<double>(figures::written_at(first) - begin) / 1e6);
        begin = figures::wall();
        BOOST_REQUIRE(run({litbuild, "--config", config, "stop", "bench", id}, {}, log));
        our_stop.push_back(static_cast<double>(figures::wall() - begin) / 1e6);

        const fs::path folder = room.root() / ("own-" + id);
        fs::create_directories(folder);
        begin = figures::wall();
        with_own({"run", "-d", "--rm", "--name", "own-" + id, "--network", "none", "--read-only", "--cap-drop", "ALL", "-v",
                  folder.string() + ":" + folder.string(), "-w", folder.string(), "localhost/busybox:1", "sh", "-c", script});
        until_file(folder / "first");
        their_start.push_back(static_cast<double>(figures::written_at(folder / "first") - begin) / 1e6);
        begin = figures::wall();
        with_own({"stop", "own-" + id});
        their_stop.push_back(static_cast<double>(figures::wall() - begin) / 1e6);
    }
    row(engine_name + ": launch to first step", our_start, own[0] + " run -d", their_start);
    row(engine_name + ": stop", our_stop, own[0] + " stop", their_stop);
}
