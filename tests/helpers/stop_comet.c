// stop_comet COUNT: so many processes, each of which is another one every moment: it forks, leaves the session, and the
// parent ends. They ignore TERM. For the host's sake they end by themselves after three minutes.
#include <time.h>

#include "stop_common.h"

int main(int argc, char **argv)
{
    const long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    const time_t end = time(NULL) + 180;
    signal(SIGTERM, SIG_IGN);
    for (long made = 0; made < count;) {
        const pid_t comet = fork();
        if (comet > 0) ++made;
        if (comet < 0) sched_yield();
        if (comet != 0) continue;
        while (time(NULL) < end) {
            const pid_t pid = fork();
            if (pid > 0) _exit(0);
            if (pid < 0) sched_yield();
            if (pid == 0) setsid();
        }
        _exit(0);
    }
    ready();
    forever();
}
