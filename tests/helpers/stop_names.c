// Processes whose names are there to confuse who reads /proc/PID/stat, each with a child below it.
#include <sys/prctl.h>

#include "stop_common.h"

int main(void)
{
    static const char *const names[] = {"a) Z 1 (x\n", "slurmstepd", "litbuild-runner", "x) R 1 1 1 0 -1",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    signal(SIGTERM, SIG_IGN);
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        if (fork() != 0) continue;
        setsid();
        prctl(PR_SET_NAME, names[i]);
        record();
        if (fork() == 0) record();
        forever();
    }
    usleep(100000);
    ready();
    forever();
}
