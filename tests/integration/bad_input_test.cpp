// Each mistake: one sentence that starts with the object, the right code, nothing half done.
#define BOOST_TEST_MODULE bad_input
#include <sys/mount.h>

#include "support.hpp"

using namespace litbuild;
using namespace support;

BOOST_AUTO_TEST_CASE(names_that_are_none)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    for (const std::string &team : {std::string("../etc"), std::string("a/b"), std::string(), std::string(300, 'a'), std::string("\xff\xfe")}) {
        expect_error(Code::invalid, "'", [&] { engine.launch(team, shell("true")); });
        expect_error(Code::invalid, "'", [&] { engine.get_builds(team); });
        expect_error(Code::invalid, "'", [&] { engine.build(team, 1); });
    }
    for (const int64_t id : {int64_t{0}, int64_t{-1}}) expect_error(Code::invalid, "contoso/", [&] { engine.build("contoso", id); });
    BOOST_TEST(fs::is_empty(root.path()));
}

BOOST_AUTO_TEST_CASE(what_is_not_there)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    expect_error(Code::not_found, "contoso: no such team", [&] { engine.get_builds("contoso"); });
    engine.launch("contoso", shell("true")).wait();
    const Build build = engine.build("contoso", 7);
    const std::string gone = "contoso/7: no such build";
    expect_error(Code::not_found, gone, [&] { build.path(); });
    expect_error(Code::not_found, gone, [&] { build.tags(); });
    expect_error(Code::not_found, gone, [&] { build.edit_tags({"x"}); });
    expect_error(Code::not_found, gone, [&] { build.get_status(); });
    expect_error(Code::not_found, gone, [&] { build.stop(); });
    expect_error(Code::not_found, gone, [&] { build.archive(); });
    expect_error(Code::not_found, gone, [&] { build.restore(); });
    expect_error(Code::not_found, gone, [&] { build.wait(); });
    expect_error(Code::not_found, gone, [&] { build.events(); });
    expect_error(Code::not_found, gone, [&] { build.follow([](std::string_view) { return true; }); });
    expect_error(Code::not_found, "contoso/1: no such file 'nothing'", [&] { engine.build("contoso", 1).read("nothing", [](std::string_view) { return true; }); });
}

BOOST_AUTO_TEST_CASE(a_spec_that_cannot_be_started_makes_no_build)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    spill(root.path() / "plain.txt", "no program");
    const std::pair<std::string, std::string> cases[] = {
        {"no JSON", "spec: is not JSON"},
        {R"({"steps": [{"name": "x", "command": ["no-such-program"]}]})", "spec: step 1 'x': command not found: 'no-such-program'"},
        {R"({"steps": [{"name": "x", "command": ["/no/such/program"]}]})", "spec: step 1 'x': no such program: '/no/such/program'"},
        {R"({"steps": [{"name": "x", "command": [")" + root.path().string() + R"(/plain.txt"]}]})", "spec: step 1 'x': is not executable: "},
        {R"({"steps": [{"name": "x", "command": ["/tmp"]}]})", "spec: step 1 'x': is not executable: '/tmp'"},
    };
    for (const auto &each : cases)
        expect_error(Code::invalid, each.second, [&] { engine.launch("contoso", each.first); });
    BOOST_TEST(!fs::exists(root.path() / "contoso"));
}

BOOST_AUTO_TEST_CASE(tags_that_are_none)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    const Build build = engine.launch("contoso", shell("true"));
    build.wait();
    for (const char *tag : {"a,b", "a\nb", "", " a"}) expect_error(Code::invalid, "tag '", [&] { build.edit_tags({"good", tag}); });
    BOOST_TEST(build.tags().empty());
}

BOOST_AUTO_TEST_CASE(roots_that_will_not_do)
{
    expect_error(Code::not_found, "/no/such/root: no such folder", [] { Engine engine({.root = "/no/such/root"}); });
    expect_error(Code::not_found, "litbuild-runner: not found", [] { Engine engine({.root = "/tmp", .runner = "/no/such/runner"}); });
    Config config{.root = "/tmp"};
    config.store.plugin = "no-such";
    expect_error(Code::not_found, "plugin 'no-such': not found; known are local-fs, local-process", [&] { Engine engine(config); });
    config = Config{.root = "/tmp"};
    config.process.config = R"({"cgrop": "auto"})";
    expect_error(Code::invalid, "local-process: unknown key 'cgrop'", [&] { Engine engine(config); });
}

