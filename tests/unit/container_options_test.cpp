// What a deployment configures, and what a spec may change of it. Nothing here needs a container engine.
#define BOOST_TEST_MODULE container_options
#include <boost/test/unit_test.hpp>

#include <container/options.hpp>
#include <container/token.hpp>

#include "support.hpp"

using namespace support;
using namespace container;
using litbuild::Code;
using litbuild::Error;

namespace {

void refuses(const std::string &config, const std::string &sentence)
{
    try {
        read_settings(config);
        BOOST_ERROR("was taken: " << config);
    } catch (const Error &e) {
        BOOST_TEST(litbuild::name(e.code()) == "invalid");
        BOOST_TEST(std::string(e.what()) == "container: " + sentence);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(defaults)
{
    ::unsetenv("DOCKER_HOST");
    const Settings settings = read_settings("{}");
    BOOST_TEST(settings.engine.text == "unix:///var/run/docker.sock");
    BOOST_TEST((settings.remove == Remove::always));
    BOOST_TEST(settings.defaults.network == "none");
    BOOST_TEST(settings.read_only_root);
    BOOST_TEST(!settings.new_privileges);
    BOOST_TEST(settings.capabilities.empty());
    BOOST_TEST(settings.allowed.mounts.empty());
    BOOST_TEST(settings.allowed.users.empty());
    ::setenv("DOCKER_HOST", "unix:///run/podman/podman.sock", 1);
    BOOST_TEST(read_settings("{}").engine.path == "/run/podman/podman.sock");
    ::unsetenv("DOCKER_HOST");
    try {
        choose(settings, "contoso/1", "", "", "/data/contoso/logs/1");
        BOOST_ERROR("no image, and no error");
    } catch (const Error &e) {
        BOOST_TEST(std::string(e.what()) == "contoso/1: process: names no image, and the configuration names none either");
    }
}

BOOST_AUTO_TEST_CASE(sentences)
{
    refuses("[]", "configuration: must be a JSON object");
    refuses("{", "configuration: is not JSON: incomplete JSON");
    refuses(
        R"({"privileged": true})",
        "configuration: unknown key 'privileged'; known are engine, tls, timeout, name, runner, remove, image, user, network, "
        "mounts, environment, limits, pull, allow, read_only_root, new_privileges, capabilities, tmpfs");
    refuses(R"({"engine": "docker.sock"})", "engine 'docker.sock': starts with neither unix:// nor tcp://; it is such as "
                                            "\"unix:///run/docker.sock\" or \"tcp://build7:2376\"");
    refuses(R"({"remove": "later"})", "configuration: 'remove' must be one of always, on success, never");
    refuses(R"({"pull": 1})", "configuration: 'pull' must be one of missing, always, never");
    refuses(R"({"timeout": "0s"})", "configuration: 'timeout' must be a duration such as \"500ms\" or \"10s\"");
    refuses(R"({"limits": {"memory": "lots"}})",
            "configuration: limits: 'memory' must be a number of bytes, or such as \"512M\" or \"2G\"");
    refuses(R"({"limits": {"cpus": 0}})", "configuration: limits: 'cpus' must be a number from 0.01 on");
    refuses(R"({"mounts": [{"source": "data"}]})", "configuration: mounts: source 'data' is no absolute path");
    refuses(R"({"environment": {"A": {"file": "/x", "variable": "X"}}})",
            R"(configuration: environment: 'A': must be a text, {"file": PATH} or {"variable": NAME})");
    refuses(R"({"environment": {"LITBUILD_X": ""}})", "configuration: environment: 'LITBUILD_X' is litbuild's own");
    refuses(R"({"engine": "unix:///s", "tls": {}})", "configuration: tls: is for the container engine at tcp://");
    refuses(R"({"engine": "tcp://h:1", "tls": {"cert": "/c"}})", "configuration: tls: 'cert' and 'key' go together");
}

BOOST_AUTO_TEST_CASE(a_spec_over_the_defaults)
{
    const Settings settings = read_settings(R"({"image": "a", "limits": {"processes": 10, "memory": "1G", "cpus": 2},
        "environment": {"A": "1", "B": "1"}, "allow": {"users": ["1000", "1001:*"]}})");
    const Choice plain = choose(settings, "contoso/1", "", "", "/data/contoso/logs/1");
    BOOST_TEST(plain.processes == 10u);
    BOOST_TEST(plain.memory_bytes == 1u << 30);
    const Choice choice =
        choose(settings, "contoso/1", R"({"image": "b", "user": "1001:5", "cpus": 0.5, "environment": {"B": "2"}})",
               R"({"processes": 20, "cpu_time_ms": 1500})", "/data/contoso/logs/1");
    BOOST_TEST(choice.image == "b");
    BOOST_TEST(choice.user == "1001:5");
    BOOST_TEST(choice.processes == 20u);
    BOOST_TEST(choice.memory_bytes == 1u << 30);
    BOOST_TEST(choice.cpu_ms == 1500u);
    BOOST_TEST(choice.cpus == 0.5);
    const std::vector<std::string> values = service::values_of(choice.environment, "contoso/1");
    BOOST_TEST(values == (std::vector<std::string>{"A=1", "B=2"}), boost::test_tools::per_element());
    for (const char *user : {"0", "root", "1001", "10000"})
        BOOST_CHECK_EXCEPTION(
            choose(settings, "contoso/1", std::string(R"({"image": "b", "user": ")") + user + "\"}", "", "/d"), Error,
            [](const Error &e) { return e.code() == Code::denied; });
}

BOOST_AUTO_TEST_CASE(values_from_elsewhere_are_never_told)
{
    TempRoot folder;
    spill(folder.path() / "secret", "s3cret\n");
    spill(folder.path() / "bad", std::string("s3cret\0x", 8));
    const std::string file = (folder.path() / "secret").string();
    BOOST_TEST(service::values_of({{"A", {Value::From::file, file}}}, "contoso/1") == std::vector<std::string>{"A=s3cret"},
               boost::test_tools::per_element());
    const auto sentence_of = [&](const Value &value) {
        try {
            service::values_of({{"A", value}}, "contoso/1");
        } catch (const Error &e) {
            return std::string(e.what());
        }
        return std::string();
    };
    BOOST_TEST(sentence_of({Value::From::file, file + "x"}) ==
               "contoso/1: environment 'A': cannot read " + file + "x: No such file or directory");
    BOOST_TEST(sentence_of({Value::From::variable, "LBTEST_NONE"}) ==
               "contoso/1: environment 'A': variable 'LBTEST_NONE' is not set");
    BOOST_TEST(sentence_of({Value::From::file, (folder.path() / "bad").string()}) ==
               "contoso/1: environment 'A': its value contains a zero byte");
}

BOOST_AUTO_TEST_CASE(tokens)
{
    const Token token{"unix:///s", "uuid-1", "name", "abc", "2026-01-01T00:00:00Z", "/var/lib/x"};
    const Token again = Token::parse(token.text() + "pid 1\nstart 77\nunknown words\n");
    BOOST_TEST(again.text() == token.text());
    for (const char *bad :
         {"", "local-process 1\nuuid x\n", "container 1\n", "container 1\nengine unix:///s\n", "container 1\nuuid x\n"})
        BOOST_CHECK_EXCEPTION(Token::parse(bad), Error, [](const Error &e) { return e.code() == Code::corrupt; });
}
