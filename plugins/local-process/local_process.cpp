// The plugin local-process: builds as processes of this host. See README.md.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include <boost/json.hpp>

#include <litbuild/export.hpp>
#include <litbuild/linux/tree.hpp>
#include <litbuild/version.hpp>

#include "containment.hpp"
#include "spawn.hpp"
#include "token.hpp"

namespace local_process {

using namespace litbuild;
using linux_::Cgroup;
using linux_::Descriptor;
using linux_::Held;

namespace {

constexpr const char *self = "local-process";
// Exec takes this long only where the disk of the program does not answer.
constexpr std::chrono::seconds exec_patience(1);

boost::json::object parse_object(std::string_view text, const std::string &what)
{
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse(text.empty() ? "{}" : text, error);
    if (error || !value.is_object()) throw Error(Code::invalid, what + ": is not a JSON object");
    return value.as_object();
}

uint64_t positive(const boost::json::object &from, const char *key)
{
    const boost::json::value *found = from.if_contains(key);
    if (!found) return 0;
    boost::system::error_code error;
    const int64_t value = found->to_number<int64_t>(error);
    if (error || value <= 0) throw Error(Code::invalid, std::string(self) + ": limit '" + key + "' is not above 0");
    return static_cast<uint64_t>(value);
}

/// Found out when it is first asked for: who only reads of builds that have ended never does. Any thread.
template <class Value>
class Lazy {
public:
    template <class Make>
    const Value &get(const Make &make) const
    {
        std::call_once(once_, [&] { value_.emplace(make()); });
        return *value_;
    }

private:
    mutable std::once_flag once_;
    mutable std::optional<Value> value_;
};

/// Waits for the end of the process. False: the deadline came first. Throws where the call is cancelled.
bool wait_for_end(const Call &call, const Descriptor &pidfd, const std::string &object)
{
    for (;;) {
        pollfd wait[2] = {{pidfd.get(), POLLIN, 0}, {call.cancel_fd(), POLLIN, 0}};
        const int64_t left = std::chrono::ceil<std::chrono::milliseconds>(call.left(std::chrono::hours(1))).count();
        const int ready = ::poll(wait, 2, static_cast<int>(std::min<int64_t>(left, 3'600'000)));
        if (ready < 0 && errno != EINTR) throw os_error(object, "wait for its runner", errno);
        if (ready > 0 && (wait[0].revents & POLLIN) != 0) return true;
        if (call.cancelled()) throw Error(Code::cancelled, object + ": cancelled");
        if (call.expired()) return false;
    }
}

}  // namespace

class LocalProcess final : public ProcessController {
public:
    LocalProcess(const Host &host, std::string_view config) : host_(host), groups_wanted_(read(config))
    {
        // Without pidfds nobody could be told from who has their pid now; better no builds than such a stop.
        if (!linux_::open_pidfd(::getpid()))
            throw os_error(self, "hold processes by pidfd, which it cannot do without", errno);
    }

    uint64_t capabilities() const override { return LB_PROCESS_HOST_COMMANDS; }

    std::string launch(const Call &call, const LaunchSpec &spec) override
    {
        const std::string object = to_string(spec.build);
        const boost::json::object wanted = parse_object(spec.limits, object + ": limits");
        Limits limits{positive(wanted, "processes"), positive(wanted, "memory_bytes"), positive(wanted, "cpu_time_ms")};
        if (limits.processes == 0) limits.processes = default_processes_;
        const bool isolated = wants_pid_namespace(object, spec.options);

        const Containment containment = containers().make(spec.uuid, limits, isolated);
        Token token = Token::of_this_host();
        token.uuid = spec.uuid;
        token.cgroup = containment.kill_group;
        token.cgroup_inode = containment.kill_group_inode;
        token.groups = containment.groups;
        try {
            token = Token::parse(token.text() + spawn_runner(call, spec, environment_for(spec, containment, token, isolated)));
        } catch (...) {
            Containers::remove(containment.groups);
            throw;
        }
        return token.text();
    }

    Probe probe(const Call &, const std::string &text) override
    {
        const Token token = Token::parse(text);
        return with_left_overs(token, look(token), std::chrono::milliseconds(20));
    }