BOOST_AUTO_TEST_CASE(a_damaged_build_is_told_and_hides_no_other)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    const Build build = engine.launch("contoso", shell("true"));
    build.wait();
    engine.launch("contoso", shell("true")).wait();
    until_left(build);
    // A snapshot cut off in the middle: the events tell the same.
    const std::string snapshot = slurp(build.path() / "status.json");
    spill(build.path() / "status.json", snapshot.substr(0, snapshot.size() / 2));
    BOOST_TEST(name(build.get_status().state) == "complete");
    // And the last event torn: then the build is told as it stood before, and its process is gone.
    const std::string events = slurp(build.path() / "events.jsonl");
    spill(build.path() / "events.jsonl", events.substr(0, events.size() - 10));
    BOOST_TEST(name(build.get_status().state) == "lost");
    spill(build.path() / "events.jsonl", "\x01\xff nonsense");
    spill(build.path() / "status.json", "");
    BOOST_TEST(name(build.get_status().state) == "unknown");
    BOOST_TEST(engine.list("contoso").size() == 2u);
    // What is no file at all neither hangs nor leads out.
    fs::remove(build.path() / "status.json");
    BOOST_REQUIRE(::mkfifo((build.path() / "status.json").c_str(), 0600) == 0);
    fs::remove(build.path() / "events.jsonl");
    fs::create_symlink("/etc/passwd", build.path() / "events.jsonl");
    BOOST_TEST(engine.list("contoso").size() == 2u);
    expect_error(Code::corrupt, "", [&] { build.read("events.jsonl", [](std::string_view) { return true; }); });
}

BOOST_AUTO_TEST_CASE(a_full_disk)
{
    const TempRoot root;
    const fs::path disk = root.path() / "disk";
    fs::create_directories(disk);
    if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) {
        BOOST_TEST_MESSAGE("SKIPPED: a_full_disk: no right to mount a tmpfs here");
        return;
    }
    {
        const Engine engine({.root = disk});
        // The build fills the disk; its last word still finds room.
        const Build build = engine.launch("contoso", shell("cat /dev/zero > asset; exit 7"));
        const Status status = build.wait(Call::within(60s));
        BOOST_TEST((status.state == State::failed || status.state == State::error), name(status.state));
        BOOST_TEST(!status.error.empty());
        // What the runner had kept back for it is free now.
        BOOST_TEST(::system(("cat /dev/zero > " + (disk / "rest").string() + " 2>/dev/null").c_str()) != 0);
        expect_error(Code::no_space, "", [&] { engine.launch("contoso", shell("true")); });
        size_t folders = 0;
        for (const fs::directory_entry &entry : fs::directory_iterator(disk / "contoso/logs"))
            folders += entry.is_directory() && entry.path().filename().string() != "archive";
        BOOST_TEST(folders == 1u);
        fs::remove(disk / "rest");
        fs::remove(build.path() / "asset");
        BOOST_TEST(name(engine.launch("contoso", shell("true")).wait().state) == "complete");
    }
    BOOST_TEST(::umount2(disk.c_str(), MNT_DETACH) == 0);
}

BOOST_AUTO_TEST_CASE(a_read_only_root)
{
    const TempRoot root;
    const fs::path disk = root.path() / "disk";
    fs::create_directories(disk);
    if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) {
        BOOST_TEST_MESSAGE("SKIPPED: a_read_only_root: no right to mount a tmpfs here");
        return;
    }
    {
        const Engine engine({.root = disk});
        const Build build = engine.launch("contoso", shell("true"));
        build.wait();
        BOOST_REQUIRE(::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m") == 0);
        expect_error(Code::denied, "", [&] { engine.launch("contoso", shell("true")); });
        expect_error(Code::denied, "", [&] { build.archive(); });
        expect_error(Code::denied, "", [&] { build.edit_tags({"x"}); });
        BOOST_TEST(name(build.get_status().state) == "complete");
        BOOST_TEST(engine.list("contoso").size() == 1u);
    }
    BOOST_TEST(::umount2(disk.c_str(), MNT_DETACH) == 0);
}
