#include "checks.hpp"
#include "store.hpp"

namespace litbuild::conformance {

namespace {

/// Builds of one team, some archived where the store can: live 6 5 3 1, archived 4 2, by their order.
struct Scene {
    explicit Scene(const Store &store) : team(fresh_team())
    {
        for (int i = 0; i < 6; ++i) ids.push_back(store.made(team).runid);
        for (const size_t i : {1u, 3u}) {
            const Answer archived = store.archive({team, ids[i]});
            can_archive = archived.code != LB_UNSUPPORTED;
            if (can_archive) expect_ok(archived);
        }
    }
    std::string expected(Scope scope) const
    {
        std::string out;
        for (size_t i = ids.size(); i-- > 0;) {
            const bool archived = can_archive && (i == 1 || i == 3);
            if (scope != Scope::all && archived != (scope == Scope::archived)) continue;
            out += (out.empty() ? "" : " ") + std::string(archived ? "a" : "") + std::to_string(ids[i]);
        }
        return out.empty() ? "nothing" : out;
    }
    std::string team;
    std::vector<int64_t> ids;
    bool can_archive = false;
};

void each_once(Context &context)
{
    const Store store(context);
    const Scene scene(store);
    std::vector<int64_t> seen;
    const Told<std::vector<Entry>> told = store.list(scene.team, Scope::all);
    expect_ok(told);
    for (const Entry &entry : told.value) {
        for (const int64_t other : seen)
            expect(other != entry.runid, told.what + " (LB_ALL): told run id " + std::to_string(entry.runid) +
                                             " twice; a build is told once, whatever it has been through");
        seen.push_back(entry.runid);
    }
    expect_same("number of builds in the list of " + scene.team + " (LB_ALL)", std::to_string(scene.ids.size()),
                std::to_string(seen.size()));
}

void newest_first(Context &context)
{
    const Store store(context);
    const Scene scene(store);
    const Told<std::vector<Entry>> told = store.list(scene.team, Scope::all);
    expect_ok(told);
    for (size_t i = 1; i < told.value.size(); ++i)
        expect(told.value[i - 1].runid >= told.value[i].runid,
               told.what + ": told run id " + std::to_string(told.value[i].runid) + " behind " +
                   std::to_string(told.value[i - 1].runid) + "; the highest comes first, as a number (10 is above 9)");
}

void ten_is_above_nine(Context &context)
{
    const Store store(context);
    const std::string team = fresh_team();
    std::string expected;
    for (int i = 0; i < 12; ++i) expected = std::to_string(store.made(team).runid) + (i > 0 ? " " : "") + expected;
    expect_same("list of " + team, expected, store.listed(team));
}

void scopes(Context &context)
{
    const Store store(context);
    const Scene scene(store);
    if (!scene.can_archive) skip("lb_store.archive is not supported");
    expect_same("list of " + scene.team + " (LB_LIVE; a marks what its entry says is archived)", scene.expected(Scope::live),
                store.listed(scene.team, Scope::live));
    expect_same("list of " + scene.team + " (LB_ARCHIVED)", scene.expected(Scope::archived),
                store.listed(scene.team, Scope::archived));
    expect_same("list of " + scene.team + " (LB_ALL)", scene.expected(Scope::all), store.listed(scene.team, Scope::all));
}

std::string ids_of(const Told<std::vector<Entry>> &told)
{
    expect_ok(told);
    std::string out;
    for (const Entry &entry : told.value) out += (out.empty() ? "" : " ") + std::to_string(entry.runid);
    return out.empty() ? "nothing" : out;
}

void before_and_limit(Context &context)
{
    const Store store(context);
    const std::string team = fresh_team();
    std::vector<int64_t> ids;
    for (int i = 0; i < 5; ++i) ids.push_back(store.made(team).runid);
    const auto text = [&](std::initializer_list<size_t> wanted) {
        std::string out;
        for (const size_t i : wanted) out += (out.empty() ? "" : " ") + std::to_string(ids[i]);
        return out.empty() ? std::string("nothing") : out;
    };
    const std::string what = "list of " + team;
    expect_same(what + " with limit 2", text({4, 3}), ids_of(store.list(team, Scope::live, 0, 2)));
    expect_same(what + " before the third", text({1, 0}), ids_of(store.list(team, Scope::live, ids[2])));
    expect_same(what + " before the fourth with limit 1", text({2}), ids_of(store.list(team, Scope::live, ids[3], 1)));
    expect_same(what + " before the first", "nothing", ids_of(store.list(team, Scope::live, ids[0])));
    expect_same(what + " with limit 100", text({4, 3, 2, 1, 0}), ids_of(store.list(team, Scope::live, 0, 100)));
    expect_same(what + " before the highest number there is", text({4, 3, 2, 1, 0}),
                ids_of(store.list(team, Scope::live, INT64_MAX)));
}

void enough(Context &context)
{
    const Store store(context);
    const std::string team = fresh_team();
    for (int i = 0; i < 3; ++i) store.made(team);
    // That the receiver is not called again is looked at in every list.
    expect_ok(store.list(team, Scope::live, 0, 0, 1));
}

void empty_list(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team());
    expect_ok(store.archive(build));
    expect_same("list of a team whose only build is archived (LB_LIVE)", "nothing", store.listed(build.team));
}

void entries_have_paths(Context &context)
{
    const Store store(context);
    const Scene scene(store);
    const Told<std::vector<Entry>> told = store.list(scene.team, Scope::all);
    expect_ok(told);
    for (const Entry &entry : told.value) {
        const Told<Entry> found = store.find({scene.team, entry.runid});
        expect_ok(found);
        expect_same("path of " + to_string(BuildName{scene.team, entry.runid}) +
                        " in the list, beside what lb_store.find tells",
                    quote(found.value.path), quote(entry.path));
        expect(found.value.archived == entry.archived, to_string(BuildName{scene.team, entry.runid}) +
                                                           ": the list and lb_store.find do not agree whether it is archived");
    }
}

constexpr Check checks[] = {
    {"store.list-each-once", "A list tells each build once.", "lb_store.list", each_once},
    {"store.list-newest-first", "A list tells the highest run id first.", "lb_store.list", newest_first},
    {"store.list-by-number", "Run ids are compared as numbers.", "lb_store.list", ten_is_above_nine},
    {"store.list-scopes", "LB_LIVE tells the main list, LB_ARCHIVED the archive, LB_ALL both, and each entry where it is.",
     "lb_query.scope, lb_entry.scope", scopes},
    {"store.list-before-and-limit", "'before' and 'limit' make pages of a list.", "lb_query", before_and_limit},
    {"store.list-enough", "A receiver that returns non-zero ends a list early, with LB_OK.", "lb_entries_fn", enough},
    {"store.list-empty", "A team without builds in the scope has an empty list and LB_OK.", "lb_store.list", empty_list},
    {"store.list-agrees-with-find", "A list and lb_store.find tell the same of a build.", "lb_store.list, lb_store.find",
     entries_have_paths},
};

}  // namespace

std::span<const Check> store_listing_checks() { return checks; }

}  // namespace litbuild::conformance
