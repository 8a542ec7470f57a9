// stop_deep COUNT: a chain of so many processes, each the child of the one before.
#include "stop_common.h"

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    for (long left = strtol(argv[1], NULL, 10); left > 0; --left) {
        const pid_t pid = fork();
        if (pid < 0) return 3;
        if (pid > 0) forever();
    }
    ready();
    forever();
}
