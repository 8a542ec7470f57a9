// The hard cases of stop, by the numbers of the research (shared/research/process.md, 4), each in every column of users and
// tiers. What a case must show stands in stop/room.hpp: the answer is the truth, nobody lives on, nobody else was hurt, no
// group is left. Where a tier cannot win, the case asserts the honest answer, and the table at the end says which.
#define BOOST_TEST_MODULE stop_cases
#include "stop/table.hpp"

#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/resource.h>

#include <random>

using namespace stop_cases;

BOOST_TEST_GLOBAL_FIXTURE(Stage);

namespace {

using Outcome = StopResult::Outcome;

const bool long_run = ::getenv("LITBUILD_TEST_LONG") && *::getenv("LITBUILD_TEST_LONG");

bool is_root() { return ::geteuid() == 0; }

/// A scene of one script, stopped in the usual way.
Scene script(const char *text)
{
    return [text](Room &room) {
        const Build build = room.shell(text);
        room.until(build);
        room.expect_stopped(build);
    };
}

/// Likewise of one helper.
Scene program(std::vector<std::string> words, json::object more = {}, std::chrono::milliseconds patience = 30s)
{
    return [words, more, patience](Room &room) {
        std::vector<std::string> command = words;
        command[0] = Room::helper(command[0]);
        const Build build = room.launch(command, more);
        room.until(build);
        room.expect_stopped(build, room.options(300ms, patience));
    };
}

/// Columns whose builds may make groups below their own.
std::string makes_groups(const Column &column)
{
    return column.user == User::plain ? "may make no groups" : "";
}
std::string needs_root(const Column &) { return is_root() ? "" : "needs root to set it up"; }

/// In a script: the build's own group.
constexpr const char *own_group = R"(
    G=/sys/fs/cgroup/unified; [ -e $G ] || G=/sys/fs/cgroup
    G=$G$(sed -n 's/^0:://p' /proc/self/cgroup); G=${G%/}
)";

/// Mounts the file system whose opens never come back; "release" ends it, "halt" stops its server.
void hanging_files(Room &room, Warden &warden)
{
    room.mounted = room.root.parent_path() / "hanging";
    fs::create_directory(room.mounted);
    const pid_t server = warden.start({Room::helper("fuse"), room.mounted.string()});
    warden.later([folder = room.mounted] { ::umount2(folder.c_str(), MNT_DETACH); });
    warden.on("release", [server, &warden](const std::string &) {
        warden.end(server);
        return "ok";
    });
    warden.on("halt", [server, &room](const std::string &) {
        ::kill(server, SIGSTOP);
        // Until then it may still take a request, and what it has taken cannot be killed.
        room.wait_for("the server's standing still", [server] {
            return support::slurp("/proc/" + std::to_string(server) + "/stat").find(") T ") != std::string::npos;
        });
        return "ok";
    });
    room.wait_for("the mount", [&] { return fs::exists(room.mounted / "hang"); });
}

void small_disk(Room &room, Warden &warden)
{
    const std::string how = "size=2m,mode=0755,uid=" + std::to_string(room.uid) + ",gid=" + std::to_string(room.uid);
    if (::mount("litbuild-test", room.root.c_str(), "tmpfs", 0, how.c_str()) != 0) throw std::runtime_error("mount tmpfs");
    warden.later([folder = room.root] { ::umount2(folder.c_str(), MNT_DETACH); });
}

pid_t runner_of(const Build &build) { return support::runner_of(build); }

size_t descriptors() { return numbers("/proc/self/fd").size(); }

size_t events_of(const Build &build, const std::string &type)
{
    size_t count = 0;
    const std::string text = text_of(build.path() / "events.jsonl");
    for (size_t at = 0; (at = text.find("\"type\":\"" + type + "\"", at)) != std::string::npos; ++at) ++count;
    return count;
}

}  // namespace

// ------------------------------------------------------------------------------------------ what leaves the group

BOOST_AUTO_TEST_CASE(case_01_pipeline_and_background)
{
    play("1 pipeline", script("sleep 99 & sleep 98 | cat & touch up; wait"));
}

BOOST_AUTO_TEST_CASE(case_02_setsid)
{
    play("2 setsid", script("setsid sleep 999 & setsid setsid sleep 999 & touch up; wait"));
}

BOOST_AUTO_TEST_CASE(case_03_double_fork)
{
    play("3 double fork", program({"daemon"}));
}

BOOST_AUTO_TEST_CASE(case_04_nohup_and_disown)
{
    play("4 nohup, disown", script("nohup sleep 999 & disown; (trap '' HUP TERM; sleep 999) & touch up; sleep 999"));
}

BOOST_AUTO_TEST_CASE(case_05_obedient_leader_stubborn_child)
{
    play("5 stubborn child", [](Room &room) {
        const Build build = room.shell("(trap '' TERM; touch up; while :; do sleep 1; done) & exec sleep 999");
        room.until(build);
        room.expect_stopped(build);
        room.check(room.counted(build, "killed") != 0, "nobody was killed, although one ignores TERM");
    });
}

BOOST_AUTO_TEST_CASE(case_06_leader_gone_children_alive)
{
    play("6 leader ended before", [](Room &room) {
        const Build build = room.shell("sleep 600 & setsid sleep 600 & echo $$ > up; exit 0", {{"linger", "10m"}});
        room.until(build);
        room.wait_for("the leader's end", [&] { return build.get_status().steps[0].state == State::complete; });
        const StopResult result = build.stop(room.options());
        room.nobody(build);
        room.check(result.outcome == Outcome::already_finished, "outcome: " + result.message);
        room.equal(name(build.get_status().state), std::string("complete"), "state");
    });
}

BOOST_AUTO_TEST_CASE(case_07_term_makes_new_work)
{
    play("7 TERM makes new work", script("trap 'setsid sleep 99 & sleep 99 & ' TERM; touch up; while :; do sleep 0.02; done"));
}

// -------------------------------------------------------------------------------------------------- fork bombs

namespace {

/// As root without a group nothing holds a bomb but its own budget.
Scene bomb(bool leaves_session)
{
    return [leaves_session](Room &room) {
        const bool held = !(room.is(User::root) && room.is(Tier::subreaper));
        std::vector<std::string> command{Room::helper("bomb"), held ? "100000" : "1200", held ? "150" : "1000"};
        if (leaves_session) command.emplace_back("setsid");
        const Build build = room.launch(command, {{"limits", {{"processes", 250}}}});
        room.until(build);
        room.expect_stopped(build, room.options(100ms, 60s));
    };
}

Scene comets(const char *count)
{
    return program({"comet", count}, {{"limits", {{"processes", 500}}}}, 60s);
}

}  // namespace

