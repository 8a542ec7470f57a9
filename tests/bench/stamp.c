/* stamp FIFO: writes the monotonic clock into it, first thing. Small and static: the least that a step can be. */
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    const int fd = argc > 1 ? open(argv[1], O_WRONLY) : -1;
    return fd >= 0 && write(fd, &ns, sizeof ns) == sizeof ns ? 0 : 1;
}
