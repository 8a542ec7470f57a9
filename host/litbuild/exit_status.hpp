// The exit status of the program, a contract with the scripts that call it. A command on several builds ends with the worst
// of them, which is the highest. One that was interrupted ends by the signal.
#pragma once

#include <litbuild/error.hpp>

namespace litbuild::cli {

enum Exit : int {
    done = 0,
    not_complete = 1,   ///< `wait`: the build ended otherwise
    left = 1,           ///< `doctor`: something that was found is as it was
    usage = 2,
    not_found = 3,      ///< no such team, build or file of a build
    refused = 4,        ///< in this state, or by this plugin
    unavailable = 5,    ///< root, runner or plugin; past its deadline; not permitted
    broken = 6,         ///< damaged data or an internal fault
};

inline int exit_status(Code code) noexcept
{
    switch (code) {
    case Code::invalid: return Exit::usage;
    case Code::not_found: return Exit::not_found;
    case Code::refused:
    case Code::exists:
    case Code::unsupported: return Exit::refused;
    case Code::unavailable:
    case Code::timeout:
    case Code::cancelled:
    case Code::denied:
    case Code::no_space: return Exit::unavailable;
    case Code::corrupt:
    case Code::internal: return Exit::broken;
    }
    return Exit::broken;
}

}  // namespace litbuild::cli
