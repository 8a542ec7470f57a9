// Slurm's word on a job as litbuild's on a build.
#pragma once

#include "cluster.hpp"
#include "token.hpp"

namespace slurm {

/// Of a job's state alone.
enum class Phase { waiting, running, ended };
Phase phase_of(const Job &job);

/// Of one that has ended: whether that is also that no process of it is alive. `killed`: Slurm has ended it, and if its node does
/// not answer, the node has not heard of that.
enum class Certainty { certain, killed, uncertain };
Certainty certainty_of(const Job &job);

/// As evidence, with an exit code where there is one; what is not certain is Life::unknown.
litbuild::Probe probe_of(const Job &job);

/// "its job 12".
std::string described(const Job &job);

}  // namespace slurm
