// The plugin slurm: each build as a job of a Slurm cluster. See README.md.
#include <litbuild/export.hpp>
#include <litbuild/linux/claim.hpp>
#include <litbuild/version.hpp>

#include <service/pause.hpp>

#include "launching.hpp"
#include "standing.hpp"

namespace slurm {

using namespace litbuild;
using namespace std::chrono_literals;
using service::pause;

namespace {

/// A controller that was restarted is back within this; one that is away for longer is told as away.
constexpr auto patience_with_controller = 5s;
/// Of those who only want to know: the C library itself tries for ten seconds to reach one that is not there.
constexpr auto patience_with_questions = 3s;
/// Beyond its plan, for the runner's last word, and for Slurm to notice.
constexpr auto patience_with_runner = 10s;
/// For a job that is cancelled: Slurm itself waits KillWait, 30 s by default, before it kills.
constexpr std::chrono::seconds patience_with_cancel = 60s;
/// A caller whose time is up learns whether what is left goes away at once.
constexpr std::chrono::seconds patience_beyond_deadline = 5s;

}  // namespace

class SlurmProcess final : public ProcessController {
public:
    SlurmProcess(const Host &host, std::string_view config)
        : host_(host), settings_(read_settings(config)), cluster_(open_transport(settings_), settings_.patience)
    {
    }

    std::string launch(const Call &call, const LaunchSpec &spec) override
    {
        return slurm::launch(call, cluster_, settings_, spec).text();
    }

    Probe probe(const Call &call, const std::string &text) override
    {
        const Token token = Token::parse(text);
        // Who asks still has to read what the folder tells.
        const std::chrono::nanoseconds half = call.left(2 * patience_with_questions) / 2;
        return look(call.at_most(std::min<std::chrono::nanoseconds>(half, patience_with_questions)), token, Look::glance);
    }

    Probe wait(const Call &call, const std::string &text) override
    {
        const Token token = Token::parse(text);
        Probe known;
        for (auto time = 20ms;; time = std::min(time * 2, std::chrono::milliseconds(1000))) {
            Probe now = look(call, token, Look::closely);
            // A question that the deadline ended tells nothing, and the one before it does.
            if (now.life != Life::unknown || !call.expired() || known.evidence.empty()) known = std::move(now);
            // Of one that Slurm cannot tell of, whether it has ended stands in its folder, and who waits looks there.
            if (known.life == Life::gone || known.life == Life::unknown || call.expired()) return known;
            pause(call, time);
            if (call.cancelled()) throw Error(Code::cancelled, "job of " + token.uuid + ": cancelled");
        }
    }

    StopReport stop(const Call &call, const std::string &text, const std::string &uuid, std::span<const StopStep> plan) override
    {
        Token token;
        if (!text.empty()) token = Token::parse(text);
        if (!text.empty() && token.uuid != uuid) throw Error(Code::corrupt, "token: is of another build (" + token.uuid + ")");
        token.uuid = uuid;
        Stop stop{call, token, {}, plan};
        const Clock::time_point begin = Clock::now();
        Clock::time_point trouble{};   // since it was first seen
        for (auto time = 20ms;; time = std::min(time * 2, std::chrono::milliseconds(500))) {
            try {
                if (advance(stop)) break;
                trouble = {};
            } catch (const Error &e) {
                if (e.code() == Code::corrupt || call.cancelled()) throw;
                if (trouble == Clock::time_point{}) trouble = Clock::now();
                // Its runner hears of the request through the folder and needs no controller; whether it does, its status tells.
                if (call.expired() || Clock::now() - trouble >= patience_with_controller) {
                    host_.log(LB_LOG_WARNING, e.what());
                    stop.report.outcome = text.empty() ? StopOutcome::incomplete : StopOutcome::requested;
                    break;
                }
            }
            if (call.cancelled()) throw Error(Code::cancelled, "job of " + uuid + ": cancelled; the request stands");
            pause(call.expired() ? Call::within(time) : call, time);
        }
        // Who looks after this must not be told what was seen before the end.
        cluster_.forget_seen();
        stop.report.took = Clock::now() - begin;
        return std::move(stop.report);
    }

