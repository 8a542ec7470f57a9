// How a job is found again: plain text, kept with the build.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slurm {

struct Token {
    std::string uuid;         ///< of the build; the job bears it in its name
    std::string folder;       ///< of the build, as the nodes see it; empty: not known
    std::string cluster;      ///< as Slurm names it; empty: not known
    uint64_t job = 0;         ///< its id; 0: not known
    uint64_t submitted = 0;   ///< when, seconds since 1970-01-01 on the controller's clock; 0: not known
    uint64_t restarts = 0;    ///< how often it had been requeued then
    std::string host;         ///< who submits it, as long as there is no id
    std::string machine;      ///< that host's /etc/machine-id: hosts may share a name; empty: it has none
    std::string boot;
    uint64_t pid = 0;
    uint64_t start = 0;

    /// Of a launch that is about to be.
    static Token of_launch(const std::string &uuid, const std::string &folder);
    /// Throws Code::corrupt: not a token of this plugin.
    static Token parse(const std::string &text);
    std::string text() const;

    /// Of the job.
    std::string name() const { return std::string(prefix) + uuid; }
    static constexpr std::string_view prefix = "litbuild-";
    /// Nobody is left who could submit it, or have done so unseen. False where that cannot be told.
    bool is_launcher_gone() const;
};

}  // namespace slurm
