// Slurm's word on a job as litbuild's on a build.
#pragma once

#include "cluster.hpp"
#include "token.hpp"

namespace slurm {

/// Of a job's state alone.
enum class Phase { waiting, running, ended };
Phase phase_of(const Job &job);

/// Whether Slurm's word that it has ended is also that no process of it is alive. Not where its node failed, or where the job
/// was put back into the queue: the node may only be cut off.
bool is_certain(const Job &job);

/// As evidence, with an exit code where there is one.
litbuild::Probe probe_of(const Job &job);

/// "its job 12".
std::string described(const Job &job);

}  // namespace slurm
