// Runs the steps of one build and ends its processes.
//
// The states, in words:
//   running    A step's program is alive, or the next one is about to start. The build's own end is decided when a step
//              ends non-zero (failed), cannot be started (error), or was the last one (complete).
//   lingering  The build's end is decided; processes that it left behind are alive. They get `linger`, and are then stopped
//              by the plan, unless the policy is to wait for them. The verdict stands whatever they do.
//   stopping   Somebody asked for a stop, a time limit was reached, or left-overs must go. The plan is carried out: each of
//              its signals goes to every process of the tree, and CONT behind it, so that a stopped one can obey. The grace
//              ends when the tree is empty, not when the leader is gone. Requests that come meanwhile join: the earlier
//              kill wins.
//   killing    The plan has come to its kill: it is repeated until the tree is empty. What cannot be killed is named in an
//              event once the kill's own grace is over, and waited for.
//   ended      The tree is empty: no child is left (this process is its subreaper, so every orphan of the tree becomes its
//              child) and the control group, where there is one, is not populated. The last word is written.
//
// One thread; sleeps in one poll() without a timeout while nothing is due. Only on a file system that hosts share, requests
// are looked for every two seconds, for nothing tells of those that come from elsewhere, and every second time
// `.control/beat` is written, by which other hosts know that this one is there. No signal is handled: they are read from a
// signalfd, so that no order of events is special.
#pragma once

#include <set>

#include <litbuild/linux/tree.hpp>

#include "journal.hpp"
#include "report.hpp"
#include "setup.hpp"

namespace runner {

class Supervisor {
public:
    /// Borrows both. `folder` is the build's.
    Supervisor(const Setup &setup, Journal &journal, int folder);
    /// Writes that the build runs; who launched it may know from then on.
    void begin();
    /// Returns when the build has ended: the exit status for who waits for the runner.
    int run();

private:
    using Clock = litbuild::Clock;
    enum class Phase { running, lingering, stopping, killing };
    struct Verdict {
        litbuild::State state = litbuild::State::complete;
        std::optional<int> exit_code;
        int signal = 0;
        std::string error;
    };

    void start_next_step();
    void hear_words();
    void step_not_started(int error);
    void step_ended(int wait_status);
    void decide(Verdict verdict);
    void end_part(litbuild::State state);
    void close_steps();
    bool reap();
    /// What has ended by now; after the last step the build is complete.
    void see_ends();
    bool tree_is_empty() const;
    void see_group_events() const;

    void read_requests();
    /// What the runner keeps in its folder is gone, or on its way out.
    bool is_being_removed() const;
    void beat();
    void request(const std::string &by, const std::string &reason, const litbuild::StopPlan &plan);
    void begin_stop(const litbuild::StopPlan &plan);
    void next_plan_step();
    void kill_pass();
    void kill_by_descent();
    void name_survivors();
    void time_limit_reached();
    void hear_reports();
    void heard(const Report &report);
    void tell_progress();

    void advance();
    Clock::time_point next_due() const;
    void sleep();
    void write(const char *type, boost::json::object members, Journal::Sync sync);
    int last_word();
    boost::json::object usage() const;
    std::vector<std::string> groups_to_read() const;
    bool ran_out_of_memory() const;

    const Setup &setup_;
    Journal &journal_;
    int folder_;
    litbuild::linux_::Cgroup group_;
    litbuild::linux_::Descriptor log_, signals_, control_, group_events_;
    std::optional<ReportPipe> report_;   ///< until the last word
    bool is_hearing_ = false;

    Phase phase_ = Phase::running;
    std::optional<Verdict> verdict_;
    size_t next_step_ = 0;
    std::optional<size_t> step_;     ///< index of the running step
    std::optional<size_t> part_;     ///< index of its running part
    pid_t leader_ = 0;               ///< the step's program, or the init of its pid namespace
    litbuild::linux_::Descriptor words_;   ///< of the running step
    bool more_to_reap_ = false;

    std::set<std::string> requests_;
    bool must_look_ = false;         ///< requests may come that nothing tells of
    bool is_shared_ = false;         ///< other hosts see the folder
    uint64_t looks_ = 0;
    std::string beat_end_;           ///< what stands behind its number
    Clock::time_point look_due_{};
    litbuild::StopPlan plan_;
    size_t plan_at_ = 0;
    Clock::time_point stop_began_{};
    Clock::time_point plan_due_{};   ///< end of the grace of the plan's current step
    Clock::time_point kill_at_{};    ///< the kill comes no later
    Clock::time_point kill_again_{};
    std::chrono::milliseconds kill_pause_{5};
    bool survivors_named_ = false;
    uint64_t killed_ = 0;
    std::optional<uint64_t> killed_before_;   ///< of the pass before
    int passes_for_the_dead_ = 8;
    std::set<pid_t> escaped_;   ///< killed outside the group

    Clock::time_point build_due_{}, step_due_{}, linger_due_{};
    bool progress_pending_ = false;
    Clock::time_point progress_due_{}, progress_told_{};
};

}  // namespace runner
