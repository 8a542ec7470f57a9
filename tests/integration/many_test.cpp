// What is done to several builds at once: a result for each, in order, and one failure hides no other. And retention.
#define BOOST_TEST_MODULE many
#include <sys/utsname.h>

#include <limits>

#include "old_build.hpp"

using namespace litbuild;
using namespace support;

namespace {

struct Team {
    Team() : engine({.root = root.path()}) {}

    void builds(int64_t first, int64_t last, State state = State::complete, const std::string &tags = "")
    {
        for (int64_t id = first; id <= last; ++id) old_build(root, id, state, 24h, tags);
    }
    bool is_live(int64_t id) const { return fs::exists(root.path() / "contoso/logs" / std::to_string(id)); }
    bool is_archived(int64_t id) const { return fs::exists(root.path() / "contoso/logs/archive" / std::to_string(id)); }

    TempRoot root;
    Engine engine;
};

using Ids = std::vector<int64_t>;

Ids ids(const std::vector<BulkResult> &results)
{
    Ids out;
    for (const BulkResult &result : results) out.push_back(result.build.runid);
    return out;
}

Ids failures(const std::vector<BulkResult> &results)
{
    Ids out;
    for (const BulkResult &result : results)
        if (result.error) out.push_back(result.build.runid);
    return out;
}

Selection by(Filter filter) { return {.filter = std::move(filter)}; }

/// Of a build whose launcher is gone, as after a restart of the host.
void orphan(const fs::path &folder)
{
    utsname names{};
    ::uname(&names);
    const boost::json::object document = {{"uuid", "00000000-0000-4000-8000-000000000000"},
                                          {"launcher", {{"host", names.nodename}, {"boot", "another"}}}};
    spill(folder / "build.json", boost::json::serialize(document));
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(results_come_in_the_order_of_the_selection_one_for_each_build, Team)
{
    builds(1, 7);
    std::vector<int64_t> told;
    const Selection some = {.runs = {{5}, {1, 3}, {99}, {2}, {3, 4}}};
    const std::vector<BulkResult> results =
        engine.archive("contoso", some, [&](const BulkResult &each) { told.push_back(each.build.runid); });
    BOOST_TEST((ids(results) == Ids{5, 1, 2, 3, 99, 4}));
    BOOST_TEST(told == ids(results));
    BOOST_TEST((failures(results) == Ids{99}));
    BOOST_TEST((results[4].error->code() == Code::not_found));
    BOOST_TEST(results[4].error->what() == "contoso/99: no such build");
    BOOST_TEST(results[0].path == root.path() / "contoso/logs/archive/5");
    BOOST_TEST(is_live(6));
    // Again: what is done already is done.
    BOOST_TEST((failures(engine.archive("contoso", some)) == Ids{99}));
    BOOST_TEST(failures(engine.restore("contoso", some)).size() == 1u);
    BOOST_TEST(is_live(5));
}

BOOST_FIXTURE_TEST_CASE(a_range_may_be_as_wide_as_it_likes, Team)
{
    builds(3, 5);
    old_build(root, std::numeric_limits<int64_t>::max(), State::failed, 1h);
    const Selection all = {.runs = {{1, std::numeric_limits<int64_t>::max()}}};
    BOOST_TEST((ids(engine.archive("contoso", all)) == Ids{3, 4, 5, std::numeric_limits<int64_t>::max()}));
}

BOOST_FIXTURE_TEST_CASE(what_concerns_all_is_thrown, Team)
{
    builds(1, 3);
    expect_error(Code::invalid, "contoso: no builds are named", [&] { engine.archive("contoso", {}); });
    expect_error(Code::invalid, "contoso: 3-1 ends before it starts", [&] { engine.stop("contoso", {.runs = {{3, 1}}}); });
    expect_error(Code::invalid, "contoso: 0 names no run ids", [&] { engine.remove("contoso", {.runs = {{0}}}); });
    expect_error(Code::not_found, "contoso: no build in 7-9, 20-30",
                 [&] { engine.archive("contoso", {.runs = {{7, 9}, {20, 30}}}); });
    expect_error(Code::not_found, "nobody: no such team", [&] { engine.archive("nobody", {.runs = {{1}}}); });
    expect_error(Code::not_found, "nobody: no such team", [&] { engine.restore("nobody", by({.tag = "x"})); });
    expect_error(Code::invalid, "'../x': not a team name", [&] { engine.archive("../x", {.runs = {{1}}}); });
    expect_error(Code::invalid, "tag 'a,b': contains a comma",
                 [&] { engine.edit_tags("contoso", {.runs = {{1}}}, {"a,b"}); });
    expect_error(Code::invalid, "tag ''", [&] { engine.archive("contoso", by({.tag = ""})); });
    BOOST_TEST(is_live(1));
}

BOOST_FIXTURE_TEST_CASE(a_filter_selects_where_the_action_makes_sense, Team)
{
    builds(1, 3, State::complete, "x");
    builds(4, 6, State::failed, "x, y");
    builds(7, 7, State::failed);
    BOOST_TEST((ids(engine.archive("contoso", by({.tag = "x", .state = State::failed}))) == Ids{6, 5, 4}));
    BOOST_TEST(engine.archive("contoso", by({.tag = "x", .state = State::failed})).empty());
    BOOST_TEST((ids(engine.edit_tags("contoso", by({.tag = "x"}), {"z"})) == Ids{3, 2, 1}));
    BOOST_TEST((ids(engine.edit_tags("contoso", by({.scope = Scope::all, .tag = "y"}), {"z"}, {"x"})) == Ids{6, 5, 4}));
    // With both: those of the named ones that pass. One that is not there is an error all the same.
    const std::vector<BulkResult> some =
        engine.restore("contoso", {.runs = {{2, 5}, {99}, {7}}, .filter = Filter{.tag = "z"}});
    BOOST_TEST((ids(some) == Ids{4, 5, 99}));
    BOOST_TEST((failures(some) == Ids{99}));
    BOOST_TEST(is_archived(6));
    BOOST_TEST((ids(engine.archive("contoso", by({.limit = 2}))) == Ids{7, 5}));
}

BOOST_FIXTURE_TEST_CASE(one_failure_hides_no_other, Team)
{
    builds(1, 4);
    old_build(root, 2, State::running, 1h);
    spill(root.path() / "contoso/logs/archive/3", "in the way");
    const std::vector<BulkResult> results = engine.archive("contoso", {.runs = {{1, 4}}});
    BOOST_TEST((ids(results) == Ids{1, 2, 3, 4}));
    BOOST_TEST((failures(results) == Ids{2, 3}));
    BOOST_TEST((results[1].error->code() == Code::refused));
    BOOST_TEST(results[1].error->what() == "contoso/2: is running; stop it before archiving");
    BOOST_TEST((results[2].error->code() == Code::exists));
    BOOST_TEST(is_archived(4));
}

BOOST_FIXTURE_TEST_CASE(cancelled_between_two_builds, Team)
{
    builds(1, 5);
    Canceller canceller;
    Call call;
    call.cancelled_by(canceller);
    const auto after_two = [&](const BulkResult &result) {
        if (result.build.runid == 2) canceller.cancel();
    };
    expect_error(Code::cancelled, "contoso: cancelled; 2 of 5 builds had been done",
                 [&] { engine.archive("contoso", {.runs = {{1, 5}}}, after_two, call); });
    BOOST_TEST(is_archived(2));
    BOOST_TEST(is_live(3));
    expect_error(Code::cancelled, "contoso: cancelled", [&] { engine.archive("contoso", {.runs = {{1, 5}}}, {}, call); });
}

BOOST_FIXTURE_TEST_CASE(past_the_deadline_each_build_that_is_left_says_so, Team)
{
    builds(1, 3);
    const Call call = Call::within(8s);
    const auto slow = [&](const BulkResult &) {
        while (!call.expired()) std::this_thread::sleep_for(5ms);
    };
    const std::vector<BulkResult> results = engine.archive("contoso", {.runs = {{1, 3}}}, slow, call);
    BOOST_TEST((failures(results) == Ids{2, 3}));
    BOOST_TEST((results[2].error->code() == Code::timeout));
    BOOST_TEST(results[2].error->what() == "contoso/3: not begun; the deadline has passed");
    BOOST_TEST(is_live(3));
}

BOOST_FIXTURE_TEST_CASE(builds_are_stopped_together, Team)
{
    // Each goes only when it has seen the other one going.
    const std::string script = "trap 'touch bye; until [ -e ../$OTHER/bye ]; do sleep 0.05; done; touch met; exit 3' TERM; "
                               "touch up; while :; do sleep 0.05; done";
    for (const char *other : {"2", "1"}) {
        const Build build = engine.launch("contoso", shell(script, {{"environment", {{"OTHER", other}}}}));
        until_file(build.path() / "up");
    }
    old_build(root, 3, State::complete, 1h);
    const std::vector<BulkResult> results =
        engine.stop("contoso", {.runs = {{1, 3}, {99}}}, {.grace = 60s, .by = "me", .reason = "together"});
    BOOST_TEST((ids(results) == Ids{1, 2, 3, 99}));
    BOOST_TEST((failures(results) == Ids{99}));
    BOOST_TEST(results[0].stop->message == "Build id 1 has been stopped");
    BOOST_TEST((results[2].stop->outcome == StopResult::Outcome::already_finished));
    for (const int64_t id : {1, 2}) BOOST_TEST(fs::exists(engine.build("contoso", id).path() / "met"));
    BOOST_TEST(engine.build("contoso", 2).get_status().reason == "together");
    BOOST_TEST(engine.stop("contoso", by({.state = State::running})).empty());
}

BOOST_FIXTURE_TEST_CASE(many_more_builds_than_are_stopped_at_a_time, Team)
{
    for (int i = 0; i < 20; ++i) engine.launch("contoso", shell("sleep 600"));
    Ids told;
    const std::vector<BulkResult> results = engine.stop("contoso", by({.state = State::running}), {},
                                                        [&](const BulkResult &each) { told.push_back(each.build.runid); });
    BOOST_TEST(results.size() == 20u);
    BOOST_TEST(failures(results).empty());
    BOOST_TEST(told == ids(results));
    for (const BulkResult &result : results) BOOST_TEST((result.stop->outcome == StopResult::Outcome::stopped));
}

BOOST_FIXTURE_TEST_CASE(a_lost_build_that_told_its_progress_can_be_archived, Team)
{
    // It was taken for one with living processes, by its last message.
    const fs::path folder = old_build(root, 1, State::running, 1h);
    boost::json::value status = boost::json::parse(slurp(folder / "status.json"));
    status.as_object()["message"] = "half way";
    spill(folder / "status.json", boost::json::serialize(status));
    orphan(folder);
    const Build build = engine.build("contoso", 1);
    BOOST_TEST(name(build.get_status().state) == "lost");
    BOOST_TEST(build.get_status().message == "half way");
    BOOST_TEST(build.archive() == root.path() / "contoso/logs/archive/1");
}

BOOST_FIXTURE_TEST_CASE(a_policy_must_say_what_goes, Team)
{
    builds(1, 3);
    expect_error(Code::invalid, "contoso: the policy says nothing of what goes", [&] { engine.prune("contoso", {}); });
    expect_error(Code::invalid, "contoso: the policy says nothing of what goes",
                 [&] { engine.prune("contoso", {.keep_tags = {"x"}}); });
    expect_error(Code::invalid, "tag 'a,b'", [&] { engine.prune("contoso", {.keep_last = 1, .keep_tags = {"a,b"}}); });
    expect_error(Code::invalid, "contoso: an age below zero", [&] { engine.prune("contoso", {.older_than = -1s}); });
    expect_error(Code::not_found, "nobody: no such team", [&] { engine.prune("nobody", {.keep_last = 1}); });
    BOOST_TEST(is_live(1));
}

BOOST_FIXTURE_TEST_CASE(every_criterion_must_let_a_build_go, Team)
{
    old_build(root, 1, State::complete, 240h, "release");
    old_build(root, 2, State::complete, 240h);
    old_build(root, 3, State::failed, 240h, "x, y");
    old_build(root, 4, State::stopped, 1h);
    old_build(root, 5, State::running, 240h);
    old_build(root, 6, State::complete, 240h, "release");
    old_build(root, 7, State::complete, 240h);
    // The newest two are 7 and 6, though 6 stays for its tag as well.
    const Retention policy = {.older_than = 48h, .keep_last = 2, .keep_tags = {"release", "y"}};
    Retention trial = policy;
    trial.trial = Retention::Trial::yes;
    const std::vector<BulkResult> would = engine.prune("contoso", trial);
    BOOST_TEST((ids(would) == Ids{2}));
    BOOST_TEST(would[0].path == root.path() / "contoso/logs/2");
    BOOST_TEST(is_live(2));
    const std::vector<BulkResult> went = engine.prune("contoso", policy);
    BOOST_TEST((ids(went) == Ids{2}));
    BOOST_TEST(went[0].path == root.path() / "contoso/logs/archive/2");
    BOOST_TEST(engine.prune("contoso", policy).empty());
    BOOST_TEST((ids(engine.prune("contoso", {.keep_last = 3})) == Ids{4, 3, 1}));
}

BOOST_FIXTURE_TEST_CASE(what_may_not_have_ended_stays, Team)
{
    old_build(root, 1, State::queued, 2400h);
    old_build(root, 2, State::running, 2400h);
    old_build(root, 3, State::stopping, 2400h);
    fs::create_directories(root.path() / "contoso/logs/4");
    orphan(old_build(root, 5, State::running, 2400h));
    orphan(old_build(root, 6, State::running, 1h));
    builds(9, 9);
    BOOST_TEST((ids(engine.prune("contoso", {.older_than = 48h, .keep_last = 1})) == Ids{5}));
    BOOST_TEST((ids(engine.prune("contoso", {.keep_last = 1})) == Ids{6}));
}

BOOST_FIXTURE_TEST_CASE(pruning_goes_on_behind_one_that_fails, Team)
{
    builds(1, 4);
    spill(root.path() / "contoso/logs/archive/2", "in the way");
    const std::vector<BulkResult> results = engine.prune("contoso", {.keep_last = 1});
    BOOST_TEST((ids(results) == Ids{3, 2, 1}));
    BOOST_TEST((failures(results) == Ids{2}));
    BOOST_TEST(is_archived(1));
}

BOOST_FIXTURE_TEST_CASE(only_archived_builds_are_removed, Team)
{
    builds(1, 4, State::complete, "x");
    engine.archive("contoso", {.runs = {{2, 3}}});
    const std::vector<BulkResult> results = engine.remove("contoso", {.runs = {{1, 3}, {99}}});
    BOOST_TEST((ids(results) == Ids{1, 2, 3, 99}));
    BOOST_TEST((failures(results) == Ids{1, 99}));
    BOOST_TEST((results[0].error->code() == Code::refused));
    BOOST_TEST(results[0].error->what() == "contoso/1: is not archived; archive it before removing");
    BOOST_TEST(is_live(1));
    BOOST_TEST(!is_archived(2));
    expect_error(Code::not_found, "contoso/2: no such build", [&] { engine.build("contoso", 2).path(); });
    expect_error(Code::not_found, "contoso/2: no such build", [&] { engine.build("contoso", 2).remove(); });
    // With a filter: only what is archived is looked at.
    BOOST_TEST(engine.remove("contoso", by({.tag = "x"})).empty());
    engine.archive("contoso", {.runs = {{4}}});
    BOOST_TEST((ids(engine.remove("contoso", by({.tag = "x"}))) == Ids{4}));
    // Its run id stays used.
    const Build next = engine.launch("contoso", shell("true"));
    BOOST_TEST(next.runid() == 5);
    next.wait();
}

BOOST_FIXTURE_TEST_CASE(one_that_has_processes_is_not_removed, Team)
{
    builds(1, 2);
    engine.archive("contoso", {.runs = {{1, 2}}});
    fs::remove_all(root.path() / "contoso/logs/archive/1");
    fs::rename(old_build(root, 1, State::running, 1h), root.path() / "contoso/logs/archive/1");
    expect_error(Code::refused, "contoso/1: is running; stop it before removing", [&] { engine.build("contoso", 1).remove(); });
    BOOST_TEST(is_archived(1));
    // What is damaged goes.
    fs::remove(root.path() / "contoso/logs/archive/2/status.json");
    fs::create_symlink("/etc/passwd", root.path() / "contoso/logs/archive/2/status.json");
    engine.build("contoso", 2).remove();
    BOOST_TEST(!is_archived(2));
    BOOST_TEST(fs::exists("/etc/passwd"));
}

BOOST_FIXTURE_TEST_CASE(pruning_the_archive_counts_the_archive, Team)
{
    builds(1, 5);
    old_build(root, 6, State::complete, 1h);
    engine.archive("contoso", {.runs = {{1, 4}, {6}}});
    engine.edit_tags("contoso", {.runs = {{2}}}, {"release"});
    Retention policy = {.action = Retention::Action::remove, .older_than = 2h, .keep_last = 2, .keep_tags = {"release"},
                        .trial = Retention::Trial::yes};
    BOOST_TEST((ids(engine.prune("contoso", policy)) == Ids{3, 1}));
    BOOST_TEST(is_archived(3));
    policy.trial = Retention::Trial::no;
    const std::vector<BulkResult> went = engine.prune("contoso", policy);
    BOOST_TEST((ids(went) == Ids{3, 1}));
    BOOST_TEST(failures(went).empty());
    BOOST_TEST(!is_archived(3));
    for (const int64_t id : {2, 4, 6}) BOOST_TEST(is_archived(id));
    BOOST_TEST(is_live(5));
}
