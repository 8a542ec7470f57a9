#include "spawn.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <mutex>

#include <litbuild/linux/claim.hpp>

namespace local_process {

using litbuild::Call;
using litbuild::Code;
using litbuild::Error;
using litbuild::LaunchSpec;
using litbuild::linux_::Claim;
using litbuild::linux_::claim;
using litbuild::linux_::Descriptor;

namespace {

// posix_spawn and not Boost.Process: the launchers of Boost.Process 1.81, v1 and v2, call fork(), which copies the page
// tables of the host (108 ms at 6 GB, measured), v1 swaps the host's SIGCHLD handling in wait_for, v2 leaks descriptors
// that lie between those it was told to keep, and both leave a zombie where exec fails (boost.process #285).
// glibc's posix_spawn shares the memory until exec.

constexpr int ready_fd = 3;

class Actions {
public:
    Actions() { ::posix_spawn_file_actions_init(&raw_); }
    ~Actions() { ::posix_spawn_file_actions_destroy(&raw_); }
    Actions(const Actions &) = delete;
    Actions &operator=(const Actions &) = delete;
    posix_spawn_file_actions_t *get() { return &raw_; }

private:
    posix_spawn_file_actions_t raw_;
};

class Attributes {
public:
    Attributes()
    {
        ::posix_spawnattr_init(&raw_);
        // Whatever the host blocks or ignores must not reach the build through exec.
        sigset_t none, all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        ::posix_spawnattr_setsigmask(&raw_, &none);
        ::posix_spawnattr_setsigdefault(&raw_, &all);
        ::posix_spawnattr_setflags(&raw_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    }
    ~Attributes() { ::posix_spawnattr_destroy(&raw_); }
    Attributes(const Attributes &) = delete;
    Attributes &operator=(const Attributes &) = delete;
    posix_spawnattr_t *get() { return &raw_; }

private:
    posix_spawnattr_t raw_;
};

std::vector<char *> pointers(const std::vector<std::string> &words)
{
    std::vector<char *> out;
    for (const std::string &word : words) out.push_back(const_cast<char *>(word.c_str()));
    out.push_back(nullptr);
    return out;
}

/// The runner's word: everything up to the end of the pipe.
std::string listen(const Call &call, const std::string &object, const Descriptor &pipe)
{
    std::string word;
    for (;;) {
        pollfd wait[2] = {{pipe.get(), POLLIN, 0}, {call.cancel_fd(), POLLIN, 0}};
        const int64_t left = std::chrono::ceil<std::chrono::milliseconds>(call.left(std::chrono::hours(1))).count();
        const int ready = ::poll(wait, 2, static_cast<int>(std::min<int64_t>(left, 3'600'000)));
        if (ready < 0 && errno != EINTR) throw litbuild::os_error(object, "wait for the runner", errno);
        call.check(object);
        if (ready <= 0 || wait[0].revents == 0) continue;
        char piece[1024];
        const ssize_t got = ::read(pipe.get(), piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return word;
        word.append(piece, static_cast<size_t>(got));
    }
}

/// Children of launches that were given up, to be reaped once they have ended. Held, for the host may reap them first.
void leave(pid_t child)
{
    static std::mutex mutex;
    static std::vector<Descriptor> left;
    const std::lock_guard guard(mutex);
    if (child > 0) left.push_back(litbuild::linux_::open_pidfd(child));
    std::erase_if(left, [](const Descriptor &held) {
        siginfo_t info{};
        const int failed = ::waitid(P_PIDFD, static_cast<id_t>(held.get()), &info, WEXITED | WNOHANG);
        return failed != 0 || info.si_pid != 0;
    });
}

/// Whether the runner had the right to run the build before this took it. False, too, where that cannot be told.
bool has_begun(const std::string &folder, const std::string &object)
{
    try {
        return claim(folder, object, "the launch was given up") == Claim::runners;
    } catch (const Error &) {
        return false;
    }
}

/// The word of a runner that has begun and is late: its own, or as its token tells. Waits for it for ten seconds.
std::string late_word(const std::string &object, const std::string &folder, const Descriptor &pipe)
{
    std::string word;
    bool is_over = false;
    for (const Call patience = Call::within(std::chrono::seconds(10)); !is_over && !patience.expired();) {
        pollfd wait{pipe.get(), POLLIN, 0};
        if (::poll(&wait, 1, 5) > 0) {
            char piece[1024];
            const ssize_t got = ::read(pipe.get(), piece, sizeof piece);
            if (got > 0) word.append(piece, static_cast<size_t>(got));
            is_over = got == 0;
        }
        const std::string text = litbuild::linux_::slurp((folder + "/.control/token").c_str()).value_or("");
        const size_t at = text.find("\npid ");
        if (at != text.npos && word.rfind("error ", 0) != 0) return "ok\n" + text.substr(at + 1);
    }
    if (!is_over) throw Error(Code::timeout, object + ": its runner has begun, and says nothing");
    return word;
}

}  // namespace

std::string spawn_runner(const Call &call, const LaunchSpec &spec, const std::vector<std::string> &environment)
{
    const std::string object = to_string(spec.build);
    const std::vector<std::string> &command = spec.command;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw litbuild::os_error(object, "make a pipe", errno);
    const Descriptor reader(ends[0]);
    // Above the numbers that the child gets: a host may run with 0 to 2 closed, and the pipe would lie there.
    Descriptor writer(::fcntl(ends[1], F_DUPFD_CLOEXEC, ready_fd + 1));
    ::close(ends[1]);
    if (!writer) throw litbuild::os_error(object, "make a pipe", errno);

    leave(0);
    Actions actions;
    ::posix_spawn_file_actions_adddup2(actions.get(), writer.get(), ready_fd);
    ::posix_spawn_file_actions_addopen(actions.get(), 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(actions.get(), 1, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addopen(actions.get(), 2, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addclosefrom_np(actions.get(), ready_fd + 1);
    Attributes attributes;
    const std::vector<char *> argv = pointers(command);
    const std::vector<char *> envp = pointers(environment);
    pid_t child = 0;
    const int failed = ::posix_spawn(&child, command[0].c_str(), actions.get(), attributes.get(), argv.data(),
                                     envp.data());
    if (failed != 0) throw litbuild::os_error(object, "start the runner " + command[0], failed);
    writer.reset();

    std::string word;
    try {
        word = listen(call, object, reader);
    } catch (const std::exception &) {
        // The child that we know ends by itself.
        leave(child);
        child = 0;
        if (!has_begun(spec.folder, object)) throw;
        word = late_word(object, spec.folder, reader);
    }
    // Only this child, by its number; where the host reaps everything, there is nothing left to wait for.
    while (child > 0 && ::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (word.rfind("ok\n", 0) == 0) return word.substr(3);
    while (!word.empty() && word.back() == '\n') word.pop_back();
    if (word.rfind("error ", 0) == 0) throw Error(Code::unavailable, word.substr(6));
    throw Error(Code::unavailable, object + ": the runner ended without a word");
}

}  // namespace local_process
