// The limits of one call: a deadline and a cancel handle; and who is told how far it is. Every function that may block takes
// one.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <sys/eventfd.h>
#include <unistd.h>

#include <litbuild/error.hpp>

namespace litbuild {

using Clock = std::chrono::steady_clock;

/// Cancels the calls that were given it. One object may serve many calls; once cancelled it stays so.
/// Threads: any. The object must outlive the calls.
class Canceller {
public:
    Canceller() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
    {
        if (fd_ < 0) throw os_error("cancel handle", "make it", errno);
    }
    ~Canceller() { ::close(fd_); }
    Canceller(const Canceller &) = delete;
    Canceller &operator=(const Canceller &) = delete;

    void cancel() noexcept
    {
        cancelled_.store(true);
        const uint64_t one = 1;
        (void)!::write(fd_, &one, sizeof one);
    }
    bool cancelled() const noexcept { return cancelled_.load(); }
    /// Readable once cancelled.
    int fd() const noexcept { return fd_; }

private:
    std::atomic<bool> cancelled_{false};
    int fd_;
};

/// A plain value. The default has no deadline and cannot be cancelled.
class Call {
public:
    /// Receives how far a call is, in bytes; total 0: not known. Called from any thread; what it throws is lost.
    using Progress = std::function<void(uint64_t done, uint64_t total)>;

    Call() = default;
    explicit Call(const lb_call *call) noexcept : raw_(call)
    {
        if (call && call->deadline_ns > 0) deadline_ = Clock::time_point(std::chrono::nanoseconds(call->deadline_ns));
    }

    static Call within(Clock::duration time) { return until(Clock::now() + time); }
    static Call until(Clock::time_point deadline)
    {
        Call call;
        call.deadline_ = deadline;
        return call;
    }
    Call &cancelled_by(const Canceller &canceller) noexcept
    {
        canceller_ = &canceller;
        return *this;
    }
    /// The same call with an earlier end.
    Call at_most(Clock::duration time) const
    {
        Call call = *this;
        const Clock::time_point end = Clock::now() + time;
        if (!has_deadline() || end < deadline_) call.deadline_ = end;
        return call;
    }

    /// The same call, with someone who is told how far it is.
    Call on_progress(Progress told) const
    {
        Call call = *this;
        call.progress_ = std::make_shared<const Progress>(std::move(told));
        return call;
    }

    bool has_deadline() const noexcept { return deadline_ != Clock::time_point{}; }
    Clock::time_point deadline() const noexcept { return deadline_; }
    bool expired() const noexcept { return has_deadline() && Clock::now() >= deadline_; }
    bool cancelled() const noexcept
    {
        if (canceller_) return canceller_->cancelled();
        return raw_ && raw_->cancelled && raw_->cancelled(raw_) != 0;
    }
    /// Readable once cancelled; -1: none.
    int cancel_fd() const noexcept
    {
        if (canceller_) return canceller_->fd();
        return raw_ ? raw_->cancel_fd : -1;
    }
    /// What is left, never below zero; `otherwise` where there is no deadline.
    Clock::duration left(Clock::duration otherwise) const noexcept
    {
        if (!has_deadline()) return otherwise;
        const Clock::duration rest = deadline_ - Clock::now();
        return rest < Clock::duration::zero() ? Clock::duration::zero() : rest;
    }
    /// For those who do the work: this many bytes of so many are done; total 0: not known.
    void tell(uint64_t done, uint64_t total) const noexcept
    {
        if (progress_) {
            try {
                if (*progress_) (*progress_)(done, total);
            } catch (...) {
                // Who only watches must not end the work.
            }
            return;
        }
        // A caller of contract 1.0 has no such field.
        constexpr size_t end = offsetof(lb_call, progress) + sizeof(lb_call::progress);
        if (raw_ && raw_->struct_size >= end && raw_->progress) raw_->progress(raw_, done, total);
    }
    /// Throws Code::cancelled or Code::timeout with a sentence that starts with `object`.
    void check(const std::string &object) const
    {
        if (cancelled()) throw Error(Code::cancelled, object + ": cancelled");
        if (expired()) throw Error(Code::timeout, object + ": the deadline has passed");
    }

private:
    const lb_call *raw_ = nullptr;
    const Canceller *canceller_ = nullptr;
    std::shared_ptr<const Progress> progress_;
    Clock::time_point deadline_{};
};

}  // namespace litbuild