    Probe wait(const Call &call, const std::string &text) override
    {
        const Token token = Token::parse(text);
        if (const Descriptor runner = hold_runner(token)) wait_for_end(call, runner, "runner of " + token.uuid);
        return is_group_gone(token) ? look(token) : with_left_overs(token, look(token), exec_patience);
    }

    StopReport stop(const Call &call, const std::string &text, const std::string &uuid,
                    std::span<const StopStep> plan) override
    {
        const Token token = text.empty() ? cut_short(uuid) : Token::parse(text);
        const Clock::time_point begin = Clock::now();
        StopReport report;
        if (token.uuid != uuid) throw Error(Code::corrupt, "token: is of another build (" + token.uuid + ")");
        if (!is_here(token)) {
            // A host that has restarted since took the build with it; another host answers for itself.
            report.outcome = restarted(token) ? StopOutcome::already : StopOutcome::requested;
            return report;
        }
        std::chrono::nanoseconds patience = std::chrono::seconds(5);
        for (const StopStep &step : plan) patience += step.grace;

        report.mechanism = "runner";
        Descriptor runner = hold_runner(token);
        const bool was_running = static_cast<bool>(runner);
        const bool answered = !runner || ask(call.at_most(patience), runner, uuid);
        const bool tidy = was_running && answered && is_group_gone(token);
        if (!tidy && (!answered || !living_for_certain(token, Descriptor()).empty())) {
            finish(call, token, runner, plan, report);
        } else {
            if (!was_running) report.outcome = StopOutcome::already;
            Containers::remove(token.groups);
        }
        if (!was_running && report.outcome != StopOutcome::incomplete && doubt(call, token, report)) {
            report.survivors.clear();
            finish(call, token, runner, plan, report);
            if (report.outcome != StopOutcome::incomplete) (void)doubt(call, token, report);
        }
        report.took = Clock::now() - begin;
        return report;
    }

private:
    std::string read(std::string_view text)
    {
        const boost::json::object config = parse_object(text, std::string(self) + ": configuration");
        std::string cgroup = "auto";
        for (const auto &[key, value] : config) {
            if (key == "cgroup" && value.is_string() &&
                (value == "auto" || value == "none" || value.as_string().starts_with('/'))) {
                cgroup = std::string(value.as_string());
            } else if (key == "inherit_environment" && value.is_bool()) {
                inherit_ = value.as_bool();
            } else if (key == "processes" && value.is_int64() && value.as_int64() >= 0) {
                default_processes_ = static_cast<uint64_t>(value.as_int64());
            } else if (key == "cgroup" || key == "inherit_environment" || key == "processes") {
                throw Error(Code::invalid, std::string(self) + ": bad value for '" + std::string(key) + "'");
            } else {
                throw Error(Code::invalid, std::string(self) + ": unknown key " + quote(key));
            }
        }
        return cgroup;
    }

    /// What a build that launches another one must not pass on.
    static bool is_of_a_runner(std::string_view entry)
    {
        return entry.starts_with("LITBUILD_RUNNER_") || entry.starts_with("LITBUILD_UUID=");
    }

    static bool wants_pid_namespace(const std::string &object, const std::string &options)
    {
        bool out = false;
        for (const auto &[key, value] : parse_object(options, object + ": process")) {
            if (key != "isolation")
                throw Error(Code::invalid, object + ": process: unknown key " + quote(key) + "; known is isolation");
            if (!value.is_string() || (value.as_string() != "none" && value.as_string() != "pid-namespace"))
                throw Error(Code::invalid, object + R"(: process: 'isolation' must be "none" or "pid-namespace")");
            out = value.as_string() == "pid-namespace";
        }
        return out;
    }

