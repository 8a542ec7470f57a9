// Threads for what may hang: one that is through with its task waits a while for another.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace litbuild::folder {

/// Nobody waits for them: a task that does not come back keeps its thread, and the others go on.
/// Threads: any. In a child of the process that made it there are none at first.
class SpareThreads {
public:
    SpareThreads();
    /// Those that wait go.
    ~SpareThreads();
    SpareThreads(const SpareThreads &) = delete;
    SpareThreads &operator=(const SpareThreads &) = delete;

    /// In a thread that waits, or in a new one: at once. `task` throws nothing, and is destroyed in its thread.
    /// std::system_error: there is no thread; then it was not run.
    void start(std::function<void()> task);

private:
    struct Shared {
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<std::function<void()>> tasks;   // never more than threads wait
        size_t waiting = 0;
        pid_t process = 0;
        bool is_over = false;

        void serve() noexcept;
    };
    // The threads may outlive it.
    std::shared_ptr<Shared> shared_;
};

}  // namespace litbuild::folder
