// Commands on several builds, prune, doctor, watch and what long copies show at a terminal, as scripts and people see them.
#define BOOST_TEST_MODULE cli_many
#include "cli.hpp"
#include "old_build.hpp"

using namespace litbuild;
using namespace support;
namespace json = boost::json;

namespace {

struct Team : Cli {
    Team()
    {
        for (int64_t id = 1; id <= 6; ++id)
            old_build(root, id, id % 2 == 0 ? State::failed : State::complete, 240h, id > 4 ? "new" : "old");
    }
    std::string archived(int64_t id) const
    {
        return root.path().string() + "/contoso/logs/archive/" + std::to_string(id);
    }
};

std::vector<json::value> lines(const std::string &text)
{
    std::vector<json::value> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out.push_back(json::parse(line));
    return out;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_line_for_each_build, Team)
{
    BOOST_TEST(good({"archive", "contoso", "2", "5-999999999999", "1"}) ==
               "contoso/2: archived\ncontoso/5: archived\ncontoso/6: archived\ncontoso/1: archived\n");
    BOOST_TEST(good({"restore", "contoso", "--tag", "new"}) == "contoso/6: restored\ncontoso/5: restored\n");
    BOOST_TEST(good({"tags", "contoso", "5-6", "4", "--add", "x", "--remove", "new"}) ==
               "contoso/5: x\ncontoso/6: x\ncontoso/4: old, x\n");
    BOOST_TEST(good({"tags", "contoso", "--tag", "old", "--all", "--state", "complete"}) ==
               "contoso/3: old\ncontoso/1: old\n");
    BOOST_TEST(good({"stop", "contoso", "1-3"}) ==
               "contoso/1: already finished\ncontoso/2: already finished\ncontoso/3: already finished\n");
    // Of one build, what was always printed.
    BOOST_TEST(good({"archive", "contoso", "1"}) == archived(1) + "\n");
    BOOST_TEST(good({"stop", "contoso", "1"}) == "Build id 1 has already finished\n");
    BOOST_TEST(good({"tags", "contoso", "4"}) == "old\nx\n");
    BOOST_TEST(good({"archive", "contoso", "1-1"}) == "contoso/1: archived\n");
}

BOOST_FIXTURE_TEST_CASE(with_json_a_value_for_each_build, Team)
{
    const Result result = run({"--json", "archive", "contoso", "1-2", "99"});
    BOOST_TEST(result.status == 3);
    BOOST_TEST(result.err == "litbuild: contoso/99: no such build\n");
    const std::vector<json::value> found = lines(result.out);
    BOOST_REQUIRE(found.size() == 3u);
    BOOST_TEST(found[0] == json::parse(R"({"team": "contoso", "runid": 1, "outcome": "archived", "path": ")" + archived(1) + "\"}"));
    BOOST_TEST(found[2] == json::parse(R"({"team": "contoso", "runid": 99, "outcome": "error", "code": "not_found",
                                          "error": "contoso/99: no such build"})"));
    const std::vector<json::value> tags = lines(good({"--json", "tags", "contoso", "5-6"}));
    BOOST_TEST(tags.at(1) == json::parse(R"({"team": "contoso", "runid": 6, "outcome": "tagged", "tags": ["new"]})"));
    BOOST_TEST(lines(good({"--json", "stop", "contoso", "3-4"})).at(1).at("outcome").as_string() == "already_finished");
}

BOOST_FIXTURE_TEST_CASE(the_worst_exit_status_counts_and_the_others_go_on, Team)
{
    old_build(root, 7, State::running, 1h);
    fs::create_directories(root.path() / "contoso/logs/8");
    Result result = run({"archive", "contoso", "99", "7", "1"});
    BOOST_TEST(result.status == 4);
    BOOST_TEST(result.out == "contoso/1: archived\n");
    BOOST_TEST(result.err == "litbuild: contoso/99: no such build\n"
                             "litbuild: contoso/7: is running; stop it before archiving\n");
    result = run({"stop", "contoso", "8", "99", "2"});
    BOOST_TEST(result.status == 4);
    BOOST_TEST(result.out == "contoso/2: already finished\n");
}

