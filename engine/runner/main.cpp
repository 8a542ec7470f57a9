// litbuild-runner FOLDER
//
// The program inside a build: it runs the steps that FOLDER/build.json names, and is the only writer of the build's status.
// It outlives who launched it; everything it knows that others need is a file in the folder. A build is run once: who comes
// second finds `.control/runner` and leaves.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "supervisor.hpp"

namespace {

using litbuild::Code;
using litbuild::Error;
using litbuild::linux_::Descriptor;

/// The first word counts; who is told nothing more.
void say(runner::Setup &setup, const std::string &word)
{
    if (!setup.ready_file.empty())
        setup.ready_fd = ::open(setup.ready_file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    setup.ready_file.clear();
    const Descriptor ready(std::exchange(setup.ready_fd, -1));
    if (ready) (void)!::write(ready.get(), word.data(), word.size());
}

/// Writes a new file; `exclusive` where it must not be there yet.
void put(const std::string &object, int folder, const char *name, const std::string &text, int exclusive)
{
    const Descriptor file(::openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | exclusive, 0666));
    if (!file && errno == EEXIST) throw Error(Code::exists, object + ": was started before; a build runs once");
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        throw litbuild::os_error(object, std::string("write ") + name, errno);
}

void claim(const runner::Setup &setup, int folder, const std::string &identity)
{
    ::mkdirat(folder, ".control", 0777);
    put(setup.object(), folder, ".control/runner",
        "host " + litbuild::linux_::host_name() + "\nboot " + litbuild::linux_::boot_id() + "\n" + identity, O_EXCL);
    if (setup.token.empty()) return;
    put(setup.object(), folder, ".control/.token.new", setup.token + identity, 0);
    if (::renameat(folder, ".control/.token.new", folder, ".control/token") != 0)
        throw litbuild::os_error(setup.object(), "write its token", errno);
}

/// What names this process for ever, and where to look for its tree once it is gone. What is 0 is left out.
std::string identity()
{
    std::string out;
    const auto line = [&](const char *key, uint64_t value) {
        if (value != 0) out += std::string(key) + " " + std::to_string(value) + "\n";
    };
    const pid_t self = ::getpid();
    const auto own = litbuild::linux_::stat_of(self);
    line("pid", static_cast<uint64_t>(self));
    line("start", own ? own->start : 0);
    // The first one has adopted this process. Once it is gone one above it will, nobody can see which; a token has little room.
    int above = 0;
    for (pid_t adopter = ::getppid(); adopter > 0 && above < 16; ++above) {
        const auto stat = litbuild::linux_::stat_of(adopter);
        line("adopter", static_cast<uint64_t>(adopter));
        line("adopter-start", stat ? stat->start : 0);
        adopter = stat ? stat->parent : 0;
    }
    line("surroundings", litbuild::linux_::surroundings_of(self));
    line("user", ::geteuid());
    return out;
}

/// Goes on in a child, and returns there once it has been adopted. A launcher that was killed before this program was
/// executed could not be told from one that had started nothing.
void detach(const std::string &object, pid_t launcher)
{
    if (::getppid() != launcher) throw Error(Code::refused, object + ": who launched it is gone; it is not started");
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) throw litbuild::os_error(object, "go on in the background", errno);
    if (child > 0) ::_exit(0);
    while (::getppid() == parent) ::usleep(20);
}

int run(runner::Setup &setup)
{
    const Descriptor folder(::open(setup.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::fchdir(folder.get()) != 0) throw litbuild::os_error(setup.folder, "enter it", errno);
    // In a session of its own already where the controller saw to it.
    ::setsid();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_NAME, "litbuild-runner");

    // From the moment that others can find this process by its token, a signal is a request and not its end.
    sigset_t requests;
    ::sigfillset(&requests);
    ::sigprocmask(SIG_SETMASK, &requests, nullptr);
    const std::string lines = identity();
    claim(setup, folder.get(), lines);

    std::vector<std::string> names;
    for (const runner::StepSpec &step : setup.steps) names.push_back(step.name);
    runner::Journal journal(setup.object(), folder.get(), setup.created, names);
    boost::system::error_code error;
    const boost::json::value detail = boost::json::parse(setup.detail.empty() ? "{}" : setup.detail, error);
    if (!error && detail.is_object()) journal.detail() = detail.as_object();
    runner::Supervisor supervisor(setup, journal, folder.get());
    supervisor.begin();
    say(setup, "ok\n" + lines);
    return supervisor.run();
}

}  // namespace

int main(int argc, char **argv)
{
    runner::Setup setup = runner::read_environment();
    try {
        if (argc != 2) throw Error(Code::invalid, "litbuild-runner: usage: litbuild-runner FOLDER");
        runner::read_spec(setup, argv[1]);
        if (setup.launcher != 0) detach(setup.object(), setup.launcher);
        return run(setup);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "%s\n", e.what());
        say(setup, std::string("error ") + e.what() + "\n");
        return 125;
    }
}