    std::vector<std::string> environment_for(const LaunchSpec &spec, const Containment &containment,
                                             const Token &token, bool isolated) const
    {
        std::vector<std::string> out;
        if (inherit_)
            for (char **entry = environ; entry && *entry; ++entry)
                if (!is_of_a_runner(*entry)) out.emplace_back(*entry);
        out.insert(out.end(), spec.environment.begin(), spec.environment.end());
        const auto join = [](const std::vector<std::string> &words, char between) {
            std::string text;
            for (const std::string &word : words) text += (text.empty() ? "" : std::string(1, between)) + word;
            return text;
        };
        // On the runner too, so that what it forks carries the mark from birth.
        out.push_back("LITBUILD_UUID=" + spec.uuid);
        out.push_back("LITBUILD_RUNNER_READY=3");
        out.push_back("LITBUILD_RUNNER_LAUNCHER=" + std::to_string(::getpid()));
        out.push_back("LITBUILD_RUNNER_TOKEN=" + token.text());
        out.push_back("LITBUILD_RUNNER_DETAIL=" + containment.detail);
        if (isolated) out.push_back("LITBUILD_RUNNER_ISOLATION=pid-namespace");
        if (!containment.kill_group.empty()) out.push_back("LITBUILD_RUNNER_KILL_GROUP=" + containment.kill_group);
        if (!containment.groups.empty()) out.push_back("LITBUILD_RUNNER_GROUPS=" + join(containment.groups, ':'));
        if (!containment.rlimits.empty()) out.push_back("LITBUILD_RUNNER_RLIMITS=" + join(containment.rlimits, ';'));
        return out;
    }

    // ------------------------------------------------------------------------------------------- identity

    bool is_here(const Token &token) const
    {
        return token.host == here().host && token.boot == here().boot && token.pid_namespace == here().pid_namespace;
    }
    // Hosts that were copied from one image may share a machine id.
    bool restarted(const Token &token) const
    {
        return token.host == here().host && token.host_name == here().host_name && token.boot != here().boot;
    }

    static Descriptor hold_runner(const Token &token) { return linux_::hold(token.pid, token.start); }

    static Cgroup group_of(const Token &token)
    {
        if (token.cgroup.empty()) return Cgroup();
        Cgroup group = Cgroup::open(token.cgroup);
        return group && group.inode() == token.cgroup_inode ? std::move(group) : Cgroup();
    }

    /// A runner that ends by itself removes the group when nobody is in it; then nobody need be looked for all over the host.
    static bool is_group_gone(const Token &token)
    {
        return !token.cgroup.empty() && ::access(token.cgroup.c_str(), F_OK) != 0 && errno == ENOENT;
    }

    /// Stands for the token of a launch that died before it had one: the groups by their name, everybody else by the mark.
    Token cut_short(const std::string &uuid) const
    {
        Token out = here();
        out.uuid = uuid;
        out.groups = containers().groups_of(uuid);
        for (const std::string &group : out.groups)
            if (const Cgroup found = Cgroup::open(group); out.cgroup.empty() && found.can_kill()) {
                out.cgroup = group;
                out.cgroup_inode = found.inode();
            }
        return out;
    }

    /// Every living process of the build but the runner: by group, by mark, and by descent where the runner is held.
    static std::vector<Held> living(const Token &token, const Descriptor &runner,
                                    std::chrono::milliseconds patience = exec_patience)
    {
        std::vector<Held> out = linux_::members_of(group_of(token));
        const auto add = [&](std::vector<Held> more) {
            for (Held &held : more) {
                const auto same = [&](const Held &other) { return other.pid == held.pid; };
                if (std::none_of(out.begin(), out.end(), same)) out.push_back(std::move(held));
            }
        };
        if (runner) {
            // Once it has ended its number may be a stranger's, and so may what was found below that.
            std::vector<Held> below = linux_::descendants_of(token.pid, [](const Held &) {});
            if (!linux_::has_ended(runner)) add(std::move(below));
        }
        add(linux_::marked_with("LITBUILD_UUID=" + token.uuid, token.pid, patience));
        return out;
    }

    /// As living(), where "nobody" is what is hoped for: a process may have forked behind the look that found its parent ended,
    /// so it is asked again before it is believed.
    static std::vector<Held> living_for_certain(const Token &token, const Descriptor &runner)
    {
        std::vector<Held> out = living(token, runner);
        for (int again = 0; again < 2 && out.empty(); ++again) {
            pause_for(std::chrono::milliseconds(10));
            out = living(token, runner);
        }
        return out;
    }

    /// At its runner alone.
    Probe look(const Token &token) const
    {
        Probe out;
        if (restarted(token)) {
            out.life = Life::gone;
            out.evidence = "host " + token.host_name + " has restarted since";
            return out;
        }
        if (!is_here(token)) {
            out.evidence = "it runs on host " + token.host_name;
            return out;
        }
        if (hold_runner(token)) {
            out.life = Life::alive;
            out.evidence = "its runner has pid " + std::to_string(token.pid);
            return out;
        }
        out.life = Life::gone;
        out.evidence = "its runner (pid " + std::to_string(token.pid) + " on " + token.host_name + ") is gone";
        return out;
    }

