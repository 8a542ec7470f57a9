// A few threads that do something to many builds.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <litbuild/engine.hpp>

namespace litbuild::detail {

/// Runs an action on each build, several at a time; what is waited for is waited for in order. Whoever drops it waits for
/// the actions that have begun, and begins no more.
class Crew {
public:
    using Action = std::function<void(BulkResult &)>;

    /// All are borrowed.
    Crew(std::vector<BulkResult> &results, const Call &call, const Action &action);
    ~Crew();
    Crew(const Crew &) = delete;
    Crew &operator=(const Crew &) = delete;

    /// Starts so many threads, or as many as can be had.
    void hire(size_t count);
    /// Waits for the result of one; false: cancelled before it was there.
    bool wait(size_t index);

private:
    enum class Done : char { no, yes, cancelled };

    void work();

    std::vector<BulkResult> &results_;
    const size_t count_;
    std::vector<Done> done_;
    const Call &call_;
    const Action &action_;
    std::mutex mutex_;
    std::condition_variable changed_;
    size_t next_ = 0;
    std::exception_ptr failure_;
    std::vector<std::thread> threads_;
};

}  // namespace litbuild::detail
