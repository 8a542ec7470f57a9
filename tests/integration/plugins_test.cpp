// The edge between engine and plugins: other compilers' work, other times' structs, and other people's mistakes.
// Everything that is loaded here is built here, out of the tree, by `cc` and `c++` from PATH.
#define BOOST_TEST_MODULE plugins
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <thread>

#include <dlfcn.h>
#include <link.h>

// Read before, the contract has it set to the name of a library of its own.
#undef LITBUILD_PLUGIN_SYMBOL
#define LITBUILD_PLUGIN_SYMBOL plugins_test_plugin
#include <litbuild/export.hpp>

#include "../plugins/fixture.hpp"

using namespace plugins_test;
// <cxxabi.h>, which Boost.Test includes, has an `abi` of its own.
namespace edge = litbuild::abi;

namespace {

const std::string both = store_id + ", " + status_id;
const char *const sleeper = R"({"steps": [{"name": "sleep", "command": ["sleep", "100"]}]})";
const char *const nothing = R"({"steps": [{"name": "nothing", "command": ["true"]}]})";

const char *const hello = R"({"steps": [
    {"name": "say", "command": ["/bin/sh", "-c", "echo hello from $LITBUILD_TEAM/$LITBUILD_RUNID"]},
    {"name": "make", "command": ["/bin/sh", "-c", "echo made > asset"]}], "tags": ["nightly", "first"]})";

/// The main job, whole, through whatever store the engine was given.
void live_a_life(const Engine &engine, const std::string &tags)
{
    const auto soon = [] { return Call::within(std::chrono::seconds(30)); };
    const Build build = engine.launch("contoso", hello, soon());
    BOOST_TEST(build.runid() == 1);
    const Status status = build.wait(soon());
    BOOST_TEST(name(status.state) == "complete");
    BOOST_TEST(status.steps.size() == 2u);
    BOOST_TEST(text_of(build, "log") == "hello from contoso/1\n");
    BOOST_TEST(text_of(build, "log", 6, 4) == "from");
    BOOST_TEST(slurp(build.path() / "asset") == "made\n");
    BOOST_TEST(build.events().size() >= 4u);

    const fs::path before = build.path();
    const fs::path archived = build.archive();
    BOOST_TEST(archived != before);
    BOOST_TEST(archived == build.archive());
    BOOST_TEST(archived == build.path());
    BOOST_TEST(slurp(archived / "asset") == "made\n");
    BOOST_TEST(listed(engine, "contoso") == "");
    BOOST_TEST(listed(engine, "contoso", {.scope = Scope::all}) == "a1");
    BOOST_TEST(name(build.get_status().state) == "complete");
    BOOST_TEST(build.restore() == before);
    BOOST_TEST(build.restore() == before);
    std::string found;
    for (const std::string &tag : build.tags()) found += tag + " ";
    BOOST_TEST(found == tags);

    const Build second = engine.launch("contoso", sleeper, soon());
    BOOST_TEST(second.runid() == 2);
    BOOST_TEST(failure([&] { second.archive(); }).starts_with("refused; contoso/2: is "));
    BOOST_TEST(second.stop({.grace = std::chrono::seconds(5)}, soon()).message == "Build id 2 has been stopped");
    BOOST_TEST(name(second.get_status().state) == "stopped");
    BOOST_TEST(listed(engine, "contoso") == "2 1");
    BOOST_TEST(listed(engine, "contoso", {.limit = 1}) == "2");
    BOOST_TEST(listed(engine, "contoso", {.before = 2}) == "1");
    BOOST_TEST(failure([&] { engine.build("contoso", 3).path(); }).starts_with("not_found; contoso/3: "));
    BOOST_TEST(failure([&] { engine.get_builds("nobody"); }).starts_with("not_found; nobody: "));
    BOOST_TEST(failure([&] { text_of(build, "no-such-file"); }).starts_with("not_found; "));
    BOOST_TEST(failure([&] { text_of(build, "../2/log"); }).starts_with("invalid; "));
    BOOST_TEST(engine.teams() == std::vector<std::string>{"contoso"}, boost::test_tools::per_element());
}

int times_loaded(const fs::path &file)
{
    struct Search {
        std::string file;
        int count = 0;
    } search{file.string()};
    ::dl_iterate_phdr(
        [](dl_phdr_info *info, size_t, void *data) {
            Search &wanted = *static_cast<Search *>(data);
            if (info->dlpi_name && wanted.file == info->dlpi_name) ++wanted.count;
            return 0;
        },
        &search);
    return search.count;
}

}  // namespace

// ------------------------------------------------------------------------------------------------------------ rule 1

BOOST_AUTO_TEST_SUITE(sizes)

