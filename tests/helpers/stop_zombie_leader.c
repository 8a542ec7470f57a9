// The first thread has ended, another lives: /proc shows a zombie without an environment.
#include <pthread.h>

#include "stop_common.h"

static void *live_on(void *unused)
{
    (void)unused;
    usleep(50000);
    ready();
    forever();
}

int main(void)
{
    pthread_t thread;
    signal(SIGTERM, SIG_IGN);
    if (fork() != 0) forever();
    setsid();
    record();
    pthread_create(&thread, NULL, live_on, NULL);
    syscall(SYS_exit, 0);
}