BOOST_AUTO_TEST_CASE(case_08_fork_bomb)
{
    play("8 fork bomb", bomb(false), {.alone = true});
}

BOOST_AUTO_TEST_CASE(case_09_fork_bomb_setsid)
{
    play("9 fork bomb, setsid", bomb(true), {.alone = true});
}

BOOST_AUTO_TEST_CASE(case_10_one_comet)
{
    play("10 comet", comets("1"), {.alone = true});
}

BOOST_AUTO_TEST_CASE(case_10_twenty_comets)
{
    play("10 comets x20", comets("20"), {.alone = true});
}

BOOST_AUTO_TEST_CASE(case_10_two_hundred_comets)
{
    play("10 comets x200", comets("200"), {.alone = true});
}

// ------------------------------------------------------------------------------------------------- who hides

BOOST_AUTO_TEST_CASE(case_11_zombie_leader)
{
    play("11 zombie leader", program({"zombie_leader"}));
}

BOOST_AUTO_TEST_CASE(case_12_names)
{
    play("12 names", program({"names"}));
}

BOOST_AUTO_TEST_CASE(case_13_environment_wiped)
{
    play("13 env -i", script("env -i setsid sleep 999 & touch up; wait"));
    play("13 environ overwritten", program({"wiped"}));
}

BOOST_AUTO_TEST_CASE(case_13_environment_wiped_and_the_runner_killed)
{
    play("13+29 wiped, runner killed", [](Room &room) {
        const Build build = room.launch({Room::helper("wiped")});
        room.until(build);
        ::kill(runner_of(build), SIGKILL);
        room.wait_for("lost", [&] { return !is_active(build.get_status().state); });
        const StopResult result = build.stop(room.options(100ms, 2s));
        const std::string alive = room.ask("alive " + (build.path() / "pids").string());
        if (alive.empty()) {
            room.nobody(build);
            return;
        }
        // Neither descent nor mark is left. The tier cannot win; then it must not say that it did.
        room.check(!room.is(Tier::cgroup), "the group was there to find it by: " + alive);
        room.check(result.message.find("has been stopped") == std::string::npos,
                   "BUG: it says '" + result.message + "', but alive are " + alive);
        room.note("not found, and says so");
        room.ask("clear");
    });
}

BOOST_AUTO_TEST_CASE(case_14_not_dumpable)
{
    play("14 not dumpable", program({"closed"}));
}

BOOST_AUTO_TEST_CASE(case_15_another_user)
{
    const Scene scene = [](Room &room) {
        const Build build = room.launch({Room::helper("other_uid"), std::to_string(room.other_uid)});
        room.until(build);
        if (!room.is(User::plain)) {
            room.expect_stopped(build);
            return;
        }
        // Nobody may signal a process of another user; without a group there is no other way.
        room.expect_incomplete(build, "stop_other_uid", [&] { room.ask("clear_others"); }, "other user's");
    };
    play("15 another user's child", scene, {.not_here = [](const Column &column) -> std::string {
             if (!is_root()) return "needs root to make it";
             return column.user == User::plain && column.tier == Tier::pid_namespace ? "no setuid there" : "";
         }});
}

// ------------------------------------------------------------------------------------------ who does not listen

BOOST_AUTO_TEST_CASE(case_16_stopped_subtree)
{
    play("16 stopped subtree", [](Room &room) {
        const Build build = room.shell("sleep 600 & kill -STOP $!; (touch asleep; kill -STOP $BASHPID; sleep 600) & "
                                       "touch up; kill -STOP $$; sleep 600");
        room.until(build);
        room.until(build, "asleep");
        std::this_thread::sleep_for(100ms);
        room.expect_stopped(build, room.options(60s));
        room.equal(room.counted(build, "killed"), 0, "TERM and CONT are enough; killed");
    });
}

BOOST_AUTO_TEST_CASE(case_17_traced)
{
    play("17 traced", program({"traced"}));
}

BOOST_AUTO_TEST_CASE(case_18_odd_clones)
{
    play("18 odd clones", [](Room &room) {
        const Build build = room.launch({Room::helper("clone")});
        room.until(build);
        std::this_thread::sleep_for(100ms);
        room.equal(name(build.get_status().state), std::string("running"), "state while the leader lives");
        room.expect_stopped(build);
    });
}

BOOST_AUTO_TEST_CASE(case_19_vfork)
{
    play("19 vfork", program({"vfork"}));
}

BOOST_AUTO_TEST_CASE(case_20_unkillable)
{
    const Scene scene = [](Room &room) {
        const Build build = room.launch({Room::helper("hang"), (room.mounted / "hang").string()});
        room.until(build);
        room.wait_for("the open that hangs", [&] { return fs::exists(room.mounted.string() + ".asked"); });
        room.expect_incomplete(build, "stop_hang", [&] { room.ask("release"); }, "stop_hang D");
        room.check(!fs::exists(build.path() / "came_back"), "it came back to life after its kill");
    };
    play("20 D state (FUSE)", scene, {.setup = hanging_files, .not_here = [](const Column &) -> std::string {
             if (!is_root()) return "needs root to mount";
             return fs::exists("/dev/fuse") ? "" : "no FUSE";
         }});
}

BOOST_AUTO_TEST_CASE(case_20_frozen_from_outside)
{
    const auto setup = [](Room &room, Warden &warden) {
        const fs::path group = "/sys/fs/cgroup/freezer/" + room.outer.filename().string();
        if (::mkdir(group.c_str(), 0755) != 0) throw std::runtime_error("mkdir " + group.string());
        for (const char *file : {"cgroup.procs", "freezer.state"})
            if (::chown((group / file).c_str(), room.uid, room.uid) != 0) throw std::runtime_error("chown");
        room.mounted = group;
        const auto thaw = [group](const std::string &) {
            support::spill(group / "freezer.state", "THAWED");
            return "ok";
        };
        warden.on("release", thaw);
        warden.later([thaw, group, &warden] {
            thaw("");
            for (int attempt = 0; attempt < 200 && ::rmdir(group.c_str()) != 0; ++attempt) {
                for (const pid_t pid : members(group)) ::kill(pid, SIGKILL);
                warden.reap();
                std::this_thread::sleep_for(10ms);
            }
        });
    };
    const Scene scene = [](Room &room) {
        const Build build = room.shell("G=" + room.mounted.string() +
                                       "; sleep 612 & echo $! > $G/cgroup.procs && echo FROZEN > $G/freezer.state && touch up; wait");
        room.until(build);
        room.wait_for("the frost", [&] { return text_of(room.mounted / "freezer.state") == "FROZEN\n"; });
        room.expect_incomplete(build, "sleep 612", [&] { room.ask("release"); }, "frozen");
    };
    play("20 frozen (v1 freezer)", scene, {.setup = setup, .not_here = [](const Column &) -> std::string {
             if (!is_root()) return "needs root to make the group";
             return fs::exists("/sys/fs/cgroup/freezer/cgroup.procs") ? "" : "no freezer of version 1";
         }});
}

