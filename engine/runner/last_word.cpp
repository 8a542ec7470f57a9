// The end of a build: what it used, and its last word.
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "supervisor.hpp"

namespace runner {

using boost::json::object;
using boost::json::value;
using litbuild::State;
using litbuild::Status;
using Sync = Journal::Sync;
using namespace std::chrono_literals;
using litbuild::Step;
using litbuild::linux_::Cgroup;

std::vector<std::string> Supervisor::groups_to_read() const
{
    std::vector<std::string> out = setup_.groups;
    out.insert(out.end(), setup_.own_groups.begin(), setup_.own_groups.end());
    return out;
}

bool Supervisor::ran_out_of_memory() const
{
    for (const std::string &group : groups_to_read()) {
        for (const char *file : {"/memory.events", "/memory.oom_control"}) {
            const std::string text = litbuild::linux_::slurp((group + file).c_str()).value_or("");
            const size_t at = text.find("oom_kill ");
            if (at != std::string::npos && text[at + 9] != '0') return true;
        }
    }
    return false;
}

object Supervisor::usage() const
{
    rusage used{};
    ::getrusage(RUSAGE_CHILDREN, &used);
    const auto seconds = [](const timeval &time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    object out = {{"cpu_seconds", seconds(used.ru_utime) + seconds(used.ru_stime)},
                  {"peak_memory_bytes", used.ru_maxrss * 1024},
                  {"peak_memory_of", "largest process"}};
    const auto peak_of = [](const std::string &file) {
        int64_t peak = 0;
        const std::string text = litbuild::linux_::line_of(file.c_str());
        std::from_chars(text.data(), text.data() + text.size(), peak);
        return peak;
    };
    for (const std::string &group : groups_to_read()) {
        if (const int64_t peak = peak_of(group + "/pids.peak"); peak > 0) out["peak_processes"] = peak;
        for (const char *file : {"/memory.peak", "/memory.max_usage_in_bytes"}) {
            const int64_t peak = peak_of(group + file);
            if (peak <= 0) continue;
            out["peak_memory_bytes"] = peak;
            out["peak_memory_of"] = "build";
        }
    }
    return out;
}

int Supervisor::last_word()
{
    end_part(verdict_->state == State::complete ? State::complete : State::stopped);
    close_steps();
    Status &status = journal_.status();
    status.state = verdict_->state;
    status.exit_code = verdict_->exit_code;
    status.signal = verdict_->signal;
    status.error = verdict_->error;
    status.message.clear();
    if (verdict_->state == State::complete) status.progress = 1.0;
    journal_.detail()["usage"] = usage();
    object members = {{"detail", object()}};
    if (stop_began_ != Clock::time_point{}) {
        journal_.detail()["stop"] = {
            {"took_ms", std::chrono::duration_cast<Milliseconds>(Clock::now() - stop_began_).count()},
            {"killed", killed_},
            {"escaped_group", escaped_.size()}};
    }
    members["detail"] = journal_.detail();
    if (status.exit_code) members["exit"] = *status.exit_code;
    if (status.signal) members["signal"] = status.signal;
    if (!status.error.empty()) members["error"] = status.error;
    if (!status.stopped_by.empty()) members["stopped_by"] = status.stopped_by;
    if (!status.reason.empty()) members["reason"] = status.reason;
    // These go first: who reads the last word finds nothing left over.
    for (const std::string &group : setup_.groups) Cgroup::open(group).remove();
    report_.reset();
    journal_.release_room();
    constexpr int attempts = 60;
    bool is_said = false;
    for (int attempt = 0;; ++attempt) {
        try {
            // In the end better not for certain than not at all.
            const Sync sync = attempt < attempts ? Sync::yes : Sync::no;
            if (!is_said) journal_.write(litbuild::name(status.state), members, sync);
            else journal_.catch_up();
            break;
        } catch (const litbuild::Error &) {
            is_said = is_said || journal_.is_behind();
            // Nowhere to say it. Space may come back; after a minute the build is told as lost, which is what it is.
            if (attempt == attempts || journal_.is_removed()) break;
            ::poll(nullptr, 0, 1000);
        }
    }
    if (is_shared_) ::unlinkat(control_.get(), "beat", 0);
    switch (verdict_->state) {
    case State::complete: return 0;
    case State::failed: return verdict_->exit_code.value_or(1);
    case State::stopped: return 143;
    default: return 125;
    }
}

}  // namespace runner
