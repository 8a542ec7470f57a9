#include "interrupt.hpp"

#include <signal.h>

#include <atomic>
#include <cerrno>

namespace litbuild::cli {
namespace {

Canceller *canceller = nullptr;
std::atomic<int> caught{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void on_signal(int signal)
{
    const int before = errno;
    caught.store(signal);
    canceller->cancel();
    errno = before;
}

}  // namespace

Call interruptible_call()
{
    // For as long as the program runs: a signal may come at any time.
    static Canceller handle;
    canceller = &handle;
    for (const int signal : {SIGINT, SIGTERM}) {
        struct sigaction now{};
        if (::sigaction(signal, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) continue;
        now.sa_handler = on_signal;
        now.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
        ::sigaction(signal, &now, nullptr);
    }
    Call out;
    out.cancelled_by(handle);
    return out;
}

void obey_interrupt()
{
    const int signal = caught.load();
    if (signal == 0) return;
    ::signal(signal, SIG_DFL);
    ::raise(signal);
}

}  // namespace litbuild::cli
