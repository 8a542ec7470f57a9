#include <folder-store/spare_threads.hpp>

#include <chrono>
#include <utility>

#include <unistd.h>

#include <litbuild/linux/signals.hpp>

namespace litbuild::folder {

namespace {

constexpr std::chrono::seconds longest_wait(10);

}  // namespace

SpareThreads::SpareThreads() : shared_(std::make_shared<Shared>()) { shared_->process = ::getpid(); }

SpareThreads::~SpareThreads()
{
    {
        const std::lock_guard<std::mutex> hold(shared_->mutex);
        shared_->is_over = true;
    }
    shared_->changed.notify_all();
}

void SpareThreads::start(std::function<void()> task)
{
    {
        const std::lock_guard<std::mutex> hold(shared_->mutex);
        if (shared_->process != ::getpid()) {
            shared_->process = ::getpid();
            shared_->waiting = 0;
            shared_->tasks.clear();
        }
        if (shared_->waiting > shared_->tasks.size()) {
            shared_->tasks.push_back(std::move(task));
            shared_->changed.notify_one();
            return;
        }
    }
    linux_::quiet_thread([shared = shared_, task = std::move(task)]() mutable {
        std::exchange(task, nullptr)();
        shared->serve();
    }).detach();
}

void SpareThreads::Shared::serve() noexcept
{
    std::unique_lock<std::mutex> hold(mutex);
    for (;;) {
        ++waiting;
        changed.wait_for(hold, longest_wait, [&] { return is_over || !tasks.empty(); });
        --waiting;
        if (tasks.empty()) return;
        std::function<void()> task = std::move(tasks.front());
        tasks.pop_front();
        hold.unlock();
        task();
        task = nullptr;
        hold.lock();
    }
}

}  // namespace litbuild::folder
