// What the engine makes its index of: whether a team's list has changed, and notes beside the builds.
#include <algorithm>
#include <thread>

#include "checks.hpp"
#include "crowd.hpp"
#include "store.hpp"

namespace litbuild::conformance {

namespace {

using namespace std::chrono_literals;

/// None: it cannot be told, however long one waits here.
std::string settled_version(const Store &store, const std::string &team)
{
    for (int i = 0; i < 60; ++i) {
        const Told<std::string> told = store.version(team);
        skip_unsupported(told);
        expect_ok(told);
        if (!told.value.empty()) return told.value;
        std::this_thread::sleep_for(100ms);
    }
    return "";
}

void version_changes(Context &context)
{
    const Store store(context);
    const BuildName first = store.made(fresh_team());
    const std::string team = first.team;
    std::string before = settled_version(store, team);
    if (before.empty()) skip(team + ": no version was told within six seconds of a change");
    expect_same("the version of " + team + ", in which nothing has changed", before, settled_version(store, team));
    expect_ok(store.edit_tags(first, {"gold"}));
    const auto expect_another = [&](const std::string &what) {
        // Nothing may be told just now; what was told before may not.
        const Told<std::string> now = store.version(team);
        expect_ok(now);
        expect(now.value != before, now.what + ": is still " + quote(before) + " after " + what);
        before = settled_version(store, team);
    };
    store.made(team);
    expect_another("a build came");
    const Told<Entry> archived = store.archive(first);
    if (archived.code == LB_UNSUPPORTED) return;
    expect_ok(archived);
    expect_another("a build was archived");
    expect_ok(store.restore(first));
    expect_another("a build was restored");
    const Told<std::string> none = store.version(fresh_team());
    expect_code(none, {LB_NOT_FOUND});
}

void notes_are_kept(Context &context)
{
    const Store store(context);
    const std::string team = store.made(fresh_team()).team;
    skip_unsupported(store.notes(team));
    const auto sorted = [&] {
        Told<std::vector<std::string>> told = store.notes(team);
        expect_ok(told);
        std::sort(told.value.begin(), told.value.end());
        return joined(told.value);
    };
    expect_same("the notes of a new team", joined({}), sorted());
    const std::string zeroes("a\0\n\xff", 4), large(200'000, 'n');
    expect_ok(store.write_note(team, "seg-0", zeroes));
    expect_ok(store.write_note(team, "A_b.9", large, 1));
    expect_same("the notes of " + team, "A_b.9, seg-0", sorted());
    const auto text = [&](const char *name) {
        const Told<std::string> told = store.read_note(team, name);
        expect_ok(told);
        return told.value;
    };
    expect_same("the note seg-0", zeroes, text("seg-0"));
    expect_same("the size of the note A_b.9", std::to_string(large.size()), std::to_string(text("A_b.9").size()));
    expect_ok(store.write_note(team, "A_b.9", "less"));
    expect_same("the note A_b.9, replaced", "less", text("A_b.9"));
    expect_same("the builds of a team that has notes", "1", store.listed(team, Scope::all));
    expect_ok(store.remove_note(team, "seg-0"));
    expect_ok(store.remove_note(team, "seg-0"));
    expect_code(store.read_note(team, "seg-0"), {LB_NOT_FOUND});
    expect_same("the notes of " + team, "A_b.9", sorted());
    expect_code(store.write_note(fresh_team(), "seg-0", "x"), {LB_NOT_FOUND});
}

void hostile_notes(Context &context)
{
    const Store store(context);
    const std::string team = store.made(fresh_team()).team;
    skip_unsupported(store.notes(team));
    for (const std::string &name : {std::string("../escaped"), std::string(".."), std::string(), std::string(".hidden"),
                                    std::string("a/b"), std::string("a\nb"), std::string(300, 'x')}) {
        expect_code(store.write_note(team, name, "x"), {LB_INVALID});
        expect_code(store.read_note(team, name), {LB_INVALID});
    }
}

void swaps(Context &context)
{
    const Store store(context);
    const std::string team = store.made(fresh_team()).team;
    skip_unsupported(store.notes(team));
    const auto swap = [&](const char *before, const char *content) {
        const Told<uint32_t> told = store.swap_note(team, "one", before, content);
        expect_ok(told);
        return std::string(told.value ? "replaced" : "left");
    };
    expect_same("a note that is not there, swapped for one that is", "left", swap("first", "x"));
    expect_same("a note that is not there, swapped for one that is not", "replaced", swap("", "first, and more"));
    expect_same("a note that is there, swapped for one that is not", "left", swap("", "second"));
    expect_same("a note, swapped for one that begins otherwise", "left", swap("second", "third"));
    expect_same("a note, swapped for one that begins alike", "replaced", swap("first", "second"));
    expect_same("the note", "second", store.read_note(team, "one").value);
}

/// Each of them adds one to a number, so often; none is lost.
void swaps_at_once(Context &context)
{
    const Store store(context);
    store.need_parallel();
    const std::string team = store.made(fresh_team()).team;
    skip_unsupported(store.notes(team));
    constexpr int each = 10;
    constexpr size_t crowd = 4;
    expect_ok(store.write_note(team, "count", "0."));
    in_threads(crowd, [&](size_t) {
        for (int done = 0; done < each;) {
            const Told<std::string> now = store.read_note(team, "count");
            expect_ok(now);
            const Told<uint32_t> told = store.swap_note(team, "count", now.value, std::to_string(std::stoi(now.value) + 1) + ".");
            expect_ok(told);
            done += told.value != 0;
        }
    });
    expect_same("a number that " + std::to_string(crowd) + " threads counted up by swaps of a note",
                std::to_string(crowd * each) + ".", store.read_note(team, "count").value);
}

constexpr Check checks[] = {
    {"store.version", "The version of a team changes when a build comes, goes or moves, and not otherwise.", "lb_store.version",
     version_changes},
    {"store.notes", "Notes are kept whole, and are no builds.", "lb_store.notes", notes_are_kept},
    {"store.hostile-notes", "The name of a note leads nowhere else.", "lb_store.notes", hostile_notes},
    {"store.swap-note", "A note is swapped only for one that begins as was said.", "lb_store.swap_note", swaps},
    {"store.swap-note-at-once", "Of swaps at once none is lost.", "lb_store.swap_note", swaps_at_once},
};

}  // namespace

std::span<const Check> store_note_checks() { return checks; }

}  // namespace litbuild::conformance
