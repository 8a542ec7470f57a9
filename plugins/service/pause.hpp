#pragma once

#include <algorithm>
#include <chrono>

#include <poll.h>

#include <litbuild/call.hpp>

namespace service {

/// Waits, but no longer than the call's deadline, and not on once it is cancelled.
inline void pause(const litbuild::Call &call, std::chrono::milliseconds time)
{
    pollfd wait{call.cancel_fd(), POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(call.left(time));
    ::poll(&wait, 1, static_cast<int>(std::min(left, time).count()));
}

}  // namespace service
