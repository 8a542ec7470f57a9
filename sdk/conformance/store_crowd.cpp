// Several calls at once: on one instance, where the table takes them, and in several processes, where the store says that
// hosts may share its root.
#include <algorithm>
#include <set>

#include "checks.hpp"
#include "crowd.hpp"
#include "store.hpp"

namespace litbuild::conformance {

namespace {

constexpr size_t crowd = 6;

void expect_distinct(const std::string &what, std::vector<int64_t> ids)
{
    std::sort(ids.begin(), ids.end());
    const auto twice = std::adjacent_find(ids.begin(), ids.end());
    if (twice != ids.end()) fail(what + ": run id " + std::to_string(*twice) + " was given twice");
}

void create_at_once(Context &context)
{
    const Store store(context);
    store.need_parallel();
    const std::string team = fresh_team();
    std::vector<std::vector<int64_t>> ids(crowd);
    in_threads(crowd, [&](size_t i) {
        for (int round = 0; round < 4; ++round) ids[i].push_back(store.made(team).runid);
    });
    std::vector<int64_t> all;
    for (const std::vector<int64_t> &each : ids) all.insert(all.end(), each.begin(), each.end());
    expect_distinct("builds of " + team + " that were made by " + std::to_string(crowd) + " threads at once", all);
    const Told<std::vector<Entry>> told = store.list(team);
    expect_ok(told);
    expect_same("number of builds in the list afterwards", std::to_string(all.size()), std::to_string(told.value.size()));
}

/// What a list tells is there whole, however many are in the making.
void create_is_whole(Context &context)
{
    const Store store(context);
    store.need_parallel();
    const std::string team = store.made(fresh_team(), {{"last", std::string(50'000, 'x')}}).team;
    std::atomic<bool> done{false};
    in_threads(2, [&](size_t i) {
        if (i == 0) {
            try {
                for (int round = 0; round < 10; ++round) store.made(team, {{"last", std::string(50'000, 'x')}});
            } catch (...) {
                done.store(true);
                throw;
            }
            done.store(true);
            return;
        }
        while (!done.load()) {
            const Told<std::vector<Entry>> told = store.list(team);
            expect_ok(told);
            for (const Entry &entry : told.value) {
                const BuildName build{team, entry.runid};
                expect(store.text(build, "build.json").ends_with("}") || store.text(build, "build.json").ends_with("}\n"),
                       to_string(build) + ": was listed while its build.json was not whole");
                expect(store.text(build, "last").size() == 50'000,
                       to_string(build) + ": was listed while one of its files was not whole");
            }
        }
    });
}

/// Every edit that was LB_OK is there in the end.
void edits_at_once(Context &context)
{
    const Store store(context);
    store.need_parallel();
    const BuildName build = store.made(fresh_team());
    skip_unsupported(store.edit_tags(build, {}, {}));
    std::set<std::string> expected;
    for (size_t i = 0; i < crowd; ++i)
        for (int round = 0; round < 5; ++round) expected.insert("t" + std::to_string(i) + "-" + std::to_string(round));
    in_threads(crowd, [&](size_t i) {
        for (int round = 0; round < 5; ++round)
            expect_ok(store.edit_tags(build, {"t" + std::to_string(i) + "-" + std::to_string(round)}));
    });
    const Told<std::vector<std::string>> told = store.tags(build);
    expect_ok(told);
    for (const std::string &tag : told.value) expected.erase(tag);
    if (expected.empty()) return;
    fail(to_string(build) + ": " + std::to_string(expected.size()) +
         " tags are missing that calls of lb_store.edit_tags from several threads had added with LB_OK (" + *expected.begin() +
         " is one); one call must not write over what another one did meanwhile");
}

void control_is_whole(Context &context)
{
    const Store store(context);
    store.need_parallel();
    const BuildName build = store.made(fresh_team());
    expect_ok(store.write_control(build, "stop", std::string(30'000, 'a')));
    std::atomic<bool> done{false};
    in_threads(2, [&](size_t i) {
        if (i == 0) {
            try {
                for (int round = 0; round < 20; ++round)
                    expect_ok(
                        store.write_control(build, "stop", std::string(round % 2 ? 30'000 : 20'000, round % 2 ? 'a' : 'b')));
            } catch (...) {
                done.store(true);
                throw;
            }
            done.store(true);
            return;
        }
        while (!done.load()) {
            const std::string text = store.text(build, ".control/stop");
            const bool whole = text == std::string(30'000, 'a') || text == std::string(20'000, 'b');
            expect(whole, ".control/stop: was read with " + std::to_string(text.size()) +
                              " bytes while it was being replaced; a reader sees the old content or the new, whole");
        }
    });
}

void moves_at_once(Context &context)
{
    const Store store(context);
    store.need_parallel();
    const BuildName build = store.made(fresh_team(), {{"log", "a line\n"}});
    skip_unsupported(store.restore(build));
    in_threads(4, [&](size_t i) {
        for (int round = 0; round < 5; ++round) {
            const Told<Entry> moved = i % 2 ? store.archive(build) : store.restore(build);
            // Who comes in the middle of another's move may say so.
            expect_code(moved, {LB_OK, LB_UNAVAILABLE, LB_EXISTS, LB_REFUSED});
        }
    });
    const Told<std::vector<Entry>> told = store.list(build.team, Scope::all);
    expect_ok(told);
    expect_same("how often the build is listed (LB_ALL) after four threads archived and restored it at once", "1",
                std::to_string(told.value.size()));
    expect_same("its log afterwards", quote("a line\n"), quote(store.text(build, "log")));
}

// ------------------------------------------------------------------------------------------------ several processes

void need_shared(Context &context)
{
    // In a process of its own, so that nothing is open when others are forked.
    const std::string shared = in_process(
        End::exits, [&] { return Store(context).promises(LB_STORE_SHARED) ? std::string("yes") : std::string("no"); });
    if (shared != "yes") skip("the store does not promise LB_STORE_SHARED");
}

void create_in_processes(Context &context)
{
    need_shared(context);
    const std::string team = fresh_team();
    std::vector<int64_t> all;
    for (const std::string &ids : in_processes(4, [&](size_t) {
             const Store store(context);
             std::string out;
             for (int round = 0; round < 4; ++round) out += std::to_string(store.made(team).runid) + " ";
             return out;
         }))
        for (size_t at = 0; at < ids.size(); at = ids.find(' ', at) + 1) all.push_back(std::stoll(ids.substr(at)));
    expect_distinct("builds of " + team + " that were made by 4 processes at once", all);
}

void edits_in_processes(Context &context)
{
    need_shared(context);
    const std::string team = fresh_team();
    const BuildName build{team, std::stoll(in_process(End::exits, [&] {
                              const Store store(context);
                              const BuildName made = store.made(team);
                              skip_unsupported(store.edit_tags(made, {}, {}));
                              return std::to_string(made.runid);
                          }))};
    in_processes(4, [&](size_t i) {
        const Store store(context);
        for (int round = 0; round < 4; ++round)
            expect_ok(store.edit_tags(build, {"p" + std::to_string(i) + "-" + std::to_string(round)}));
        return std::string();
    });
    const Store store(context);
    const Told<std::vector<std::string>> told = store.tags(build);
    expect_ok(told);
    expect_same("number of tags after 4 processes had added 4 each, with LB_OK", "16", std::to_string(told.value.size()));
}

constexpr Check checks[] = {
    {"store.create-at-once", "Builds that are made at once get run ids of their own.", "lb_store.create, LB_PARALLEL",
     create_at_once},
    {"store.create-is-whole", "Readers see a new build whole or not at all.", "lb_store.create", create_is_whole},
    {"store.edit-tags-at-once", "An edit of tags loses no other writer's.", "lb_store.edit_tags, LB_PARALLEL", edits_at_once},
    {"store.write-control-is-whole", "Readers see a control file's old content or its new, whole.", "lb_store.write_control",
     control_is_whole},
    {"store.move-at-once", "However many move a build at once, it is in one place.", "lb_store.archive, LB_PARALLEL",
     moves_at_once},
    {"store.shared-create", "Builds that are made by several processes at once get run ids of their own.", "LB_STORE_SHARED",
     create_in_processes},
    {"store.shared-edit-tags", "An edit of tags loses none of another process.", "LB_STORE_SHARED", edits_in_processes},
};

}  // namespace

std::span<const Check> store_crowd_checks() { return checks; }

}  // namespace litbuild::conformance
