// What the runner is to do: the spec out of build.json, and what its controller tells it in the environment.
//
// Variables of the controller, all optional; none reaches the steps:
//   LITBUILD_RUNNER_READY       descriptor for the runner's word: "ok\n" and the lines below, or "error SENTENCE\n"; or the
//                               absolute path of a file to be made with it
//   LITBUILD_RUNNER_LAUNCHER    pid of the launching process, whose child this is: go on in a child, so that it has none to
//                               wait for, and do nothing where it is gone: others have seen that and said that nothing ran
//   LITBUILD_RUNNER_TOKEN       the controller's token; lines "KEY N" are added: pid, start, adopter (who gets the orphans
//                               once the runner is gone, then those above) each with adopter-start, surroundings, user; it is
//                               kept in `.control/token` before the runner is ready
//   LITBUILD_RUNNER_DETAIL      JSON object for the status; `place` in it, a text, is shown to people
//   LITBUILD_RUNNER_KILL_GROUP  folder of a version 2 control group that holds the steps and may be killed as one
//   LITBUILD_RUNNER_GROUPS      folders, ':' between them, of control groups that each step is put into
//   LITBUILD_RUNNER_OWN_GROUPS  folders, ':' between them, of control groups that the runner itself lies in together with all
//                               of the build: they are read, and nothing else
//   LITBUILD_RUNNER_ISOLATION   "pid-namespace": each step in a pid namespace of its own
//   LITBUILD_RUNNER_RLIMITS     "nproc=N;as=BYTES;cpu=SECONDS"
//   LITBUILD_RUNNER_TIME_LIMIT  milliseconds after which the controller ends it; the build's own limit is then so much shorter
//                               that its stop plan has room
//   LITBUILD_RUNNER_SHARED      "1": other hosts see the folder, whatever its file system looks like
//   LITBUILD_RUNNER_SIGNALLER   whose signals are a request to stop, in a word: "Slurm"
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <litbuild/process.hpp>

namespace runner {

using Milliseconds = std::chrono::milliseconds;

struct StepSpec {
    std::string name;
    std::vector<std::string> command;
    std::vector<std::string> environment;   ///< NAME=value
    Milliseconds time_limit{};              ///< 0: none
};

struct Rlimit {
    int resource;
    rlim_t value;
};

struct Setup {
    std::string folder;   ///< absolute
    std::string team;
    int64_t runid = 0;
    std::string uuid;
    std::string created;   ///< RFC 3339
    std::vector<StepSpec> steps;
    std::vector<std::string> environment;
    Milliseconds time_limit{};
    litbuild::StopPlan stop;
    bool kill_left_overs = true;
    Milliseconds linger{};

    int ready_fd = -1;
    pid_t launcher = 0;
    std::string ready_file;
    std::string token;
    std::string detail;
    std::string kill_group;
    bool pid_namespace = false;
    std::vector<std::string> groups;
    std::vector<std::string> own_groups;
    std::vector<Rlimit> rlimits;
    Milliseconds controllers_limit{};   ///< 0: none; in `time_limit` once the spec is read
    bool is_shared = false;
    std::string signaller;

    std::string object() const { return team + "/" + std::to_string(runid); }
};

/// Reads the environment and FOLDER/build.json. Throws litbuild::Error.
/// Takes the variables above out of the environment of this process, which is the runner's own.
Setup read_environment();
void read_spec(Setup &setup, const std::string &folder);

}  // namespace runner
