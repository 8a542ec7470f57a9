// litbuild: the engine on the command line.
#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include "commands.hpp"

namespace litbuild::cli {
namespace {

constexpr Command commands[] = {
    {"launch", "start a build and print its run id: --spec FILE, or -- CMD ARG...", takes_team | takes_spec, launch},
    {"list", "list the builds of a team, the newest first", takes_team | takes_filter, list},
    {"status", "show the status of a build and of its steps", takes_build, status},
    {"logs", "print the output of a build", takes_build | takes_follow, logs},
    {"wait", "wait until a build has ended; exit status 1 if it is not complete", takes_build | takes_timeout, wait},
    {"events", "print what happened to a build", takes_build | takes_follow, events},
    {"stop", "stop a build and all its subprocesses", takes_build | takes_stop, stop},
    {"archive", "hide a build from the main list", takes_build, archive},
    {"restore", "bring an archived build back", takes_build, restore},
    {"path", "print the folder of a build", takes_build, path},
    {"tags", "print the tags of a build, or change them", takes_build | takes_edit, tags},
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

int main(int argc, char **argv) { return litbuild::cli::run(argc, argv); }
