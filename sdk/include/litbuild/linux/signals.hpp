// Signals and threads.
#pragma once

#include <signal.h>

#include <thread>
#include <utility>

namespace litbuild::linux_ {

/// As long as it lives no signal is delivered to this thread, nor ever to one that is started meanwhile: signals are for the
/// threads of the host.
class SignalsBlocked {
public:
    SignalsBlocked() noexcept
    {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked &) = delete;
    SignalsBlocked &operator=(const SignalsBlocked &) = delete;

private:
    sigset_t before_;
};

/// A thread that no signal is delivered to. std::system_error: there can be none.
template <class Body>
std::thread quiet_thread(Body body)
{
    const SignalsBlocked blocked;
    return std::thread(std::move(body));
}

}  // namespace litbuild::linux_
