// From a spec to a job in Slurm's queue.
#pragma once

#include "cluster.hpp"
#include "token.hpp"

namespace slurm {

/// Where this returns, Slurm has the job; where it throws, its runner is not and never will be at work.
Token launch(const litbuild::Call &call, const Cluster &cluster, const Settings &settings, const litbuild::LaunchSpec &spec);

/// "litbuild contoso/19", what a job bears as its comment.
std::string comment_of(const litbuild::BuildName &build);
/// None: it is none of litbuild's.
std::optional<litbuild::BuildName> build_of(const std::string &comment);

}  // namespace slurm
