// stop_comet COUNT: so many processes, each of which is another one every moment: it forks, leaves the session, and the
// parent ends. They ignore TERM. For the host's sake they end by themselves after three minutes.
#include <time.h>

#include "stop_common.h"

int main(int argc, char **argv)
{
    const long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    const time_t end = time(NULL) + 180;
    signal(SIGTERM, SIG_IGN);
    for (long i = 0; i < count; ++i) {
        if (fork() != 0) continue;
        for (long generation = 0; time(NULL) < end; ++generation) {
            const pid_t pid = fork();
            if (pid > 0) _exit(0);
            if (pid < 0) sched_yield();
            if (pid == 0) setsid();
            if (i == count - 1 && generation == 20) ready();
        }
        _exit(0);
    }
    forever();
}
