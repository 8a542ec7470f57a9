// Starts the program of one step.
#pragma once

#include <litbuild/linux/descriptor.hpp>

#include "setup.hpp"

namespace runner {

/// What is heard of a step that was started, apart from its end.
struct StepWord {
    enum Kind : int {
        not_in_groups,   ///< it could not be put into a control group; it runs all the same
        not_started,     ///< value: errno of what failed
        ended,           ///< value: its wait status. Only of a step in a pid namespace, whose init tells it
    };
    Kind kind;
    int value;
};

struct StartedStep {
    pid_t pid = 0;                        ///< of the program; of the namespace's init where the step has one
    litbuild::linux_::Descriptor words;   ///< StepWords; ends once the program runs, or with the namespace's init
    int error = 0;                        ///< errno where not even a process could be made; then pid is 0
};

/// Forks; in the child: default signals, groups, rlimits, output into `log`, and exec by the PATH of the step's own
/// environment. Does not wait for the exec, which hangs where the program lies on a file server that does.
///
/// With Setup::pid_namespace the child is the init of a namespace of its own (in a user namespace too, where it has no
/// right to one): it starts the program, reaps, tells how the program ended, and ends when nobody is left. Killing it kills
/// all.
StartedStep spawn_step(const Setup &setup, const StepSpec &step, int log);

}  // namespace runner
