// Where a case is played. Each case runs once in each column (a user and a tier of containment), and each time in a process
// of its own, the player, which is the host of the engine. Above it stands a warden, which is root where the test is: it is
// the subreaper of everything the case starts, keeps an outer control group around it, answers the player's questions about
// who is alive, and clears up by pid when the case is over. Nothing of a case outlives its warden.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <functional>
#include <iostream>

#include "stop/watch.hpp"
#include "support.hpp"

namespace stop_cases {

using namespace litbuild;
using namespace std::chrono_literals;
namespace json = boost::json;

enum class User { root, plain, delegated };
enum class Tier { cgroup, subreaper, pid_namespace };

struct Column {
    const char *name;
    User user;
    Tier tier;
};
inline constexpr Column columns[] = {
    {"root/cgroup", User::root, Tier::cgroup},           {"root/subreaper", User::root, Tier::subreaper},
    {"root/pid-ns", User::root, Tier::pid_namespace},    {"user/subreaper", User::plain, Tier::subreaper},
    {"user/pid-ns", User::plain, Tier::pid_namespace},   {"deleg/cgroup", User::delegated, Tier::cgroup},
};

inline const fs::path unified = "/sys/fs/cgroup/unified";
inline const fs::path pids_v1 = "/sys/fs/cgroup/pids";

inline fs::path cgroup2_mount() { return fs::exists(unified / "cgroup.procs") ? unified : fs::path("/sys/fs/cgroup"); }

/// Programs where every user can read them.
inline fs::path &programs()
{
    static fs::path folder;
    return folder;
}

class Room {
public:
    const Column column;
    const std::string mark;        ///< the test's own, in the environment of all that a build starts
    fs::path root;                 ///< of the engine
    fs::path outer;                ///< control group around the player; empty: none
    fs::path mounted;              ///< what the case's setup mounted
    uid_t uid = 0, other_uid = 0;
    pid_t bystander = 0;
    std::string containment;       ///< that the status must tell; empty: the column's own

    Room(const Column &in, std::string own_mark) : column(in), mark(std::move(own_mark)) {}

    bool is(Tier tier) const { return column.tier == tier; }
    bool is(User user) const { return column.user == user; }
    static std::string helper(const std::string &name) { return (programs() / ("stop_" + name)).string(); }

    // ------------------------------------------------------------------------------------------ the engine

    Config config() const
    {
        Config out{.root = root};
        out.runner = programs() / "litbuild-runner";
        out.deadline = 120s;
        // An ordinary user asks for the best there is and is to be given what there is.
        json::object process = {{"cgroup", is(Tier::cgroup) && is(User::delegated) ? (outer / "builds").string()
                                           : is(Tier::subreaper) && is(User::root) ? "none"
                                                                                   : "auto"}};
        out.process.config = json::serialize(process);
        return out;
    }
    Engine &engine()
    {
        if (!engine_) engine_.emplace(config());
        return *engine_;
    }

    std::string spec(json::array steps, json::object more = {}) const
    {
        json::object environment = {{"ORACLE", mark}, {"HELPERS", programs().string()}, {"PATH", "/usr/bin:/bin"}};
        if (json::value *given = more.if_contains("environment"))
            for (const auto &[key, value] : given->as_object()) environment[key] = value;
        more["environment"] = environment;
        more["steps"] = std::move(steps);
        if (is(Tier::pid_namespace)) more["process"] = {{"isolation", "pid-namespace"}};
        return json::serialize(more);
    }
    Build launch(std::vector<std::string> command, json::object more = {})
    {
        return engine().launch("contoso", spec({{{"name", "scene"}, {"command", json::value_from(command)}}}, std::move(more)));
    }
    Build shell(const std::string &script, json::object more = {}) { return launch({"bash", "-c", script}, std::move(more)); }

