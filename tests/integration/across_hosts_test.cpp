// Two hosts over one file server, each with a kernel, a clock and an end of its own, one by NFS 3 and one by NFS 4.2: what one
// launches, the other lists, follows, stops and archives; and a build is told as lost when its host is gone, and else never.
//
// Seconds in the short form, where a host is given up after 15 s; the default of 60 s in the long one.
#define BOOST_TEST_MODULE across_hosts
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdio>
#include <thread>

#include "support.hpp"
#include <uml/hosts.hpp>

using namespace std::chrono_literals;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

const bool is_long = ::getenv("LITBUILD_TEST_LONG") && *::getenv("LITBUILD_TEST_LONG");
const std::chrono::seconds limit = is_long ? 60s : 15s;

struct World {
    support::TempRoot root;
    uml::Server server{root.path(), root.path() / "server"};
    uml::HostOf alpha{server, root.path(), "alpha", 1, "3"};
    uml::HostOf beta{server, root.path(), "beta", 2, "4.2"};

    World()
    {
        for (uml::HostOf *host : {&alpha, &beta}) {
            host->boot();
            // The short one for those who are to learn that nobody answers.
            for (const auto &[file, deadline] : {std::pair("config", "60s"), std::pair("impatient", "3s")}) {
                const std::string config = R"({"root": "/run/data", "deadline": ")" + std::string(deadline) + R"(", "lost_after": ")" +
                                           std::to_string(limit.count()) + R"(s", "store": {"plugin": "nfs"}, "plugin_folders": [")" +
                                           ::getenv("LITBUILD_PLUGIN_DIR") + R"("]})";
                BOOST_REQUIRE(host->run("echo " + uml::quoted(config) + " >/run/" + file + ".json").status == 0);
            }
        }
    }
};

uml::Result good(uml::HostOf &host, const std::string &script)
{
    uml::Result result = host.call(script);
    BOOST_REQUIRE_MESSAGE(result.status == 0, script << ": status " << result.status << ": " << result.output
                                                      << "; again: " << host.call(script + "; ls -la --full-time /run/data/contoso/logs").output);
    return result;
}

int64_t launch(uml::HostOf &host, const std::string &script)
{
    const uml::Result result = good(host, "litbuild launch contoso --json -- sh -c " + uml::quoted(script));
    return json::parse(result.output).at("runid").as_int64();
}

json::object status(uml::HostOf &host, int64_t runid)
{
    return json::parse(good(host, "litbuild status contoso " + std::to_string(runid) + " --json").output).as_object();
}

std::string text(const json::object &members, const char *key)
{
    const json::value &value = members.at(key);
    return value.is_string() ? std::string(value.as_string()) : std::string();
}

/// Asks again and again for `time` long; the states that were told, each once.
std::set<std::string> states(uml::HostOf &host, int64_t runid, std::chrono::seconds time)
{
    std::set<std::string> out;
    const auto end = litbuild::Clock::now() + time;
    do {
        const json::object found = status(host, runid);
        if (out.insert(text(found, "state")).second && text(found, "state") == "lost")
            BOOST_TEST_MESSAGE(text(found, "error"));
        std::this_thread::sleep_for(500ms);
    } while (litbuild::Clock::now() < end);
    return out;
}

std::string until_state(uml::HostOf &host, int64_t runid, const char *state, std::chrono::seconds most)
{
    json::object found;
    support::eventually(state, [&] { return text(found = status(host, runid), "state") == state; }, most);
    return text(found, "error");
}

}  // namespace

