// Waiting that can be cancelled.
#pragma once

#include <algorithm>

#include <poll.h>

#include <litbuild/call.hpp>

namespace litbuild::folder {

/// Sleeps for `time`, less where the call is cancelled or its deadline comes before.
inline void pause(const Call &call, std::chrono::milliseconds time)
{
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(call.left(time));
    pollfd cancel{call.cancel_fd(), POLLIN, 0};
    // poll() passes over a descriptor of -1.
    (void)::poll(&cancel, 1, static_cast<int>(std::min(rest, time).count()));
}

}  // namespace litbuild::folder
