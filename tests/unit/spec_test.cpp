#define BOOST_TEST_MODULE spec
#include <boost/test/unit_test.hpp>

#include <litbuild/engine.hpp>

#include <spec.hpp>

using namespace litbuild;
using namespace std::chrono_literals;
using detail::parse_spec;

namespace {

const StopPlan usual = {{15, 10s}, {9, 60s}};

std::string refusal(std::string_view text)
{
    try {
        parse_spec(text, usual);
    } catch (const Error &e) {
        BOOST_TEST(name(e.code()) == "invalid");
        return e.what();
    }
    return "";
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_whole_spec_is_kept_in_plain_units)
{
    const detail::Spec spec = parse_spec(R"({
        "name": "n", "tags": ["a", "b"], "environment": {"A": "1"}, "time_limit": "2m", "linger": "0s", "left_overs": "wait",
        "stop": [{"signal": "INT", "grace": "1s"}, {"signal": "SIGKILL"}], "limits": {"memory": "2G", "processes": 9, "cpu_time": "1m"},
        "steps": [{"name": "x", "command": ["p", "q"], "time_limit": "3s", "environment": {"PATH": "/p"}}, {"command": ["/a/b"]}]})",
                                         usual);
    BOOST_TEST(spec.tags == (std::vector<std::string>{"a", "b"}), boost::test_tools::per_element());
    BOOST_TEST(spec.step_names == (std::vector<std::string>{"x", "b"}), boost::test_tools::per_element());
    BOOST_TEST(spec.first_program == "p");
    BOOST_TEST(*spec.first_path == "/p");
    BOOST_TEST(boost::json::serialize(spec.document) ==
               R"({"name":"n","environment":{"A":"1"},"time_limit_ms":120000,"stop":[{"signal":2,"grace_ms":1000},)"
               R"({"signal":9,"grace_ms":60000}],"left_overs":"wait","linger_ms":0,)"
               R"("limits":{"processes":9,"memory_bytes":2147483648,"cpu_time_ms":60000},)"
               R"("steps":[{"name":"x","command":["p","q"],"environment":{"PATH":"/p"},"time_limit_ms":3000},)"
               R"({"name":"b","command":["/a/b"]}]})");
}

BOOST_AUTO_TEST_CASE(every_mistake_is_named)
{
    const std::pair<const char *, const char *> cases[] = {
        {"", "spec: is not JSON: "},
        {"{", "spec: is not JSON: "},
        {"{} x", "spec: is not JSON: "},
        {R"({"steps": [{"command": ["a"]}], "process": {"x": [1E88888]}})", "spec: contains a number that is too large"},
        {"[]", "spec: must be a JSON object"},
        {"7", "spec: must be a JSON object"},
        {"{}", "spec: 'steps' must be a list of at least one step"},
        {R"({"steps": []})", "spec: 'steps' must be a list of at least one step"},
        {R"({"steps": {}})", "spec: 'steps' must be a list of at least one step"},
        {R"({"stepz": []})", "spec: unknown key 'stepz'; known are name, tags, "},
        {R"({"steps": [{}]})", "spec: step 1: 'command' is missing or empty"},
        {R"({"steps": [{"name": "a", "command": "ls -l"}]})", "spec: step 1 'a': 'command' must be a list of words, such as"},
        {R"({"steps": [{"command": ["a"]}, {"name": "b", "comand": []}]})", "spec: step 2 'b': unknown key 'comand'"},
        {R"({"steps": [{"command": [1]}]})", "spec: step 1: 'command' must be a list of texts"},
        {R"({"steps": [{"command": [""]}]})", "spec: step 1: 'command' is missing or empty"},
        {R"({"steps": [{"command": ["a\u0000b"]}]})", "spec: step 1: 'command' contains a zero byte"},
        {R"({"steps": [{"command": ["a"], "time_limit": 5}]})", "spec: step 1: 'time_limit' must be a duration such as"},
        {R"({"steps": [{"command": ["a"]}], "tags": ["x,y"]})", "tag 'x,y': contains a comma"},
        {R"({"steps": [{"command": ["a"]}], "tags": ["x\ny"]})", "tag 'x\\x0ay': contains a line break"},
        {R"({"steps": [{"command": ["a"]}], "environment": {"A=B": "c"}})", "spec: environment: 'A=B' is no name"},
        {R"({"steps": [{"command": ["a"]}], "environment": {"LITBUILD_TEAM": "c"}})", "spec: environment: 'LITBUILD_TEAM' is litbuild's own"},
        {R"({"steps": [{"command": ["a"]}], "environment": {"A": 1}})", "spec: environment: 'A' must be a text"},
        {R"({"steps": [{"command": ["a"]}], "stop": [{"signal": "TERM"}]})", "spec: 'stop' must end with"},
        {R"({"steps": [{"command": ["a"]}], "stop": [{"signal": "NO"}]})", "spec: stop: 'signal' must be the name of a signal"},
        {R"({"steps": [{"command": ["a"]}], "limits": {"memory": "lots"}})", "spec: limits: 'memory' must be a number of bytes"},
        {R"({"steps": [{"command": ["a"]}], "limits": {"memory": "99999999999G"}})", "spec: limits: 'memory' must be a number of bytes"},
        {R"({"steps": [{"command": ["a"]}], "limits": {"processes": 0}})", "spec: limits: 'processes' must be a whole number above 0"},
        {R"({"steps": [{"command": ["a"]}], "left_overs": "keep"})", "spec: 'left_overs' must be"},
    };
    for (const auto &[text, sentence] : cases) BOOST_TEST(refusal(text).starts_with(sentence), text << " -> " << refusal(text));
    BOOST_TEST(refusal(std::string(2 * 1024 * 1024, ' ')).starts_with("spec: is larger than 1 MiB"));
    BOOST_TEST(refusal(std::string(100'000, '[')).starts_with("spec: is not JSON: "));
    BOOST_TEST(refusal("{\n\n!").ends_with("in line 3"));
}

BOOST_AUTO_TEST_CASE(configuration)
{
    const Config config = Config::from_json(R"({"root": "/r", "deadline": "5s", "runner": "/x/run",
        "process": {"plugin": "local-process", "cgroup": "none"}, "plugin_folders": ["/p"], "stop": [{"signal": "KILL", "grace": "2s"}]})");
    BOOST_TEST(config.root.string() == "/r");
    BOOST_TEST((config.deadline == 5s));
    BOOST_TEST(config.process.config == R"({"cgroup":"none"})");
    BOOST_TEST(config.stop.size() == 1u);
    const auto refused = [](const char *text) {
        try {
            Config::from_json(text, "f.json");
        } catch (const Error &e) {
            return std::string(e.what());
        }
        return std::string();
    };
    BOOST_TEST(refused(R"({"rot": 1})").starts_with("f.json: unknown key 'rot'"));
    BOOST_TEST(refused(R"({"root": 1})") == "f.json: 'root' must be a text");
    BOOST_TEST(refused(R"({"store": "x"})") == "f.json: store: must be a JSON object");
    BOOST_TEST(refused("nonsense").starts_with("f.json: is not JSON"));
    BOOST_CHECK_THROW(Config::from_file("/nonexistent/config.json"), Error);
}
