// The command line as scripts see it: exit statuses, standard output, the sentences on standard error.
#define BOOST_TEST_MODULE cli
#include "cli.hpp"

using namespace support;
using litbuild::quote;
namespace json = boost::json;

namespace {

std::vector<std::string> keys(const json::value &value)
{
    std::vector<std::string> out;
    for (const auto &[key, member] : value.as_object()) out.emplace_back(key);
    return out;
}

void has_keys_of_a_status(const json::value &value)
{
    for (const char *key : {"team", "runid", "path", "archived", "tags", "state", "time", "step", "steps", "progress",
                            "exit", "error", "stopped_by", "reason"})
        BOOST_TEST(value.as_object().contains(key), key);
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_main_job, Cli)
{
    const Words launch = {"launch", "contoso", "--tag", "a", "--name", "n", "--", "sh", "-c", "echo hello; sleep 0.2"};
    BOOST_TEST(good(launch) == "1\n");
    BOOST_TEST(good({"wait", "contoso", "1"}) == "complete\n");
    BOOST_TEST(good({"logs", "contoso", "1"}) == "hello\n");
    BOOST_TEST(good({"tags", "contoso", "1", "--add", "b", "--remove", "a"}) == "b\n");
    BOOST_TEST(good({"path", "contoso", "1"}) == root.path().string() + "/contoso/logs/1\n");
    BOOST_TEST(good({"archive", "contoso", "1"}) == root.path().string() + "/contoso/logs/archive/1\n");
    BOOST_TEST(good({"archive", "contoso", "1"}) == root.path().string() + "/contoso/logs/archive/1\n");
    BOOST_TEST(value({"list", "contoso"}).as_array().size() == 0u);
    BOOST_TEST(good({"list", "contoso", "--all"}).find("archived") != std::string::npos);
    BOOST_TEST(good({"restore", "contoso", "1"}) == root.path().string() + "/contoso/logs/1\n");
    BOOST_TEST(good({"stop", "contoso", "1"}) == "Build id 1 has already finished\n");
    BOOST_TEST(good({"teams"}) == "contoso\n");
    BOOST_TEST(good({"version"}) == good({"--version"}));
    BOOST_TEST(good({"plugins"}).find("local-process") != std::string::npos);
    BOOST_TEST(good({"--help"}).find("launch") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(with_json_there_is_one_value_and_nothing_else, Cli)
{
    const json::value made = value({"launch", "contoso", "--", "printf", "raw\\377"});
    BOOST_TEST((keys(made) == Words{"team", "runid", "path"}));
    has_keys_of_a_status(value({"wait", "contoso", "1"}));
    has_keys_of_a_status(value({"status", "contoso", "1"}));
    has_keys_of_a_status(value({"list", "contoso"}).at(0));
    BOOST_TEST(value({"logs", "contoso", "1"}).at("log").as_string() == "raw\xef\xbf\xbd");
    BOOST_TEST(value({"events", "contoso", "1"}).as_array().size() >= 4u);
    BOOST_TEST(value({"tags", "contoso", "1", "--add", "x"}).at(0).as_string() == "x");
    BOOST_TEST(value({"stop", "contoso", "1"}).at("outcome").as_string() == "already_finished");
    BOOST_TEST(value({"archive", "contoso", "1"}).at("archived").as_bool());
    BOOST_TEST(value({"path", "contoso", "1"}).at("archived").as_bool());
    BOOST_TEST((keys(value({"restore", "contoso", "1"})) == Words{"team", "runid", "path", "archived"}));
    BOOST_TEST(value({"teams"}).at(0).as_string() == "contoso");
    BOOST_TEST(value({"plugins"}).at(0).as_object().contains("problem"));
    BOOST_TEST(value({"version"}).as_object().contains("version"));
    // After the command as well as before it.
    BOOST_TEST(json::parse(good({"teams", "--json", "--root", root.path()})).is_array());
    fails({"logs", "contoso", "1", "--follow", "--json"}, 2, "logs: --follow");
}

BOOST_FIXTURE_TEST_CASE(exit_statuses, Cli)
{
    const std::string bad = launch("exit 3"), slow = launch("sleep 60");
    const Result waited = run({"wait", "contoso", bad});
    BOOST_TEST(waited.status == 1);
    BOOST_TEST(waited.out == "failed\n");
    fails({"wait", "contoso", slow, "--timeout", "200ms"}, 5, "contoso/" + slow + ": still running after 200ms");
    fails({"archive", "contoso", slow}, 4, "contoso/" + slow + ": is running");
    fails({"status", "contoso", "999"}, 3, "contoso/999: no such build");
    fails({"list", "nobody"}, 3, "nobody: no such team");
    fails({"--root", "/no/such/root", "teams"}, 5, "/no/such/root: no such folder");
    const std::string stopped = good({"stop", "contoso", slow, "--grace", "1s", "--reason", "enough"});
    BOOST_TEST(stopped == "Build id " + slow + " has been stopped\n");
    BOOST_TEST(value({"status", "contoso", slow}).at("reason").as_string() == "enough");
    BOOST_TEST(run({"wait", "contoso", slow}).status == 1);
    fs::create_directories(root.path() / "contoso/logs/900");
    fails({"stop", "contoso", "900"}, 4, "contoso/900: has no process");
    spill(work.path() / "root", "no folder");
    fs::remove(root.path() / "contoso/logs" / bad / "log");
    fs::create_symlink("/etc/passwd", root.path() / "contoso/logs" / bad / "log");
    fails({"logs", "contoso", bad}, 6, root.path().string());
    BOOST_TEST(wait_for(start({"teams"}, "/dev/full", work.path() / "err")) == 5);
}

BOOST_FIXTURE_TEST_CASE(bad_names_are_wrong_usage, Cli)
{
    for (const std::string &team : Words{"../etc", "a/b", "", std::string(300, 'a'), "caf\xe9"}) {
        fails({"list", team}, 2, "'");
        fails({"launch", team, "--", "true"}, 2, "'");
        fails({"status", team, "1"}, 2, "'");
    }
    fails({"list", "a/b"}, 2, "'a/b': not a team name; a team is ");
    for (const char *id : {"0", "-1", "007", "19x", "99999999999999999999", "", "{}", "[1]"})
        fails({"status", "contoso", id}, 2, quote(id) + ": not a run id; a run id is a whole number above 0\n");
    for (const char *time : {"5", "-1s", "", "1 s", "tomorrow"}) {
        fails({"wait", "contoso", "1", "--timeout", time}, 2, "'" + std::string(time) + "': not a duration; ");
        fails({"stop", "contoso", "1", "--grace", time}, 2, "'" + std::string(time) + "': not a duration; ");
    }
    for (const char *tag : {"a,b", "a\nb", ""}) {
        fails({"launch", "contoso", "--tag", tag, "--", "true"}, 2, "tag '");
        fails({"tags", "contoso", "1", "--add", tag}, 2, "tag '");
    }
    fails({"list", "contoso", "--state", "done"}, 2, "'done': not a state; ");
    fails({"list", "contoso", "--limit", "0"}, 2, "'0': not a limit; ");
    BOOST_TEST(fs::is_empty(root.path()));
}

BOOST_FIXTURE_TEST_CASE(wrong_usage_is_one_sentence_and_a_hint, Cli)
{
    fails({}, 2, "no command given\nusage: litbuild ");
    fails({"lunch"}, 2, "unknown command 'lunch'\nsee 'litbuild --help'\n");
    fails({"status"}, 2, "status: TEAM is required\nsee 'litbuild status --help'\n");
    fails({"status", "contoso"}, 2, "status: ID is required\n");
    fails({"status", "contoso", "1", "2"}, 2, "status: unexpected argument '2'\n");
    fails({"list", "contoso", "--what"}, 2, "list: unknown option '--what'\n");
    fails({"list", "contoso", "--limit"}, 2, "list: --limit needs a value\n");
    fails({"list", "contoso", "--archived", "--all"}, 2, "list: ");
    fails({"status", "contoso", "-x"}, 2, "status: unknown option '-x'\n");
    fails({"launch", "contoso", "sh", "-c", "true"}, 2,
          "launch: unexpected argument 'sh'; the command to run stands behind '--'\n");
    fails({"launch", "contoso"}, 2, "launch: nothing to run; ");
    fails({"launch", "contoso", "--spec", "x", "--", "true"}, 2, "launch: takes either ");
    fails({"--root=", "teams"}, 2, "--root: is empty");
    fails({"--config", "/no/such/file", "teams"}, 2, "/no/such/file: no such file");
}

BOOST_FIXTURE_TEST_CASE(specs_are_named_by_their_file, Cli)
{
    const std::string file = work.path() / "spec.json";
    fails({"launch", "contoso", "--spec", "/no/such/spec"}, 2, "/no/such/spec: cannot read the spec: No such file");
    for (const auto &[text, sentence] : std::vector<std::pair<std::string, std::string>>{
             {"not JSON", "is not JSON"},
             {"[]", "must be a JSON object"},
             {R"({"name": "x"})", "'steps' must be"},
             {R"({"steps": [{"command": ["true"]}], "colour": 1})", "unknown key 'colour'"},
             {R"({"steps": [{"command": ["no-such-program"]}]})", "step 1 'no-such-program': command not found"},
             {R"({"steps": [{"command": ["/etc/passwd"]}]})", "step 1 'passwd': is not executable"}}) {
        spill(file, text);
        fails({"launch", "contoso", "--spec", file}, 2, file + ": " + sentence);
        fails({"launch", "contoso", "--tag", "t", "--spec", file}, 2, file + ": " + sentence);
    }
    BOOST_TEST(fs::is_empty(root.path()));
    spill(file, R"({"steps": [{"name": "one", "command": ["true"]}], "tags": ["a"]})");
    BOOST_TEST(good({"launch", "contoso", "--tag", "b", "--name", "n", "--spec", file}) == "1\n");
    BOOST_TEST(good({"tags", "contoso", "1"}) == "a\nb\n");
    const Result piped = run({"launch", "contoso", "--spec", "-"}, file.c_str());
    BOOST_TEST(piped.out == "2\n", piped.err);
}

BOOST_FIXTURE_TEST_CASE(people_read_plain_text_in_a_pipe, Cli)
{
    const std::string id = launch("printf 'step part\\nprogress 0.5 \\033[31mred\\n' > $LITBUILD_REPORT; "
                                  "printf '\\033[1mraw'; sleep 0.5; exit 3");
    BOOST_TEST(run({"wait", "contoso", id}).status == 1);
    for (const Words &words :
         {Words{"status", "contoso", id}, Words{"list", "contoso"}, Words{"events", "contoso", id}})
        BOOST_TEST(good(words).find('\x1b') == std::string::npos);
    const std::string status = good({"status", "contoso", id});
    BOOST_TEST(status.find("state       failed\n") != std::string::npos, status);
    BOOST_TEST(status.find("\n  part  ") != std::string::npos, status);
    // The log is the build's own, byte for byte.
    BOOST_TEST(good({"logs", "contoso", id}) == "\x1b[1mraw");
}

BOOST_FIXTURE_TEST_CASE(following_ends_with_the_build_and_never_ends_it, Cli)
{
    const std::string id = launch("echo one; while [ ! -e go ]; do sleep 0.05; done; echo two");
    const fs::path out = work.path() / "followed";
    const pid_t cut_off = start({"logs", "contoso", id, "--follow"}, out, "/dev/null");
    eventually("the first line", [&] { return slurp(out) == "one\n"; });
    ::kill(cut_off, SIGINT);
    BOOST_TEST(wait_for(cut_off) == 128 + SIGINT);
    const pid_t waiting = start({"wait", "contoso", id}, "/dev/null", "/dev/null");
    ::kill(waiting, SIGINT);
    BOOST_TEST(wait_for(waiting) == 128 + SIGINT);
    BOOST_TEST(value({"status", "contoso", id}).at("state").as_string() == "running");

    const pid_t follower = start({"logs", "contoso", id, "--follow"}, out, "/dev/null");
    const fs::path lines = work.path() / "events";
    const pid_t events = start({"events", "contoso", id, "--follow", "--json"}, lines, "/dev/null");
    spill(root.path() / "contoso/logs" / id / "go", "");
    BOOST_TEST(wait_for(follower) == 0);
    BOOST_TEST(slurp(out) == "one\ntwo\n");
    BOOST_TEST(wait_for(events) == 0);
    std::istringstream in(slurp(lines));
    std::string line, last;
    while (std::getline(in, line)) last = json::parse(line).at("state").as_string();
    BOOST_TEST(last == "complete");
}

BOOST_FIXTURE_TEST_CASE(a_command_is_run_as_it_was_typed, Cli)
{
    spill(work.path() / "tool", "#!/bin/sh\npwd; printf '%s\\n' \"$@\"\n");
    fs::permissions(work.path() / "tool", fs::perms::owner_all);
    const fs::path relative = fs::relative(work.path() / "tool");
    const Result made = run({"launch", "contoso", "--", relative, "--json", "--", "--help", ""});
    BOOST_TEST(made.out == "1\n", made.err);
    BOOST_TEST(good({"wait", "contoso", "1"}) == "complete\n");
    BOOST_TEST(good({"logs", "contoso", "1"}) == root.path().string() + "/contoso/logs/1\n--json\n--\n--help\n\n");
    // Teams may be called like commands.
    BOOST_TEST(good({"launch", "list", "--", "true"}) == "1\n");
    BOOST_TEST(value({"list", "list"}).as_array().size() == 1u);
    good({"wait", "list", "1"});
}
