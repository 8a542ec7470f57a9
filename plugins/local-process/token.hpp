// What names one launch for ever: a fixed, versioned record of lines `KEY VALUE`, never a bare pid. The controller writes
// the part that is known before the start; the runner adds its pid and start time and keeps the whole in `.control/token`
// before it says that it is ready, so that a crash of the launching process loses nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace local_process {

struct Token {
    std::string host;           ///< machine id, or the host's name where it has none
    std::string host_name;      ///< for people
    std::string boot;           ///< boot id
    std::string pid_namespace;  ///< "pid:[4026531836]"
    std::string uuid;           ///< of the build
    std::string cgroup;         ///< folder of the steps' group that can be killed as one; empty: none
    uint64_t cgroup_inode = 0;
    std::vector<std::string> groups;   ///< folders of all groups of the launch
    pid_t pid = 0;              ///< of the runner
    uint64_t start = 0;         ///< its start time, clock ticks since boot
    struct Adopter {
        pid_t pid = 0;
        uint64_t start = 0;
    };
    std::vector<Adopter> adopters;   ///< who gets the orphans of the tree once the runner is gone, then those above; empty: not known
    uint64_t surroundings = 0;  ///< linux_::surroundings_of the runner
    uid_t user = 0;             ///< of the runner

    /// Everything but pid and start. Throws where this host cannot be told.
    static Token of_this_host();
    /// Throws litbuild::Error(Code::corrupt): not a token of this plugin.
    static Token parse(const std::string &text);
    /// Without the lines `pid` and `start` where they are 0.
    std::string text() const;
};

}  // namespace local_process
