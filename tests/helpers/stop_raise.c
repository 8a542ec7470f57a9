// stop_raise SIGNAL: ends by it, without a core.
#include <sys/resource.h>

#include "stop_common.h"

int main(int argc, char **argv)
{
    const struct rlimit none = {0, 0};
    if (argc != 2) return 2;
    setrlimit(RLIMIT_CORE, &none);
    syscall(SYS_kill, getpid(), (int)strtol(argv[1], NULL, 10));
    sleep(5);
    return 3;
}