    /// Waits for a file of the build; a build that ends before it is there fails the case.
    void until(const Build &build, const char *file = "up")
    {
        const fs::path wanted = build.path() / file;
        wait_for("file " + std::string(file), [&] {
            if (!fs::exists(wanted) && is_terminal(build.get_status().state) && !fs::exists(wanted))
                throw std::runtime_error("the scene ended: " + build.get_status().error + "; log: " +
                                         text_of(build.path() / "log").substr(0, 300));
            return fs::exists(wanted);
        });
    }
    template <class Ready>
    void wait_for(const std::string &what, Ready ready, std::chrono::seconds limit = 60s)
    {
        const auto end = Clock::now() + limit;
        while (!ready()) {
            if (Clock::now() > end) throw std::runtime_error("never came: " + what);
            std::this_thread::sleep_for(5ms);
        }
    }

    // --------------------------------------------------------------------------------------------- answers

    void check(bool good, const std::string &what)
    {
        if (!good) failures_ += what + "\n";
    }
    template <class A, class B>
    void equal(const A &is_so, const B &should, const std::string &what)
    {
        if (is_so == should) return;
        std::ostringstream text;
        text << what << ": is '" << is_so << "', should be '" << should << "'";
        check(false, text.str());
    }
    /// What the table shows instead of "ok".
    void note(const std::string &text) { cell_ += (cell_.empty() ? "" : ", ") + text; }
    const std::string &failures() const { return failures_; }
    std::string cell() const { return cell_.empty() ? "ok" : cell_; }

    StopOptions options(std::chrono::milliseconds grace = 300ms, std::chrono::milliseconds patience = 30s) const
    {
        StopOptions out;
        out.plan = StopPlan{{SIGTERM, grace}, {SIGKILL, patience}};
        out.by = "tester";
        out.reason = column.name;
        return out;
    }

    json::object detail(const Build &build) const
    {
        boost::system::error_code error;
        const json::value value = json::parse(build.get_status().detail, error);
        return !error && value.is_object() ? value.as_object() : json::object();
    }
    int64_t counted(const Build &build, const char *key) const
    {
        const json::object all = detail(build);
        const json::value *stop = all.if_contains("stop");
        const json::value *found = stop && stop->is_object() ? stop->as_object().if_contains(key) : nullptr;
        return found ? found->to_number<int64_t>() : -1;
    }

    void check_tier(const Build &build)
    {
        const json::object all = detail(build);
        const json::value *found = all.if_contains("containment");
        const std::string said = found && found->is_string() ? std::string(found->as_string()) : "nothing";
        if (!containment.empty()) {
            equal(said, containment, "containment");
            return;
        }
        if (is(Tier::cgroup)) equal(said, "cgroup", "containment");
        if (is(Tier::subreaper)) equal(said, "subreaper", "containment");
        if (is(Tier::pid_namespace)) check(said.find("pid") != std::string::npos, "containment is '" + said + "'");
    }

    /// Groups that bear the name of the build.
    std::string groups_left(const Build &build) const
    {
        const std::string uuid = support::uuid_of(build);
        std::vector<fs::path> places;
        std::ifstream own("/proc/self/cgroup");
        for (std::string line; std::getline(own, line);) {
            const std::string names = line.substr(line.find(':') + 1, line.rfind(':') - line.find(':') - 1);
            const fs::path mount = names.empty() ? cgroup2_mount() : fs::path("/sys/fs/cgroup") / names;
            places.push_back(mount / "litbuild");
            places.push_back(mount.string() + line.substr(line.rfind(':') + 1) + "/litbuild");
        }
        if (!outer.empty()) places.push_back(outer / "builds");
        std::string out;
        std::error_code error;
        for (const fs::path &place : places)
            for (const fs::directory_entry &entry : fs::directory_iterator(place, error))
                if (entry.path().filename().string().starts_with(uuid)) out += entry.path().string() + " ";
        return out;
    }

