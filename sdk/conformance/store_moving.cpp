#include "checks.hpp"
#include "store.hpp"

namespace litbuild::conformance {

namespace {

void archive_and_back(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"log", "a line\n"}});
    const Told<Entry> before = store.find(build);
    expect_ok(before);
    const Told<Entry> archived = store.archive(build);
    expect_ok(archived);
    expect(archived.value.archived, archived.what + ": its entry does not say that it is archived");
    const Told<Entry> there = store.find(build);
    expect_ok(there);
    expect(there.value.archived, there.what + ": its entry does not say that it is archived");
    expect_same("path of " + to_string(build) + " once it is archived", quote(archived.value.path), quote(there.value.path));
    expect_same("log of " + to_string(build) + " once it is archived", quote("a line\n"), quote(store.text(build, "log")));
    const Told<Entry> restored = store.restore(build);
    expect_ok(restored);
    expect(!restored.value.archived, restored.what + ": its entry still says that it is archived");
    expect_same("path of " + to_string(build) + " once it is restored", quote(before.value.path), quote(restored.value.path));
    expect_same("log of " + to_string(build) + " once it is restored", quote("a line\n"), quote(store.text(build, "log")));
}

void archive_twice(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team());
    const Told<Entry> again = store.restore(build);
    expect_ok(again);
    expect(!again.value.archived, again.what + ", which is in the main list: its entry says that it is archived");
    const Told<Entry> first = store.archive(build);
    expect_ok(first);
    const Told<Entry> second = store.archive(build);
    expect_ok(second);
    expect_same("path that a second lb_store.archive tells", quote(first.value.path), quote(second.value.path));
    expect(second.value.archived, second.what + ", the second time: its entry does not say that it is archived");
}

void archive_keeps(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"tags", "a,b\n"}});
    const std::string tags = store.tag_list(build);
    expect_ok(store.archive(build));
    expect_same("tags of an archived build", tags, store.tag_list(build));
    expect_ok(store.restore(build));
    expect_same("tags of a restored build", tags, store.tag_list(build));
}

void remove(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"log", "a line\n"}});
    const BuildName other = store.made(build.team);
    const Answer refused = store.remove(build);
    expect_code(refused, {LB_REFUSED});
    expect_same("log of a build that lb_store.remove refused to remove", quote("a line\n"), quote(store.text(build, "log")));
    expect_ok(store.archive(build));
    expect_ok(store.remove(build));
    expect_code(store.find(build), {LB_NOT_FOUND});
    expect_code(store.read(build, "log"), {LB_NOT_FOUND});
    expect_same("list of " + build.team + " (LB_ALL) once one of its two builds is removed", std::to_string(other.runid),
                store.listed(build.team, Scope::all));
}

constexpr Check checks[] = {
    {"store.archive-and-restore", "Archived and restored, a build keeps its files, and comes back to where it was.",
     "lb_store.archive, lb_store.restore", archive_and_back},
    {"store.archive-twice", "Where a build is there already, archive and restore are LB_OK and tell its entry.",
     "lb_store.archive, lb_store.restore", archive_twice},
    {"store.archive-keeps-tags", "A move changes no tags.", "lb_store.archive", archive_keeps},
    {"store.remove", "Only an archived build can be removed, LB_REFUSED otherwise; then nothing of it is left.",
     "lb_store.remove", remove},
};

}  // namespace

std::span<const Check> store_moving_checks() { return checks; }

}  // namespace litbuild::conformance
