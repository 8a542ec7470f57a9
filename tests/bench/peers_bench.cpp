// litbuild beside what Debian ships that people run such jobs with instead: supervisord, task-spooler, Slurm; each by its own
// commands, in one run, by turns, medians of five. Podman and docker stand in container_bench.cpp, Python in python_bench.py.
//     litbuild-peers-bench FOLDER LITBUILD HELD_TREE
// Launched: from the start of the command to the first thing that the job does. Stopped: from the start of the command until
// none of a hundred processes is left, of which ten are in sessions of their own, as daemons are.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <sstream>

#include <litbuild/linux/proc.hpp>

#include "figures.hpp"

using figures::Milliseconds;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;

namespace {

constexpr int rounds = 5;
constexpr int processes = 100;
constexpr std::chrono::seconds patience(8);

pid_t start(const Words &words, const fs::path &output)
{
    std::vector<char *> argv;
    for (const std::string &word : words) argv.push_back(const_cast<char *>(word.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t pid = 0;
    const int failure = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) throw std::runtime_error(words[0] + ": cannot be started");
    return pid;
}

std::string slurp(const fs::path &file)
{
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

void spill(const fs::path &file, const std::string &text) { std::ofstream(file) << text; }

/// What it printed.
std::string run(const Words &words, const fs::path &output, const std::function<void()> &meanwhile = {})
{
    int status = 0;
    const pid_t pid = start(words, output);
    if (meanwhile) meanwhile();
    ::waitpid(pid, &status, 0);
    const std::string said = slurp(output);
    if (status != 0) throw std::runtime_error(words[0] + " " + (words.size() > 1 ? words[1] : "") + ": " + said);
    return said;
}

void pause_a_little() { ::poll(nullptr, 0, 20); }

void await(const std::string &what, const std::function<bool()> &is_there)
{
    for (const auto begin = Clock::now(); !is_there(); pause_a_little())
        if (Clock::now() - begin > std::chrono::seconds(60)) throw std::runtime_error(what + " is not there after a minute");
}

/// A daemon of a peer, ended with this.
class Daemon {
public:
    Daemon(const Words &words, const fs::path &log) : pid_(start(words, log)) {}
    ~Daemon()
    {
        ::kill(pid_, SIGTERM);
        for (int i = 0; i < 500; ++i) {
            if (::waitpid(pid_, nullptr, WNOHANG) != 0) return;
            pause_a_little();
        }
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Daemon(const Daemon &) = delete;
    Daemon &operator=(const Daemon &) = delete;

private:
    pid_t pid_;
};

/// What runs and stops a command.
class Peer {
public:
    explicit Peer(fs::path box) : box_(std::move(box)) { fs::create_directories(box_); }
    virtual ~Peer() = default;
    /// Returns what it is called by from then on. `meanwhile` is done between the start of the peer's command and its end.
    virtual std::string launch(const Words &command, const std::function<void()> &meanwhile) = 0;
    virtual void stop(const std::string &job) = 0;

protected:
    std::string run(const Words &words, const std::function<void()> &meanwhile = {}) const { return ::run(words, box_ / "said", meanwhile); }
    const fs::path box_;
};

class Litbuild final : public Peer {
public:
    Litbuild(const fs::path &box, std::string program) : Peer(box), program_(std::move(program)) {}
    std::string launch(const Words &command, const std::function<void()> &meanwhile) override
    {
        Words words = {program_, "--root", box_, "launch", "peers", "--"};
        words.insert(words.end(), command.begin(), command.end());
        const std::string said = run(words, meanwhile);
        return said.substr(0, said.find('\n'));
    }
    void stop(const std::string &job) override { run({program_, "--root", box_, "stop", "peers", job}); }

private:
    const std::string program_;
};

class TaskSpooler final : public Peer {
public:
    explicit TaskSpooler(const fs::path &box) : Peer(box)
    {
        ::setenv("TS_SOCKET", (box_ / "socket").c_str(), 1);
        run({"tsp", "-S", "16"});
    }
    ~TaskSpooler() override { ::waitpid(start({"tsp", "-K"}, box_ / "said"), nullptr, 0); }
    std::string launch(const Words &command, const std::function<void()> &meanwhile) override
    {
        Words words = {"tsp", "-n"};
        words.insert(words.end(), command.begin(), command.end());
        run(words, meanwhile);
        // It is printed by a process that outlives the command; they are numbered from 0.
        return std::to_string(next_++);
    }
    void stop(const std::string &job) override { run({"tsp", "-k", job}); }

private:
    int next_ = 0;
};

/// Programs are configured beforehand; its stop is told to end process groups.
class Supervisord final : public Peer {
public:
    Supervisord(const fs::path &box, const std::map<std::string, Words> &programs) : Peer(box), config_(box_ / "supervisord.conf")
    {
        const std::string socket = box_ / "socket";
        std::string text = "[unix_http_server]\nfile=" + socket + "\n[supervisord]\nnodaemon=true\nlogfile=" + (box_ / "log").string() +
                           "\npidfile=" + (box_ / "pid").string() +
                           "\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
                           "[supervisorctl]\nserverurl=unix://" + socket + "\n";
        for (const auto &[name, words] : programs) {
            std::string command;
            for (const std::string &word : words) command += word + " ";
            text += "[program:" + name + "]\ncommand=" + command + "\nautostart=false\nautorestart=false\nstartsecs=0\nstopasgroup=true\nkillasgroup=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n";
            names_.emplace(words, name);
        }
        spill(config_, text);
        daemon_ = std::make_unique<Daemon>(Words{"supervisord", "-c", config_}, box_ / "daemon");
        await("supervisord", [&] { return fs::exists(socket); });
    }
    std::string launch(const Words &command, const std::function<void()> &meanwhile) override
    {
        run({"supervisorctl", "-c", config_, "start", names_.at(command)}, meanwhile);
        return names_.at(command);
    }
    void stop(const std::string &job) override { run({"supervisorctl", "-c", config_, "stop", job}); }

private:
    const fs::path config_;
    std::map<Words, std::string> names_;
    std::unique_ptr<Daemon> daemon_;
};

/// One node, jobs of one processor.
class Slurm final : public Peer {
public:
    explicit Slurm(const fs::path &box) : Peer(box)
    {
        char host[256] = "";
        ::gethostname(host, sizeof host - 1);
        const std::string here = box_;
        for (const char *folder : {"state", "spool"}) fs::create_directories(box_ / folder);
        spill(box_ / "slurm.conf", "ClusterName=bench\nSlurmctldHost=" + std::string(host) + "(127.0.0.1)\nSlurmctldPort=17817\n"
              "SlurmUser=root\nSlurmdUser=root\nAuthType=auth/none\nCredType=cred/none\nStateSaveLocation=" + here + "/state\nSlurmdSpoolDir=" +
              here + "/spool\nSlurmctldPidFile=" + here + "/ctld.pid\nSlurmdPidFile=" + here + "/d.pid\nSlurmctldLogFile=" + here +
              "/ctld.log\nSlurmdLogFile=" + here + "/d.log\nProctrackType=proctrack/cgroup\nTaskPlugin=task/none\nMpiDefault=none\n"
              "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nReturnToService=2\nSchedulerParameters=batch_sched_delay=0,sched_min_interval=0\n"
              "NodeName=n1 NodeHostname=" + std::string(host) + " NodeAddr=127.0.0.1 Port=17818 CPUs=2 State=UNKNOWN\n"
              "PartitionName=all Nodes=n1 Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:16\n");
        spill(box_ / "cgroup.conf", "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n");
        ::setenv("SLURM_CONF", (box_ / "slurm.conf").c_str(), 1);
        controller_ = std::make_unique<Daemon>(Words{"slurmctld", "-D"}, box_ / "ctld");
        node_ = std::make_unique<Daemon>(Words{"slurmd", "-D", "-N", "n1"}, box_ / "d");
        await("a node of Slurm", [&] {
            ::waitpid(start({"timeout", "-s", "KILL", "2", "sinfo", "-h", "-o", "%t"}, box_ / "said"), nullptr, 0);
            return slurp(box_ / "said").starts_with("idle");
        });
    }
    std::string launch(const Words &command, const std::function<void()> &meanwhile) override
    {
        Words words = {"sbatch", "--parsable", "-o", "/dev/null", "--wrap"};
        std::string line;
        for (const std::string &word : command) line += word + " ";
        words.push_back(line);
        const std::string said = run(words, meanwhile);
        return said.substr(0, said.find('\n'));
    }
    void stop(const std::string &job) override { run({"scancel", job}); }

private:
    std::unique_ptr<Daemon> controller_, node_;
};

/// The end that a tree holds the other of.
class Held {
public:
    explicit Held(const fs::path &fifo) : fifo_(fifo)
    {
        fs::remove(fifo);
        if (::mkfifo(fifo.c_str(), 0600) != 0) throw std::runtime_error("mkfifo");
        fd_ = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    ~Held() { ::close(fd_); }
    Held(const Held &) = delete;
    Held &operator=(const Held &) = delete;

    void await_all() const
    {
        pollfd wait{fd_, POLLIN, 0};
        char byte;
        if (::poll(&wait, 1, 60'000) <= 0 || ::read(fd_, &byte, 1) != 1) throw std::runtime_error("a tree is not there after a minute");
    }
    /// How many are left when patience is over; they are ended then.
    int await_none() const
    {
        pollfd wait{fd_, POLLIN, 0};
        for (const auto begin = Clock::now(); Clock::now() - begin < patience;) {
            ::poll(&wait, 1, 100);
            if ((wait.revents & POLLHUP) != 0) return 0;
        }
        int left = 0;
        for (const pid_t pid : litbuild::linux_::numbers_in("/proc"))
            if (slurp("/proc/" + std::to_string(pid) + "/cmdline").find(fifo_.string()) != std::string::npos && ::kill(pid, SIGKILL) == 0) ++left;
        return left;
    }

private:
    const fs::path fifo_;
    int fd_;
};

struct Times {
    std::vector<Milliseconds> launched, stopped;
    int left = 0;
    std::string why_not;
};

class PeersBench {
public:
    PeersBench(fs::path box, std::string litbuild, std::string held_tree)
        : box_(std::move(box)), one_{held_tree, "1", box_ / "one"}, many_{held_tree, std::to_string(processes), box_ / "many"}
    {
        fs::create_directories(box_);
        add("litbuild", [&, program = std::move(litbuild)] { return std::make_unique<Litbuild>(box_ / "litbuild", program); });
        add("supervisord", [&] { return std::make_unique<Supervisord>(box_ / "supervisord", std::map<std::string, Words>{{"one", one_}, {"many", many_}}); });
        add("task-spooler", [&] { return std::make_unique<TaskSpooler>(box_ / "tsp"); });
        add("Slurm", [&] { return std::make_unique<Slurm>(box_ / "slurm"); });
    }

    void run()
    {
        for (int i = 0; i < rounds; ++i)
            for (auto &[name, peer] : peers_) {
                Times &times = times_[name];
                try {
                    if (times.why_not.empty()) measure(*peer, times);
                } catch (const std::exception &e) {
                    if (name == "litbuild") throw;
                    times.why_not = e.what();
                }
            }
        const Times &ours = times_.at("litbuild");
        if (ours.left > 0) throw std::runtime_error("litbuild left " + std::to_string(ours.left) + " processes");
        for (const auto &[name, peer] : peers_) {
            if (name == "litbuild") continue;
            const Times &theirs = times_.at(name);
            if (!theirs.why_not.empty()) {
                figures::skip(name, theirs.why_not);
                continue;
            }
            figures::tell({"launched by command", figures::median(ours.launched), name, figures::median(theirs.launched)});
            if (theirs.left == 0) figures::tell({"a hundred processes stopped by command", figures::median(ours.stopped), name, figures::median(theirs.stopped)});
            else figures::tell({"of a hundred processes live on after stop", 0, name, static_cast<double>(theirs.left), "processes"});
        }
    }

private:
    template <class Make>
    void add(const std::string &name, const Make &make)
    {
        try {
            peers_.emplace_back(name, make());
        } catch (const std::exception &e) {
            if (name == "litbuild") throw;
            figures::skip(name, e.what());
        }
    }

    void measure(Peer &peer, Times &times) const
    {
        {
            const Held held(box_ / "one");
            const auto begin = Clock::now();
            job_ = peer.launch(one_, [&] {
                held.await_all();
                times.launched.push_back(figures::since(begin));
            });
            peer.stop(job_);
            held.await_none();
        }
        const Held held(box_ / "many");
        job_ = peer.launch(many_, [&] { held.await_all(); });
        pause_a_little();
        int left = 0;
        times.stopped.push_back(figures::time_of([&] {
            peer.stop(job_);
            left = held.await_none();
        }));
        times.left = std::max(times.left, left);
    }

    const fs::path box_;
    const Words one_, many_;
    std::vector<std::pair<std::string, std::unique_ptr<Peer>>> peers_;
    std::map<std::string, Times> times_;
    mutable std::string job_;
};

}  // namespace

int main(int argc, char **argv)
{
    if (argc != 4) {
        std::fprintf(stderr, "usage: litbuild-peers-bench FOLDER LITBUILD HELD_TREE\n");
        return 2;
    }
    try {
        PeersBench(fs::absolute(argv[1]) / "peers", fs::absolute(argv[2]), fs::absolute(argv[3])).run();
    } catch (const std::exception &e) {
        std::fprintf(stderr, "litbuild-peers-bench: %s\n", e.what());
        return 1;
    }
    return 0;
}
