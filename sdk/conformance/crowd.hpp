// Many at once.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "context.hpp"

namespace litbuild::conformance {

/// Runs `body(i)` in so many threads; what the first of them throws ends the check.
void in_threads(size_t count, const std::function<void(size_t)> &body);

/// Runs `body(i)` in so many processes, forked here, and gives what they return. What one throws as Failure or Skip ends the
/// check; so does one that crashes. No instance may be open here, or its threads would be missing there.
std::vector<std::string> in_processes(size_t count, const std::function<std::string(size_t)> &body);

/// Does it in a thread, when a call that is made now has had the time to begin; the end of the result waits for it.
template <class Action>
std::jthread soon(Action action)
{
    return std::jthread([action = std::move(action)] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        action();
    });
}

enum class End { exits, killed };   ///< killed: by SIGKILL, right behind the body
std::string in_process(End end, const std::function<std::string()> &body);

}  // namespace litbuild::conformance