// ----------------------------------------------------------------------------------- what builds do with groups

BOOST_AUTO_TEST_CASE(case_21_frozen_group_inside)
{
    const Scene scene = [](Room &room) {
        const Build build = room.shell(std::string(own_group) + R"(
            mkdir $G/cold || exit 1
            sleep 600 & echo $! > $G/cold/cgroup.procs || exit 1
            (trap '' TERM; echo 0 > $G/cold/cgroup.procs; while :; do sleep 1; done) &
            sleep 0.1; echo 1 > $G/cold/cgroup.freeze
            until grep -q 'frozen 1' $G/cold/cgroup.events; do sleep 0.01; done; touch up; wait)");
        room.until(build);
        room.expect_stopped(build);
    };
    play("21 frozen group inside", scene, {.not_here = makes_groups});
}

BOOST_AUTO_TEST_CASE(case_22_threaded_group_inside)
{
    const Scene scene = [](Room &room) {
        const Build build = room.shell(std::string(own_group) + "exec $HELPERS/stop_threaded $G");
        room.until(build);
        room.expect_stopped(build);
    };
    play("22 threaded group inside", scene, {.not_here = makes_groups});
}

BOOST_AUTO_TEST_CASE(case_23_leaves_its_group)
{
    const Scene scene = [](Room &room) {
        const fs::path up = room.is(User::root) ? cgroup2_mount() : room.outer;
        const Build build = room.shell("setsid bash -c 'trap \"\" TERM; echo 0 > " + (up / "cgroup.procs").string() +
                                       " && touch up; while :; do sleep 1; done' & wait");
        room.until(build);
        room.expect_stopped(build);
        if (!room.is(Tier::cgroup)) return;
        room.check(room.counted(build, "escaped_group") >= 1, "who left the group is not counted as escaped");
    };
    play("23 leaves its group", scene, {.not_here = makes_groups});
}

BOOST_AUTO_TEST_CASE(case_24_a_thousand_groups_inside)
{
    const Scene scene = [](Room &room) {
        const Build build = room.shell(std::string(own_group) + R"(
            for i in {1..40}; do mkdir $G/w$i; mkdir $G/w$i/n{1..24}; done || exit 1
            (trap '' TERM; echo 0 > $G/w40/n24/cgroup.procs; touch up; while :; do sleep 1; done) & wait)");
        room.until(build);
        room.expect_stopped(build);
    };
    play("24 1000 groups inside", scene, {.not_here = makes_groups});
}

BOOST_AUTO_TEST_CASE(case_24_groups_deep_inside)
{
    const Scene scene = [](Room &room) {
        const Build build = room.shell(std::string(own_group) + R"(
            D=$G; for i in {1..200}; do D=$D/d; mkdir $D || exit 1; done
            (echo 0 > $D/cgroup.procs; trap ': > told; exit' TERM; touch up; while :; do sleep 0.05; done) & wait)");
        room.until(build);
        room.expect_stopped(build, room.options(60s));
        room.check(fs::exists(build.path() / "told"), "TERM did not reach who is 200 groups down");
    };
    play("24 200 groups deep", scene, {.not_here = makes_groups});
}

BOOST_AUTO_TEST_CASE(case_25_stop_and_launch_again_at_once)
{
    const auto setup = [](Room &room, Warden &) {
        // The host lives in a group that was killed once: since Linux 6.14 what is cloned into a group from there may die.
        if (!room.outer.empty()) support::spill(room.outer / "cgroup.kill", "1");
    };
    const Scene scene = [](Room &room) {
        for (int round = 0; round < 10; ++round) {
            const Build build = room.shell("setsid sleep 600 & touch up; wait");
            room.until(build);
            room.expect_stopped(build, room.options(0ms));
            const Build next = room.shell("true");
            room.equal(name(next.wait().state), std::string("complete"), "the next build");
            room.nobody_soon(next, "after its end");
        }
    };
    play("25 again at once", scene, {.setup = setup});
}

// ---------------------------------------------------------------------------------------------------- identity

BOOST_AUTO_TEST_CASE(case_26_somebody_else_has_the_pid)
{
    const auto setup = [](Room &room, Warden &warden) {
        warden.on("impostor", [&room, &warden](const std::string &text) -> std::string {
            pid_t wanted = std::atoi(text.c_str());
            warden.reap();
            clone_args how{};
            how.exit_signal = SIGCHLD;
            how.set_tid = reinterpret_cast<uint64_t>(&wanted);
            how.set_tid_size = 1;
            pid_t pid = -1;
            for (int attempt = 0; attempt < 100 && pid < 0; ++attempt) {
                pid = static_cast<pid_t>(::syscall(SYS_clone3, &how, sizeof how));
                if (pid >= 0) break;
                warden.reap();
                std::this_thread::sleep_for(5ms);
            }
            if (pid == 0) {
                ::setsid();
                if (::setresgid(room.uid, room.uid, room.uid) != 0 || ::setresuid(room.uid, room.uid, room.uid) != 0) ::_exit(1);
                for (;;) ::pause();
            }
            if (pid < 0 && see(wanted).alive) return "a stranger has it";
            if (pid < 0) return std::strerror(errno);
            warden.known(pid);
            return "ok";
        });
    };
    const Scene scene = [](Room &room) {
        const Build build = room.shell("sleep 600 & setsid sleep 600 & touch up; wait");
        room.until(build);
        const pid_t pid = runner_of(build);
        ::kill(pid, SIGKILL);
        room.wait_for("lost", [&] { return build.get_status().state == State::lost; });
        std::this_thread::sleep_for(50ms);
        const std::string made = room.ask("impostor " + std::to_string(pid));
        // The init of a namespace is of the runner's session: the kernel gives that pid to nobody while it lives. On a busy
        // host somebody else may have come first.
        const bool held = (room.is(Tier::pid_namespace) && made == std::strerror(EEXIST)) || made == "a stranger has it";
        if (held) room.note("pid cannot be had");
        else room.equal(made, "ok", "a bystander with the runner's pid");
        room.equal(name(build.get_status().state), std::string("lost"), "state when somebody has the pid");
        const StopResult result = build.stop(room.options());
        room.check(held || see(pid).alive, "the bystander with the runner's pid was hurt");
        room.nobody(build);
        room.expect_answer(build, result);
    };
    play("26 pid taken over", scene, {.setup = setup, .not_here = needs_root});
}

