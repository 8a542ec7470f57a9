// Processes that may not be looked into (not dumpable): their environment is nobody's to read.
#include <sys/prctl.h>

#include "stop_common.h"

int main(void)
{
    signal(SIGTERM, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0);
    if (fork() == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        record();
        ready();
    }
    forever();
}
