// A process that has written over its environment, as setproctitle does.
#include "stop_common.h"

extern char **environ;

int main(void)
{
    signal(SIGTERM, SIG_IGN);
    if (fork() != 0) forever();
    setsid();
    if (fork() != 0) _exit(0);
    for (char **each = environ; *each; ++each) memset(*each, 'x', strlen(*each));
    record();
    ready();
    forever();
}
