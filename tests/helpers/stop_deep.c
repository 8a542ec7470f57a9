// stop_deep COUNT: a chain of so many processes, each the child of the one before. Each is a program of its own: what is
// only forked drags the memory records of all its ancestors along.
#include "stop_common.h"

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    char left[32];
    snprintf(left, sizeof left, "%ld", strtol(argv[1], NULL, 10) - 1);
    if (left[0] == '0' || left[0] == '-') ready();
    else if (vfork() == 0) {
        execl(argv[0], argv[0], left, (char *)NULL);
        _exit(127);
    }
    forever();
}
