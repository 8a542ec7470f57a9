// Plugins that strangers built: with another compiler, with the other std::string, in C, in Rust, from the template, and with
// the header of an earlier contract. All of them in one process, and each passes the conformance kit.
#define BOOST_TEST_MODULE strangers
#include <boost/test/unit_test.hpp>

#include <thread>

#include "../plugins/fixture.hpp"

using namespace plugins_test;

namespace {

/// The first of them that is on this host; empty: none.
std::string first_program(std::initializer_list<const char *> names)
{
    for (const char *name : names)
        if (std::system(("command -v " + std::string(name) + " > /dev/null").c_str()) == 0) return name;
    return "";
}

bool skipped(const std::string &test, const std::string &program, const std::string &wanted)
{
    if (!program.empty()) return false;
    std::printf("SKIPPED: %s: there is no %s\n", test.c_str(), wanted.c_str());
    return true;
}

std::string sdk() { return (source_dir() / "sdk").string(); }

/// As the template's README says, with more options for cmake.
fs::path built_template(const fs::path &folder, const std::string &options)
{
    run("cp -r '" + sdk() + "/template' '" + folder.string() + "/mine' && cd '" + folder.string() +
        "/mine' && umask 022 && cmake -S . -B build -DLITBUILD_SDK='" + sdk() + "' " + options + " && cmake --build build");
    return folder / "mine/build/plugins/my-store.so";
}

void expect_to_pass(const fs::path &library)
{
    const fs::path bin =
        from_environment("LITBUILD_BIN_DIR", fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin");
    try {
        const std::string out = run("'" + (bin / "litbuild-plugin").string() + "' check '" + library.string() + "'");
        BOOST_TEST(contains(out, " passed, 0 failed, "), out);
        // That most of it is about nothing would be no pass.
        BOOST_TEST(contains(out, "passed  store.create-whole\n"), out);
        BOOST_TEST(contains(out, "passed  store.archive-and-restore\n"), out);
    } catch (const std::exception &e) {
        BOOST_ERROR(e.what());
    }
}

/// Launched, complete, archived and back.
void live(const Place &place, const std::string &store)
{
    const Engine engine = place.engine(store);
    const auto soon = [] { return Call::within(std::chrono::seconds(60)); };
    const Build build = engine.launch("contoso", R"({"steps": [{"command": ["/bin/sh", "-c", "echo hello"]}]})", soon());
    BOOST_TEST(name(build.wait(soon()).state) == "complete");
    BOOST_TEST(text_of(build, "log") == "hello\n");
    const fs::path before = build.path();
    BOOST_TEST(build.archive() != before);
    BOOST_TEST(listed(engine, "contoso", {.scope = Scope::all}).starts_with("a"));
    BOOST_TEST(build.restore() == before);
}

}  // namespace

BOOST_AUTO_TEST_CASE(all_in_one_process)
{
    Place place;
    TempFolder clang, old_strings;
    std::vector<std::string> names;
    const auto add = [&](const fs::path &library, const std::string &name) {
        BOOST_TEST_CONTEXT(name)
        {
            place.install(library, name);
            expect_to_pass(place.plugins.path / (name + ".so"));
            names.push_back(name);
        }
    };
    add(library("c_store.c"), "in-c");
    add(built_template(old_strings.path, "-DCMAKE_CXX_FLAGS=-D_GLIBCXX_USE_CXX11_ABI=0"), "old-strings");
    if (const std::string cxx = first_program({"clang++-14", "clang++"}); !skipped("strangers/clang", cxx, "clang++"))
        add(built_template(clang.path, "-DCMAKE_CXX_COMPILER=" + cxx), "by-clang");
    if (const std::string rustc = first_program({"rustc"}); !skipped("strangers/rust", rustc, "rustc")) {
        TempFolder folder;
        run("cd '" + folder.path.string() + "' && rustc --edition 2021 -O --crate-type cdylib -o rust-store.so '" + sdk() +
            "/examples/rust-store/rust_store.rs'");
        add(folder.path / "rust-store.so", "in-rust");
    }
    // One after the other in this process, and all of them known to each engine.
    for (const std::string &name : names) {
        BOOST_TEST_CONTEXT(name)
        {
            // A runner may still be putting its last word down.
            std::error_code error;
            for (int i = 0; i < 200 && (fs::remove_all(place.root.path / "contoso", error), error); ++i)
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
            BOOST_TEST(place.engine(name).plugins().size() == names.size() + 2);
            live(place, name);
        }
    }
}

// The header as it was when a contract was fixed, byte for byte; what was built with it goes on.
BOOST_AUTO_TEST_CASE(built_with_the_header_of_an_earlier_contract)
{
    size_t count = 0;
    for (const fs::directory_entry &version : fs::directory_iterator(source_dir() / "tests/abi")) {
        BOOST_TEST_CONTEXT(version.path().string())
        {
            const fs::path file = library("c_store.c", "-I'" + version.path().string() + "'");
            const fs::path bin = from_environment("LITBUILD_BIN_DIR", "");
            const std::string what = run("'" + (bin / "litbuild-plugin").string() + "' probe '" + file.string() + "'");
            BOOST_TEST(contains(what, "plugin contract " + version.path().filename().string() + "\n"), what);
            Place place;
            place.install(file, "earlier", store_id, version.path().filename());
            live(place, "earlier");
            expect_to_pass(file);
            ++count;
        }
    }
    BOOST_TEST(count >= 3u);
}
