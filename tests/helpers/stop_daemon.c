// A daemon by the book: fork, setsid, fork; who started it is gone.
#include "stop_common.h"

int main(void)
{
    if (fork() != 0) forever();
    setsid();
    if (fork() != 0) _exit(0);
    record();
    ready();
    forever();
}