BOOST_AUTO_TEST_CASE(case_27_stop_before_the_session_is_its_own)
{
    // The runner's first moments, held still: who is stopped then must not take the host's process group along. The
    // bystander of every case is in that group.
    const Scene scene = [](Room &room) {
        const fs::path slow = room.root / "slow-runner";
        support::spill(slow, "#!/bin/sh\necho $$ > " + (room.root / "held.new").string() + "; mv " + (room.root / "held.new").string() +
                                 " " + (room.root / "held").string() + "\nkill -STOP $$\nexec " +
                                 (programs() / "litbuild-runner").string() + " \"$@\"\n");
        ::chmod(slow.c_str(), 0755);
        Config config = room.config();
        config.runner = slow;
        const Engine launching(config);
        const std::string spec = room.spec({{{"name", "scene"}, {"command", {"sh", "-c", "touch up; sleep 600"}}}});
        std::string launch_said;
        std::jthread launcher([&] {
            try {
                launching.launch("contoso", spec);
            } catch (const Error &e) {
                launch_said = e.what();
            }
        });
        room.wait_for("the held runner", [&] { return fs::exists(room.root / "held"); });
        const Build build = room.engine().build("contoso", 1);
        StopResult result;
        std::string stop_said;
        std::jthread stopper([&] {
            try {
                result = build.stop(room.options());
            } catch (const Error &e) {
                stop_said = e.what();
            }
        });
        // The request is there: its draft has got its name.
        room.wait_for("the request", [&] {
            std::error_code error;
            for (const fs::directory_entry &each : fs::directory_iterator(build.path() / ".control", error))
                if (each.path().filename().string().starts_with("stop")) return true;
            return false;
        });
        const pid_t held = std::stoi(text_of(room.root / "held"));
        room.wait_for("its standstill", [&] { return see(held).state == 'T'; });
        std::this_thread::sleep_for(100ms);
        room.check_bystander();
        ::kill(held, SIGCONT);
        launcher.join();
        stopper.join();
        room.equal(stop_said, "", "the stop's error");
        room.equal(launch_said, "", "the launch's error");
        room.nobody(build);
        room.expect_answer(build, result);
        room.check(!fs::exists(build.path() / "up"), "a step was started although the stop had been asked for before");
    };
    play("27 stop during launch", scene);
}

BOOST_AUTO_TEST_CASE(case_29_runner_killed)
{
    play("29 runner killed, running", [](Room &room) {
        const Build build = room.shell("trap '' TERM; setsid sleep 600 & touch up; sleep 600");
        room.until(build);
        ::kill(runner_of(build), SIGKILL);
        const StopResult result = build.stop(room.options());
        room.nobody(build);
        room.expect_answer(build, result);
    });
    play("29 runner killed, in exec", [](Room &room) {
        const Build build = room.launch({Room::helper("execs")});
        room.until(build);
        // At any moment of it.
        std::this_thread::sleep_for(std::chrono::milliseconds(std::random_device()() % 200));
        ::kill(runner_of(build), SIGKILL);
        const StopResult result = build.stop(room.options());
        room.nobody(build);
        room.expect_answer(build, result);
    });
    play("29 runner killed, stopping", [](Room &room) {
        const Build build = room.shell("trap ': > told' TERM; touch up; while :; do setsid sleep 0.05; done");
        room.until(build);
        StopResult result;
        std::jthread stopper([&] { result = build.stop(room.options(2s)); });
        room.until(build, "told");
        ::kill(runner_of(build), SIGKILL);
        stopper.join();
        room.nobody(build);
        room.expect_answer(build, result);
    });
    play("29 runner killed, lingering", [](Room &room) {
        const Build build = room.shell("setsid sleep 600 & touch up", {{"linger", "10m"}});
        room.until(build);
        room.wait_for("the leader's end", [&] { return build.get_status().steps[0].state == State::complete; });
        ::kill(runner_of(build), SIGKILL);
        const StopResult result = build.stop(room.options());
        room.nobody(build);
        room.expect_answer(build, result);
    });
}

// ---------------------------------------------------------------------------------------------- many at once

BOOST_AUTO_TEST_CASE(case_30_a_hundred_stop_at_once)
{
    const Scene scene = [](Room &room) {
        const Build build = room.shell("(trap '' TERM; sleep 600) & setsid sleep 600 & touch up; wait");
        room.until(build);
        const Engine second(room.config());
        std::vector<StopResult> results(100);
        std::vector<std::string> errors(100);
        std::vector<std::jthread> threads;
        for (size_t i = 0; i < results.size(); ++i)
            threads.emplace_back([&, i] {
                try {
                    const Build own = i % 2 == 0 ? build : second.build("contoso", build.runid());
                    results[i] = own.stop(room.options());
                } catch (const Error &e) {
                    errors[i] = e.what();
                }
            });
        for (std::jthread &each : threads) each.join();
        room.nobody(build);
        for (size_t i = 0; i < results.size(); ++i) {
            room.equal(errors[i], "", "error of one of the hundred");
            room.equal(results[i].message, results[0].message, "answer of one of the hundred");
            room.check(results[i].outcome == Outcome::stopped, "outcome of one of the hundred");
        }
        room.expect_answer(build, build.stop());
        room.equal(events_of(build, "stopping"), 1u, "stop sequences");
        room.equal(events_of(build, "stopped"), 1u, "last words");
    };
    play("30 100 stops at once", scene);
}