BOOST_FIXTURE_TEST_CASE(plausible_mistakes_each_get_one_sentence, Team)
{
    const std::string no_runid = ": not a run id; a run id is a whole number above 0, a range is such as 10-40\n";
    for (const char *id : {"10-", "10..40", "1,2", "all", "*", "contoso/1", "0", "-1", "007", "1-x", "1-2-3", "",
                           "99999999999999999999", "1-99999999999999999999", "list", "1-0"})
        fails({"archive", "contoso", id}, 2, quote(id) + no_runid);
    fails({"archive", "contoso", "1", "2", "three"}, 2, "'three'" + no_runid);
    fails({"archive", "contoso", "40-10"}, 2, "'40-10': ends before it starts; a range is such as 10-40\n");
    for (const char *command : {"archive", "restore", "remove", "stop", "tags"}) {
        fails({command, "contoso"}, 2, std::string(command) + ": names no build; give run ids, ranges such as 10-40, ");
        fails({command}, 2, std::string(command) + ": TEAM is required\n");
        fails({command, "contoso", "500-600"}, 3, "contoso: no build in 500-600\n");
        fails({command, "contoso", "500", "600"}, 3, "contoso/500: no such build\nlitbuild: contoso/600: no such build\n");
        fails({command, "nobody", "1-2"}, 3, "nobody: no such team\n");
        fails({command, "contoso", "--state", "done"}, 2, "'done': not a state; ");
        fails({command, "contoso", "--tag", "a,b"}, 2, "tag 'a,b': contains a comma\n");
        fails({command, "contoso/1"}, 2, "'contoso/1': not a team name; ");
    }
    fails({"remove", "contoso", "--all"}, 2, "remove: unknown option '--all'\n");
    fails({"remove", "contoso", "1", "--dry-run"}, 2, "remove: unknown option '--dry-run'\n");
    fails({"remove", "contoso", "1"}, 4, "contoso/1: is not archived; archive it before removing\n");
    fails({"tags", "contoso", "--all"}, 2, "tags: --archived and --all go with --tag or --state\n");
    fails({"tags", "contoso", "1", "2", "--add"}, 2, "tags: --add needs a value\n");
    fails({"archive", "contoso", "1", "--", "2"}, 2, "archive: unexpected argument '--'\n");
    fails({"prune", "contoso"}, 2, "prune: says nothing of what goes; give --older-than or --keep-last\n");
    fails({"prune", "contoso", "--keep-tag", "x"}, 2, "prune: says nothing of what goes; ");
    fails({"prune", "contoso", "--remove"}, 2, "prune: says nothing of what goes; ");
    fails({"prune", "contoso", "--older-than", "90"}, 2, "'90': not a duration; ");
    fails({"prune", "contoso", "--older-than", "90 days"}, 2, "'90 days': not a duration; ");
    fails({"prune", "contoso", "--older-than", "0d"}, 2, "'0d': not an age; an age is such as 12h or 90d\n");
    fails({"prune", "contoso", "--keep-last", "0"}, 2, "'0': not a number of builds; ");
    fails({"prune", "contoso", "--keep-last", "many"}, 2, "'many': not a number of builds; ");
    fails({"prune", "contoso", "1-4", "--keep-last", "1"}, 2, "prune: unexpected argument '1-4'\n");
    fails({"prune", "nobody", "--keep-last", "1"}, 3, "nobody: no such team\n");
    fails({"watch", "nobody"}, 3, "nobody: no such team\n");
    fails({"watch", "contoso", "--timeout", "soon"}, 2, "'soon': not a duration; ");
    fails({"doctor", ""}, 2, "'': not a team name; ");
    for (int64_t id = 1; id <= 6; ++id) BOOST_TEST(fs::exists(root.path() / "contoso/logs" / std::to_string(id)));
    // Not wrong, but perhaps not meant.
    const Result none = run({"archive", "contoso", "--tag", "odl"});
    BOOST_TEST(none.status == 0);
    BOOST_TEST(none.out == "");
    BOOST_TEST(none.err == "litbuild: contoso: no build matches\n");
}

