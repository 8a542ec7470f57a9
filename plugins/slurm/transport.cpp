#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <litbuild/linux/descriptor.hpp>
#include <litbuild/linux/proc.hpp>

#include <service/stream.hpp>

#include "transport.hpp"

namespace slurm {

using litbuild::Call;
using litbuild::Code;
using litbuild::Error;
using litbuild::linux_::Descriptor;

namespace {

// A job of slurmrestd's is some KiB, and Slurm tells of all users' at once.
constexpr size_t most_answer = 1024 * 1024 * 1024;

// ---------------------------------------------------------------------------------------------- slurmrestd

class Rest final : public Transport {
public:
    explicit Rest(const Settings &settings)
        : http_(settings.rest, most_answer), api_(settings.api), user_(settings.user), token_file_(settings.token_file)
    {
    }
    const std::string &object() const noexcept override { return http_.object(); }

    std::string ask(const Call &call, Verb verb, const std::string &target, const std::string &body) const override
    {
        service::Headers headers;
        if (!user_.empty()) headers.emplace_back("X-SLURM-USER-NAME", user_);
        if (!token_file_.empty()) headers.emplace_back("X-SLURM-USER-TOKEN", token());
        service::Answer answer = http_.ask(call, verb, "/slurm/" + api_ + target, body, headers);
        if (answer.status == 401 || answer.status == 403)
            throw Error(Code::denied, object() + ": slurmrestd does not accept who asks (HTTP status " +
                                          std::to_string(answer.status) + ")");
        // Errors of Slurm's come with the status 500 and an answer all the same.
        if (!answer.body.starts_with('{'))
            throw Unreachable(Code::unavailable, object() + ": what answers is not slurmrestd, or not its API " + api_ +
                                                     " (HTTP status " + std::to_string(answer.status) + ")");
        return std::move(answer.body);
    }

private:
    /// Read each time, for tokens run out and are replaced.
    std::string token() const
    {
        std::optional<std::string> out = litbuild::linux_::slurp(token_file_.c_str());
        if (!out) throw litbuild::os_error(token_file_, "read the token for slurmrestd", errno);
        while (out->ends_with('\n') || out->ends_with('\r')) out->pop_back();
        return std::move(*out);
    }

    service::Http http_;
    const std::string api_, user_, token_file_;
};

// ------------------------------------------------------------------------------------------------- program

/// A child that is ended and reaped with this.
class Child {
public:
    Child(const std::string &object, const std::string &program, const std::vector<std::string> &environment, int in, int out,
          int errors)
    {
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        // By way of numbers above those that it gets.
        ::posix_spawn_file_actions_adddup2(&actions, in, 0);
        ::posix_spawn_file_actions_adddup2(&actions, out, 1);
        ::posix_spawn_file_actions_adddup2(&actions, errors, 2);
        ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
        posix_spawnattr_t attributes;
        ::posix_spawnattr_init(&attributes);
        sigset_t none, all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes, &none);
        ::posix_spawnattr_setsigdefault(&attributes, &all);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        std::vector<char *> envp;
        for (const std::string &each : environment) envp.push_back(const_cast<char *>(each.c_str()));
        envp.push_back(nullptr);
        char *argv[] = {const_cast<char *>(program.c_str()), nullptr};
        const int failed = ::posix_spawn(&pid_, program.c_str(), &actions, &attributes, argv, envp.data());
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
        if (failed != 0) throw litbuild::os_error(object, "start it", failed);
        // Where the host reaps everything, its number may soon be another's.
        held_ = litbuild::linux_::open_pidfd(pid_);
    }
    ~Child()
    {
        if (pid_ <= 0) return;
        if (held_) litbuild::linux_::send(held_, SIGKILL);
        else ::kill(pid_, SIGKILL);
        wait();
    }
    Child(const Child &) = delete;
    Child &operator=(const Child &) = delete;

    /// Waits for its end, within the call.
    std::optional<int> wait(const Call &call, const std::string &object)
    {
        if (held_) service::wait_for(call, object, held_.get(), POLLIN);
        return wait();
    }

private:
    /// Its exit status as of waitpid(); none where the host has reaped it.
    std::optional<int> wait() noexcept
    {
        int status = 0;
        pid_t done = 0;
        while ((done = ::waitpid(pid_, &status, 0)) < 0 && errno == EINTR) {
        }
        pid_ = 0;
        return done > 0 ? std::optional(status) : std::nullopt;
    }

