// litbuild: the engine on the command line.
#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include "commands.hpp"
#include "interrupt.hpp"

namespace litbuild::cli {
namespace {

constexpr Command commands[] = {
    {"launch", "start a build and print its run id: --spec FILE, or -- CMD ARG...", takes_team | takes_spec, launch},
    {"list", "list the builds of a team, the newest first", takes_team | takes_scope | takes_filter, list},
    {"status", "show the status of a build and of its steps", takes_build, status},
    {"logs", "print the output of a build", takes_build | takes_follow, logs},
    {"wait", "wait until a build has ended; exit status 1 if it is not complete", takes_build | takes_timeout, wait},
    {"events", "print what happened to a build", takes_build | takes_follow, events},
    {"stop", "stop builds and all their subprocesses", takes_builds | takes_stop, stop},
    {"archive", "hide builds from the main list", takes_builds, archive},
    {"restore", "bring archived builds back", takes_builds, restore},
    {"remove", "remove archived builds for ever", takes_builds, remove},
    {"prune", "archive, or remove from the archive, what a policy lets go", takes_team | takes_policy, prune},
    {"path", "print the folder of a build", takes_build, path},
    {"tags", "print the tags of builds, or change them", takes_builds | takes_scope | takes_edit, tags},
    {"watch", "print what happens to a team's builds, as it happens", takes_team | takes_timeout, watch},
    {"doctor", "find what crashes have left; exit status 1 if any of it stays", takes_repair, doctor},
    {"teams", "list the teams", takes_nothing, teams},
    {"plugins", "list the plugins", takes_nothing, plugins},
    {"version", "print the version", takes_nothing, version},
};

/// A standard stream that came closed would be the next file that is opened, and what is printed would go into that.
void fill_standard_streams()
{
    for (int fd = 0; fd <= 2; ++fd)
        if (::fcntl(fd, F_GETFD) < 0) (void)!::open("/dev/null", O_RDONLY);
}

int run(int argc, char **argv)
{
    fill_standard_streams();
    try {
        const Request request = parse(argc, argv, commands);
        const int status = request.command ? request.command->run(request.options) : request.status;
        // Whoever closed his end of a pipe has seen what he wanted.
        if (print_error() == 0 || print_error() == EPIPE) return status;
        complain(std::string("standard output: cannot write: ") + std::strerror(print_error()));
        return Exit::unavailable;
    } catch (const Error &e) {
        complain(e.what());
        return exit_status(e.code());
    } catch (const std::bad_alloc &) {
        complain("out of memory");
        return Exit::unavailable;
    } catch (const std::exception &e) {
        complain(std::string("internal error: ") + e.what());
        return Exit::broken;
    }
}

}  // namespace
}  // namespace litbuild::cli

int main(int argc, char **argv)
{
    const int status = litbuild::cli::run(argc, argv);
    litbuild::cli::obey_interrupt();
    return status;
}