BOOST_FIXTURE_TEST_CASE(pruning, Team)
{
    const Words policy = {"prune", "contoso", "--older-than", "7d", "--keep-last", "2", "--keep-tag", "y"};
    good({"tags", "contoso", "3", "--add", "y"});
    Words trial = policy;
    trial.push_back("--dry-run");
    const std::string would = "contoso/4: would be archived\ncontoso/2: would be archived\ncontoso/1: would be archived\n";
    BOOST_TEST(good(trial) == would);
    BOOST_TEST(good(trial) == would);
    BOOST_TEST(good(policy) == "contoso/4: archived\ncontoso/2: archived\ncontoso/1: archived\n");
    BOOST_TEST(good(policy) == "");
    BOOST_TEST(good({"prune", "contoso", "--remove", "--keep-last", "2", "--dry-run"}) == "contoso/1: would be removed\n");
    const std::vector<json::value> planned = lines(good({"prune", "contoso", "--keep-last", "2", "--json", "--dry-run"}));
    BOOST_TEST(planned.at(0).at("outcome").as_string() == "would_be_archived");
    const std::vector<json::value> found = lines(good({"prune", "contoso", "--keep-last", "2", "--json"}));
    BOOST_TEST(found.at(0) == json::parse(R"({"team": "contoso", "runid": 3, "outcome": "archived", "path": ")" + archived(3) + "\"}"));
}

BOOST_FIXTURE_TEST_CASE(removing, Team)
{
    good({"archive", "contoso", "1-3"});
    BOOST_TEST(good({"remove", "contoso", "1"}) == "contoso/1: removed\n");
    fails({"status", "contoso", "1"}, 3, "contoso/1: no such build\n");
    const Result some = run({"--json", "remove", "contoso", "2-4"});
    BOOST_TEST(some.status == 4);
    BOOST_TEST(some.err == "litbuild: contoso/4: is not archived; archive it before removing\n");
    BOOST_TEST(lines(some.out).at(0) == json::parse(R"({"team": "contoso", "runid": 2, "outcome": "removed"})"));
    good({"archive", "contoso", "4-6"});
    BOOST_TEST(good({"prune", "contoso", "--remove", "--older-than", "7d", "--keep-tag", "new"}) == "contoso/4: removed\n");
    BOOST_TEST(good({"remove", "contoso", "--tag", "new"}) == "contoso/6: removed\ncontoso/5: removed\n");
    BOOST_TEST(good({"launch", "contoso", "--", "true"}) == "7\n");
    good({"wait", "contoso", "7"});
}

BOOST_FIXTURE_TEST_CASE(what_the_doctor_finds_and_puts_right, Team)
{
    BOOST_TEST(good({"launch", "contoso", "--", "true"}) == "7\n");
    good({"wait", "contoso", "7"});
    const Result well = run({"--json", "doctor", "contoso", "--repair"});
    BOOST_TEST(well.status == 0, well.out);
    BOOST_TEST(good({"doctor"}) == "nothing found\n");
    BOOST_TEST(good({"--json", "doctor", "contoso"}) == "[]\n");

    spill(root.path() / "contoso/logs/.next", "abc\n");
    Result found = run({"doctor", "contoso"});
    BOOST_TEST(found.status == 1);
    BOOST_TEST(found.out.starts_with("repairable  contoso: "), found.out);
    BOOST_TEST(found.out.ends_with("\n1 of these can be put right with --repair\n"), found.out);
    BOOST_TEST(slurp(root.path() / "contoso/logs/.next") == "abc\n");
    BOOST_TEST(good({"doctor", "contoso", "--repair"}).starts_with("repaired    contoso: "));
    BOOST_TEST(good({"doctor", "contoso"}) == "nothing found\n");

    spill(root.path() / "contoso/logs/notes.txt", "not ours");
    found = run({"doctor", "--json", "--repair"});
    BOOST_TEST(found.status == 1);
    const json::value one = json::parse(found.out).at(0);
    BOOST_TEST(one.at("team").as_string() == "contoso");
    BOOST_TEST(one.at("runid").is_null());
    BOOST_TEST(one.at("state").as_string() == "left");
    BOOST_TEST(one.at("kind").as_string() == "foreign");
    BOOST_TEST(fs::exists(root.path() / "contoso/logs/notes.txt"));
    fails({"doctor", "nobody"}, 3, "nobody: no such team\n");
}
