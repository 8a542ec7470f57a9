// What holds a build's processes together on this host, chosen by trying and not by version: an own control group of
// version 2 that can be killed as one where there may be one, and groups or rlimits for the limits. Where there is none the
// runner holds the tree by descent (subreaper) alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace local_process {

struct Limits {
    uint64_t processes = 0;      ///< 0: none
    uint64_t memory_bytes = 0;   ///< 0: none
    uint64_t cpu_ms = 0;         ///< 0: none
};

/// Groups of one launch. They are removed by the runner at its end, or by the controller where the runner is gone.
struct Containment {
    std::string kill_group;            ///< folder of the group; empty: none
    uint64_t kill_group_inode = 0;
    std::vector<std::string> groups;   ///< folders that each process of the build is put into, the kill group first
    std::vector<std::string> rlimits;  ///< "nproc=250", "as=BYTES", "cpu=SECONDS"
    std::string detail;                ///< what was had and how, a JSON object for the status
};

class Containers {
public:
    /// `wanted`: "auto", "none", or the folder of a group that this process may make groups in.
    explicit Containers(std::string wanted);

    /// Makes the groups of one launch. A limit that no group can hold falls to an rlimit, and `detail` says so.
    /// `isolated`: each step is in a pid namespace too; for the detail.
    Containment make(const std::string &uuid, const Limits &limits, bool isolated) const;
    /// The groups that there are of the launches of one build.
    std::vector<std::string> groups_of(const std::string &uuid) const;
    static void remove(const std::vector<std::string> &groups);

private:
    std::string make_in_one_of(const std::vector<std::string> &bases, const std::string &uuid, bool must_kill) const;

    std::vector<std::string> kill_bases_;     ///< where a version 2 group may be made, best first
    std::vector<std::string> pids_bases_;     ///< version 1
    std::vector<std::string> memory_bases_;   ///< version 1
};

}  // namespace local_process
