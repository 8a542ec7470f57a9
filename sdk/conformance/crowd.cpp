#include "crowd.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>
#include <optional>

#include <litbuild/linux/descriptor.hpp>

#include "child.hpp"

namespace litbuild::conformance {

using linux_::Descriptor;

namespace {

struct Started {
    pid_t pid;
    Descriptor from;
};

Started start(End end, const std::function<std::string()> &body)
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("the kit itself: no pipe");
    Descriptor from(ends[0]), to(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) fail("the kit itself: no process");
    if (pid > 0) return {pid, std::move(from)};
    const std::string text = carried_out(body);
    (void)!::write(to.get(), text.data(), text.size());
    if (end == End::killed) ::kill(::getpid(), SIGKILL);
    ::_exit(0);
}

std::string finish(Started started, End end)
{
    std::string text;
    char piece[4096];
    for (ssize_t size; (size = ::read(started.from.get(), piece, sizeof piece)) > 0;)
        text.append(piece, static_cast<size_t>(size));
    int status = 0;
    ::waitpid(started.pid, &status, 0);
    if (text.empty() || (end == End::exits && status != 0)) fail("a second process of the check crashed or ended itself");
    const auto what = static_cast<Letter>(text.front());
    if (what == Letter::skipped) skip(text.substr(1));
    if (what == Letter::failed) fail(text.substr(1));
    return text.substr(1);
}

}  // namespace

void in_threads(size_t count, const std::function<void(size_t)> &body)
{
    std::mutex mutex;
    std::exception_ptr first;
    std::vector<std::thread> crowd;
    for (size_t i = 0; i < count; ++i)
        crowd.emplace_back([&, i] {
            try {
                body(i);
            } catch (...) {
                const std::lock_guard<std::mutex> lock(mutex);
                if (!first) first = std::current_exception();
            }
        });
    for (std::thread &each : crowd) each.join();
    if (first) std::rethrow_exception(first);
}

std::vector<std::string> in_processes(size_t count, const std::function<std::string(size_t)> &body)
{
    std::vector<Started> all;
    for (size_t i = 0; i < count; ++i) all.push_back(start(End::exits, [&] { return body(i); }));
    std::vector<std::string> out;
    for (Started &each : all) out.push_back(finish(std::move(each), End::exits));
    return out;
}

std::string in_process(End end, const std::function<std::string()> &body) { return finish(start(end, body), end); }

}  // namespace litbuild::conformance