    /// The truth: nobody is alive and nothing is left.
    void nobody(const Build &build, const char *when = "after the stop")
    {
        const std::string alive = ask("alive " + (build.path() / "pids").string());
        check(alive.empty(), std::string("alive ") + when + ": " + alive);
        const std::string groups = groups_left(build);
        equal(groups, "", "groups left");
        if (!groups.empty()) ask("remove " + groups);
        check_bystander();
    }
    /// The same where the answer was the build's own last word: the runner may need a moment to end behind it.
    void nobody_soon(const Build &build, const char *when)
    {
        const auto end = Clock::now() + 20s;
        while (!ask("alive ").empty() && Clock::now() < end) std::this_thread::sleep_for(5ms);
        nobody(build, when);
    }
    void check_bystander()
    {
        check(bystander > 0 && ::kill(bystander, 0) == 0 && see(bystander).alive, "the bystander was hurt");
    }

    void expect_answer(const Build &build, const StopResult &result, const std::string &by = "tester")
    {
        equal(result.message, "Build id " + std::to_string(build.runid()) + " has been stopped", "answer");
        check(result.outcome == StopResult::Outcome::stopped, "outcome is not 'stopped'");
        check(result.report.survivors.empty(), "survivors are named although it says stopped");
        const Status status = build.get_status();
        equal(name(status.state), std::string("stopped"), "state");
        equal(status.stopped_by, by, "stopped_by");
        equal(status.reason, column.name, "reason");
    }

    /// The usual end of a scene.
    StopResult expect_stopped(const Build &build) { return expect_stopped(build, options()); }
    StopResult expect_stopped(const Build &build, const StopOptions &how)
    {
        check_tier(build);
        const StopResult result = build.stop(how);
        nobody(build);
        expect_answer(build, result);
        // The controller's own walk is there for a runner that is gone or stuck; here it is neither.
        equal(result.report.mechanism, "runner", "who ended it");
        equal(name(build.wait(Call::within(20s)).state), std::string("stopped"), "state after wait");
        return result;
    }

    /// One process cannot be ended: the answer names it and says so; once it is let go the stop completes.
    void expect_incomplete(const Build &build, const std::string &command, const std::function<void()> &let_go,
                           const char *shown)
    {
        check_tier(build);
        // Long enough for all others to be gone.
        const StopResult result = build.stop(options(200ms, 2s));
        const std::string alive = ask("alive " + (build.path() / "pids").string());
        check(!alive.empty(), "the scene is wrong: nobody survived");
        check(result.outcome == StopResult::Outcome::incomplete, "outcome is not 'incomplete' but: " + result.message);
        check(!result.report.survivors.empty(), "nobody is named");
        bool named = false;
        for (const ProcessInfo &each : result.report.survivors) {
            if (each.command.find(command) != std::string::npos) named = true;
            check(each.pid > 0, "a survivor without a number");
            if (each.command.find(command) != std::string::npos)
                check(see(static_cast<pid_t>(each.pid)).alive, "a survivor is named that is not alive");
            check(each.state != 0, "the survivor's state is not told");
        }
        check(named, "no survivor is called " + command);
        equal(name(build.get_status().state), std::string("stopping"), "state while one lives on");
        check_bystander();
        let_go();
        equal(name(build.wait(Call::within(60s)).state), std::string("stopped"), "state once it is let go");
        const StopResult again = build.stop(options());
        nobody_soon(build, "once it is let go");
        expect_answer(build, again);
        note(std::string("incomplete(") + shown + ") then ok");
    }

    /// A question to the warden.
    std::string ask(const std::string &question)
    {
        if (::send(socket_, question.data(), question.size(), MSG_NOSIGNAL) < 0) throw std::runtime_error("no warden");
        std::string answer(65536, '\0');
        const ssize_t got = ::recv(socket_, answer.data(), answer.size(), 0);
        if (got <= 0) throw std::runtime_error("the warden is silent");
        answer.resize(static_cast<size_t>(got));
        return answer.substr(1);
    }
    void listen_at(int socket) { socket_ = socket; }
    void hang_up() { ::close(socket_); }

private:
    std::optional<Engine> engine_;
    std::string failures_, cell_;
    int socket_ = -1;
};

struct Options {
    std::function<void(Room &, class Warden &)> setup = {};              ///< in the warden, before the player is there
    std::function<std::string(const Column &)> not_here = {};            ///< why a column is left out; empty: it is not
    std::function<void(Room &)> before_drop = {};                        ///< in the player, while it has the warden's rights
    bool alone = false;                                                  ///< the columns one after the other
    std::chrono::seconds limit = 150s;
};
using Scene = std::function<void(Room &)>;

class Warden {
public:
    using Ask = std::function<std::string(const std::string &)>;

