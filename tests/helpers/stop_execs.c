// stop_execs: a daemon that becomes another program over and over. It is in the middle of exec much of the time, with no
// environment that could be read: so many arguments take their while. For the host's sake it ends after three minutes.
#include <sys/resource.h>
#include <time.h>

#include "stop_common.h"

enum { most = 600000 };

int main(int argc, char **argv)
{
    static char *words[most + 1];
    static char end[32];
    if (argc == 1) {
        struct rlimit stack;
        signal(SIGTERM, SIG_IGN);
        // A quarter of it is for arguments.
        if (getrlimit(RLIMIT_STACK, &stack) != 0) return 1;
        stack.rlim_cur = stack.rlim_max < 32 << 20 ? stack.rlim_max : 32 << 20;
        if (setrlimit(RLIMIT_STACK, &stack) != 0) return 1;
        if (fork() != 0) forever();
        setsid();
        record();
        snprintf(end, sizeof end, "%lld", (long long)time(NULL) + 180);
    } else {
        if (time(NULL) > strtoll(argv[1], NULL, 10)) return 0;
        if (argc > 2) make("up");
        memcpy(end, argv[1], strlen(argv[1]) + 1);
    }
    words[0] = argv[0];
    words[1] = end;
    for (int i = 2; i < most; ++i) words[i] = end + strlen(end);
    for (int size = most; size > 2; size /= 2) {
        words[size] = NULL;
        execv("/proc/self/exe", words);
    }
    return 1;
}
