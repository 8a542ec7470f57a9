// A call of the engine, as Python wants it: without the interpreter's lock, and ended by Ctrl-C.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <future>
#include <optional>
#include <type_traits>

#include <pybind11/pybind11.h>

#include <litbuild/call.hpp>
#include <litbuild/linux/signals.hpp>

namespace litbuild::python {

/// Seconds, as Python counts time; none: the engine's own deadline.
using Timeout = std::optional<double>;

inline Call call_within(const Timeout &timeout)
{
    if (!timeout) return {};
    constexpr double longest = 366.0 * 86400;
    const double seconds = std::min(std::max(*timeout, 0.0), longest);
    // A deadline of zero would be none.
    return Call::within(std::chrono::nanoseconds(1 + static_cast<int64_t>(seconds * 1e9)));
}

/// Waits until `fd` is readable, looking after the interpreter's signals in between. False: one of them has raised.
inline bool wait_for(int fd)
{
    for (;;) {
        int ready = 0;
        {
            const pybind11::gil_scoped_release unlocked;
            pollfd wait{fd, POLLIN, 0};
            // A signal may be delivered to another thread, which does not end this poll.
            ready = ::poll(&wait, 1, 100);
        }
        if (ready > 0) return true;
        if (PyErr_CheckSignals() != 0) return false;
    }
}

inline bool is_main_thread() { return ::gettid() == ::getpid(); }

/// Runs `body(call)`. Python's signal handlers run in its main thread only, and only between two of its own steps: there the
/// body works in a thread of its own, and this one waits for either. What a handler raises cancels the call.
template <class Body>
auto run(const Timeout &timeout, Body body) -> std::invoke_result_t<Body, const Call &>
{
    using Result = std::invoke_result_t<Body, const Call &>;
    Canceller canceller;
    Call call = call_within(timeout);
    call.cancelled_by(canceller);
    if (!is_main_thread()) {
        const pybind11::gil_scoped_release unlocked;
        return body(call);
    }
    Canceller done;   // readable once cancelled: the same thing
    std::packaged_task<Result()> task([&] { return body(call); });
    std::future<Result> result = task.get_future();
    std::thread worker = linux_::quiet_thread([&] {
        task();
        done.cancel();
    });
    const bool undisturbed = wait_for(done.fd());
    if (!undisturbed) canceller.cancel();
    {
        const pybind11::gil_scoped_release unlocked;
        worker.join();
    }
    if (!undisturbed) throw pybind11::error_already_set();
    return result.get();
}

}  // namespace litbuild::python
