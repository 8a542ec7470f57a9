// stop_eat MEGABYTES: takes so much memory and touches it; 9 if it is not given.
#include "stop_common.h"

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    for (long left = strtol(argv[1], NULL, 10); left > 0; --left) {
        char *const piece = malloc(1 << 20);
        if (!piece) return 9;
        memset(piece, (int)left, 1 << 20);
    }
    return 0;
}
