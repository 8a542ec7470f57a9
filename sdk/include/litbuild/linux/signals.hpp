// Signals and threads.
#pragma once

#include <signal.h>

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

}  // namespace litbuild::linux_
