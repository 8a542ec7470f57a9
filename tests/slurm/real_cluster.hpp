// A real Slurm cluster on this host: a controller, three nodes and slurmrestd, each a process of its own, with ports and
// folders of their own. The nodes share this host's file system, as those of a cluster share a root.
#pragma once

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <litbuild/linux/proc.hpp>

#include <nfs/ganesha.hpp>

#include "../support.hpp"

namespace slurm_fixture {

using namespace support;
using litbuild::Build;
using litbuild::Call;
using litbuild::Clock;
using litbuild::Config;
using litbuild::Engine;

class Cluster {
public:
    static constexpr int nodes = 3;

    /// Why it cannot be started here; empty: it can.
    static std::string missing()
    {
        if (::geteuid() != 0) return "needs root";
        for (const char *program : {"slurmctld", "slurmd", "slurmrestd", "sbatch"})
            if (path_of(program).empty()) return std::string(program) + " is not installed";
        for (const char *kind : {"freezer", "memory", "cpuset", "cpuacct"})
            if (!fs::exists(fs::path("/sys/fs/cgroup") / kind / "tasks"))
                return std::string("there is no control group ") + kind + " of version 1";
        return "";
    }

    Cluster()
    {
        char host[256] = "";
        ::gethostname(host, sizeof host - 1);
        std::ostringstream conf;
        conf << "ClusterName=" << name() << "\nSlurmctldHost=" << host << "(127.0.0.1)\nSlurmctldPort=" << nfs_fixture::free_port()
             << "\nSlurmUser=root\nSlurmdUser=root\nAuthType=auth/none\nCredType=cred/none\nStateSaveLocation=" << at("state")
             << "\nSlurmdSpoolDir=" << at("spool") << "/%n\nSlurmctldPidFile=" << at("ctld.pid") << "\nSlurmdPidFile=" << at("%n.pid")
             << "\nSlurmctldLogFile=" << at("ctld.log") << "\nSlurmdLogFile=" << at("%n.log")
             << "\nProctrackType=proctrack/cgroup\nTaskPlugin=task/cgroup\nJobAcctGatherType=jobacct_gather/none\nMpiDefault=none\n"
                "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core_Memory\nReturnToService=2\nSlurmdTimeout=10\nKillWait=3\n"
                "MinJobAge=300\nSchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=5,default_queue_depth=2000\n"
                "MaxJobCount=5000\nSlurmdParameters=config_overrides\n";
        for (int i = 1; i <= nodes; ++i)
            conf << "NodeName=" << node(i) << " NodeHostname=" << host << " NodeAddr=127.0.0.1 Port=" << nfs_fixture::free_port()
                 << " CPUs=8 RealMemory=8000 State=UNKNOWN\n";
        conf << "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=100\n"
                "PartitionName=closed Nodes=ALL MaxTime=INFINITE State=DOWN DefMemPerCPU=100\n";
        for (const char *folder : {"state", "spool"}) fs::create_directories(at(folder));
        spill(at("slurm.conf"), conf.str());
        spill(at("cgroup.conf"), "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\nConstrainCores=no\n"
                                 "ConstrainRAMSpace=yes\nConstrainSwapSpace=yes\nAllowedSwapSpace=0\n");
        ::setenv("SLURM_CONF", at("slurm.conf").c_str(), 1);
        ::setenv("SLURMRESTD_SECURITY", "disable_user_check", 1);
        start_controller();
        for (int i = 1; i <= nodes; ++i) start_node(i);
        start_rest();
        eventually("three idle nodes", [&] { return run("sinfo -h -o '%t %D'").starts_with("idle 3"); }, 60s);
    }
    ~Cluster()
    {
        if (controller_ > 0) {
            (void)run("scancel --user=root");
            for (int i = 0; i < 100 && !run("squeue -h").empty(); ++i) std::this_thread::sleep_for(100ms);
        }
        for (pid_t &node : node_) end(node, SIGKILL);
        end(rest_, SIGKILL);
        end(controller_, SIGKILL);
        // Those whose node went first.
        for (const pid_t pid : litbuild::linux_::numbers_in("/proc"))
            if (slurp("/proc/" + std::to_string(pid) + "/cmdline").find(at("spool")) != std::string::npos) ::kill(pid, SIGKILL);
        for (const auto &kind : fs::directory_iterator("/sys/fs/cgroup"))
            for (int i = 1; i <= nodes; ++i) remove_group(kind.path() / ("slurm_" + node(i)));
    }
    Cluster(const Cluster &) = delete;
    Cluster &operator=(const Cluster &) = delete;