    void held(const Call &call, const std::string &team, const HeldSink &each) override
    {
        for (const Job &job : cluster_.all(call)) {
            const std::optional<BuildName> build = build_of(job.comment);
            if (!build || !job.name.starts_with(Token::prefix) || (!team.empty() && build->team != team)) continue;
            // Slurm forgets those that have ended by itself; one that is ending is no matter.
            if (phase_of(job) == Phase::ended || job.state == "COMPLETING") continue;
            Held out;
            out.build = *build;
            out.uuid = job.name.substr(Token::prefix.size());
            out.token = token_of(job, out.uuid).text();
            const Probe probe = probe_of(job);
            out.life = probe.life;
            out.text = probe.evidence;
            out.action = "'scancel " + std::to_string(job.id) + "' ends it";
            if (!each(out)) return;
        }
    }

    void forget(const Call &call, const std::string &text) override
    {
        const std::optional<Job> job = find(call, Token::parse(text), Look::closely);
        if (!job || phase_of(*job) == Phase::ended) return;
        throw Error(Code::refused, cluster_.object() + ": " + described(*job) + " is " + job->state);
    }

private:
    enum class Look { glance, closely };

    struct Stop {
        const Call &call;
        const Token &token;
        StopReport report{};
        std::span<const StopStep> plan{};
        bool seen_alive = false;
        Clock::time_point asked{};       ///< its runner, to look at the request
        Clock::time_point cancelled{};
    };

    static Token token_of(const Job &job, const std::string &uuid)
    {
        Token out;
        out.uuid = uuid;
        out.cluster = job.cluster;
        out.job = job.id;
        out.submitted = job.submitted;
        out.restarts = job.restarts;
        return out;
    }

    // ------------------------------------------------------------------------------------------- identity

    /// By its id, if the job there bears the build's uuid; ids begin anew where a controller's state was lost.
    std::optional<Job> find(const Call &call, const Token &token, Look how)
    {
        if (token.job != 0) {
            std::optional<Job> out = how == Look::glance ? cluster_.glance(call, token.job) : cluster_.job(call, token.job);
            if (out && out->name == token.name()) return out;
            return std::nullopt;
        }
        std::vector<Job> found = cluster_.named(call, token.name());
        if (found.empty()) return std::nullopt;
        for (Job &each : found)
            if (phase_of(each) != Phase::ended) return std::move(each);
        return std::move(found.front());
    }

    Probe look(const Call &call, const Token &token, Look how)
    {
        Probe out;
        try {
            // In this order: he may just be at it.
            const bool is_launcher_gone = token.job == 0 && token.is_launcher_gone();
            if (const std::optional<Job> job = find(call, token, how)) return told_by(call, token, *job);
            if (token.job == 0 && !is_launcher_gone) {
                out.evidence = "its job is not in Slurm's queue yet";
                return out;
            }
            const std::optional<bool> is_same = is_same_cluster(call, token);
            if (is_same == false) {
                out.evidence = cluster_.object() + ": another cluster answers there, and not " + token.cluster;
                return out;
            }
            out.evidence = token.job == 0 ? "who was to submit its job is gone, and Slurm has none of that name"
                                          : "Slurm has no job " + std::to_string(token.job) +
                                                " of this build any more (it forgets what has ended, after its MinJobAge)";
            // A controller that was killed forgets what it was given in its last seconds; the job may run all the same.
            if (is_same == true && never_begins(token, "Slurm has no job of it")) out.life = Life::gone;
        } catch (const Error &e) {
            if (call.cancelled()) throw;
            // Whatever keeps Slurm from telling, it tells nothing of the build.
            out.life = Life::unknown;
            out.evidence = e.what();
        }
        return out;
    }