BOOST_AUTO_TEST_CASE(a_shorter_struct_is_read_over_zeroes)
{
    lb_entry entry = {16, LB_ARCHIVED, 19, {"garbage", 7}};
    const lb_entry read = edge::copy(&entry);
    BOOST_TEST(read.runid == 19);
    BOOST_TEST(read.scope == 2u);
    BOOST_TEST(!read.path.data);
    BOOST_TEST(read.path.size == 0u);
    BOOST_TEST(edge::copy(static_cast<const lb_entry *>(nullptr)).runid == 0);
    entry.struct_size = 0;
    BOOST_TEST(edge::copy(&entry).runid == 0);
}

BOOST_AUTO_TEST_CASE(a_longer_struct_is_cut)
{
    const struct {
        lb_probe known;
        uint64_t unknown;
    } newer = {{sizeof newer, LB_LIFE_GONE, 3, 0, {"seen", 4}, 7}, UINT64_MAX};
    const Probe probe = edge::from_c(&newer.known);
    BOOST_TEST((probe.life == Life::gone));
    BOOST_TEST(probe.exit_code.value() == 3);
    BOOST_TEST(probe.evidence == "seen");
    BOOST_TEST(probe.left_overs == 7u);
}

BOOST_AUTO_TEST_CASE(an_array_goes_by_its_first_size)
{
    struct NewerStep {
        lb_step known;
        uint64_t unknown[3];
    } steps[3] = {};
    for (int i = 0; i < 3; ++i) {
        steps[i].known.struct_size = sizeof *steps;
        steps[i].known.state = LB_STATE_RUNNING;
        steps[i].known.name = {&"abc"[i], 1};
        for (uint64_t &each : steps[i].unknown) each = UINT64_MAX;
    }
    lb_status raw = edge::sized<lb_status>();
    raw.steps = &steps[0].known;
    raw.step_count = 3;
    raw.current_step = 2;
    const Status status = edge::from_c(&raw);
    BOOST_REQUIRE(status.steps.size() == 3u);
    BOOST_TEST(status.steps[1].name == "b");
    BOOST_TEST(status.step().value() == "c");
    raw.current_step = 3;
    BOOST_TEST(!edge::from_c(&raw).step());
    raw.state = 4711;
    BOOST_TEST((edge::from_c(&raw).state == State::unknown));

    // An older one: elements that end behind their third field.
    struct OldStop {
        uint32_t struct_size;
        int32_t signal;
    } const plan[2] = {{sizeof(OldStop), 15}, {sizeof(OldStop), 9}};
    const StopPlan read = edge::from_c(reinterpret_cast<const lb_stop_step *>(plan), 2);
    BOOST_TEST(read.at(1).signal == 9);
    BOOST_TEST(read.at(1).grace.count() == 0);
}

BOOST_AUTO_TEST_CASE(an_older_hosts_error_is_not_written_behind)
{
    struct {
        lb_error error;
        char behind[8];
    } memory;
    const auto filled = [&](uint32_t size, const char *message) {
        std::memset(&memory, '#', sizeof memory);
        memory.error.struct_size = size;
        edge::fill(&memory.error, message, 7);
        const char *const end = reinterpret_cast<const char *>(&memory) + std::max<uint32_t>(size, 4);
        for (const char *at = end; at != reinterpret_cast<const char *>(&memory + 1); ++at)
            if (*at != '#') return std::string("written behind the end");
        if (size <= offsetof(lb_error, message)) return std::string("no room");
        return std::string(memory.error.message);
    };
    BOOST_TEST(filled(0, "a sentence") == "no room");
    BOOST_TEST(filled(4, "a sentence") == "no room");
    BOOST_TEST(filled(8, "a sentence") == "no room");
    BOOST_TEST(filled(9, "a sentence") == "");
    BOOST_TEST(filled(8 + 6, "a sentence") == "a sen");
    BOOST_TEST(filled(8 + 11, "a sentence") == "a sentence");
    // Never half a character.
    BOOST_TEST(filled(8 + 4, "ab\xc3\xa9") == "ab");
    BOOST_TEST(filled(8 + 5, "ab\xc3\xa9") == "ab\xc3\xa9");
    BOOST_TEST(filled(8 + 4, "\xf0\x9f\x98\x80") == "");
    // A newer host's, which is longer than ours.
    BOOST_TEST(filled(sizeof memory, "a sentence") == "a sentence");
    edge::fill(nullptr, "a sentence", 7);
}

BOOST_AUTO_TEST_CASE(codes_that_nobody_knows)
{
    const lb_error empty = edge::sized<lb_error>();
    BOOST_TEST(failure([&] { edge::raise(99, empty, "contoso/1"); }) == "internal; contoso/1: unknown error code");
    BOOST_TEST(failure([&] { edge::raise(-1, empty, "contoso/1"); }) == "internal; contoso/1: unknown error code");
    BOOST_TEST(failure([&] { edge::raise(LB_REFUSED, empty, "contoso/1"); }) == "refused; contoso/1: refused");
    BOOST_TEST(failure([&] { edge::raise(LB_OK, empty, "contoso/1"); }) == "nothing thrown");
}