BOOST_AUTO_TEST_CASE(case_31_stop_races_the_end)
{
    const Scene scene = [](Room &room) {
        size_t stopped = 0, finished = 0;
        const int rounds = long_run ? 1000 : 40;
        for (int round = 0; round < rounds; ++round) {
            const Build build = room.launch({"sleep", "0.0" + std::to_string(round % 4)}, {{"linger", "0s"}});
            std::this_thread::sleep_for(std::chrono::microseconds(round * 997 % 40'000));
            const StopResult result = build.stop(room.options());
            const Status status = build.get_status();
            const bool is_stopped = result.outcome == Outcome::stopped;
            (is_stopped ? stopped : finished) += 1;
            room.check(is_stopped || result.outcome == Outcome::already_finished, "answer: " + result.message);
            room.equal(name(status.state), std::string(is_stopped ? "stopped" : "complete"), "state after '" + result.message + "'");
            room.equal(events_of(build, "stopped") + events_of(build, "complete"), 1u, "last words");
            if (round % 10 == 9) room.nobody_soon(build, "after the stop");
        }
    };
    play("31 stop races the end", scene);
}

BOOST_AUTO_TEST_CASE(case_32_stop_before_exec)
{
    // The step's program lies where its open does not come back: the runner waits for the exec.
    const auto scene = [](bool killable) {
        return [killable](Room &room) {
            const Build build = room.engine().launch(
                "contoso", room.spec({{{"name", "first"}, {"command", {"sh", "-c", "touch up; until [ -e go ]; do sleep 0.01; done"}}},
                                      {{"name", "slow"}, {"command", {(room.mounted / "hang").string()}}}}));
            room.until(build);
            // The runner, the init of a namespace, and who has not become the step's program yet.
            const auto own_processes = [&] {
                const std::string alive = room.ask("alive ");
                size_t count = 0;
                for (size_t at = 0; (at = alive.find("(litbuild-", at)) != std::string::npos; ++at) ++count;
                return count;
            };
            const size_t before = own_processes();
            if (killable) room.ask("halt");
            support::spill(build.path() / "go", "");
            room.wait_for("the second step", [&] { return build.get_status().steps[1].state == State::running; });
            if (killable) {
                // A server that stands still does not say that it is asked.
                room.wait_for("the second step's process", [&] { return own_processes() > before; });
                std::this_thread::sleep_for(200ms);
                room.expect_stopped(build);
                room.ask("release");
            } else {
                room.wait_for("the open that hangs", [&] { return fs::exists(room.mounted.string() + ".asked"); });
                room.expect_incomplete(build, "litbuild-runner", [&] { room.ask("release"); }, "before exec, D");
            }
        };
    };
    const auto not_here = [](const Column &) -> std::string {
        if (!is_root()) return "needs root to mount";
        return fs::exists("/dev/fuse") ? "" : "no FUSE";
    };
    play("32 before exec", scene(true), {.setup = hanging_files, .not_here = not_here});
    play("32 before exec, D state", scene(false), {.setup = hanging_files, .not_here = not_here});
}

BOOST_AUTO_TEST_CASE(case_32_unknown_and_finished)
{
    play("32 unknown, finished, twice", [](Room &room) {
        const Build done = room.shell("true");
        done.wait();
        room.nobody_soon(done, "after its end");
        room.check(done.stop(room.options()).outcome == Outcome::already_finished, "of a finished build");
        const Build failed = room.shell("exit 3");
        failed.wait();
        room.nobody_soon(failed, "after its end");
        room.check(failed.stop(room.options()).outcome == Outcome::already_finished, "of a failed build");
        room.equal(name(failed.get_status().state), std::string("failed"), "state");
        const Build build = room.shell("touch up; sleep 600");
        room.until(build);
        room.expect_stopped(build);
        room.expect_answer(build, build.stop({.by = "somebody else", .reason = "late"}));
        try {
            room.engine().build("contoso", 999).stop(room.options());
            room.check(false, "a build that is not there was stopped");
        } catch (const Error &e) {
            room.equal(name(e.code()), std::string(name(Code::not_found)), "of an unknown build");
        }
    });
}

// ------------------------------------------------------------------------------------------------------ output

BOOST_AUTO_TEST_CASE(case_33_output_held_by_an_escaped_daemon)
{
    play("33 output held", [](Room &room) {
        const Build build = room.shell("echo first; $HELPERS/stop_daemon");
        room.until(build);
        std::string log;
        std::jthread reader([&] {
            build.follow([&](std::string_view piece) {
                log += piece;
                return true;
            }, Call::within(60s));
        });
        room.expect_stopped(build);
        reader.join();
        room.equal(log, "first\n", "what the reader got");
    });
}

BOOST_AUTO_TEST_CASE(case_34_flood)
{
    play("34 output flood", program({"flood"}), {.alone = true});
}

BOOST_AUTO_TEST_CASE(case_35_disk_full)
{
    const Scene scene = [](Room &room) {
        const Build build = room.shell("trap '' TERM; setsid sleep 600 & touch up; cat /dev/zero > fill; touch full; echo more; sleep 600");
        room.until(build, "full");
        room.expect_stopped(build);
    };
    play("35 disk full", scene, {.setup = small_disk, .not_here = needs_root});
}

BOOST_AUTO_TEST_CASE(case_35_log_deleted)
{
    play("35 log deleted", script("setsid sleep 600 & rm log; echo lost; touch up; wait"));
}

BOOST_AUTO_TEST_CASE(case_35_folder_deleted)
{
    const auto deleted = [](bool slowly) {
        return [slowly](Room &room) {
            const Build build = room.shell("setsid sleep 600 & touch up; wait");
            room.until(build);
            if (slowly) {
                for (const fs::directory_entry &each : fs::directory_iterator(build.path() / ".control")) fs::remove_all(each);
                std::this_thread::sleep_for(300ms);
            }
            fs::remove_all(build.path());
            // Nobody can find it any more to stop it, so its runner does.
            room.wait_for("its end", [&] { return room.ask("alive ").empty(); });
            room.check_bystander();
            try {
                build.stop(room.options());
                room.check(false, "a build that was deleted has been stopped");
            } catch (const Error &e) {
                room.equal(name(e.code()), std::string(name(Code::not_found)), "what is told of a build that was deleted");
            }
        };
    };
    play("35 folder deleted", deleted(false));
    play("35 folder deleted slowly", deleted(true));
}

// ------------------------------------------------------------------------------------------------- other ends

BOOST_AUTO_TEST_CASE(case_37_exec_failures)
{
    const auto setup = [](Room &room, Warden &warden) {
        room.mounted = room.root.parent_path() / "noexec";
        fs::create_directory(room.mounted);
        if (!is_root() || ::mount("litbuild-test", room.mounted.c_str(), "tmpfs", MS_NOEXEC, "mode=0777") != 0) {
            room.mounted.clear();
            return;
        }
        warden.later([folder = room.mounted] { ::umount2(folder.c_str(), MNT_DETACH); });
        fs::copy("/bin/true", room.mounted / "true");
    };
    const Scene scene = [](Room &room) {
        const fs::path plain = room.root / "plain", script = room.root / "script", busy = room.root / "busy";
        support::spill(plain, "text");
        ::chmod(plain.c_str(), 0644);
        support::spill(script, "#!/no/such/interpreter\n");
        ::chmod(script.c_str(), 0755);
        fs::copy("/bin/true", busy);
        ::chmod(busy.c_str(), 0755);
        const linux_::Descriptor writer(::open(busy.c_str(), O_WRONLY | O_CLOEXEC));
        std::vector<std::pair<std::string, std::vector<std::string>>> failures = {
            {"No such file", {"no-such-program"}},       {"No such file", {"/no/such/program"}},
            {"Permission denied", {plain.string()}},     {"Permission denied", {"/"}},
            {"No such file", {script.string()}},         {"Text file busy", {busy.string()}},
            {"Argument list too long", {"true", std::string(200'000, 'x')}}};
        if (!room.mounted.empty()) failures.push_back({"Permission denied", {(room.mounted / "true").string()}});
        for (const auto &[sentence, command] : failures) {
            const Build build = room.engine().launch("contoso", room.spec({{{"name", "one"}, {"command", {"true"}}},
                                                                           {{"name", "two"}, {"command", json::value_from(command)}}}));
            const Status status = build.wait(Call::within(30s));
            room.equal(name(status.state), std::string("error"), "state of " + command[0]);
            room.check(status.error.find("step 'two': cannot start") == 0 && status.error.find(sentence) != std::string::npos,
                       command[0] + ": the error is '" + status.error + "'");
            room.nobody_soon(build, "after an exec failure");
        }
    };
    play("37 exec failures", scene, {.setup = setup});
}

BOOST_AUTO_TEST_CASE(case_38_exit_statuses)
{
    play("38 exit statuses", [](Room &room) {
        for (const int code : {0, 1, 127, 137, 255}) {
            const Build build = room.shell("exit " + std::to_string(code));
            const Status status = build.wait(Call::within(30s));
            room.equal(name(status.state), std::string(code == 0 ? "complete" : "failed"), "state");
            room.equal(status.exit_code.value_or(-1), code, "exit code");
            room.equal(status.signal, 0, "signal");
            room.nobody_soon(build, "after its own end");
        }
    });
}

BOOST_AUTO_TEST_CASE(case_38_signals)
{
    play("38 signals", [](Room &room) {
        const std::set<int> harmless{SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
        for (int signal = 1; signal <= 64; ++signal) {
            if (harmless.contains(signal)) continue;
            const Build build = room.launch({Room::helper("raise"), std::to_string(signal)});
            const Status status = build.wait(Call::within(30s));
            const std::string which = " of signal " + std::to_string(signal);
            room.equal(name(status.state), std::string("failed"), "state" + which);
            room.equal(status.signal, signal, "signal" + which);
            room.equal(status.exit_code.value_or(-1), 128 + signal, "exit code" + which);
            room.check(status.error.find("not sent by litbuild") != std::string::npos || signal == SIGXCPU, "error" + which + ": " + status.error);
        }
    });
}

BOOST_AUTO_TEST_CASE(case_38_killed_by_others)
{
    play("38 killed by others", [](Room &room) {
        const Build build = room.shell("touch up; exec sleep 613");
        room.until(build);
        std::string pid;
        room.wait_for("the step's program", [&] { return !(pid = room.ask("pid_of sleep")).empty(); });
        ::kill(std::stoi(pid), SIGKILL);
        const Status status = build.wait(Call::within(30s));
        room.equal(name(status.state), std::string("failed"), "state");
        room.equal(status.signal, SIGKILL, "signal");
        room.check(status.error.find("not sent by litbuild") != std::string::npos, "error: " + status.error);
        room.equal(status.stopped_by, "", "stopped_by");
        room.nobody_soon(build, "after its end");
    });
}

BOOST_AUTO_TEST_CASE(case_38_memory_limit)
{
    play("38 memory limit", [](Room &room) {
        const Build build = room.shell("set -o pipefail; head -c 600M /dev/zero | tail -c 599M > /dev/null || exit 9",
                                       {{"limits", {{"memory", "200M"}}}});
        const Status status = build.wait(Call::within(60s));
        const json::object detail = room.detail(build);
        const json::value *limits = detail.if_contains("limits");
        const json::value *memory = limits ? limits->as_object().if_contains("memory") : nullptr;
        room.check(memory, "the status does not say how the memory limit is kept");
        const std::string by = memory ? std::string(memory->at("by").as_string()) : "";
        room.equal(name(status.state), std::string("failed"), "state");
        if (by.find("rlimit") != std::string::npos) {
            room.equal(status.exit_code.value_or(-1), 9, "exit code of a program that got no memory");
        } else {
            room.check(status.error.find("ran out of memory") != std::string::npos, "error: " + status.error);
        }
        room.nobody_soon(build, "after its end");
        room.note("ok (" + by.substr(0, 7) + ")");
    });
}

BOOST_AUTO_TEST_CASE(case_38_cpu_limit)
{
    play("38 CPU limit", [](Room &room) {
        const Build build = room.shell("ulimit -c 0; while :; do :; done", {{"limits", {{"cpu_time", "1s"}}}});
        const Status status = build.wait(Call::within(120s));
        room.equal(name(status.state), std::string("failed"), "state");
        room.check(status.error.find("CPU time limit") != std::string::npos, "error: " + status.error);
        room.nobody_soon(build, "after its end");
    });
}

BOOST_AUTO_TEST_CASE(case_38_process_limit)
{
    // Either it is kept, or the status says that it is not.
    play("38 process limit", [](Room &room) {
        const Build build = room.launch({Room::helper("flat"), "3000"}, {{"limits", {{"processes", 30}}}, {"linger", "0s"}});
        room.wait_for("its end or its readiness", [&] {
            return fs::exists(build.path() / "up") || is_terminal(build.get_status().state);
        });
        const bool kept = !fs::exists(build.path() / "up");
        const json::object detail = room.detail(build);
        const json::value *limits = detail.if_contains("limits");
        const std::string said = limits ? json::serialize(*limits) : "nothing";
        build.stop(room.options(0ms));
        room.nobody_soon(build, "after the stop");
        const bool claims = limits && limits->as_object().contains("processes") && said.find("\"not") == std::string::npos;
        room.check(kept || !claims, "BUG: 3000 processes under a limit of 30, and the status says " + said);
        room.note(kept ? "ok" : "not kept, and says so");
    }, {.alone = true});
}

// ---------------------------------------------------------------------------------------------------- large trees

BOOST_AUTO_TEST_CASE(case_39_flat_tree)
{
    const std::string count = long_run ? "10000" : "1000";
    play("39 flat " + count, program({"flat", count}, {{"limits", {{"processes", 11'000}}}}, 60s), {.alone = true});
}

BOOST_AUTO_TEST_CASE(case_39_deep_tree)
{
    const std::string count = long_run ? "5000" : "500";
    play("39 deep " + count, program({"deep", count}, {{"limits", {{"processes", 11'000}}}}, 60s), {.alone = true});
}

BOOST_AUTO_TEST_CASE(case_40_many_builds)
{
    const Scene scene = [](Room &room) {
        const size_t count = long_run ? 500 : 50;
        room.engine();
        const size_t before = descriptors();
        std::vector<Build> builds;
        for (size_t i = 0; i < count; ++i)
            builds.push_back(room.shell("sleep 600 & setsid sleep 600 & (sleep 600; :) & touch up; wait"));
        for (const Build &build : builds) room.until(build);
        std::vector<StopResult> results(count);
        std::vector<std::jthread> threads;
        std::atomic<size_t> next = 0;
        for (int i = 0; i < 16; ++i)
            threads.emplace_back([&] {
                for (size_t mine; (mine = next++) < count;) results[mine] = builds[mine].stop(room.options(2s));
            });
        for (std::jthread &each : threads) each.join();
        for (size_t i = 0; i < count; ++i) room.expect_answer(builds[i], results[i]);
        for (const Build &build : builds) room.equal(room.groups_left(build), "", "groups left");
        room.nobody(builds.back());
        room.equal(descriptors(), before, "descriptors of the host");
        // A thread that was joined may still be on its way out of the kernel.
        room.wait_for("the end of the host's threads", [] { return numbers("/proc/self/task").size() == 1; }, 10s);
        siginfo_t info{};
        room.check(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0, "the host has a zombie");
    };
    play(long_run ? "40 500 builds" : "40 50 builds", scene, {.alone = true, .limit = 300s});
}

// ---------------------------------------------------------------------------------------------------------- grace

BOOST_AUTO_TEST_CASE(case_41_grace_is_given)
{
    play("41 clean-up within the grace", [](Room &room) {
        const Build build = room.shell("trap 'trap \"\" TERM; sleep 1; : > cleaned; exit 0' TERM; touch up; while :; do sleep 0.05; done");
        room.until(build);
        room.expect_stopped(build, room.options(120s));
        room.check(fs::exists(build.path() / "cleaned"), "the clean-up was cut short");
    });
    play("41 the tree's grace", [](Room &room) {
        // The leader obeys at once; its child takes a while, and has the rest of the grace for it.
        const Build build = room.shell("(trap 'trap \"\" TERM; sleep 1; : > cleaned; exit 0' TERM; touch up; while :; do sleep 0.05; done) & exec sleep 600");
        room.until(build);
        room.expect_stopped(build, room.options(120s));
        room.check(fs::exists(build.path() / "cleaned"), "the grace ended with the leader");
    });
}

BOOST_AUTO_TEST_CASE(case_41_grace_ends)
{
    play("41 clean-up too long", [](Room &room) {
        const Build build = room.shell("trap 'trap \"\" TERM; : > begun; sleep 600; : > cleaned; exit 0' TERM; touch up; while :; do sleep 0.05; done");
        room.until(build);
        room.expect_stopped(build, room.options(8s));
        room.check(fs::exists(build.path() / "begun"), "no TERM came");
        room.check(!fs::exists(build.path() / "cleaned"), "it outlived its grace");
        room.check(room.counted(build, "killed") != 0, "nobody was killed");
    });
    play("41 a second stop shortens", [](Room &room) {
        const Build build = room.shell("trap ': > told' TERM; touch up; while :; do sleep 0.05; done");
        room.until(build);
        StopResult first;
        std::jthread patient([&] { first = build.stop(room.options(1h)); });
        room.until(build, "told");
        StopOptions at_once = room.options(0ms);
        at_once.by = "somebody else";
        const StopResult second = build.stop(at_once);
        patient.join();
        room.nobody(build);
        room.expect_answer(build, first);
        room.expect_answer(build, second);
        room.equal(events_of(build, "stopping"), 1u, "stop sequences");
    });
}

BOOST_AUTO_TEST_CASE(case_42_the_clock_jumps)
{
    const Scene scene = [](Room &room) {
        const fs::path shift = room.root / "shift";
        support::spill(shift, "0");
        ::setenv("SHIFT_CLOCK", shift.c_str(), 1);
        ::setenv("LD_PRELOAD", Room::helper("shift_clock.so").c_str(), 1);
        Config config = room.config();
        config.runner = Room::helper("shared_runner");
        const Engine engine(config);
        const std::string stubborn = "trap 'date +%Y >> told' TERM; touch up; while :; do sleep 0.05; done";
        for (const char *jump : {"40000000", "-40000000"}) {
            const Build build = engine.launch("contoso", room.spec({{{"name", "scene"}, {"command", {"bash", "-c", stubborn}}}}));
            room.until(build);
            StopResult patient;
            std::jthread waiting([&] { patient = build.stop(room.options(1h)); });
            room.until(build, "told");
            support::spill(shift, jump);
            // Were the grace counted in the time of day, it would be over now, or never be.
            std::this_thread::sleep_for(300ms);
            room.check(is_active(build.get_status().state), std::string("the grace ended with a jump of ") + jump);
            const StopResult result = build.stop(room.options(300ms));
            waiting.join();
            support::spill(shift, "0");
            room.nobody(build);
            room.expect_answer(build, result);
            room.expect_answer(build, patient);
        }
        ::unsetenv("LD_PRELOAD");
    };
    play("42 clock jumps", scene);
}

// ------------------------------------------------------------------------------------------------- from elsewhere

namespace {

/// Runs `body` where nothing of this pid namespace can be signalled: as on another host, only the folder is shared.
/// Returns what it prints.
std::string elsewhere(const std::function<std::string()> &body)
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    const pid_t outer = ::fork();
    if (outer == 0) {
        const int flags = CLONE_NEWPID | (::geteuid() == 0 ? 0 : CLONE_NEWUSER);
        const pid_t inner = ::unshare(flags) == 0 ? ::fork() : -1;
        if (inner == 0) {
            std::string said;
            try {
                said = body();
            } catch (const std::exception &e) {
                said = e.what();
            }
            (void)!::write(ends[1], said.data(), said.size());
            ::_exit(0);
        }
        ::_exit(inner > 0 && ::waitpid(inner, nullptr, 0) == inner ? 0 : 1);
    }
    ::close(ends[1]);
    std::string out;
    char piece[4096];
    for (ssize_t got; (got = ::read(ends[0], piece, sizeof piece)) > 0;) out.append(piece, static_cast<size_t>(got));
    ::close(ends[0]);
    ::waitpid(outer, nullptr, 0);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(case_46_from_another_host)
{
    play("46 from elsewhere", [](Room &room) {
        const Build build = room.shell("trap '' TERM; setsid sleep 600 & touch up; sleep 600");
        room.until(build);
        const Config config = room.config();
        const StopOptions how = room.options();
        const std::string said = elsewhere([&] { return Engine(config).build("contoso", build.runid()).stop(how).message; });
        room.nobody_soon(build, "after the stop");
        room.equal(said, "Build id " + std::to_string(build.runid()) + " has been stopped", "the answer there");
        room.expect_answer(build, build.stop(room.options()));
        room.equal(events_of(build, "stopping"), 1u, "stop sequences");
    });
}

BOOST_AUTO_TEST_CASE(case_46_from_another_host_over_a_shared_file_system)
{
    // What is written on the far side of a FUSE mount no inotify tells, as on NFS.
    const auto setup = [](Room &room, Warden &warden) {
        const fs::path far = room.root.parent_path() / "far";
        fs::create_directory(far);
        if (::chown(far.c_str(), room.uid, room.uid) != 0) throw std::runtime_error("chown");
        warden.start({"/usr/bin/bindfs", "-f", "-o", "allow_other,attr_timeout=0,entry_timeout=0", far.string(), room.root.string()});
        warden.later([folder = room.root] { ::umount2(folder.c_str(), MNT_DETACH); });
        support::spill(far / "is-there", "");
        room.wait_for("the mount", [&] { return fs::exists(room.root / "is-there"); });
    };
    const Scene scene = [](Room &room) {
        const Build build = room.shell("trap '' TERM; setsid sleep 600 & touch up; sleep 600");
        room.until(build);
        Config config = room.config();
        config.root = room.root.parent_path() / "far";
        const StopOptions how = room.options();
        const std::string said = elsewhere([&] { return Engine(config).build("contoso", build.runid()).stop(how).message; });
        room.nobody_soon(build, "after the stop");
        room.equal(said, "Build id " + std::to_string(build.runid()) + " has been stopped", "the answer there");
        room.expect_answer(build, build.stop(room.options()));
    };
    play("46 over a shared file system", scene, {.setup = setup, .not_here = [](const Column &) -> std::string {
             if (!is_root()) return "needs root to mount";
             return fs::exists("/dev/fuse") && fs::exists("/usr/bin/bindfs") ? "" : "no FUSE, or no bindfs";
         }});
}

// ------------------------------------------------------------------------------------------------- poor surroundings

namespace {

void own_mounts()
{
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        throw std::runtime_error("no mount namespace");
}

/// System calls that a container's profile refuses.
void refuse_pidfds(int error)
{
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_send_signal, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{sizeof code / sizeof *code, code};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) throw std::runtime_error("no seccomp");
}

std::string only_automatic(const Column &column)
{
    if (!is_root()) return "needs root to set it up";
    return column.tier == Tier::cgroup && column.user == User::root ? "" : "is about cgroup: auto";
}

}  // namespace

BOOST_AUTO_TEST_CASE(case_43_no_control_groups)
{
    const Scene scene = [](Room &room) {
        room.containment = "subreaper";
        const Build build = room.shell("trap '' TERM; setsid sleep 600 & touch up; sleep 600");
        room.until(build);
        room.expect_stopped(build);
        room.note("ok, says subreaper");
    };
    const auto hidden = [](Room &) {
        own_mounts();
        if (::mount("none", "/sys/fs/cgroup", "tmpfs", 0, nullptr) != 0) throw std::runtime_error("cannot hide the groups");
    };
    const auto read_only = [](Room &) {
        own_mounts();
        for (const fs::path &each : {cgroup2_mount(), pids_v1, fs::path("/sys/fs/cgroup/memory")})
            if (fs::exists(each) && ::mount(nullptr, each.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0)
                throw std::runtime_error("cannot make the groups read-only");
    };
    play("43 groups hidden", scene, {.not_here = only_automatic, .before_drop = hidden});
    play("43 groups read-only", scene, {.not_here = only_automatic, .before_drop = read_only});
}

BOOST_AUTO_TEST_CASE(case_43_no_pidfds)
{
    // A refusal is fine, a stop that works is fine; "has been stopped" over living processes is not.
    const auto scene = [](int error) {
        return [error](Room &room) {
            refuse_pidfds(error);
            try {
                const Build build = room.shell("trap '' TERM; setsid sleep 600 & touch up; sleep 600");
                room.until(build);
                const StopResult result = build.stop(room.options(500ms, 1s));
                const std::string alive = room.ask("alive ");
                room.check(alive.empty() || result.outcome == Outcome::incomplete || result.outcome == Outcome::requested,
                           "BUG: it says '" + result.message + "', but alive are " + alive);
                room.note(alive.empty() ? "ok" : "incomplete");
                room.check(alive.empty() == !is_active(build.get_status().state),
                           std::string("state: ") + name(build.get_status().state));
            } catch (const Error &e) {
                room.note("refused: " + std::string(e.what()));
            }
            room.check_bystander();
            room.ask("clear");
        };
    };
    play("43 no pidfds (ENOSYS)", scene(ENOSYS));
    play("43 no pidfds (EPERM)", scene(EPERM));
}

BOOST_AUTO_TEST_CASE(case_43_hidepid)
{
    const auto hide = [](Room &) {
        own_mounts();
        if (::mount("proc", "/proc", "proc", 0, "hidepid=2") != 0) throw std::runtime_error("no hidepid");
    };
    play("43 hidepid=2", script("env -i setsid sleep 600 & setsid sleep 600 & touch up; wait"),
         {.not_here = needs_root, .before_drop = hide});
}

BOOST_AUTO_TEST_CASE(case_44_long_paths)
{
    play("44 long paths", [](Room &room) {
        while (room.root.string().size() < 3500) room.root /= std::string(200, 'p');
        fs::create_directories(room.root);
        const Build build = room.shell("setsid sleep 600 & touch up; wait");
        room.until(build);
        room.expect_stopped(build);
    });
}
