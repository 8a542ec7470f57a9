#include <filesystem>
#include <fstream>

#include "checks.hpp"
#include "store.hpp"

namespace litbuild::conformance {

namespace {

std::string some_bytes(size_t size)
{
    std::string out(size, 0);
    uint32_t state = 1;
    for (char &byte : out) {
        state = state * 1664525u + 1013904223u;
        byte = static_cast<char>(state >> 24);
    }
    return out;
}

void read_parts(Context &context)
{
    const Store store(context);
    const std::string bytes = some_bytes(100'000);
    const BuildName build = store.made(fresh_team(), {{"data", bytes}});
    struct Part {
        uint64_t offset, max;
    };
    for (const Part part : {Part{0, 0},
                            {0, 1},
                            {1, 1},
                            {0, 17},
                            {99'999, 1},
                            {99'999, 100},
                            {65'535, 2},
                            {4'096, 4'096},
                            {50'000, 0},
                            {0, 200'000}}) {
        const Told<std::string> told = store.read(build, "data", part.offset, part.max);
        expect_ok(told);
        const std::string expected = bytes.substr(part.offset, part.max ? part.max : std::string::npos);
        const std::string what = told.what + " from " + std::to_string(part.offset) + ", at most " + std::to_string(part.max);
        expect_same(what + ": bytes", std::to_string(expected.size()), std::to_string(told.value.size()));
        expect(told.value == expected, what + ": gave other bytes than the file has");
    }
}

void read_behind_the_end(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"data", "12345"}});
    for (const uint64_t offset : {uint64_t{5}, uint64_t{6}, uint64_t{1} << 40}) {
        const Told<std::string> told = store.read(build, "data", offset);
        expect_ok(told);
        expect(told.value.empty(),
               told.what + " from " + std::to_string(offset) + ", behind its end: gave " + quote(told.value));
    }
}

void read_enough(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"data", some_bytes(500'000)}});
    expect_ok(store.read(build, "data", 0, 0, 1));
}

void read_missing(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team());
    expect_code(store.read(build, "no-such-file"), {LB_NOT_FOUND});
    expect_code(store.read(build, "no-such-folder/file"), {LB_NOT_FOUND});
}

void read_sub_folder(Context &context)
{
    const Store store(context);
    if (!store.promises(LB_STORE_LOCAL_PATH))
        skip("the store does not promise LB_STORE_LOCAL_PATH, so nothing can be put there");
    const BuildName build = store.made(fresh_team());
    const Told<Entry> entry = store.find(build);
    expect_ok(entry);
    const std::filesystem::path folder = entry.value.path;
    std::filesystem::create_directories(folder / "asset/parts");
    std::ofstream(folder / "asset/parts/one") << "part one\n";
    expect_same("the file asset/parts/one that was put into " + folder.string(), quote("part one\n"),
                quote(store.text(build, "asset/parts/one")));
}

void write_control(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team());
    expect_ok(store.write_control(build, "stop", some_bytes(10'000)));
    expect_ok(store.write_control(build, "stop", "short"));
    expect_same(".control/stop, written a second time with less", quote("short"), quote(store.text(build, ".control/stop")));
    expect_ok(store.write_control(build, "empty", ""));
    expect_same(".control/empty, written with nothing", quote(""), quote(store.text(build, ".control/empty")));
    const std::string bytes = some_bytes(70'000);
    expect_ok(store.write_control(build, "token", bytes));
    expect(store.text(build, ".control/token") == bytes, ".control/token: is not what was written");
    expect_ok(store.archive(build));
    expect_ok(store.write_control(build, "stop", "archived"));
    expect_same(".control/stop of an archived build", quote("archived"), quote(store.text(build, ".control/stop")));
}

void edit_tags(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team());
    expect_ok(store.edit_tags(build, {"nightly", "grün", "customer-42"}));
    expect_same("tags once three were added", "nightly, grün, customer-42", store.tag_list(build));
    expect_ok(store.edit_tags(build, {"nightly", "new"}));
    expect_same("tags once one that was there and a new one were added", "nightly, grün, customer-42, new",
                store.tag_list(build));
    expect_ok(store.edit_tags(build, {}, {"grün", "never-there"}));
    expect_same("tags once one was removed", "nightly, customer-42, new", store.tag_list(build));
    // First removed, then added: it is there, at the end.
    expect_ok(store.edit_tags(build, {"nightly"}, {"nightly"}));
    expect_same("tags once one was removed and added in one call", "customer-42, new, nightly", store.tag_list(build));
    expect_ok(store.edit_tags(build, {}, {"customer-42", "new", "nightly"}));
    expect_same("tags once all were removed", "nothing", store.tag_list(build));
    expect_ok(store.edit_tags(build, {}, {}));
}

constexpr Check checks[] = {
    {"store.read-parts", "lb_store.read gives the bytes from the offset on, 'max' at most (0: to the end).", "lb_store.read",
     read_parts},
    {"store.read-behind-the-end", "An offset at or behind the end gives nothing and LB_OK.", "lb_store.read",
     read_behind_the_end},
    {"store.read-enough", "A receiver that returns non-zero ends a read early, with LB_OK.", "lb_text_fn", read_enough},
    {"store.read-missing", "A file that is not there is LB_NOT_FOUND.", "lb_store.read", read_missing},
    {"store.read-sub-folder", "A file in a sub-folder is read by its relative name.", "lb_store.read", read_sub_folder},
    {"store.write-control", "lb_store.write_control replaces .control/NAME whole, of an archived build, too.",
     "lb_store.write_control", write_control},
    {"store.edit-tags", "lb_store.edit_tags removes, then adds those that are missing, and keeps the order.",
     "lb_store.edit_tags", edit_tags},
};

}  // namespace

std::span<const Check> store_content_checks() { return checks; }

}  // namespace litbuild::conformance