BOOST_AUTO_TEST_SUITE_END()

// ------------------------------------------------------------------------------------------------------- good plugins

BOOST_AUTO_TEST_SUITE(good)

BOOST_AUTO_TEST_CASE(a_store_in_plain_c)
{
    Place place;
    place.install(library("c_store.c"), "c-store");
    std::vector<std::string> lines;
    Config config = place.config("c-store");
    config.log = [&](int, std::string_view line) { lines.emplace_back(line); };
    const Engine engine(config);
    BOOST_TEST(lines.at(0) == "c-store: open");
    live_a_life(engine, "nightly first ");
    const Build build = engine.build("contoso", 1);
    const auto tags = [&](const std::vector<std::string> &add, const std::vector<std::string> &remove) {
        std::string out;
        for (const std::string &tag : build.edit_tags(add, remove)) out += tag + " ";
        return out;
    };
    BOOST_TEST(tags({"last", "nightly"}, {"first"}) == "nightly last ");
    BOOST_TEST(tags({}, {"nightly", "last", "never"}) == "");
    BOOST_TEST(tags({"a"}, {}) == "a ");
}

BOOST_AUTO_TEST_CASE(an_older_shorter_table)
{
    Place place;
    place.install(library("short_store.c"), "short-store");
    const Engine engine = place.engine("short-store");
    const Build build = engine.launch("contoso", hello);
    BOOST_TEST(name(build.wait(Call::within(std::chrono::seconds(30))).state) == "complete");
    const fs::path archived = build.archive();
    BOOST_TEST(archived == build.path());
    BOOST_TEST(build.restore() != archived);

    // A stop writes its request through `write_control`, which this table is too short for.
    const Build second = engine.launch("contoso", R"({"steps": [{"name": "sleep", "command": ["sh", "-c", "until [ -e go ]; do sleep 0.05; done"]}]})");
    BOOST_TEST(failure([&] { second.stop(); }) == "unsupported; plugin short-store: 'write_control' is not supported");
    spill(second.path() / "go", "");
    second.wait(Call::within(std::chrono::seconds(30)));
}

BOOST_AUTO_TEST_CASE(a_newer_longer_table)
{
    Place place;
    place.install(library("long_store.c"), "long-store", store_id + ", \"litbuild.flights/1\"", "1.7");
    const Engine engine = place.engine("long-store");
    live_a_life(engine, "nightly first ");
    for (int i = 3; i <= 9; ++i) engine.launch("contoso", nothing);
    BOOST_TEST(listed(engine, "contoso") == "9 8 7 6 5 4 3 2 1");
    for (const Summary &each : engine.list("contoso")) BOOST_TEST(fs::is_directory(each.path));
    for (const Build &each : engine.get_builds("contoso")) each.wait(Call::within(std::chrono::seconds(30)));
}

BOOST_AUTO_TEST_CASE(the_template_out_of_the_tree)
{
    TempFolder away;
    const std::string folder = away.path.string();
    run("cp -r '" + (source_dir() / "sdk/template").string() + "' '" + folder + "/mine' && cd '" + folder +
        "/mine' && umask 022 && cmake -S . -B build -DLITBUILD_SDK='" + (source_dir() / "sdk").string() +
        "' && cmake --build build");
    Place place;
    Config config = place.config("my-store");
    config.plugin_folders = {away.path / "mine/build/plugins"};
    live_a_life(Engine(config), "");
    const Engine engine(config);
    BOOST_TEST(failure([&] { engine.build("contoso", 1).edit_tags({"a"}); }) ==
               "unsupported; build store: this plugin cannot change tags");
    BOOST_TEST(run("nm -D --defined-only '" + folder + "/mine/build/plugins/my-store.so' | wc -l") == "1\n");
}

BOOST_AUTO_TEST_CASE(our_own_as_libraries)
{
    const fs::path built = built_plugins();
    BOOST_REQUIRE_MESSAGE(fs::exists(built / "local-fs.so"), built << ": has no local-fs.so (LITBUILD_PLUGIN_DIR)");
    for (const std::string plugin : {"local-fs", "local-process"}) {
        const std::string file = "'" + (built / (plugin + ".so")).string() + "'";
        BOOST_TEST(run("nm -D --defined-only " + file).ends_with(" litbuild_plugin_v1\n"));
        BOOST_TEST(run("nm -D --defined-only " + file + " | wc -l") == "1\n");
        BOOST_TEST(run("nm -D --undefined-only " + file + " | grep -ci litbuild || true") == "0\n");
    }
    // Under their own names the linked-in ones are found first; that these are the libraries is told by /proc.
    Place place;
    const fs::path store = place.install(built / "local-fs.so", "fs-library", both);
    const fs::path process = place.install(built / "local-process.so", "process-library", process_id);
    Config config = place.config("fs-library");
    config.status = {"fs-library", "{}"};
    config.process = {"process-library", "{}"};
    live_a_life(Engine(config), "nightly first ");
    BOOST_TEST(times_loaded(store) == 1);
    BOOST_TEST(times_loaded(process) == 1);
}