    Warden(const Column &column, const Options &options) : options_(options), room_(column, mark()) {}

    /// Plays the scene; returns the cell and the failures.
    std::string play(const Scene &scene)
    {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        // A signal to the test and its group must not keep the warden from clearing up.
        ::setpgid(0, 0);
        for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
        ::signal(SIGPIPE, SIG_IGN);
        const auto begin = Clock::now();
        try {
            prepare();
            if (options_.setup) options_.setup(room_, *this);
            start_player(scene);
            attend();
        } catch (const std::exception &e) {
            failures_ += std::string("the warden: ") + e.what() + "\n";
        } catch (...) {
            // It must not leave here: this process is a copy of the test, which would go on with the other cases.
            failures_ += "the warden: broke off\n";
        }
        const auto took = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin).count();
        clear_up();
        // Shown, never asserted: what is long without a reason is worth a look.
        return (failures_.empty() ? cell_ : "FAILED") + (took >= 5 ? " " + std::to_string(took) + "s" : "") + "\n" + failures_;
    }

    void on(const std::string &word, Ask answer) { asks_[word] = std::move(answer); }
    void later(std::function<void()> undo) { undo_.push_back(std::move(undo)); }
    /// A process that belongs to the test.
    pid_t start(std::vector<std::string> words)
    {
        const pid_t pid = ::fork();
        if (pid == 0) {
            std::vector<char *> argv;
            for (std::string &word : words) argv.push_back(word.data());
            argv.push_back(nullptr);
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
        known_.insert(pid);
        return pid;
    }
    void known(pid_t pid) { known_.insert(pid); }
    void end(pid_t pid)
    {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        known_.erase(pid);
    }
    void reap()
    {
        while (::waitpid(-1, nullptr, WNOHANG | __WALL) > 0) {
        }
    }

private:
    static std::string mark()
    {
        std::ifstream in("/proc/sys/kernel/random/uuid");
        std::string out;
        in >> out;
        return out;
    }

    void own(const fs::path &path) { if (::chown(path.c_str(), room_.uid, room_.uid) != 0) throw std::runtime_error("chown " + path.string()); }

    void prepare()
    {
        static const uid_t base = 60'000 + static_cast<uid_t>(::getppid() % 300) * 10;
        const bool is_root = ::geteuid() == 0;
        // A user of its own for each column: the kernel counts the processes of a user.
        room_.uid = ::geteuid();
        if (is_root && !room_.is(User::root))
            room_.uid = base + (room_.is(User::plain) ? 1 : 2) + (room_.is(Tier::pid_namespace) ? 2 : 0);
        room_.other_uid = base + 9;
        char folder[] = "/tmp/litbuild-test-XXXXXX";
        if (!::mkdtemp(folder)) throw std::runtime_error("mkdtemp");
        folder_ = folder;
        ::chmod(folder, 0755);
        room_.root = folder_ / "root";
        fs::create_directory(room_.root);
        if (!is_root) return;
        own(room_.root);
        const std::string name = "litbuild-test-" + std::to_string(::getpid());
        if (cgroup2_mount() == unified || fs::exists(cgroup2_mount() / "cgroup.procs")) {
            room_.outer = cgroup2_mount() / name;
            if (::mkdir(room_.outer.c_str(), 0755) != 0) throw std::runtime_error("mkdir " + room_.outer.string());
            if (room_.is(User::delegated)) {
                own(room_.outer);
                for (const char *file : {"cgroup.procs", "cgroup.threads", "cgroup.subtree_control"}) own(room_.outer / file);
            }
        }
        // For the host's sake: no scene may have more processes than this, whatever fails.
        if (fs::exists(pids_v1 / "cgroup.procs") && ::mkdir((pids_v1 / name).c_str(), 0755) == 0) {
            outer_pids_ = pids_v1 / name;
            support::spill(outer_pids_ / "pids.max", "13000");
        }
    }

    void start_player(const Scene &scene)
    {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair");
        player_ = ::fork();
        if (player_ == 0) {
            room_.listen_at(ends[1]);
            std::string last;
            try {
                drop();
                scene(room_);
            } catch (const std::exception &e) {
                room_.check(false, std::string("the scene broke off: ") + e.what());
            }
            // An end that is not waited for here: what the player leaves is what a host leaves.
            last = room_.ask("result " + room_.cell() + "\n" + room_.failures());
            ::_exit(0);
        }
        ::close(ends[1]);
        socket_.reset(ends[0]);
        known_.insert(player_);
    }

    void drop()
    {
        for (const fs::path &group : {room_.outer, outer_pids_})
            if (!group.empty()) support::spill(group / "cgroup.procs", "0");
        if (options_.before_drop) options_.before_drop(room_);
        if (room_.uid != ::geteuid()) {
            if (::setgroups(0, nullptr) != 0 || ::setresgid(room_.uid, room_.uid, room_.uid) != 0 ||
                ::setresuid(room_.uid, room_.uid, room_.uid) != 0)
                throw std::runtime_error("cannot become another user");
            ::prctl(PR_SET_DUMPABLE, 1);
        }
        // One that shares the process group, the session, the user and the folder with the engine's host.
        room_.bystander = ::fork();
        if (room_.bystander == 0) {
            room_.hang_up();
            for (;;) ::pause();
        }
        if (room_.ask("bystander " + std::to_string(room_.bystander)) != "ok") throw std::runtime_error("no bystander");
    }

    std::set<pid_t> alive(const fs::path &recorded)
    {
        reap_dead();
        const std::map<pid_t, Seen> all = see_all();
        std::set<pid_t> out;
        for (const auto &[pid, seen] : all)
            if (seen.alive && (descends(all, pid, ::getpid()) || carries(pid, "ORACLE=" + room_.mark))) out.insert(pid);
        if (!room_.outer.empty())
            for (const pid_t pid : members(room_.outer))
                if (see(pid).alive) out.insert(pid);
        if (!recorded.empty() && !room_.is(Tier::pid_namespace))
            for (const pid_t pid : recorded_and_alive(recorded)) out.insert(pid);
        for (const pid_t pid : known_) out.erase(pid);
        return out;
    }

    static std::string named(const std::set<pid_t> &pids)
    {
        std::string out;
        size_t count = 0;
        for (const pid_t pid : pids) {
            const Seen seen = see(pid);
            if (++count <= 8) out += std::to_string(pid) + " (" + seen.name + ") " + seen.state + "; ";
        }
        return count > 8 ? out + "... " + std::to_string(count) + " in all" : out;
    }

    /// Only what nobody asks for: the player's and the servers' ends are told by others.
    void reap_dead()
    {
        siginfo_t info{};
        while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid > 0) {
            ::waitpid(info.si_pid, nullptr, __WALL);
            info = {};
        }
    }

