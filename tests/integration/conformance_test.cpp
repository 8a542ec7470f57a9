// The conformance kit as authors of plugins see it: our own plugins pass it, plugins that are bad on purpose fail it by the
// right name, and what it prints is enough to put them right.
#define BOOST_TEST_MODULE conformance
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <set>

#include "../plugins/fixture.hpp"

using namespace plugins_test;
namespace json = boost::json;

namespace {

const bool is_long = std::getenv("LITBUILD_TEST_LONG") && *std::getenv("LITBUILD_TEST_LONG");

struct Outcome {
    int status = -1;
    std::string text;
};

/// The program's exit status, and what it prints on both streams.
Outcome kit(const std::string &words)
{
    const fs::path program =
        from_environment("LITBUILD_BIN_DIR", fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin");
    FILE *const pipe = ::popen(("'" + (program / "litbuild-plugin").string() + "' " + words + " 2>&1").c_str(), "r");
    BOOST_REQUIRE(pipe);
    Outcome out;
    char piece[4096];
    for (size_t size; (size = std::fread(piece, 1, sizeof piece, pipe)) > 0;) out.text.append(piece, size);
    const int status = ::pclose(pipe);
    out.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    return out;
}

/// "failed store.silent", ... of the checks that neither passed nor were skipped.
struct Report {
    int status = -1;
    std::set<std::string> bad;
    size_t passed = 0, skipped = 0;
    std::string text;
};

Report check(const fs::path &library, const std::string &more = "")
{
    const Outcome outcome = kit("check --json '" + library.string() + "' " + more);
    Report out{outcome.status, {}, 0, 0, outcome.text};
    boost::system::error_code error;
    const json::value value = json::parse(outcome.text, error);
    if (error) {
        BOOST_ERROR("no JSON: " << outcome.text);
        return out;
    }
    for (const json::value &each : value.at("checks").as_array()) {
        const std::string verdict(each.at("verdict").as_string());
        if (verdict == "passed") ++out.passed;
        else if (verdict == "skipped") ++out.skipped;
        else out.bad.insert(verdict + " " + std::string(each.at("name").as_string()));
    }
    return out;
}

std::string joined(const std::set<std::string> &words)
{
    std::string out;
    for (const std::string &word : words) out += (out.empty() ? "" : ", ") + word;
    return out;
}

void expect_good(const Report &report, size_t at_least)
{
    BOOST_TEST(report.status == 0, report.text);
    BOOST_TEST(joined(report.bad) == "");
    BOOST_TEST(report.passed >= at_least);
}

/// In its short form only the check that is named is run.
void expect_bad(const fs::path &library, const std::string &expected, const std::string &more = "")
{
    const std::string name = expected.substr(expected.find(' ') + 1);
    const Report report = check(library, more + (is_long ? "" : " --only '" + name + "'"));
    BOOST_TEST(report.status == 1);
    BOOST_TEST(report.bad.contains(expected), expected << " is not among: " << joined(report.bad));
}

/// The argument CONFIG for an interface with a fault.
std::string with_fault(const std::string &interface, const std::string &fault)
{
    static TempFolder folder;
    const fs::path config = folder.path / (interface + "-" + fault + ".json");
    spill(config, "{\"" + interface + "\": {\"plugin\": \"bad\", \"fault\": \"" + fault + "\"}}");
    return "'" + config.string() + "'";
}

}  // namespace

// ------------------------------------------------------------------------------------------------------------ our own

BOOST_AUTO_TEST_SUITE(good)

BOOST_AUTO_TEST_CASE(local_fs) { expect_good(check(built_plugins() / "local-fs.so"), 95); }
BOOST_AUTO_TEST_CASE(local_process) { expect_good(check(built_plugins() / "local-process.so"), 30); }
BOOST_AUTO_TEST_CASE(nfs_on_a_folder) { expect_good(check(built_plugins() / "nfs.so"), 95); }
BOOST_AUTO_TEST_CASE(a_store_in_c) { expect_good(check(library("c_store.c")), 60); }
// A table of a later contract.
BOOST_AUTO_TEST_CASE(a_longer_table) { expect_good(check(library("long_store.c"), "--only 'store.*' --only 'library.*'"), 60); }

BOOST_AUTO_TEST_SUITE_END()

// -------------------------------------------------------------------------------------------------------- bad plugins

BOOST_AUTO_TEST_SUITE(bad)

BOOST_AUTO_TEST_CASE(stores)
{
    struct Case {
        const char *fault;
        const char *expected;
    };
    for (const Case &each : {Case{"crashes", "crashed store.find-missing"},
                             {"ends", "ended store.find-missing"},
                             {"prints", "failed store.silent"},
                             {"leaks", "failed store.descriptors"},
                             {"inherited", "failed store.close-on-exec"},
                             {"changes-directory", "failed store.working-directory"},
                             {"sets-umask", "failed store.umask"},
                             {"sets-locale", "failed store.locale"},
                             {"sets-environment", "failed store.environment"},
                             {"ignores-pipes", "failed store.signals"},
                             {"reaps", "failed store.children"},
                             {"says-durable", "failed store.durable"},
                             {"says-shared", "failed store.shared-create"},
                             {"loses-commits", "failed store.outlives-a-kill"},
                             {"lists-twice", "failed store.list-each-once"},
                             {"lowest-first", "failed store.list-newest-first"},
                             {"goes-on", "failed store.list-enough"},
                             {"tells-twice", "failed store.create-whole"},
                             {"reuses-ids", "failed store.create-ids-after-remove"},
                             {"follows", "failed store.hostile-file-names"},
                             {"fills-errors", "failed store.short-error"},
                             {"no-words", "failed store.sentences"},
                             {"own-codes", "failed store.find-missing"},
                             {"tells-progress", "crashed store.short-call"},
                             {"trusts-zero-bytes", "crashed store.text-is-not-terminated"}}) {
        BOOST_TEST_CONTEXT(each.fault) { expect_bad(library("bad_store.c"), each.expected, with_fault("store", each.fault)); }
    }
    // What only shows where several are at work at once.
    for (const Case &each :
         {Case{"loses-edits", "failed store.edit-tags-at-once"}, {"writes-in-place", "failed store.write-control-is-whole"}}) {
        BOOST_TEST_CONTEXT(each.fault)
        {
            expect_bad(library("bad_store.c", "-DTHREADS=LB_PARALLEL"), each.expected, with_fault("store", each.fault));
        }
    }
    expect_bad(library("bad_store.c"), "hung store.create-no-tags",
               with_fault("store", "hangs") + " --time-limit 500ms --only store.create-no-tags");
    expect_bad(library("throws_store.cpp"), "failed store.find-missing");
}

BOOST_AUTO_TEST_CASE(libraries)
{
    expect_bad(library("bad_store.c", "-DNO_SYMBOL"), "failed library.loads");
    expect_bad(library("wrong_abi.c", "-DSYMBOL=litbuild_plugin_v2 -DABI=0x20000"), "failed library.loads");
    expect_bad(library("wrong_abi.c", "-DSYMBOL=litbuild_plugin_v1 -DABI=0x20000"), "failed library.symbol");
    expect_bad(library("wrong_abi.c", "-DSYMBOL=litbuild_plugin_v1 -DABI=LITBUILD_ABI -DSIZE=8"), "failed library.symbol");
    expect_bad(library("bad_store.c", "-DMORE_SYMBOLS"), "failed library.one-symbol");
    expect_bad(library("bad_store.c", "-DLOUD_START"), "failed library.quiet-load");
    expect_bad(library("bad_store.c", "-DCOMPARES_TERMINATED"), "crashed library.id-is-not-terminated");
    expect_bad(library("bad_store.c", "-DTABLE_BYTES='sizeof(lb_store *)'"), "failed store.table");
    expect_bad(library("bad_store.c", "-DTABLE_BYTES=4096"), "failed store.table");
    expect_bad(library("bad_store.c", "-DTHREADS=7"), "failed store.table");
    expect_bad(library("short_store.c"), "failed store.table");
    TempFolder folder;
    const fs::path open = folder.path / "open.so";
    fs::copy_file(library("c_store.c"), open);
    fs::permissions(open, fs::perms(0777));
    expect_bad(open, "failed library.owner");
    spill(folder.path / "no.so", "no library");
    expect_bad(folder.path / "no.so", "failed library.loads");
    // What cannot be loaded has no interface to check.
    BOOST_TEST(joined(check(folder.path / "no.so").bad).find("store.") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(status_sources)
{
    const fs::path bad = library("bad_status.cpp");
    expect_bad(bad, "failed status.unreadable", with_fault("status", "guesses"));
    expect_bad(bad, "failed status.sound", with_fault("status", "wrong-parent"));
    expect_bad(bad, "failed status.poll-deadline", with_fault("status", "late-is-an-error"));
    expect_bad(bad, "hung status.poll-deadline", with_fault("status", "deaf") + " --time-limit 1s --only status.poll-deadline");
}

BOOST_AUTO_TEST_CASE(process_controllers)
{
    const fs::path bad = library("bad_process.cpp");
    expect_bad(bad, "failed process.stop-ends-all", with_fault("process", "impatient"));
    expect_bad(bad, "failed process.stop-ends-all", with_fault("process", "says-done"));
    expect_bad(bad, "failed process.foreign-tokens", with_fault("process", "any-token"));
    expect_bad(bad, "failed process.own-signals", with_fault("process", "own-signals"));
    expect_bad(bad, "hung process.wait-cancel",
               with_fault("process", "waits-for-ever") + " --time-limit 2s --only process.wait-cancel");
    expect_bad(bad, "failed process.environment", with_fault("process", "drops-environment"));
}

BOOST_AUTO_TEST_SUITE_END()

// -------------------------------------------------------------------------------------------------------- the program

BOOST_AUTO_TEST_SUITE(program)

BOOST_AUTO_TEST_CASE(a_failure_says_what_is_wrong)
{
    const std::string bad = "check '" + library("bad_store.c").string() + "' ";
    const Outcome outcome = kit(bad + with_fault("store", "leaks") + " --only store.descriptors --only store.silent");
    BOOST_TEST(outcome.status == 1);
    BOOST_TEST(contains(outcome.text, "passed  store.silent\n"), outcome.text);
    BOOST_TEST(contains(outcome.text, "failed  store.descriptors\n"
                                      "        No descriptor stays open.\n"
                                      "        more descriptors are open after another life of an instance (/dev/null"),
               outcome.text);
    BOOST_TEST(contains(outcome.text, "close what a call opens"), outcome.text);
    BOOST_TEST(contains(outcome.text, "        see plugin.h, MANNERS\n1 passed, 1 failed, 0 skipped\n"), outcome.text);

    const Outcome crash = kit(bad + with_fault("store", "crashes") + " --only store.find-missing");
    BOOST_TEST(contains(crash.text, "crashed store.find-missing\n"), crash.text);
    BOOST_TEST(
        contains(crash.text, "the process was ended by SIGSEGV (Segmentation fault)\n        while it was in lb_store.find\n"),
        crash.text);
}

BOOST_AUTO_TEST_CASE(probe)
{
    const fs::path file = built_plugins() / "local-fs.so";
    const Outcome text = kit("probe '" + file.string() + "'");
    BOOST_TEST(text.status == 0, text.text);
    BOOST_TEST(contains(text.text, "litbuild.store/1, "), text.text);
    BOOST_TEST(contains(text.text, "has teams list find create"), text.text);
    const json::value value = json::parse(kit("probe --json '" + file.string() + "'").text);
    BOOST_TEST(value.at("name").as_string() == "local-fs");
    BOOST_TEST(value.at("tables").as_array().size() == 2u);

    // A manifest that says something else than the library.
    Place place;
    place.install(library("c_store.c"), "c-store", store_id, "1.0");
    const Outcome wrong = kit("probe '" + (place.plugins.path / "c-store.so").string() + "'");
    BOOST_TEST(wrong.status == 1);
    BOOST_TEST(contains(wrong.text, "c-store.json: 'abi' is '1.0', but of the library it is '1."), wrong.text);
    const Outcome loud = kit("probe '" + library("wrong_abi.c", "-DSYMBOL=litbuild_plugin_v2 -DABI=0x20000").string() + "'");
    BOOST_TEST(loud.status == 1);
    BOOST_TEST(contains(loud.text, "is made for plugin contract 2.x"), loud.text);
}

BOOST_AUTO_TEST_CASE(what_it_is_asked)
{
    BOOST_TEST(kit("").status == 2);
    BOOST_TEST(kit("check").status == 2);
    BOOST_TEST(kit("check /no/such/file.so").status == 3);
    const std::string file = "'" + library("c_store.c").string() + "'";
    BOOST_TEST(kit("check " + file + " --only nonsense").status == 2);
    BOOST_TEST(kit("check " + file + " --only 'process.*'").status == 2);
    BOOST_TEST(kit("check " + file + " --time-limit soon").status == 2);
    TempFolder folder;
    spill(folder.path / "config.json", R"({"root": "/data"})");
    const Outcome flat = kit("check " + file + " '" + (folder.path / "config.json").string() + "'");
    BOOST_TEST(flat.status == 2);
    BOOST_TEST(contains(flat.text, R"(has none of "store", "status" and "process")"), flat.text);
    const Outcome list = kit("check --list --only 'store.list-*'");
    BOOST_TEST(list.status == 0);
    BOOST_TEST(contains(list.text, "store.list-each-once "), list.text);
    BOOST_TEST(json::parse(kit("check --list --json").text).as_array().size() > 100u);
}

BOOST_AUTO_TEST_SUITE_END()
