// An export of a server: its connections, and whether it answers.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <litbuild/call.hpp>
#include <litbuild/time.hpp>

#include <nfs/address.hpp>
#include <nfs/connection.hpp>

namespace litbuild::nfs {

struct Patience {
    /// For a call that has no deadline: how long a server may be silent.
    std::chrono::milliseconds deadline = std::chrono::seconds(10);
    /// A request that is not answered for so long is sent again, where the server answers others.
    std::chrono::milliseconds resend = std::chrono::seconds(2);
};

/// Threads: any.
class Server {
public:
    Server(Address address, Patience patience) : address_(std::move(address)), patience_(patience) {}

    const Address &address() const noexcept { return address_; }
    const Patience &patience() const noexcept { return patience_; }

    /// An open connection: one that is free, or a new one; waits for the server until the call ends.
    /// Code::timeout, Code::cancelled; what Connection::open throws.
    std::unique_ptr<Connection> take(const Call &call);
    void give_back(std::unique_ptr<Connection> connection) noexcept;
    /// Another one is needed: the handles of the old ones may be of an export that is gone.
    void forget() noexcept;
    /// Whether the server answers on a new connection; then that one.
    std::unique_ptr<Connection> probe(const Call &call);

    /// For a request of a call without a deadline: Patience::deadline, or a moment where it was silent for that long already.
    std::chrono::milliseconds patience_now() const noexcept;
    /// A request is sent; the server has said something.
    void asked() noexcept;
    void answered() noexcept;
    /// Why a call ended without an answer: `nfs://fs1/export: has not answered for 12 s, since 2024-...`.
    Error silent(const Call &call, Outcome outcome, const std::string &why) const;
    /// Requests sent since it was made, those of connecting left out.
    uint64_t requests() const noexcept { return requests_.load(); }

private:
    void expect() noexcept;

    const Address address_;
    const Patience patience_;
    std::atomic<uint64_t> requests_{0};
    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<Connection>> free_;
    // Of the oldest request since the last answer.
    std::optional<Clock::time_point> silent_since_;
    Timestamp silent_time_ = 0;
};

}  // namespace litbuild::nfs