BOOST_AUTO_TEST_CASE(hosts_share_their_builds)
{
    std::string why = uml::missing();
    if (why.empty()) why = uml::own_network();
    if (!why.empty()) {
        std::printf("SKIPPED: across_hosts: %s\n", why.c_str());
        return;
    }
    World world;
    uml::HostOf &alpha = world.alpha, &beta = world.beta;
    const std::set<std::string> only_running = {"running"};

    // Launched on one; listed, followed, stopped and archived from the other.
    const int64_t first = launch(alpha, "echo hello from $(hostname); while :; do sleep 1; done");
    const std::string listed = good(beta, "litbuild list contoso --json").output;
    BOOST_TEST(listed.find(R"("state":"running")") != std::string::npos, listed);
    const int followed = beta.begin("litbuild logs contoso 1 --follow");
    support::eventually("the log", [&] {
        (void)beta.wait(followed, 100ms);
        return beta.output(followed).find("hello from alpha") != std::string::npos;
    });
    const std::string asked = good(beta, "litbuild stop contoso 1 --reason over --json").output;
    BOOST_TEST(asked.find(R"("outcome":"stopped")") != std::string::npos, asked);
    BOOST_TEST(beta.wait(followed, 30s).status == 0);
    const json::object stopped = status(alpha, first);
    BOOST_TEST(text(stopped, "state") == "stopped");
    BOOST_TEST(text(stopped, "stopped_by") == "root@beta");
    BOOST_TEST(text(stopped, "reason") == "over");
    good(beta, "litbuild archive contoso 1");
    BOOST_TEST(text(status(alpha, first), "path") == "/run/data/contoso/logs/archive/1");
    good(alpha, "litbuild restore contoso 1");
    BOOST_TEST(text(status(beta, first), "path") == "/run/data/contoso/logs/1");

    // One edits the tags from all hosts, and from here, which has no mount: none is lost.
    const std::string by_url = "nfs://127.0.0.1" + world.server.folder().string() + "?nfsport=20490&mountport=20491";
    const int each = is_long ? 100 : 12;
    const auto tagger = [&](const std::string &config, const std::string &word) {
        return "$HELPERS/nfs_tagger " + uml::quoted(config) + " contoso 1 " + word + " " + std::to_string(each);
    };
    const std::string by_root = R"({"root": "/run/data"})";
    const std::string both = tagger(by_root, "$(hostname)-a") + " & " + tagger(by_root, "$(hostname)-b") + " && wait -n";
    const int from_alpha = alpha.begin(both), from_beta = beta.begin(both);
    uml::shell("HELPERS=" + uml::quoted(uml::helpers().string()) + "; " + tagger("{\"url\": \"" + by_url + "\"}", "url"));
    BOOST_TEST(alpha.wait(from_alpha, 120s).status == 0, alpha.output(from_alpha));
    BOOST_TEST(beta.wait(from_beta, 120s).status == 0, beta.output(from_beta));
    const std::string tags = good(alpha, "litbuild status contoso 1 --json").output;
    for (const char *word : {"alpha-a-", "alpha-b-", "beta-a-", "beta-b-", "url-"})
        for (int i = 1; i <= each; ++i) {
            const std::string tag = "\"" + (word + std::to_string(i)) + "\"";
            BOOST_TEST(tags.find(tag) != std::string::npos, "the tag " << tag << " is lost: " << tags);
        }

    // A server that does not answer holds up nobody longer than his deadline, and when it is back, work goes on.
    world.server.freeze();
    const auto asked_at = litbuild::Clock::now();
    const uml::Result unanswered = beta.call("litbuild --config /run/impatient.json list contoso; echo status $?");
    const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(litbuild::Clock::now() - asked_at);
    world.server.thaw();
    std::printf("a server that stands still: %ld ms: %s\n", static_cast<long>(waited.count()), unanswered.output.c_str());
    BOOST_TEST(unanswered.output.find("/run/data: has not answered for ") != std::string::npos, unanswered.output);
    good(beta, "litbuild list contoso");

    // A clock that is an hour off, either way, is nobody's end.
    good(alpha, "date -s '+1 hour'");
    const int64_t ahead = launch(alpha, "while :; do sleep 1; done");
    BOOST_TEST(states(beta, ahead, is_long ? limit + 10s : 5s) == only_running);
    good(alpha, "date -s '-2 hours'");
    good(beta, "date -s '+30 minutes'");
    BOOST_TEST(states(beta, ahead, limit + 3s) == only_running);

    // Nor is a host that stands still for less than the limit.
    alpha.freeze();
    const std::set<std::string> meanwhile = states(beta, ahead, limit / 6);
    alpha.thaw();
    BOOST_TEST(meanwhile == only_running);
    BOOST_TEST(states(beta, ahead, 3s) == only_running);

    if (is_long) {
        alpha.freeze();
        const std::string silent = until_state(beta, ahead, "lost", limit * 2);
        BOOST_TEST(silent.find("host alpha, which runs it, has not been heard of for ") == 0, silent);
        alpha.thaw();
        until_state(beta, ahead, "running", 30s);
    }

    // A host that dies takes its build along.
    const auto death = litbuild::Clock::now();
    alpha.kill();
    const std::string evidence = until_state(beta, ahead, "lost", limit * 2);
    const auto took = std::chrono::duration_cast<std::chrono::seconds>(litbuild::Clock::now() - death);
    std::printf("lost after %ld s, with a limit of %ld s: %s\n", static_cast<long>(took.count()), static_cast<long>(limit.count()),
                evidence.c_str());
    BOOST_TEST(evidence.find("host alpha, which runs it, has not been heard of for ") == 0, evidence);
    BOOST_TEST(evidence.find("by the file server's clock") != std::string::npos, evidence);
    const std::string request = good(beta, "litbuild stop contoso " + std::to_string(ahead) + " --json; true").output;
    BOOST_TEST(request.find(R"("outcome":"requested")") != std::string::npos, request);
    good(beta, "litbuild archive contoso " + std::to_string(ahead));
}
