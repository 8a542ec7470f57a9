#include <nfs/server.hpp>

#include <algorithm>

#include <unistd.h>

#include <folder-store/pause.hpp>

namespace litbuild::nfs {

using std::chrono::milliseconds;

namespace {

constexpr size_t most_free = 8;

}  // namespace

void Server::asked() noexcept
{
    requests_.fetch_add(1);
    expect();
}

void Server::expect() noexcept
{
    const std::lock_guard guard(mutex_);
    if (silent_since_) return;
    silent_since_ = Clock::now();
    silent_time_ = now();
}

milliseconds Server::patience_now() const noexcept
{
    constexpr milliseconds moment(200);
    const std::lock_guard guard(mutex_);
    return silent_since_ && Clock::now() - *silent_since_ >= patience_.deadline ? moment : patience_.deadline;
}

void Server::answered() noexcept
{
    const std::lock_guard guard(mutex_);
    silent_since_.reset();
}

Error Server::silent(const Call &call, Outcome outcome, const std::string &why) const
{
    if (outcome == Outcome::cancelled) return Error(Code::cancelled, address_.text() + ": cancelled", ECANCELED);
    const std::lock_guard guard(mutex_);
    std::string text = address_.text() + ": ";
    if (!silent_since_) {
        text += "the deadline has passed";
    } else {
        const auto time = std::chrono::duration_cast<milliseconds>(Clock::now() - *silent_since_);
        const std::string tenths = time.count() < 10'000 ? "." + std::to_string(time.count() / 100 % 10) : "";
        text += "has not answered for " + std::to_string(time.count() / 1000) + tenths + " s, since " +
                to_rfc3339(silent_time_);
    }
    if (!why.empty()) text += " (" + why + ")";
    return Error(call.expired() || outcome == Outcome::timeout ? Code::timeout : Code::unavailable, text,
                 silent_since_ ? ETIMEDOUT : 0);
}

std::unique_ptr<Connection> Server::take(const Call &call)
{
    {
        const std::lock_guard guard(mutex_);
        while (!free_.empty()) {
            std::unique_ptr<Connection> connection = std::move(free_.back());
            free_.pop_back();
            if (connection->process() == ::getpid() && !connection->is_stale()) return connection;
        }
    }
    std::string why;
    for (milliseconds wait(20);; wait = std::min(wait * 2, milliseconds(500))) {
        auto connection = std::make_unique<Connection>();
        expect();
        const Outcome outcome = connection->open(address_, call);
        if (outcome == Outcome::answered) {
            answered();
            return connection;
        }
        if (!connection->why().empty()) why = connection->why();
        if (outcome != Outcome::broken) throw silent(call, outcome, why);
        folder::pause(call, wait);
        if (call.cancelled()) throw silent(call, Outcome::cancelled, why);
        if (call.expired()) throw silent(call, Outcome::timeout, why);
    }
}

std::unique_ptr<Connection> Server::probe(const Call &call)
{
    auto connection = std::make_unique<Connection>();
    return connection->open(address_, call) == Outcome::answered ? std::move(connection) : nullptr;
}

void Server::give_back(std::unique_ptr<Connection> connection) noexcept
{
    // An answer that comes late would be taken for the next one's.
    if (!connection || !connection->is_open() || connection->is_waiting()) return;
    const std::lock_guard guard(mutex_);
    if (free_.size() < most_free) free_.push_back(std::move(connection));
}

void Server::forget() noexcept
{
    const std::lock_guard guard(mutex_);
    free_.clear();
}

}  // namespace litbuild::nfs
