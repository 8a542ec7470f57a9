// A build on a cluster beside Slurm's own commands, in one run, by turns, medians: from the command to the first thing that the
// job does, stop, and a list of a thousand that wait.
#define BOOST_TEST_MODULE slurm_bench
#include <boost/test/unit_test.hpp>

#include "figures.hpp"
#include "slurm/real_cluster.hpp"

using namespace slurm_fixture;
using namespace litbuild;

namespace {

constexpr int rounds = 9;
constexpr const char *script = "trap 'exit 0' TERM; touch first; while :; do sleep 0.02; done";

double ms_since(int64_t begin) { return static_cast<double>(figures::wall() - begin) / 1e6; }

void row(const std::string &what, const std::vector<double> &ours, const std::string &other, const std::vector<double> &theirs)
{
    figures::tell({.what = what, .ours = figures::median(ours), .other = other, .theirs = figures::median(theirs)});
}

}  // namespace

BOOST_AUTO_TEST_CASE(on_a_cluster)
{
    if (const std::string why = Cluster::missing(); !why.empty()) {
        figures::skip("slurm", why);
        return;
    }
    Cluster cluster;
    const Room room(cluster);
    const TempRoot own;
    const std::string config = (own.path() / "config.json").string();
    spill(config, boost::json::serialize(boost::json::object{{"root", room.root().string()},
                                                             {"plugin_folders", {::getenv("LITBUILD_PLUGIN_DIR")}},
                                                             {"process", cluster.process("library")}}));
    const std::string litbuild = std::string(::getenv("LITBUILD_BIN_DIR")) + "/litbuild --config " + config + " ";

    // Slurm begins a job at its own time, once a second or so: the first step is taken from the start of the job, too.
    std::vector<double> our_start, our_stop, our_submit, their_start, their_stop, their_submit;
    for (int i = 1; i <= rounds; ++i) {
        const std::string id = std::to_string(i);
        int64_t begin = figures::wall();
        BOOST_REQUIRE(cluster.run(litbuild + "launch bench -- sh -c \"" + script + "\"") == id);
        our_submit.push_back(ms_since(begin));
        const fs::path first = room.root() / "bench/logs" / id / "first";
        until_file(first);
        our_start.push_back(static_cast<double>(figures::written_at(first) - begin) / 1e6);
        begin = figures::wall();
        BOOST_REQUIRE(cluster.run(litbuild + "stop bench " + id) == "Build id " + id + " has been stopped");
        our_stop.push_back(ms_since(begin));

        const fs::path folder = own.path() / id;
        fs::create_directories(folder);
        begin = figures::wall();
        const std::string job = cluster.run("cd " + folder.string() + " && sbatch --parsable -o out --wrap \"" + script + "\"");
        their_submit.push_back(ms_since(begin));
        until_file(folder / "first");
        their_start.push_back(static_cast<double>(figures::written_at(folder / "first") - begin) / 1e6);
        begin = figures::wall();
        cluster.run("scancel " + job);
        // scancel does not wait; ours does.
        eventually("its end", [&] { return cluster.of_job(job, "JobState") == "CANCELLED"; });
        their_stop.push_back(ms_since(begin));
    }
    row("slurm: launch, as a command", our_submit, "sbatch", their_submit);
    row("slurm: launch to first step", our_start, "sbatch to first command", their_start);
    row("slurm: stop, until all is gone", our_stop, "scancel, until it is cancelled", their_stop);

    const Engine engine(Config::from_file(config));
    const int count = 1000;
    for (int i = 0; i < count; ++i)
        engine.launch("many", shell("true", {{"process", {{"partition", "closed"}}}}));
    std::vector<double> ours, theirs;
    for (int i = 0; i < rounds; ++i) {
        int64_t begin = figures::wall();
        BOOST_TEST(engine.list("many").size() == static_cast<size_t>(count));
        ours.push_back(ms_since(begin));
        begin = figures::wall();
        BOOST_TEST(!cluster.run("squeue -h").empty());
        theirs.push_back(ms_since(begin));
        // Nothing of the last one is fresh any more.
        std::this_thread::sleep_for(1100ms);
    }
    row("slurm: list of 1,000 that wait, with reasons", ours, "squeue", theirs);
}