    Probe with_left_overs(const Token &token, Probe out, std::chrono::milliseconds patience) const
    {
        if (out.life != Life::gone || !is_here(token)) return out;
        out.left_overs = living(token, Descriptor(), patience).size();
        if (out.left_overs > 0) out.evidence += "; " + std::to_string(out.left_overs) + " of its processes live on";
        return out;
    }

    // ----------------------------------------------------------------------------------------------- stop

    /// Makes the runner look at the request, and waits for its end. False: it did not end in time.
    static bool ask(const Call &call, const Descriptor &runner, const std::string &uuid)
    {
        linux_::send(runner, SIGTERM);
        return wait_for_end(call, runner, "runner of " + uuid);
    }

    /// The guarantee: ends what is left of the tree without the runner's help.
    void finish(const Call &call, const Token &token, const Descriptor &runner, std::span<const StopStep> plan,
                StopReport &report) const
    {
        const Cgroup group = group_of(token);
        report.mechanism = group ? "cgroup" : "scan";
        if (!runner) send_gracefully(call, token, plan);
        const Call limit = call.at_most(plan.empty() ? std::chrono::seconds(10) : std::max<std::chrono::nanoseconds>(
                                                           plan.back().grace, std::chrono::seconds(1)));
        std::set<pid_t> killed;
        std::vector<Held> left;
        auto pause = std::chrono::milliseconds(1);
        for (bool is_last = false;; is_last = limit.expired() || call.cancelled()) {
            left = living_for_certain(token, runner);
            if (left.empty() || is_last) break;
            for (const Held &held : left)
                if (linux_::send(held, SIGKILL)) killed.insert(held.pid);
            if (group) group.kill();
            pause_for(pause);
            pause = std::min(pause * 2, std::chrono::milliseconds(50));
        }
        report.killed += killed.size();
        if (left.empty()) {
            // A runner that is not stuck sees its tree empty, writes its last word and ends by itself.
            if (runner && !wait_for_end(call.at_most(std::chrono::seconds(2)), runner, "runner of " + token.uuid)) {
                linux_::send(runner, SIGKILL);
                wait_for_end(call.at_most(std::chrono::seconds(2)), runner, "runner of " + token.uuid);
            }
            Containers::remove(token.groups);
            report.outcome = StopOutcome::done;
            return;
        }
        report.outcome = StopOutcome::incomplete;
        for (const Held &held : left) report.survivors.push_back(describe(held.pid));
    }

    /// The plan's steps before the kill, for a tree whose runner is gone.
    static void send_gracefully(const Call &call, const Token &token, std::span<const StopStep> plan)
    {
        for (const StopStep &step : plan) {
            if (step.signal == SIGKILL) return;
            for (const Held &held : living(token, Descriptor())) {
                linux_::send(held, step.signal);
                linux_::send(held, SIGCONT);
            }
            const Call grace = call.at_most(step.grace);
            while (!grace.expired() && !call.cancelled()) {
                if (living(token, Descriptor()).empty()) return;
                pause_for(std::chrono::milliseconds(20));
            }
        }
    }

    /// Whether a session was there before the runner. Nobody can join one, so none of the runner's tree is in it. A leader may
    /// have ended since, which leaves its number to the session; others in it that are older than the runner tell the same.
    static bool is_older(pid_t session, uint64_t runner_start)
    {
        if (session == 0) return true;   // made outside of this pid namespace
        if (const auto leader = linux_::stat_of(session); leader && leader->session == session)
            return leader->start < runner_start;
        const std::vector<pid_t> all = linux_::numbers_in("/proc");
        return std::any_of(all.begin(), all.end(), [&](pid_t pid) {
            const auto stat = linux_::stat_of(pid);
            return stat && stat->session == session && stat->start < runner_start;
        });
    }

