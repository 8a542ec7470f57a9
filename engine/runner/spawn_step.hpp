// Starts the program of one step.
#pragma once

#include <litbuild/linux/descriptor.hpp>

#include "setup.hpp"

namespace runner {

struct StartedStep {
    pid_t pid = 0;
    int exec_errno = 0;        ///< why the program could not be started; 0: it was
    bool in_groups = true;     ///< false: it could not be put into a control group
};

/// Forks; in the child: default signals, groups, rlimits, output into `log`, and exec by the PATH of the step's own
/// environment. Returns once the program runs or could not be started; then nothing is left to wait for.
StartedStep spawn_step(const Setup &setup, const StepSpec &step, int log);

}  // namespace runner
