// Children that plain waitpid() does not see (no exit signal), and ones that are made the runner's own (CLONE_PARENT). One
// of those ends at once, with a status that must not be taken for the step's.
#include "stop_common.h"

static long clone_with(unsigned long flags) { return syscall(SYS_clone, flags, 0, 0, 0, 0); }

int main(void)
{
    signal(SIGTERM, SIG_IGN);
    if (clone_with(CLONE_PARENT | SIGCHLD) == 0) _exit(3);
    if (clone_with(CLONE_PARENT) == 0) {
        record();
        forever();
    }
    if (clone_with(0) == 0) {
        record();
        if (clone_with(0) == 0) {
            record();
            ready();
        }
        forever();
    }
    forever();
}