    /// Where there is no such program: empty.
    static std::string path_of(const std::string &program)
    {
        for (const char *folder : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"})
            if (::access((folder + program).c_str(), X_OK) == 0) return folder + program;
        return "";
    }

    std::string at(const std::string &file) const { return (folder_.path() / file).string(); }
    std::string name() const { return "lb" + std::to_string(::getpid()); }
    std::string node(int number) const { return name() + "n" + std::to_string(number); }
    /// Of slurmrestd.
    std::string address() const { return "unix://" + at("rest"); }

    void start_controller() { controller_ = start({path_of("slurmctld"), "-D"}, "ctld.out"); }
    void end_controller(int signal) { end(controller_, signal); }
    /// It stands still when this returns: until then its threads may answer.
    void freeze_controller() const
    {
        ::kill(controller_, SIGSTOP);
        eventually("the controller's standstill", [&] {
            const std::vector<pid_t> threads = litbuild::linux_::numbers_in(("/proc/" + std::to_string(controller_) + "/task").c_str());
            return std::all_of(threads.begin(), threads.end(), [&](pid_t thread) {
                const std::string stat = "task/" + std::to_string(thread) + "/stat";
                const auto seen = litbuild::linux_::parse_stat(slurp(litbuild::linux_::proc_path(controller_, stat.c_str())));
                return !seen || seen->state == 'T';
            });
        });
    }
    void thaw_controller() const { ::kill(controller_, SIGCONT); }
    void start_rest()
    {
        rest_ = start({path_of("slurmrestd"), "-a", "rest_auth/local", "-s", "openapi/v0.0.38", "unix:" + at("rest")}, "rest.out");
    }
    void start_node(int number)
    {
        node_[number - 1] = start({path_of("slurmd"), "-D", "-N", node(number)}, "d" + std::to_string(number) + ".out");
    }
    void end_node(int number, int signal) { end(node_[number - 1], signal); }
    int number_of(const std::string &name) const
    {
        for (int i = 1; i <= nodes; ++i)
            if (node(i) == name) return i;
        throw std::runtime_error("no such node: " + name);
    }

    /// What a command of the shell prints; nothing where Slurm does not answer for five seconds.
    std::string run(const std::string &command) const
    {
        std::string out;
        FILE *pipe = ::popen(("timeout -s KILL 20 sh -c " + quoted(command) + " 2>/dev/null").c_str(), "re");
        char piece[4096];
        while (const size_t got = std::fread(piece, 1, sizeof piece, pipe)) out.append(piece, got);
        ::pclose(pipe);
        while (out.ends_with('\n')) out.pop_back();
        return out;
    }
    /// A field of what `scontrol show job` prints of a build's job, "JobState"; empty: there is none.
    std::string of_job(const Build &build, const std::string &field) const { return of_job(job_of(build), field); }
    std::string of_job(const std::string &job, const std::string &field) const
    {
        const std::string all = " " + run("scontrol -o show job " + job);
        const size_t found = all.find(" " + field + "=");
        if (found == std::string::npos) return "";
        const size_t from = found + field.size() + 2;
        return all.substr(from, all.find(' ', from) - from);
    }
    static std::string job_of(const Build &build)
    {
        const std::string token = slurp(build.path() / ".control/token");
        const size_t found = token.find("\njob ");
        return found == std::string::npos ? "" : token.substr(found + 5, token.find('\n', found + 5) - found - 5);
    }

    /// What waits for a time of Slurm's waits no more, what it holds is let go (after a failure of its own to launch a job, it
    /// puts it back "requeued held"), and nodes that it took out are in again.
    void hurry() const
    {
        run("scontrol update NodeName=ALL State=RESUME; "
            "for job in $(squeue -h -o %i); do scontrol release $job; scontrol update StartTime=now JobId=$job; done");
    }
    /// Hurries it until `ready`; each hurry is a new time to wait for. False: not within `limit`.
    template <class Ready>
    bool hurry_until(Ready ready, std::chrono::seconds limit) const
    {
        const auto end = Clock::now() + limit;
        for (auto again = Clock::now(); !ready(); std::this_thread::sleep_for(100ms)) {
            if (Clock::now() > end) return false;
            if (Clock::now() < again) continue;
            hurry();
            again = Clock::now() + 8s;
        }
        return true;
    }
    void until_idle() const
    {
        // A controller that was killed may have forgotten that they were cancelled.
        run("scancel --partition=closed");
        if (!hurry_until([&] { return run("squeue -h").empty(); }, 120s))
            BOOST_FAIL("the queue does not become empty: " << run("squeue"));
    }

    /// How this host's Slurm is reached: "library" or "rest".
    boost::json::object process(const std::string &way) const
    {
        boost::json::object out = {{"plugin", "slurm"}};
        if (way == "rest") out["rest"] = address();
        return out;
    }

private:
    static std::string quoted(const std::string &word)
    {
        std::string out = "'";
        for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
        return out + "'";
    }

    pid_t start(const std::vector<std::string> &words, const std::string &log) const
    {
        const std::string file = at(log);
        const pid_t parent = ::getpid(), pid = ::fork();
        if (pid != 0) return pid;
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
        ::dup2(::open("/dev/null", O_RDONLY), 0);
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::close_range(3, ~0U, 0);
        std::vector<char *> argv;
        for (const std::string &word : words) argv.push_back(const_cast<char *>(word.c_str()));
        argv.push_back(nullptr);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    static void end(pid_t &pid, int signal)
    {
        if (pid <= 0) return;
        ::kill(pid, SIGCONT);
        ::kill(pid, signal);
        ::waitpid(pid, nullptr, 0);
        pid = 0;
    }
    /// The deepest first; a group whose last process is on its way out is waited for.
    static void remove_group(const fs::path &group)
    {
        std::error_code error;
        if (!fs::is_directory(group, error)) return;
        for (const auto &each : fs::directory_iterator(group, error))
            if (each.is_directory(error)) remove_group(each.path());
        for (int i = 0; i < 50 && ::rmdir(group.c_str()) != 0 && errno == EBUSY; ++i) std::this_thread::sleep_for(20ms);
    }

    TempRoot folder_;
    pid_t controller_ = 0, rest_ = 0;
    pid_t node_[nodes] = {};
};

/// A root of its own, and engines over it.
class Room {
public:
    explicit Room(const Cluster &cluster) : cluster_(cluster) {}

    Config config(const std::string &way = "library", boost::json::object more = {}, boost::json::object process = {}) const
    {
        boost::json::object chosen = cluster_.process(way);
        for (const auto &[key, value] : process) chosen[key] = value;
        more["root"] = root_.path().string();
        more["process"] = chosen;
        more["plugin_folders"] = {::getenv("LITBUILD_PLUGIN_DIR")};
        return Config::from_json(boost::json::serialize(more), "test");
    }
    Engine open(const std::string &way = "library", boost::json::object more = {}, boost::json::object process = {}) const
    {
        return Engine(config(way, std::move(more), std::move(process)));
    }
    const fs::path &root() const { return root_.path(); }

private:
    TempRoot root_;
    const Cluster &cluster_;
};

}  // namespace slurm_fixture