    void attend()
    {
        const auto end = Clock::now() + options_.limit;
        for (;;) {
            pollfd wait{socket_.get(), POLLIN, 0};
            const int ready = ::poll(&wait, 1, 20);
            reap_dead();
            if (::getppid() != parent_) {
                failures_ += "the test is gone\n";
                return;
            }
            if (Clock::now() > end) {
                failures_ += "did not come to an end; alive: " + named(alive("")) + "\n";
                return;
            }
            if (ready <= 0) continue;
            std::string question(1 << 18, '\0');
            const ssize_t got = ::recv(socket_.get(), question.data(), question.size(), 0);
            if (got <= 0) {
                failures_ += "the player is gone\n";
                return;
            }
            question.resize(static_cast<size_t>(got));
            const size_t space = std::min(question.find(' '), question.size());
            const std::string word = question.substr(0, space);
            const std::string rest = question.substr(std::min(space + 1, question.size()));
            std::string answer;
            if (word == "alive") {
                answer = named(alive(rest));
            } else if (word == "clear" || word == "clear_others") {
                // Ends what the case leaves on purpose: all of it, or only what another user has.
                for (int pass = 0; pass < 200; ++pass) {
                    size_t found = 0;
                    for (const pid_t pid : alive("")) {
                        struct stat owner{};
                        ::stat(("/proc/" + std::to_string(pid)).c_str(), &owner);
                        if (word == "clear_others" && owner.st_uid != room_.other_uid) continue;
                        ++found;
                        ::kill(pid, SIGKILL);
                    }
                    if (found == 0) break;
                    std::this_thread::sleep_for(5ms);
                }
            } else if (word == "remove") {
                std::istringstream groups(rest);
                for (std::string group; groups >> group;) later([group] { remove_group(group); });
            } else if (word == "pid_of") {
                for (const pid_t pid : alive(""))
                    if (see(pid).name == rest) answer = std::to_string(pid);
            } else if (word == "bystander") {
                bystander_ = std::atoi(rest.c_str());
                known_.insert(bystander_);
                answer = "ok";
            } else if (word == "result") {
                const size_t line = rest.find('\n');
                cell_ = rest.substr(0, line);
                failures_ += rest.substr(line + 1);
                if (bystander_ > 0 && !see(bystander_).alive) failures_ += "the bystander was hurt\n";
            } else if (const auto found = asks_.find(word); found != asks_.end()) {
                answer = found->second(rest);
            }
            answer = "=" + answer;
            ::send(socket_.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
            if (word == "result") return;
        }
    }

    void clear_up()
    {
        for (const pid_t pid : known_) ::kill(pid, SIGKILL);
        std::set<pid_t> left = alive("");
        // A runner that has said its last word may be on its way out.
        const auto only_runners = [&] {
            return !left.empty() && std::all_of(left.begin(), left.end(), [](pid_t pid) { return see(pid).name == "litbuild-runner"; });
        };
        for (const auto end = Clock::now() + 20s; only_runners() && Clock::now() < end; left = alive("")) std::this_thread::sleep_for(5ms);
        if (!left.empty()) failures_ += "alive when all was over: " + named(left) + "\n";
        for (const pid_t pid : known_) ::waitpid(pid, nullptr, __WALL);
        known_.clear();
        for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) (*undo)();
        const auto end = Clock::now() + 30s;
        for (std::set<pid_t> last = left; Clock::now() < end; last = alive("")) {
            for (const pid_t pid : last) ::kill(pid, SIGKILL);
            if (!room_.outer.empty()) support::spill(room_.outer / "cgroup.kill", "1");
            reap_dead();
            if (last.empty()) break;
            std::this_thread::sleep_for(5ms);
        }
        for (const fs::path &group : {room_.outer, outer_pids_})
            if (!group.empty()) remove_group(group);
        std::error_code error;
        fs::remove_all(folder_, error);
    }

    static void remove_group(const fs::path &group)
    {
        std::vector<fs::path> all{group};
        std::error_code error;
        for (size_t i = 0; i < all.size(); ++i) {
            const fs::path place = all[i];
            for (const fs::directory_entry &entry : fs::directory_iterator(place, error))
                if (entry.is_directory(error)) all.push_back(entry.path());
        }
        for (auto each = all.rbegin(); each != all.rend(); ++each)
            for (int attempt = 0; attempt < 50 && ::rmdir(each->c_str()) != 0 && errno == EBUSY; ++attempt)
                std::this_thread::sleep_for(10ms);
    }

    Options options_;
    Room room_;
    fs::path folder_, outer_pids_;
    linux_::Descriptor socket_;
    std::map<std::string, Ask> asks_;
    std::vector<std::function<void()>> undo_;
    std::set<pid_t> known_;
    const pid_t parent_ = ::getppid();
    pid_t player_ = 0, bystander_ = 0;
    std::string cell_ = "FAILED", failures_;
};

}  // namespace stop_cases
