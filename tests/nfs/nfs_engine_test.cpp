#define BOOST_TEST_MODULE nfs_engine
#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <filesystem>

#include <litbuild/engine.hpp>

#include <nfs/ganesha.hpp>

// Two engines: one on the host of the folder, which launches; one that only has the server's URL.

using namespace litbuild;
using nfs_fixture::Ganesha;
namespace fs = std::filesystem;

BOOST_AUTO_TEST_CASE(an_engine_without_a_mount_follows_and_moves_builds)
{
    if (const std::string why = Ganesha::why_not(); !why.empty()) {
        std::fprintf(stderr, "SKIPPED: nfs_engine: %s\n", why.c_str());
        return;
    }
    Ganesha ganesha(fs::temp_directory_path());
    const char *plugins = std::getenv("LITBUILD_PLUGIN_DIR"), *programs = std::getenv("LITBUILD_BIN_DIR");
    BOOST_REQUIRE(plugins);
    BOOST_REQUIRE(programs);
    const std::string runner = std::string(programs) + "/litbuild-runner";
    Config config;
    config.root = ganesha.exported;
    config.runner = runner;
    const Engine near(std::move(config));
    const Engine far(Config::from_json("{\"store\":{\"plugin\":\"nfs\",\"url\":\"" + ganesha.url() +
                                       "\"},\"status\":{\"plugin\":\"nfs\"},\"plugin_folders\":[\"" + plugins +
                                       "\"],\"runner\":\"" + runner + "\"}"));

    const Build first =
        near.launch("contoso", R"({"steps": [{"name": "one", "command": ["sh", "-c", "echo hello; sleep 0.3"]}]})");
    const Build build = far.build("contoso", first.runid());
    BOOST_TEST(build.path() == first.path());
    std::string log;
    build.follow([&](std::string_view piece) {
        log += piece;
        return true;
    }, Call::within(std::chrono::seconds(60)));
    BOOST_TEST(log == "hello\n");
    BOOST_TEST((build.wait(Call::within(std::chrono::seconds(60))).state == State::complete));
    BOOST_TEST(!build.events(0).empty());
    BOOST_TEST(build.edit_tags({"gold"}) == std::vector<std::string>{"gold"});
    BOOST_TEST(first.tags() == std::vector<std::string>{"gold"});
    const fs::path archived = ganesha.exported / "contoso/logs/archive/1";
    BOOST_TEST(build.archive() == archived);
    BOOST_TEST(first.path() == archived);
    BOOST_TEST(fs::is_directory(archived));
    Filter all;
    all.scope = Scope::all;
    const std::vector<Summary> found = far.list("contoso", all);
    BOOST_REQUIRE(found.size() == 1u);
    BOOST_TEST((found[0].status.state == State::complete));
    BOOST_TEST(found[0].archived);
    BOOST_TEST(found[0].tags == std::vector<std::string>{"gold"});
    BOOST_TEST(build.restore() == ganesha.exported / "contoso/logs/1");
    BOOST_TEST(near.list("contoso").size() == 1u);

    // What is asked for over the server stops it.
    const Build second = near.launch("contoso", R"({"steps": [{"name": "one", "command": ["sleep", "60"]}]})");
    const StopResult stopped = far.build("contoso", second.runid()).stop({}, Call::within(std::chrono::seconds(60)));
    BOOST_TEST((stopped.outcome == StopResult::Outcome::stopped), stopped.message);
    BOOST_TEST((second.get_status().state == State::stopped));
    // Gone for ever.
    build.archive();
    build.remove();
    BOOST_TEST(!fs::exists(archived));
    BOOST_TEST(near.list("contoso").size() == 1u);
}

// Keys that are wrong are named; a server that is not there is no reason not to start.
BOOST_AUTO_TEST_CASE(the_configuration_is_checked)
{
    const char *plugins = std::getenv("LITBUILD_PLUGIN_DIR"), *programs = std::getenv("LITBUILD_BIN_DIR");
    BOOST_REQUIRE(plugins);
    BOOST_REQUIRE(programs);
    const auto failure = [&](const std::string &store) -> std::string {
        try {
            Engine engine(Config::from_json("{\"store\":{\"plugin\":\"nfs\"" + store + "},\"plugin_folders\":[\"" + plugins +
                                            "\"],\"runner\":\"" + programs + "/litbuild-runner\"}"));
            return "";
        } catch (const Error &error) {
            return std::string(name(error.code())) + "; " + error.what();
        }
    };
    const auto has = [&](const std::string &store, const std::string &part) {
        const std::string why = failure(store);
        BOOST_TEST((why.starts_with("invalid; ") && why.find(part) != why.npos), store << ": " << why);
    };
    BOOST_TEST(failure(",\"url\":\"nfs://127.0.0.1/export?nfsport=1\"") == "");
    has(",\"url\":\"http://h/e\"", "is not the URL of an export");
    has(",\"url\":\"nfs://h\"", "names no server and folder");
    has(",\"url\":\"nfs://h/e?version=4\"", "version '4' is not supported");
    has(",\"url\":\"nfs://h/e?nfsport=99999\"", "'nfsport' is not a number");
    has(",\"url\":\"nfs://h/e?color=red\"", "unknown argument 'color'");
    has(",\"url\":\"nfs://h/e\",\"path\":\"data\"", "'path' is not an absolute path");
    has(",\"url\":\"nfs://h/e\",\"deadline\":\"soon\"", "'deadline' must be a duration");
    has(",\"url\":\"nfs://h/e\",\"colour\":\"red\"", "unknown key 'colour'");
    has(",\"url\":\"nfs://h/e\",\"lease\":\"2h\"", "'lease' must be between 100ms and 1h");
    has(",\"root\":\"/tmp\",\"lease\":\"5ms\"", "'lease' must be between 100ms and 1h");
    has(",\"root\":\"/tmp\",\"fresh\":\"5s\"", "'fresh' goes with 'url' only");
}
