#include "crew.hpp"

#include <system_error>

#include <litbuild/linux/signals.hpp>

#include "bulk.hpp"

namespace litbuild::detail {

Crew::Crew(std::vector<BulkResult> &results, const Call &call, const Action &action)
    : results_(results), count_(results.size()), done_(count_, Done::no), call_(call), action_(action)
{
}

Crew::~Crew()
{
    {
        const std::lock_guard lock(mutex_);
        next_ = count_;
    }
    for (std::thread &thread : threads_) thread.join();
}

void Crew::hire(size_t count)
{
    const linux_::SignalsBlocked blocked;
    try {
        while (threads_.size() < count) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error &e) {
        if (threads_.empty()) throw os_error("litbuild", "start a thread", e.code().value());
    }
}

bool Crew::wait(size_t index)
{
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_[index] != Done::no || failure_; });
    if (failure_) std::rethrow_exception(failure_);
    return done_[index] == Done::yes;
}

void Crew::work()
{
    for (;;) {
        std::unique_lock lock(mutex_);
        if (next_ == count_) return;
        const size_t index = next_++;
        lock.unlock();
        Done done = Done::no;
        std::exception_ptr failure;
        try {
            BulkResult &result = results_[index];
            done = run_one(result, call_, [&] { action_(result); }) ? Done::yes : Done::cancelled;
        } catch (...) {
            failure = std::current_exception();
        }
        lock.lock();
        done_[index] = done;
        if (failure) failure_ = failure;
        changed_.notify_all();
    }
}

}  // namespace litbuild::detail
