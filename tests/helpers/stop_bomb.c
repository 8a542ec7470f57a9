// stop_bomb BUDGET CROWD [setsid]: a fork bomb that ignores TERM. The budget, of all forks ever, is for the host's sake; it
// is up when the crowd has been made.
#include <sys/mman.h>

#include "stop_common.h"

int main(int argc, char **argv)
{
    const long budget = strtol(argv[1], NULL, 10), crowd = strtol(argv[2], NULL, 10);
    struct { long made, told; } *const all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return 1;
    signal(SIGTERM, SIG_IGN);
    for (;;) {
        const long now = __atomic_add_fetch(&all->made, 1, __ATOMIC_RELAXED);
        if (now > budget) forever();
        const pid_t pid = fork();
        if (pid < 0) {
            // At the limit of processes: one of those it was held back by may end at any time.
            __atomic_sub_fetch(&all->made, 1, __ATOMIC_RELAXED);
            sched_yield();
        }
        if (pid == 0 && argc > 3) setsid();
        // Whichever comes first: the fork that was the crowd's last may have failed.
        if (pid == 0 && now >= crowd && __atomic_exchange_n(&all->told, 1, __ATOMIC_RELAXED) == 0) ready();
    }
}
