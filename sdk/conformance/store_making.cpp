#include <algorithm>
#include <set>

#include "checks.hpp"
#include "store.hpp"

namespace litbuild::conformance {

namespace {

void create_whole(Context &context)
{
    const Store store(context);
    const std::string team = fresh_team();
    NewBuild wanted = new_build(team, {{"status.json", "{\"state\":\"queued\"}\n"}, {"empty", ""}});
    wanted.document = R"({"team":")" + team + R"(","uuid":")" + wanted.uuid + R"(","mark":"a \"word\" {}"})";
    const Told<Entry> made = store.create(wanted);
    expect_ok(made);
    expect(!made.value.archived, made.what + ": its entry says that it is archived");
    const BuildName build{team, made.value.runid};
    const Told<Entry> found = store.find(build);
    expect_ok(found);
    expect_same("path of " + to_string(build) + " as lb_store.find tells it", quote(made.value.path), quote(found.value.path));
    expect_same("status.json of " + to_string(build), quote("{\"state\":\"queued\"}\n"),
                quote(store.text(build, "status.json")));
    expect_same("the file 'empty' of " + to_string(build), quote(""), quote(store.text(build, "empty")));

    const std::string document = store.text(build, "build.json");
    const std::string runid = "\"runid\":" + std::to_string(build.runid);
    std::string compact = document;
    std::erase_if(compact, [](char c) { return c == '\n'; });
    const std::string rest = wanted.document.substr(1);
    expect(compact.starts_with("{"), "build.json of " + to_string(build) + ": is no JSON object: " + quote(document));
    std::string front = compact.substr(0, compact.size() - std::min(compact.size(), rest.size()));
    std::erase(front, ' ');
    expect_same("build.json of " + to_string(build) + ", where the member runid is put in front of the document that was given",
                quote("{" + runid + "," + rest),
                quote(front + compact.substr(compact.size() - std::min(compact.size(), rest.size()))));
}

void create_ids(Context &context)
{
    const Store store(context);
    const std::string team = fresh_team();
    std::set<int64_t> used;
    for (int i = 0; i < 5; ++i) {
        const BuildName build = store.made(team);
        expect(used.insert(build.runid).second, to_string(build) + ": this run id was given before");
    }
    // An archived build's is used, too.
    for (const int64_t runid : used) expect_ok(store.archive({team, runid}));
    for (int i = 0; i < 3; ++i) {
        const BuildName build = store.made(team);
        expect(used.insert(build.runid).second, to_string(build) + ": this run id is an archived build's");
    }
}

void create_ids_after_remove(Context &context)
{
    const Store store(context);
    const std::string team = fresh_team();
    store.made(team);
    const BuildName last = store.made(team);
    expect_ok(store.archive(last));
    expect_ok(store.remove(last));
    const BuildName next = store.made(team);
    expect(next.runid != last.runid, to_string(next) + ": this run id was a removed build's; it stays used for ever");
}

void create_tags(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"tags", "nightly,customer-42,grün\n"}});
    const Told<std::vector<std::string>> tags = store.tags(build);
    expect_ok(tags);
    // A store without tags leaves the function out, or has none to tell and refuses to edit.
    if (tags.value.empty()) skip_unsupported(store.edit_tags(build, {"a"}));
    expect_same("tags of " + to_string(build) + ", made with the file tags 'nightly,customer-42,grün'",
                "nightly, customer-42, grün", joined(tags.value));
}

void create_no_tags(Context &context)
{
    const Store store(context);
    expect_same("tags of a build that was made without any", "nothing", store.tag_list(store.made(fresh_team())));
}

void find_missing(Context &context)
{
    const Store store(context);
    const std::string team = fresh_team();
    expect_code(store.find({team, 1}), {LB_NOT_FOUND});
    // With a team that is there.
    const Told<Entry> made = store.create(new_build(team));
    skip_unsupported(made);
    expect_code(store.find({team, made.value.runid + 1000}), {LB_NOT_FOUND});
    expect_code(store.read({team, made.value.runid + 1000}, "build.json"), {LB_NOT_FOUND});
    expect_code(store.list(fresh_team()), {LB_NOT_FOUND});
}

void change_missing(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team());
    const BuildName none{build.team, build.runid + 1000};
    expect_code(store.archive(none), {LB_NOT_FOUND, LB_UNSUPPORTED});
    expect_code(store.restore(none), {LB_NOT_FOUND, LB_UNSUPPORTED});
    expect_code(store.remove(none), {LB_NOT_FOUND, LB_UNSUPPORTED});
    expect_code(store.edit_tags(none, {"a"}), {LB_NOT_FOUND, LB_UNSUPPORTED});
    expect_code(store.write_control(none, "stop", "x"), {LB_NOT_FOUND, LB_UNSUPPORTED});
    expect_code(store.find(none), {LB_NOT_FOUND});
}

void teams(Context &context)
{
    const Store store(context);
    const std::string one = store.made(fresh_team()).team, two = store.made(fresh_team()).team;
    store.made(two);
    const Told<std::vector<std::string>> told = store.teams();
    expect_ok(told);
    for (const std::string &team : {one, two}) {
        const auto count = std::count(told.value.begin(), told.value.end(), team);
        expect(count == 1,
               told.what + ": told the team " + team + " " + std::to_string(count) + " times; it tells each team once");
    }
    for (const std::string &team : told.value)
        expect(is_team(team), told.what + ": told " + quote(team) + ", which is no team's name");
}

void large_document(Context &context)
{
    const Store store(context);
    NewBuild wanted = new_build(fresh_team(), {{"large", std::string(1'000'000, 'x')}});
    wanted.document = R"({"text":")" + std::string(200'000, 'y') + R"("})";
    const Told<Entry> made = store.create(wanted);
    expect_ok(made);
    const BuildName build{wanted.team, made.value.runid};
    expect_same("size of a file of 1000000 bytes", "1000000", std::to_string(store.text(build, "large").size()));
    expect(store.text(build, "build.json").size() > 200'000, "build.json of " + to_string(build) + ": is cut short");
}

constexpr Check checks[] = {
    {"store.create-whole", "A new build is there with its build.json, its run id put in front, and all its files.",
     "lb_store.create, lb_new_build", create_whole},
    {"store.create-ids", "A new build gets a run id that its team never used; an archived build's is used.", "lb_store.create",
     create_ids},
    {"store.create-ids-after-remove", "The run id of a removed build stays used.", "lb_store.create, lb_store.remove",
     create_ids_after_remove},
    {"store.create-tags", "A file 'tags' of a new build is the build's tags, in order.", "lb_new_build.files", create_tags},
    {"store.create-no-tags", "A build without tags tells none.", "lb_store.tags", create_no_tags},
    {"store.create-large", "Files and documents of any size are kept whole.", "lb_store.create", large_document},
    {"store.find-missing", "What is not there is LB_NOT_FOUND: a build, a build's file, a team.", "lb_store.find, read, list",
     find_missing},
    {"store.change-missing", "Changes of a build that is not there are LB_NOT_FOUND and make none.",
     "lb_store.archive and others", change_missing},
    {"store.teams", "Each team is told once, by its name.", "lb_store.teams", teams},
};

}  // namespace

std::span<const Check> store_making_checks() { return checks; }

}  // namespace litbuild::conformance