    pid_t pid_ = 0;
    Descriptor held_;
};

Descriptor above_standard(int fd) { return Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

class Program final : public Transport {
public:
    explicit Program(const Settings &settings)
        : path_(settings.client.empty() ? beside_plugin() : settings.client), object_(path_), conf_(settings.conf)
    {
        if (::access(path_.c_str(), X_OK) != 0)
            throw Error(Code::invalid, "slurm: client " + litbuild::quote(path_) +
                                           ": there is no such program; name it as 'client', or slurmrestd's address as 'rest'");
    }
    const std::string &object() const noexcept override { return object_; }

    std::string ask(const Call &call, Verb verb, const std::string &target, const std::string &body) const override
    {
        const std::string name = verb == Verb::get ? "GET" : verb == Verb::post ? "POST" : "DELETE";
        const std::string request = R"({"verb": ")" + name + R"(", "target": ")" + target + "\"" +
                                    (body.empty() ? "" : R"(, "body": )" + body) + "}";
        const Descriptor in = file_of(request), errors = file_of("");
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw litbuild::os_error(object_, "make a pipe", errno);
        const Descriptor reader(ends[0]);
        Descriptor writer = above_standard(ends[1]);
        ::close(ends[1]);
        Child child(object_, path_, environment(), in.get(), writer.get(), errors.get());
        writer.reset();
        std::string answer = listen(call, reader);
        if (child.wait(call, object_).value_or(0) == 0 && answer.starts_with("\n{")) return answer.substr(1);
        // It did not even come to ask, and would not the next time.
        if (answer.empty()) throw Error(Code::unavailable, object_ + ": " + last_line(errors));
        throw Unreachable(Code::unavailable, object_ + ": " + last_line(errors));
    }

private:
    static std::string beside_plugin()
    {
        Dl_info found{};
        if (::dladdr(reinterpret_cast<void *>(&open_transport), &found) == 0 || !found.dli_fname) return "litbuild-slurm";
        const std::string library = found.dli_fname;
        return library.substr(0, library.rfind('/') + 1) + "litbuild-slurm";
    }

    Descriptor file_of(const std::string &text) const
    {
        Descriptor made(::memfd_create("litbuild-slurm", MFD_CLOEXEC));
        Descriptor out = made ? above_standard(made.get()) : Descriptor();
        if (!out || ::pwrite(out.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
            throw litbuild::os_error(object_, "write down what is asked", errno);
        return out;
    }

    std::vector<std::string> environment() const
    {
        std::vector<std::string> out = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
        const char *inherited = ::secure_getenv("SLURM_CONF");
        if (!conf_.empty()) out.push_back("SLURM_CONF=" + conf_);
        else if (inherited) out.push_back(std::string("SLURM_CONF=") + inherited);
        return out;
    }

    std::string listen(const Call &call, const Descriptor &pipe) const
    {
        std::string out;
        char piece[65536];
        for (;;) {
            service::wait_for(call, object_, pipe.get(), POLLIN);
            const ssize_t got = ::read(pipe.get(), piece, sizeof piece);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) throw litbuild::os_error(object_, "read its answer", errno);
            if (got == 0) return out;
            out.append(piece, static_cast<size_t>(got));
            if (out.size() > most_answer) throw Unreachable(Code::unavailable, object_ + ": its answer is too long");
        }
    }

    /// What it complained of last.
    static std::string last_line(const Descriptor &file)
    {
        char text[4096];
        const off_t size = ::lseek(file.get(), 0, SEEK_END);
        const ssize_t got = ::pread(file.get(), text, sizeof text, std::max<off_t>(0, size - static_cast<off_t>(sizeof text)));
        std::string out(text, static_cast<size_t>(std::max<ssize_t>(0, got)));
        while (out.ends_with('\n')) out.pop_back();
        out = out.substr(out.rfind('\n') + 1);
        return out.empty() ? "it ended without an answer" : out;
    }

    const std::string path_, object_, conf_;
};

}  // namespace

std::unique_ptr<Transport> open_transport(const Settings &settings)
{
    if (settings.rest.kind) return std::make_unique<Rest>(settings);
    return std::make_unique<Program>(settings);
}

}  // namespace slurm
