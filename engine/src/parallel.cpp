#include "parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include <litbuild/linux/signals.hpp>

namespace litbuild::detail {

namespace {

// What is waited for is a disk or a server, not a processor. Below so many each, a thread costs more than it brings.
constexpr size_t most_threads = 32, each_thread = 8;

}  // namespace

void in_parallel(size_t count, const std::function<void(size_t index)> &each)
{
    std::atomic<size_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    const auto work = [&] {
        for (size_t index; (index = next.fetch_add(1)) < count;) {
            try {
                each(index);
            } catch (...) {
                const std::lock_guard<std::mutex> hold(mutex);
                if (!failure) failure = std::current_exception();
                next = count;
            }
        }
    };
    {
        std::vector<std::jthread> threads;
        try {
            const linux_::SignalsBlocked blocked;
            while (threads.size() + 1 < std::min(most_threads, count / each_thread)) threads.emplace_back(work);
        } catch (const std::system_error &) {
            // Then there are fewer.
        }
        work();
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace litbuild::detail