    Probe told_by(const Call &call, const Token &token, const Job &job) const
    {
        Probe out = probe_of(job);
        if (phase_of(job) != Phase::ended || is_over(call, job)) return out;
        // Its runner, if there is one, has the last word.
        out.life = never_begins(token, described(job) + " has ended") ? Life::gone : Life::unknown;
        return out;
    }

    /// Of one that has ended: no process of it is alive.
    bool is_over(const Call &call, const Job &job) const
    {
        switch (certainty_of(job)) {
        case Certainty::certain: return true;
        case Certainty::uncertain: return false;
        case Certainty::killed: break;
        }
        return job.host.empty() || !cluster_.is_cut_off(call, job.host);
    }

    /// No runner has begun with the build, and from here on none can. False where that cannot be told from here, too.
    static bool never_begins(const Token &token, const std::string &why)
    {
        if (token.folder.empty()) return false;
        try {
            return linux_::claim(token.folder, token.uuid, why) != linux_::Claim::runners;
        } catch (const Error &) {
            return false;
        }
    }

    /// None: a controller that has no jobs does not tell whose it is.
    std::optional<bool> is_same_cluster(const Call &call, const Token &token) const
    {
        if (token.cluster.empty()) return true;
        const std::string name = cluster_.name(call);
        return name.empty() ? std::nullopt : std::optional(name == token.cluster);
    }

    // ----------------------------------------------------------------------------------------------- stop

    /// True: it is at its end, and the report says which.
    bool advance(Stop &stop)
    {
        const Token &token = stop.token;
        stop.report.mechanism = stop.cancelled == Clock::time_point{} ? "runner" : "scancel";
        // One whose time is up still has to be asked for.
        const Call call = stop.call.expired() ? Call::within(5s) : stop.call.at_most(patience_with_controller);
        const std::optional<Job> job = find(call, token, Look::closely);
        if (!job && is_same_cluster(call, token) == false) {
            stop.report.outcome = StopOutcome::requested;
            return true;
        }
        if (!job || phase_of(*job) == Phase::ended) {
            const bool is_gone = (job && is_over(call, *job)) || never_begins(token, "it was stopped before it began");
            stop.report.outcome = !is_gone          ? StopOutcome::requested
                                  : stop.seen_alive ? StopOutcome::done
                                                    : StopOutcome::already;
            return true;
        }
        if (phase_of(*job) == Phase::waiting) {
            if (stop.cancelled != Clock::time_point{}) return has_waited_long(stop);
            // A controller that is killed may forget that it has cancelled it. Of one that ran before, the first run may be alive
            // on a node that is cut off; its runner hears of the request.
            (void)never_begins(token, "it was stopped before it began");
            cancel(call, stop, *job);
            return false;
        }
        stop.seen_alive = true;
        if (stop.asked == Clock::time_point{}) {
            (void)cluster_.send(call, job->id, Signal::look);
            stop.asked = Clock::now();
        }
        Clock::time_point until = stop.asked + patience_with_runner;
        for (size_t i = 0; i + 1 < stop.plan.size(); ++i) until += stop.plan[i].grace;
        if (stop.cancelled == Clock::time_point{} && (Clock::now() > until || stop.call.expired())) cancel(call, stop, *job);
        return has_waited_long(stop);
    }

    void cancel(const Call &call, Stop &stop, const Job &job)
    {
        (void)cluster_.send(call, job.id, Signal::kill);
        stop.cancelled = Clock::now();
    }

    static bool has_waited_long(Stop &stop)
    {
        if (stop.cancelled == Clock::time_point{}) return false;
        const auto patience = stop.call.expired() ? patience_beyond_deadline : patience_with_cancel;
        if (Clock::now() - stop.cancelled <= patience) return false;
        stop.report.outcome = StopOutcome::incomplete;
        return true;
    }

    Host host_;
    Settings settings_;
    Cluster cluster_;
};

}  // namespace slurm

LITBUILD_PLUGIN("slurm", LITBUILD_VERSION, litbuild::ProcessOf<slurm::SlurmProcess>)