    /// Who may have the orphans of the tree: the first adopter as long as it lives, then any above it, at last init.
    static std::vector<pid_t> adopters_of(const Token &token)
    {
        std::vector<pid_t> out;
        for (const Token::Adopter &each : token.adopters)
            if (each.pid != 1 && linux_::hold(each.pid, each.start)) {
                out.push_back(each.pid);
                if (&each == &token.adopters.front()) return out;
            }
        out.push_back(1);
        return out;
    }

    /// Where a runner was killed and no group held its tree, a process may be left that bears no mark. All such are among
    /// what the runner's adopter has got since; where somebody there cannot be told from one, that is said, for neither
    /// "stopped" nor a signal would be right. True: one that bears the mark was found there.
    static bool doubt(const Call &call, const Token &token, StopReport &report)
    {
        if (!token.cgroup.empty() || token.adopters.empty()) return false;
        const std::vector<pid_t> adopters = adopters_of(token);
        enum class Ours { no, yes, not_told, passing };
        const auto look_at = [&](pid_t pid) {
            const Descriptor held = linux_::open_pidfd(pid);
            const linux_::Mark any = linux_::mark_of(pid, "LITBUILD_UUID=");
            const linux_::Mark own = any == linux_::Mark::there ? linux_::mark_of(pid, "LITBUILD_UUID=" + token.uuid) : any;
            const uint64_t surroundings = linux_::surroundings_of(pid);
            const auto stat = linux_::stat_of(pid);
            if (!held || linux_::has_ended(held) || !stat || stat->start < token.start) return Ours::no;
            if (linux_::user_of(pid) != token.user || is_older(stat->session, token.start)) return Ours::no;
            // On its way out a process shows neither mark nor surroundings, in the middle of exec no mark.
            if (own == linux_::Mark::hidden || (stat->is_ending() && !stat->is_dead())) return Ours::passing;
            if (any == linux_::Mark::there) return own == linux_::Mark::there ? Ours::yes : Ours::no;
            return surroundings == token.surroundings ? Ours::not_told : Ours::no;
        };
        const Call limit = call.at_most(std::chrono::seconds(2));
        bool is_passing = true, is_ours = false;
        // What is on its way out may leave children, which come to the adopter then.
        for (bool is_last = false; is_passing && !is_last;) {
            is_last = limit.expired() || limit.cancelled();
            is_passing = is_ours = false;
            report.survivors.clear();
            std::vector<pid_t> adopted;
            for (const pid_t adopter : adopters)
                for (const pid_t pid : linux_::children_of(adopter)) adopted.push_back(pid);
            for (const pid_t pid : adopted) {
                const Ours ours = pid == ::getpid() ? Ours::no : look_at(pid);
                if (ours == Ours::passing) is_passing = true;
                if (ours == Ours::yes) is_ours = true;
                const bool is_stranger = ours == Ours::passing && linux_::surroundings_of(pid) != token.surroundings;
                if (ours == Ours::no || is_stranger) continue;
                report.survivors.push_back(describe(pid));
                if (ours != Ours::yes)
                    report.survivors.back().doubt = "whether it is of the build only the runner could tell, and that was killed";
            }
            if (is_passing && !is_last) pause_for(std::chrono::milliseconds(5));
        }
        if (!report.survivors.empty()) report.outcome = StopOutcome::incomplete;
        return is_ours;
    }

    static void pause_for(std::chrono::milliseconds time)
    {
        ::poll(nullptr, 0, static_cast<int>(time.count()));
    }

    static ProcessInfo describe(pid_t pid)
    {
        ProcessInfo out;
        out.pid = pid;
        out.command = linux_::command_of(pid);
        if (const auto stat = linux_::stat_of(pid)) out.state = stat->state;
        out.where = linux_::line_of(linux_::proc_path(pid, "wchan").c_str());
        if (out.where == "0") out.where.clear();
        return out;
    }

    Host host_;
    bool inherit_ = true;
    uint64_t default_processes_ = 4096;
    const Containers &containers() const
    {
        return containers_.get([this] { return Containers(groups_wanted_); });
    }
    const Token &here() const { return here_.get(Token::of_this_host); }

    const std::string groups_wanted_;
    Lazy<Containers> containers_;
    Lazy<Token> here_;
};

}  // namespace local_process

LITBUILD_PLUGIN("local-process", LITBUILD_VERSION, litbuild::ProcessOf<local_process::LocalProcess>)
