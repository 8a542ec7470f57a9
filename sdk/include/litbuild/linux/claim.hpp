// Seeing to it that a launch never runs, whatever becomes of it. For authors of process controllers whose launch may have been
// under way when they gave it up.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <litbuild/error.hpp>
#include <litbuild/linux/descriptor.hpp>
#include <litbuild/linux/proc.hpp>
#include <litbuild/linux/signals.hpp>

namespace litbuild::linux_ {

/// What stands in the file of who gave it up, before why.
inline constexpr std::string_view no_runner = "none: ";

/// Whoever creates `.control/runner` is the build's runner, and there is only one. Where this is, none will ever be.
enum class Claim {
    ours,      ///< nothing ran, and nothing will
    given_up,  ///< the same, as somebody has seen to it before
    runners,   ///< a runner has begun, whatever became of it
};

namespace detail {

// Blocks as long as the file system does.
inline Claim claim_now(const std::string &folder, const std::string &object, const std::string &why)
{
    const std::string control = folder + "/.control";
    ::mkdir(control.c_str(), 0777);
    const std::string runner = control + "/runner", word = std::string(no_runner) + why + "\n";
    const auto make = [](const std::string &name) {
        return Descriptor(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
    };
    const auto write = [&](const Descriptor &file) {
        return ::write(file.get(), word.data(), word.size()) == static_cast<ssize_t>(word.size());
    };
    // With its word from the start: without one it could be a runner's.
    const std::string draft = control + "/.runner-" + std::to_string(::getpid()) + "-" +
                              std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
    bool is_taken = false, is_there = false;
    if (const Descriptor file = make(draft)) {
        if (write(file)) {
            is_taken = ::link(draft.c_str(), runner.c_str()) == 0;
            is_there = !is_taken && errno == EEXIST;
        }
        ::unlink(draft.c_str());
    }
    // Where there are no links, or no space but for a name.
    if (!is_taken && !is_there) {
        const Descriptor file = make(runner);
        if (!file && errno != EEXIST) throw os_error(object, "keep its runner from starting", errno);
        is_taken = static_cast<bool>(file);
        if (file) (void)write(file);
    }
    if (is_taken) return Claim::ours;
    const std::optional<std::string> found = slurp(runner.c_str());
    if (!found) throw os_error(object, "read who runs it", errno);
    return found->starts_with(no_runner) ? Claim::given_up : Claim::runners;
}

}  // namespace detail

/// Takes the right to run the build in `folder`. `object` starts the errors; `why`: "the launch was given up". Throws where it
/// cannot be told who has it: there is no such folder here, it cannot be written, or (Code::timeout) does not answer within
/// `patience`. Any thread, any process, any host.
inline Claim claim(const std::string &folder, const std::string &object, const std::string &why,
                   std::chrono::milliseconds patience = std::chrono::seconds(5))
{
    // A file system that is away holds up a thread of its own, which is left to it.
    auto told = std::make_shared<std::promise<Claim>>();
    std::future<Claim> claim = told->get_future();
    try {
        quiet_thread([told, folder, object, why] {
            try {
                told->set_value(detail::claim_now(folder, object, why));
            } catch (...) {
                told->set_exception(std::current_exception());
            }
        }).detach();
    } catch (const std::system_error &e) {
        throw Error(Code::unavailable, object + ": who runs it cannot be told: " + e.what());
    }
    if (claim.wait_for(patience) != std::future_status::ready)
        throw Error(Code::timeout, object + ": its folder does not answer; who runs it cannot be told");
    return claim.get();
}

}  // namespace litbuild::linux_