BOOST_AUTO_TEST_CASE(linked_in_wins_over_a_library)
{
    Place place;
    place.install(library("c_store.c"), "local-fs");
    const Engine engine = place.engine("local-fs");
    engine.teams();
    BOOST_TEST(times_loaded(place.plugins.path / "local-fs.so") == 0);
    std::string found;
    for (const PluginInfo &plugin : engine.plugins())
        found += plugin.name + " " + plugin.file.filename().string() + plugin.problem + "; ";
    BOOST_TEST(found == "local-fs ; local-process ; local-fs local-fs.so; ");
}

BOOST_AUTO_TEST_CASE(loaded_once_and_never_unloaded)
{
    Place one;
    const fs::path file = one.install(library("c_store.c"), "c-store");
    TempFolder other_root;
    {
        const Engine first = one.engine("c-store");
        Config config = one.config("c-store");
        config.root = other_root.path;
        const Engine second(config);
        BOOST_TEST(times_loaded(file) == 1);
        const Build here = first.launch("contoso", nothing), there = second.launch("contoso", nothing);
        BOOST_TEST(here.wait(Call::within(std::chrono::seconds(30))).steps.size() == 1u);
        BOOST_TEST(there.wait(Call::within(std::chrono::seconds(30))).steps.size() == 1u);
        BOOST_TEST(here.path() == one.root.path / "contoso/live/1");
        BOOST_TEST(there.path() == other_root.path / "contoso/live/1");
        BOOST_TEST(listed(first, "contoso") == "1");
    }
    BOOST_TEST(times_loaded(file) == 1);
}

// gcc gives a static member of a class template one address per process ("unique"), in whatever library: two plugins of
// one class name must not be served by the first one's functions.
BOOST_AUTO_TEST_CASE(two_plugins_of_one_class_name)
{
    Place place;
    place.install(library("twin.cpp", "-DTWIN='\"twin-a\"'"), "twin-a");
    place.install(library("twin.cpp", "-DTWIN='\"twin-b\"'"), "twin-b");
    const Engine a = place.engine("twin-a"), b = place.engine("twin-b");
    BOOST_TEST(a.teams().at(0) == "twin-a");
    BOOST_TEST(b.teams().at(0) == "twin-b");
    BOOST_TEST(text_of(a.build("x", 1), "who") == "twin-a");
    BOOST_TEST(text_of(b.build("x", 1), "who") == "twin-b");
}

BOOST_AUTO_TEST_SUITE_END()

// --------------------------------------------------------------------------------------------------- linked-in plugins

namespace {

class LinkedStore final : public BuildStore {
public:
    LinkedStore(const Host &, std::string_view config) : config_(config) {}
    std::vector<std::string> teams(const Call &) override { return {"linked"}; }
    void list(const Call &, const Query &, const EntrySink &) override {}
    Entry find(const Call &, const BuildName &build) override { return {build.runid, false, "/linked"}; }
    void read(const Call &, const BuildName &, std::string_view, uint64_t, uint64_t, const TextSink &sink) override
    {
        sink(config_);
    }

private:
    std::string config_;
};

}  // namespace

LITBUILD_PLUGIN("linked-store", "3.2.1", litbuild::StoreOf<LinkedStore>)

BOOST_AUTO_TEST_CASE(a_linked_in_plugin)
{
    Place place;
    Config config = place.config("linked-store", R"({"key": 1})");
    config.linked = {&plugins_test_plugin};
    const Engine engine(config);
    BOOST_TEST(engine.teams().at(0) == "linked");
    BOOST_TEST(text_of(engine.build("a", 1), "config") == R"({"key":1,"root":")" + place.root.path.string() + "\"}");
    BOOST_TEST(failure([&] { engine.launch("a", hello); }) ==
               "unsupported; build store: this plugin cannot create builds");
    const PluginInfo info = engine.plugins().at(0);
    BOOST_TEST(info.name == "linked-store");
    BOOST_TEST(info.version == "3.2.1");
    BOOST_TEST(info.abi == std::to_string(LITBUILD_ABI_MAJOR) + "." + std::to_string(LITBUILD_ABI_MINOR));
    BOOST_TEST(info.interfaces == std::vector<std::string>{"store"}, boost::test_tools::per_element());
}

// -------------------------------------------------------------------------------------------------------- bad plugins

BOOST_AUTO_TEST_SUITE(bad)

