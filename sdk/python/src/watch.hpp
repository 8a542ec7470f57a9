// A watch that is asked for its changes one by one. The engine tells them in a thread of the watch's own, from the first one
// to its close, so that none is missed in between.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include <litbuild/engine.hpp>

#include "interruptible.hpp"

namespace litbuild::python {

class Watch {
public:
    Watch(std::shared_ptr<Engine> engine, const std::string &team)
        : engine_(std::move(engine)), thread_(linux_::quiet_thread([this, team] { work(team); }))
    {
    }
    ~Watch()
    {
        canceller_.cancel();
        thread_.join();
    }
    Watch(const Watch &) = delete;
    Watch &operator=(const Watch &) = delete;

    /// The next change; none: the call's deadline has passed. What ended the watching is thrown once all was given.
    std::optional<BuildChange> next(const Call &call)
    {
        constexpr std::chrono::nanoseconds look_for_cancel = std::chrono::milliseconds(50);
        std::unique_lock lock(mutex_);
        while (changes_.empty() && !over_) {
            if (call.cancelled() || call.expired()) return std::nullopt;
            changed_.wait_for(lock, std::min<std::chrono::nanoseconds>(call.left(look_for_cancel), look_for_cancel));
        }
        if (changes_.empty()) {
            if (failure_) std::rethrow_exception(failure_);
            return std::nullopt;
        }
        BuildChange out = std::move(changes_.front());
        changes_.pop_front();
        return out;
    }

private:
    void work(const std::string &team) noexcept
    {
        std::exception_ptr failure;
        try {
            engine_->watch(
                team,
                [&](const BuildChange &change) {
                    const std::lock_guard lock(mutex_);
                    changes_.push_back(change);
                    changed_.notify_all();
                    return true;
                },
                Call().cancelled_by(canceller_));
        } catch (...) {
            failure = std::current_exception();
        }
        const std::lock_guard lock(mutex_);
        failure_ = failure;
        over_ = true;
        changed_.notify_all();
    }

    std::shared_ptr<Engine> engine_;
    Canceller canceller_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<BuildChange> changes_;
    std::exception_ptr failure_;
    bool over_ = false;
    std::thread thread_;   // last: it uses all of the above
};

}  // namespace litbuild::python
