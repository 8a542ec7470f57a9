// A parent that waits in vfork() for a child that never comes back.
#include "stop_common.h"

int main(void)
{
    signal(SIGTERM, SIG_IGN);
    record();
    if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0) {
        setsid();
        record();
        ready();
        forever();
    }
    return 0;
}