namespace {

std::string opening(const Place &place, const std::string &store, const std::string &config = "{}")
{
    return failure([&] { place.engine(store, config); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(no_such_plugin)
{
    Place place;
    place.install(library("c_store.c"), "c-store");
    BOOST_TEST(opening(place, "nonesuch") ==
               "not_found; plugin 'nonesuch': not found; known are local-fs, local-process, c-store");
    Config config = place.config("c-store");
    config.status = {"c-store", "{}"};
    const std::string why = failure([&] { Engine engine(config); });
    BOOST_TEST(why.starts_with("unsupported; " + place.plugins.path.string()));
    BOOST_TEST(contains(why, "provides no status"));
    config = place.config("c-store");
    config.plugin_folders = {"plugins"};
    BOOST_TEST(failure([&] { Engine engine(config); }).starts_with("invalid; plugins: "));
    config.plugin_folders = {place.plugins.path / "none", place.plugins.path};
    BOOST_TEST(failure([&] { Engine engine(config); }) == "nothing thrown");
}

BOOST_AUTO_TEST_CASE(no_library)
{
    Place place;
    const fs::path good = library("c_store.c");
    const std::string bytes = slurp(good);
    const auto file = [&](const char *name) { return (place.plugins.path / name).string(); };
    const auto not_loaded = [&](const char *name) {
        return "unavailable; " + file(name) + ".so: cannot be loaded: ";
    };
    const auto with = [&](const char *name, const std::string &content) {
        place.manifest(name);
        spill(place.plugins.path / (std::string(name) + ".so"), content);
        return opening(place, name);
    };
    place.manifest("missing");
    BOOST_TEST(opening(place, "missing").starts_with("not_found; " + file("missing.so") + ": "));
    BOOST_TEST(with("empty", "").starts_with(not_loaded("empty")));
    BOOST_TEST(with("head", bytes.substr(0, 100)).starts_with(not_loaded("head")));
    BOOST_TEST(with("text", "no library\n").starts_with(not_loaded("text")));
    fs::create_directory(place.plugins.path / "folder.so");
    place.manifest("folder");
    BOOST_TEST(opening(place, "folder").starts_with(not_loaded("folder")));

    // A foreign library.
    spill(place.root.path / "foreign.c", "int foreign(void);\nint foreign(void) { return 1; }\n");
    run("cd '" + place.root.path.string() + "' && cc -shared -fPIC foreign.c -o foreign.so");
    place.install(place.root.path / "foreign.so", "foreign");
    BOOST_TEST(opening(place, "foreign") == "unsupported; " + file("foreign.so") +
                                                ": is no plugin of litbuild (it has no symbol litbuild_plugin_v1)");
    // Whoever was refused once is refused again.
    BOOST_TEST(opening(place, "foreign").starts_with("unsupported; "));
}

// The loader maps what the headers promise; behind the end of the file that is a bus error, not a return value.
BOOST_AUTO_TEST_CASE(half_a_library)
{
    Place place;
    const std::string bytes = slurp(library("c_store.c"));
    for (const size_t percent : {25u, 50u, 75u}) {
        const std::string name = "percent-" + std::to_string(percent);
        place.manifest(name);
        spill(place.plugins.path / (name + ".so"), bytes.substr(0, bytes.size() * percent / 100));
        const pid_t child = ::fork();
        if (child == 0) ::_exit(opening(place, name).starts_with("unavailable; ") ? 0 : 1);
        int status = 0;
        ::waitpid(child, &status, 0);
        BOOST_TEST(!WIFSIGNALED(status), name << ": ended by signal " << WTERMSIG(status));
        BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0), name << ": no good word");
    }
}

BOOST_AUTO_TEST_CASE(another_contract)
{
    Place place;
    const auto error_of = [&](const std::string &name) {
        const std::string why = opening(place, name);
        BOOST_TEST(contains(why, (place.plugins.path / (name + ".so")).string()), why);
        const std::string ours = std::to_string(LITBUILD_ABI_MAJOR) + "." + std::to_string(LITBUILD_ABI_MINOR);
        BOOST_TEST(contains(why, "; this engine speaks " + ours), why);
        return why.substr(0, why.find(';')) + (contains(why, " contract 2.") ? " 2" : "");
    };
    place.install(library("wrong_abi.c", "-DABI=0x20000u -DSYMBOL=litbuild_plugin_v2"), "next-symbol");
    place.install(library("wrong_abi.c", "-DABI=0x20000u -DSYMBOL=litbuild_plugin_v1"), "next-number");
    place.install(library("wrong_abi.c", "-DABI=0x10000u -DSYMBOL=litbuild_plugin_v1 -DSIZE=4"), "no-number");
    place.install(library("c_store.c"), "next-manifest", store_id, "2.0");
    BOOST_TEST(error_of("next-symbol") == "unsupported 2");
    BOOST_TEST(error_of("next-number") == "unsupported 2");
    BOOST_TEST(error_of("no-number") == "unsupported");
    BOOST_TEST(error_of("next-manifest") == "unsupported 2");
    for (const PluginInfo &info : place.engine("local-fs").plugins())
        BOOST_TEST(info.problem.empty() == (info.name != "next-manifest"), info.name + ": " + info.problem);
}

BOOST_AUTO_TEST_CASE(others_may_write)
{
    // Each in a place of its own: what is loaded once is not asked about again.
    const auto refused = [](auto spoil) {
        Place place;
        place.install(library("c_store.c"), "c-store");
        spoil(place);
        const std::string why = opening(place, "c-store");
        // The folder must be in reach again for who cleans up.
        fs::permissions(place.plugins.path, fs::perms(0755));
        const size_t at = why.find(place.plugins.path.string());
        return at == why.npos ? why : why.substr(0, at) + why.substr(at + place.plugins.path.string().size());
    };
    const auto open_to = [](const char *name, unsigned mode) {
        return [=](const Place &place) { fs::permissions(place.plugins.path / name, fs::perms(mode)); };
    };
    const std::string others = ": others may write to it; take the right away (chmod go-w)";
    BOOST_TEST(refused(open_to("c-store.so", 0775)) == "denied; /c-store.so" + others);
    BOOST_TEST(refused(open_to("c-store.so", 0757)) == "denied; /c-store.so" + others);
    BOOST_TEST(refused(open_to("c-store.json", 0664)) == "denied; /c-store.json" + others);
    BOOST_TEST(refused(open_to("c-store.json", 0646)) == "denied; /c-store.json" + others);
    BOOST_TEST(refused(open_to("", 0775)) == "denied; " + others);
    BOOST_TEST(refused(open_to("", 0777)) == "denied; " + others);
    BOOST_TEST(refused(open_to("", 01777)) == "denied; " + others);
    const auto behind_a_link = [](const char *name) {
        return [=](const Place &place) {
            fs::rename(place.plugins.path / name, place.root.path / name);
            fs::create_symlink(place.root.path / name, place.plugins.path / name);
        };
    };
    const std::string link = ": is a symbolic link; plugins are not loaded through links";
    BOOST_TEST(refused(behind_a_link("c-store.so")) == "denied; /c-store.so" + link);
    BOOST_TEST(refused(behind_a_link("c-store.json")) == "denied; /c-store.json" + link);

    if (::geteuid() != 0) return;
    const auto owned_by_another = [](const char *name) {
        return [=](const Place &place) { BOOST_TEST(::chown((place.plugins.path / name).c_str(), 65534, 65534) == 0); };
    };
    BOOST_TEST(refused(owned_by_another("c-store.so")).starts_with("denied; /c-store.so: belongs to user 65534; "));
    BOOST_TEST(refused(owned_by_another("c-store.json")).starts_with("denied; /c-store.json: belongs to user 65534; "));
    BOOST_TEST(refused(owned_by_another("")).starts_with("denied; : belongs to user 65534; "));
}

BOOST_AUTO_TEST_CASE(unreadable)
{
    Place place;
    place.install(library("c_store.c"), "no-library");
    place.install(library("c_store.c"), "no-manifest");
    fs::permissions(place.plugins.path / "no-library.so", fs::perms(0));
    fs::permissions(place.plugins.path / "no-manifest.json", fs::perms(0));
    const Unprivileged for_now;
    const std::string folder = "unavailable; " + place.plugins.path.string();
    BOOST_TEST(opening(place, "no-library").starts_with(folder + "/no-library.so: cannot be loaded: "));
    BOOST_TEST(opening(place, "no-manifest") == folder + "/no-manifest.json: cannot be read");
}

BOOST_AUTO_TEST_CASE(bad_manifests)
{
    const auto with = [](const std::string &text) {
        Place place;
        place.install(library("c_store.c"), "c-store");
        spill(place.plugins.path / "c-store.json", text);
        const std::string why = opening(place, "c-store");
        const std::string file = (place.plugins.path / "c-store.json").string();
        return contains(why, "; " + file + ": ") ? why.substr(0, why.find(';')) : why;
    };
    BOOST_TEST(with("") == "corrupt");
    BOOST_TEST(with("no JSON") == "corrupt");
    BOOST_TEST(with("[]") == "corrupt");
    BOOST_TEST(with("{}") == "corrupt");
    BOOST_TEST(with(R"({"name": "c-store", "abi": "1.0"})") == "corrupt");
    BOOST_TEST(with(R"({"library": "c-store.so", "abi": "1.0"})") == "corrupt");
    BOOST_TEST(with(R"({"name": "c-store", "library": "c-store.so"})") == "corrupt");
    BOOST_TEST(with(R"({"name": "c-store", "library": "c-store.so", "abi": 1.0})") == "corrupt");
    BOOST_TEST(with(R"({"name": "c-store", "library": "/tmp/c-store.so", "abi": "1.0"})") == "denied");
    BOOST_TEST(with(R"({"name": "c-store", "library": "../c-store.so", "abi": "1.0"})") == "denied");
    BOOST_TEST(with(R"({"name": "c-store", "library": "a/c-store.so", "abi": "1.0"})") == "denied");
    BOOST_TEST(with(R"({"name": "c-store", "library": "c-store.so", "abi": "1.0", "more": [1]})") == "nothing thrown");
    // A deep one must not end the process.
    BOOST_TEST(with(std::string(100000, '[')) == "corrupt");
}

BOOST_AUTO_TEST_CASE(what_a_class_may_throw)
{
    Place place;
    place.install(library("throwing_store.cpp"), "throwing-store");
    const Engine engine = place.engine("throwing-store");
    const Build build = engine.build("contoso", 1);
    const auto reading = [&](const std::string &file) { return failure([&] { text_of(build, file); }); };
    BOOST_TEST(reading("runtime_error") == "internal; a plain runtime_error");
    BOOST_TEST(reading("int") == "internal; plugin: an exception of unknown type");
    BOOST_TEST(reading("bad_alloc") == "unavailable; memory: none left");
    BOOST_TEST(reading("errno") == "no_space; contoso/1: cannot write it: No space left on device");
    for (int code = LB_NOT_FOUND; code <= LB_REFUSED; ++code) {
        const std::string word = name(static_cast<Code>(code));
        BOOST_TEST(reading(word) == word + "; contoso/1: " + word);
    }
    try {
        text_of(build, "errno");
    } catch (const Error &error) {
        BOOST_TEST(error.os_errno() == ENOSPC);
    }
    // Cut at the room there is, at a character's edge.
    BOOST_TEST(reading("long") == "corrupt; " + std::string(503, 'a'));
    BOOST_TEST(failure([&] { engine.get_builds("contoso"); }) == "corrupt; contoso: the end of the list is damaged");
    BOOST_TEST(failure([&] { build.archive(); }).starts_with("unsupported; "));
    BOOST_TEST(opening(place, "throwing-store", R"({"ctor": "error"})") ==
               "invalid; throwing-store: 'ctor' makes no sense");
    BOOST_TEST(opening(place, "throwing-store", R"({"ctor": "int"})").starts_with("internal; "));
}

BOOST_AUTO_TEST_CASE(what_the_host_throws_comes_home)
{
    struct Own {
        int number;
    };
    Place place;
    place.install(library("c_store.c"), "c-store");
    place.install(library("throwing_store.cpp"), "throwing-store");
    fs::create_directories(place.root.path / "contoso/live/1");
    spill(place.root.path / "contoso/live/1/log", std::string(100000, 'x'));
    for (const char *const store : {"c-store", "throwing-store"}) {
        const Engine engine = place.engine(store);
        const Build build = engine.build("contoso", 1);
        int pieces = 0;
        const auto throwing = [&](std::string_view) -> bool {
            if (++pieces == 2) throw Own{4711};
            return true;
        };
        BOOST_CHECK_EXCEPTION(build.read("log", throwing), Own, [](const Own &own) { return own.number == 4711; });
        BOOST_TEST(pieces == 2);
        pieces = 0;
        build.read("log", [&](std::string_view) { return ++pieces < 3; });
        BOOST_TEST(pieces == 3);
        BOOST_CHECK_THROW(build.read("log", [](std::string_view) -> bool { throw std::bad_alloc(); }), std::bad_alloc);
    }
}

BOOST_AUTO_TEST_CASE(rude_ones)
{
    Place place;
    place.install(library("rude_store.c"), "rude-store");
    BOOST_TEST(opening(place, "rude-store", R"({"!": 1})") == "internal; plugin rude-store: unknown error code");
    const Engine engine = place.engine("rude-store");
    const auto finding = [&](int64_t runid) { return failure([&] { engine.build("rude", runid).path(); }); };
    BOOST_TEST(finding(1).starts_with("internal; rude/1: "));
    BOOST_TEST(finding(2) == "internal; rude/2: unknown error code");
    BOOST_TEST(finding(3) == "internal; rude/3: a sentence with a wrong code");
    BOOST_TEST(finding(4) == "not_found; rude/4: not_found");
    BOOST_TEST(finding(5) == "internal; " + std::string(504, 'x'));
    BOOST_TEST(finding(6).starts_with("internal; rude/6: "));
    BOOST_TEST(finding(7).starts_with("internal; rude/7: "));
    BOOST_TEST(engine.build("rude", 8).path() == "");
    BOOST_TEST(engine.build("rude", 9).path() == "/nowhere");
    BOOST_TEST(finding(4).starts_with("not_found"));

    BOOST_TEST(engine.teams() == std::vector<std::string>{"good"}, boost::test_tools::per_element());
    // Entries that say nothing are no builds.
    BOOST_TEST(engine.get_builds("rude").size() == 0u);
    BOOST_TEST(failure([&] { engine.build("rude", 9).tags(); }) ==
               "unsupported; plugin rude-store: 'tags' is not supported");
}

BOOST_AUTO_TEST_CASE(one_who_does_not_hear_enough)
{
    Place place;
    place.install(library("rude_store.c"), "rude-store");
    const Build build = place.engine("rude-store").build("rude", 9);
    int pieces = 0;
    const std::string why = failure([&] {
        build.read("log", [&](std::string_view) {
            ++pieces;
            return false;
        });
    });
    BOOST_TEST(why == "nothing thrown");
    BOOST_TEST(pieces == 1);
    pieces = 0;
    const auto throwing = [&](std::string_view) -> bool {
        ++pieces;
        throw std::out_of_range("mine");
    };
    BOOST_CHECK_THROW(build.read("log", throwing), std::out_of_range);
    BOOST_TEST(pieces == 1);
    // Nor is `max` more than a wish: the engine reads files of unknown size into its memory.
    BOOST_TEST(failure([&] { BOOST_TEST(text_of(build, "log", 0, 7) == "loglogl"); }) == "nothing thrown");
}

BOOST_AUTO_TEST_SUITE_END()

// ------------------------------------------------------------------------------------------------------------ threads

BOOST_AUTO_TEST_SUITE(threads)

BOOST_AUTO_TEST_CASE(a_serial_plugin_is_called_once_at_a_time)
{
    Place place;
    place.install(library("serial_store.cpp"), "serial-store", both);
    Config config = place.config("serial-store");
    config.status = {"serial-store", "{}"};
    const Engine engine(config);
    std::atomic<int> good{0};
    std::vector<std::string> problems(8);
    std::vector<std::thread> crowd;
    for (size_t i = 0; i < problems.size(); ++i)
        crowd.emplace_back([&, i] {
            problems[i] = failure([&] {
                for (int round = 0; round < 25; ++round) {
                    const Build build = engine.build("contoso", round + 1);
                    if (build.path() == "/nowhere" && build.tags().size() == 2 && text_of(build, "log") == "a line\n" &&
                        engine.list("contoso").size() == 3 && is_active(build.get_status().state) &&
                        engine.teams().size() == 1)
                        ++good;
                }
            });
        });
    for (std::thread &each : crowd) each.join();
    for (const std::string &problem : problems) BOOST_TEST(problem == "nothing thrown");
    BOOST_TEST(good == 200);
}

BOOST_AUTO_TEST_CASE(a_serial_poll_lets_others_in)
{
    Place place;
    place.install(library("serial_store.cpp"), "serial-store", both);
    Config config = place.config("serial-store");
    config.status = {"serial-store", "{}"};
    const Engine engine(config);
    const Build build = engine.build("contoso", 1);
    std::atomic<bool> ended{false};
    Canceller canceller;
    std::thread waiting([&] {
        failure([&] { build.events(0, Call::within(std::chrono::seconds(60)).cancelled_by(canceller)); });
        ended = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    Clock::duration longest{};
    for (int i = 0; i < 16; ++i) {
        const Clock::time_point start = Clock::now();
        BOOST_TEST((build.get_status().state == State::running));
        longest = std::max(longest, Clock::now() - start);
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
    }
    BOOST_TEST(!ended);
    const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(longest).count();
    // A slice is 100 ms, the poll 60 s; the rest is for a busy machine.
    BOOST_TEST_MESSAGE("the longest wait was " << waited << " ms");
    BOOST_TEST(waited < 10'000);
    const Clock::time_point start = Clock::now();
    canceller.cancel();
    waiting.join();
    BOOST_TEST((Clock::now() - start < std::chrono::seconds(10)));
}

BOOST_AUTO_TEST_SUITE_END()

// ------------------------------------------------------------------------------------------------------------- header

BOOST_AUTO_TEST_CASE(the_header_stands_alone)
{
    TempFolder folder;
    const std::string warnings = " -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wundef -Werror ";
    const std::string include = "-I'" + (source_dir() / "sdk/include").string() + "' ";
    for (const char *const language : {"c", "cpp"}) {
        const bool is_c = std::string(language) == "c";
        const std::string file = (folder.path / ("header." + std::string(language))).string();
        // Twice, and with a symbol of an own name behind it.
        spill(file, "#define LITBUILD_PLUGIN_SYMBOL own\n#include <litbuild/plugin.h>\n#include <litbuild/plugin.h>\n"
                    "const lb_plugin own = {sizeof own, LITBUILD_ABI, {\"own\", 3}, {\"1\", 1}, 0};\n");
        for (const char *const standard : {"99", "11", "14", "17", "20"})
            for (const std::string compiler : {"gcc", "clang-14"}) {
                const std::string year = standard;
                const bool exists = is_c ? year != "14" && year != "20" : year != "99";
                if (!exists || std::system(("command -v " + compiler + " > /dev/null").c_str()) != 0) continue;
                const std::string command = compiler + " -std=" + (is_c ? "c" : "c++") + standard + warnings + include +
                                            "-fsyntax-only '" + file + "'";
                try {
                    run(command);
                } catch (const std::exception &e) {
                    BOOST_ERROR(e.what());
                }
            }
    }
}
