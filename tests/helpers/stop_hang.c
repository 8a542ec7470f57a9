// stop_hang FILE: opens it, from where it may never come back.
#include "stop_common.h"

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    if (fork() == 0) {
        record();
        ready();
        close(open(argv[1], O_RDONLY));
        make("came_back");
    }
    forever();
}
