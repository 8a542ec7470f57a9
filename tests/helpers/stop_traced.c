// One sibling traces another and keeps it where it is: stopped at an exec.
#include <errno.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "stop_common.h"

int main(void)
{
    signal(SIGTERM, SIG_IGN);
    int seized[2];
    if (pipe(seized) != 0) return 1;
    const pid_t traced = fork();
    if (traced == 0) {
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
        record();
        close(seized[1]);
        char none;
        // Its end: the tracer has closed it, and nobody else has it.
        if (read(seized[0], &none, 1) != 0) _exit(1);
        close(seized[0]);
        execlp("sleep", "sleep", "600", (char *)NULL);
        _exit(1);
    }
    if (fork() == 0) {
        record();
        // It may not have been allowed yet.
        while (ptrace(PTRACE_SEIZE, traced, NULL, (void *)PTRACE_O_TRACEEXEC) != 0)
            if (errno != EPERM || usleep(1000) != 0) _exit(1);
        close(seized[1]);
        int status;
        while (waitpid(traced, &status, __WALL) == traced && status >> 8 != (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
        }
        ready();
        forever();
    }
    close(seized[0]);
    close(seized[1]);
    forever();
}
