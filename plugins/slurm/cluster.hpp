// What this plugin asks of Slurm's controller.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include <litbuild/process.hpp>

#include "transport.hpp"

namespace slurm {

/// The controller did answer, and said no: nothing was done. Its own sentence is in the error's.
class Refusal final : public litbuild::Error {
public:
    using Error::Error;
};

struct Job {
    uint64_t id = 0;
    std::string name;
    std::string state;         ///< as Slurm writes it: PENDING RUNNING COMPLETED ...
    std::string reason;        ///< why it waits, or why it ended: "Resources"; empty: none
    std::string description;   ///< of that, in words; mostly empty
    std::string nodes;
    std::string host;          ///< the node that its script is on; empty: none
    std::string partition;
    std::string cluster;
    std::string comment;
    uint64_t submitted = 0;    ///< seconds since 1970-01-01 on the controller's clock; 0: not yet
    uint64_t ended = 0;
    uint64_t restarts = 0;     ///< how often it was put back into the queue
    int exit_code = 0;         ///< of its script
    int signal = 0;            ///< that ended the script; 0: none
    uint64_t memory_mib = 0;   ///< its limit; 0: none is told
    uint64_t minutes = 0;      ///< likewise
};

enum class Signal { look, kill };

/// Threads: any. Every function throws Refusal, and what Transport::ask does.
class Cluster {
public:
    /// `patience`: how long one request may take.
    Cluster(std::unique_ptr<Transport> transport, std::chrono::milliseconds patience);

    const std::string &object() const noexcept { return transport_->object(); }

    /// The id of the new job.
    uint64_t submit(const litbuild::Call &call, const boost::json::object &what) const;
    /// None: Slurm has no such job, or no more.
    std::optional<Job> job(const litbuild::Call &call, uint64_t id) const;
    /// The same, but where many are asked for, all at once, and then up to a second old. A controller that was not to be reached
    /// is not tried again for two seconds.
    std::optional<Job> glance(const litbuild::Call &call, uint64_t id);
    /// Those of this user at least.
    std::vector<Job> all(const litbuild::Call &call) const;
    /// By name; none, one, or such as were submitted twice.
    std::vector<Job> named(const litbuild::Call &call, const std::string &name) const;
    /// Signal::look: its runner looks for requests. Signal::kill: it is cancelled, and all of it ended. False: it has ended.
    bool send(const litbuild::Call &call, uint64_t id, Signal signal);
    /// What glance() has seen is not so any more.
    void forget_seen();
    /// A node that is down, or does not answer: what Slurm says has ended there may live on.
    bool is_cut_off(const litbuild::Call &call, const std::string &node) const;
    /// Of the controller that answers; empty: it has told of no job yet.
    std::string name(const litbuild::Call &call) const;

private:
    // With `mutex_` held:
    std::optional<Job> seen(uint64_t id) const;
    bool are_many();
    void see_all(const litbuild::Call &call, std::unique_lock<std::mutex> &guard);

    std::optional<Job> glance_now(const litbuild::Call &call, uint64_t id);
    boost::json::object ask(const litbuild::Call &call, Verb verb, const std::string &target, const std::string &body = "") const;

    const std::unique_ptr<Transport> transport_;
    const std::chrono::milliseconds patience_;
    mutable std::mutex mutex_;
    mutable std::string name_;
    std::condition_variable loaded_;
    std::map<uint64_t, Job> seen_;
    litbuild::Clock::time_point seen_at_{};
    litbuild::Clock::time_point counted_from_{};
    litbuild::Clock::time_point away_until_{};
    std::string why_away_;
    uint64_t changes_ = 0;
    int asked_ = 0;
    bool is_loading_ = false;
};

}  // namespace slurm
