// What is wrong with the files that tell a build's status.
#pragma once

#include <string>
#include <vector>

#include <litbuild/store.hpp>

namespace litbuild::folder {

struct LogFault {
    const char *kind;     ///< as Finding::kind
    std::string text;     ///< without the object
    std::string action;
};

/// Of a build that has ended (or, being archived, is taken to have); of one that runs there is nothing to say.
std::vector<LogFault> examine_logs(const Call &call, BuildStore &store, const BuildName &build, bool is_archived);

}  // namespace litbuild::folder
