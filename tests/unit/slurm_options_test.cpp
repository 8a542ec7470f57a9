// The plugin slurm without a cluster: what it is told, what it makes of Slurm's words, what it keeps.
#define BOOST_TEST_MODULE slurm_options
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <slurm/launching.hpp>
#include <slurm/options.hpp>
#include <slurm/standing.hpp>
#include <slurm/token.hpp>

#include "support.hpp"

using namespace slurm;
using litbuild::Code;
using litbuild::Life;
using namespace std::chrono_literals;

namespace {

std::string refusal(const std::function<void()> &action)
{
    try {
        action();
    } catch (const litbuild::Error &e) {
        return (e.code() == Code::invalid ? "" : std::string(litbuild::name(e.code())) + ": ") + e.what();
    }
    return "nothing thrown";
}

std::string refused(const std::string &config) { return refusal([&] { (void)read_settings(config); }); }

/// Plays slurmrestd.
class Told final : public Transport {
public:
    const std::string &object() const noexcept override { return object_; }
    std::string ask(const litbuild::Call &, Verb, const std::string &target, const std::string &) const override
    {
        asked += target + " ";
        return answer;
    }
    mutable std::string asked;
    std::string answer;

private:
    const std::string object_ = "slurm";
};

Job job(const std::string &state, uint64_t restarts = 0)
{
    Job out;
    out.id = 12;
    out.partition = "all";
    out.state = state;
    out.restarts = restarts;
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(configuration)
{
    const std::string where = "slurm: configuration: ";
    BOOST_TEST(refused("[]") == "slurm: configuration: must be a JSON object");
    BOOST_TEST(refused(R"({"partitions": "x"})").starts_with(where + "unknown key 'partitions'; known are rest, "));
    BOOST_TEST(refused(R"({"partition": "a b"})") == where + "'partition' must not contain a space");
    BOOST_TEST(refused(R"({"time": 5})") == where + R"('time' must be a duration such as "500ms" or "10s")");
    BOOST_TEST(refused(R"({"cpus": 70000})") == where + "'cpus' is more than Slurm can count");
    BOOST_TEST(refused(R"({"memory": "lots"})") == where + R"('memory' must be a number of bytes, or such as "512M" or "2G")");
    BOOST_TEST(refused(R"({"user": "me"})") == where + "'user' is for slurmrestd, whose address is to stand as 'rest'");
    BOOST_TEST(refused(R"({"rest": "unix:///s", "conf": "/c"})") == where + "'conf' and 'rest' exclude each other");
    BOOST_TEST(refused(R"({"rest": "head:6820"})") ==
               "slurm: rest 'head:6820': starts with none of unix://, https:// and http://; it is such as "
               R"("unix:///run/slurmrestd.sock" or "https://head:6820")");
    BOOST_TEST(refused(R"({"rest": "unix:///s", "api": "v0.0.40"})") == where + "'api' 'v0.0.40' is not spoken; v0.0.38 is");
    BOOST_TEST(refused(R"({"rest": "unix:///s", "token": {"file": "t"}})") == where + "token: file 't' is no absolute path");
    BOOST_TEST(refused(R"({"environment": {"LITBUILD_UUID": "x"}})") ==
               "slurm: configuration: environment: 'LITBUILD_UUID' is litbuild's own");

    const Settings settings = read_settings(
        R"({"rest": "http://head:6820", "user": "builds", "token": {"file": "/etc/token"}, "partition": "all", "time": "2h", "memory": "1G"})");
    BOOST_TEST(settings.rest.port == "6820");
    BOOST_TEST(!settings.rest.is_secure);
    const Choice choice = choose(settings, "contoso/1", R"({"partition": "big", "cpus": 4, "requeue": false})",
                                 R"({"memory_bytes": 5, "cpu_time_ms": 1500})");
    BOOST_TEST(choice.partition == "big");
    BOOST_TEST(choice.time.count() == std::chrono::milliseconds(2h).count());
    BOOST_TEST(choice.cpus == 4u);
    BOOST_TEST(choice.memory_bytes == 5u);
    BOOST_TEST(choice.requeue.value() == false);
    BOOST_TEST(refusal([&] { (void)choose(settings, "contoso/1", R"({"rest": "unix:///s"})", ""); })
                   .starts_with("contoso/1: process: unknown key 'rest'; known are partition, "));
    BOOST_TEST(refusal([&] { (void)choose(settings, "contoso/1", R"({"environment": {"A": {"file": "/etc/shadow"}}})", ""); }) ==
               "contoso/1: process: environment 'A': only the deployment's configuration may say where a value lies");
    BOOST_TEST(refusal([&] { (void)choose(settings, "contoso/1", R"({"restart": "always"})", ""); }) ==
               "contoso/1: process: 'restart' 'always' is not known; a build runs once: never");
}

BOOST_AUTO_TEST_CASE(tokens)
{
    Token token;
    token.uuid = "u";
    token.cluster = "c";
    token.job = 12;
    token.submitted = 1'700'000'000;
    token.restarts = 1;
    const Token back = Token::parse(token.text());
    BOOST_TEST(back.text() == token.text());
    BOOST_TEST(back.name() == "litbuild-u");
    // Before there is a job, who submits it.
    const Token launch = Token::parse(Token::of_launch("u", "/data/contoso/logs/19").text());
    BOOST_TEST(launch.job == 0u);
    BOOST_TEST(!launch.is_launcher_gone());
    Token gone = launch;
    gone.start += 1;
    BOOST_TEST(gone.is_launcher_gone());
    Token other = gone;
    other.host = "elsewhere";
    BOOST_TEST(!other.is_launcher_gone());
    // Hosts may share a name.
    other = gone;
    other.machine = "another";
    BOOST_TEST(!other.is_launcher_gone());
    BOOST_TEST(refusal([] { (void)Token::parse("slurm 1\njob 12\n"); }) == "corrupt: token: incomplete");
    BOOST_TEST(refusal([] { (void)Token::parse("container 1\n"); }).starts_with("corrupt: token: not of slurm"));
    BOOST_TEST(build_of("litbuild contoso/19")->runid == 19);
    for (const char *bad : {"", "litbuild", "litbuild contoso", "litbuild ../19", "litbuild contoso/x", "other contoso/19"})
        BOOST_TEST(!build_of(bad).has_value());
}

BOOST_AUTO_TEST_CASE(states)
{
    for (const char *state : {"PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "CONFIGURING"})
        BOOST_TEST((probe_of(job(state)).life == Life::queued), state);
    for (const char *state : {"RUNNING", "COMPLETING", "SUSPENDED", "STAGE_OUT", "WHATEVER_COMES_LATER"})
        BOOST_TEST((probe_of(job(state)).life == Life::alive), state);
    const std::vector<std::pair<const char *, const char *>> ends = {
        {"COMPLETED", "its job 12 ended"},
        {"CANCELLED", "its job 12 was cancelled"},
        {"FAILED", "its job 12 failed"},
        {"TIMEOUT", "its job 12 was ended by Slurm at its time limit"},
        {"OUT_OF_MEMORY", "its job 12 ran out of memory"},
        {"PREEMPTED", "its job 12 was ended by Slurm for a job that goes first (PREEMPTED)"},
        {"BOOT_FAIL", "its job 12 was never started, for its node did not boot"},
        {"DEADLINE", "its job 12 was ended by Slurm at its deadline"},
    };
    for (const auto &[state, words] : ends) {
        BOOST_TEST((probe_of(job(state)).life == Life::gone), state);
        BOOST_TEST(probe_of(job(state)).evidence == words);
        // Of a job that was put back, the first run may be alive.
        BOOST_TEST((probe_of(job(state, 1)).life == Life::unknown), state);
        BOOST_TEST((certainty_of(job(state, 1)) == Certainty::uncertain), state);
    }
    BOOST_TEST((certainty_of(job("FAILED")) == Certainty::certain));
    BOOST_TEST((certainty_of(job("CANCELLED")) == Certainty::killed));
    BOOST_TEST((probe_of(job("NODE_FAIL")).life == Life::unknown));

    Job told = job("FAILED");
    told.nodes = "n1";
    told.ended = 1'700'000'000;
    told.exit_code = 3;
    BOOST_TEST(probe_of(told).evidence == "its job 12 failed at 2023-11-14T22:13:20.000000Z on n1, with exit code 3");
    BOOST_TEST(probe_of(told).exit_code.value() == 3);
    told.exit_code = 0;
    told.signal = 9;
    BOOST_TEST(probe_of(told).evidence.ends_with(", by signal 9 (SIGKILL)"));
    Job waits = job("PENDING", 2);
    waits.reason = "BeginTime";
    BOOST_TEST(probe_of(waits).evidence == "its job 12, put back into Slurm's queue 2 times, waits in partition all: BeginTime");
}

BOOST_AUTO_TEST_CASE(what_slurm_answers)
{
    auto told = std::make_unique<Told>();
    Told &slurm = *told;
    Cluster cluster(std::move(told), 1s);
    const auto fails = [&](const std::string &answer) {
        slurm.answer = answer;
        return refusal([&] { (void)cluster.job({}, 12); });
    };
    BOOST_TEST(fails("not JSON") == "unavailable: slurm: its answer is not JSON");
    // Of a gateway before it.
    BOOST_TEST(fails(R"({"message": "no healthy upstream"})") == "unavailable: slurm: what answers is not Slurm");
    BOOST_TEST(fails(R"({"errors": []})") == "unavailable: slurm: what answers is not Slurm: it tells no jobs");
    BOOST_TEST(fails("[]") == "unavailable: slurm: its answer is not JSON");
    BOOST_TEST(fails(R"({"errors": [{"error_number": 2002, "error": "Access denied"}]})") == "denied: slurm: Access denied");
    BOOST_TEST(fails(R"({"errors": [{"error_number": 1800, "error": "no way"}]})") ==
               "unavailable: slurm: Slurm's controller is not to be reached: no way");
    BOOST_TEST(fails(R"({"errors": [{"error_number": -1}]})") == "unavailable: slurm: Slurm's controller does not answer: Slurm's error 0");
    BOOST_TEST(fails(R"({"errors": [{"error_number": 5005, "error": "Zero Bytes were transmitted or received"}]})") ==
               "unavailable: slurm: Slurm's controller does not answer: Zero Bytes were transmitted or received");
    // What is none is no job, whatever stands in its members.
    slurm.answer = R"({"errors": [], "jobs": [7, {"job_id": "12"}, {"job_id": -12}, {"job_id": 13}]})";
    BOOST_TEST(!cluster.job({}, 12).has_value());
    slurm.answer = R"x({"errors": [], "jobs": [{"job_id": 12, "name": "n\n1", "job_state": "FAILED", "exit_code": 768, "time_limit": 4294967295,
        "memory_per_node": null, "restart_cnt": 1, "nodes": "(null)", "state_reason": "None"}]})x";
    const Job job = cluster.job({}, 12).value();
    BOOST_TEST(job.name == "n?1");
    BOOST_TEST(job.exit_code == 3);
    BOOST_TEST(job.minutes == 0u);
    BOOST_TEST(job.nodes == "");
    BOOST_TEST(job.reason == "");
    slurm.answer = "{\"errors\": [], \"jobs\": [{\"job_id\": 12, \"name\": \"caf\xe9\"}]}";
    BOOST_TEST(cluster.job({}, 12)->name == "caf?");
    const auto is_cut_off = [&](const char *node) {
        slurm.answer = std::string(R"({"errors": [], "nodes": [)") + node + "]}";
        return cluster.is_cut_off({}, "n1");
    };
    BOOST_TEST(!is_cut_off(R"({"state": "idle", "state_flags": []})"));
    BOOST_TEST(is_cut_off(R"({"state": "down", "state_flags": []})"));
    BOOST_TEST(is_cut_off(R"({"state": "mixed", "state_flags": ["NOT_RESPONDING"]})"));
    BOOST_TEST(is_cut_off(""));
    slurm.answer = R"({"errors": [{"error_number": 2017}]})";
    BOOST_TEST(!cluster.job({}, 12).has_value());
    BOOST_TEST(!cluster.send({}, 12, Signal::kill));
    // Taken, although nothing can run it now.
    slurm.answer = R"({"errors": [{"error_code": 2015, "error": "not now"}], "job_id": 14})";
    BOOST_TEST(cluster.submit({}, {}) == 14u);
    slurm.answer = R"({"errors": [{"error_code": 2000, "error": "Invalid partition name specified"}]})";
    BOOST_TEST(refusal([&] { (void)cluster.submit({}, {}); }) == "slurm: Invalid partition name specified");
}

// Many who ask at once are told from one answer; who is not in it asks alone.
BOOST_AUTO_TEST_CASE(many_questions)
{
    auto told = std::make_unique<Told>();
    Told &slurm = *told;
    Cluster cluster(std::move(told), 1s);
    slurm.answer = "{\"errors\": [], \"jobs\": [";
    for (int i = 1; i <= 100; ++i) slurm.answer += "{\"job_id\": " + std::to_string(i) + ", \"job_state\": \"PENDING\"},";
    slurm.answer += "{}]}";
    for (uint64_t i = 1; i <= 100; ++i) BOOST_TEST(cluster.glance({}, i).has_value());
    BOOST_TEST(slurm.asked == "/job/1 /job/2 /job/3 /job/4 /jobs ");
    BOOST_TEST(!cluster.glance({}, 101).has_value());
    BOOST_TEST(slurm.asked == "/job/1 /job/2 /job/3 /job/4 /jobs /job/101 ");
}
