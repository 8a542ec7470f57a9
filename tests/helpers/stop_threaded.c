// stop_threaded GROUP: a thread of a child moves into a threaded group below GROUP, which it makes.
#include <pthread.h>
#include <sys/stat.h>

#include "stop_common.h"

static char below[4096];

static int put(const char *file, const char *text)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", below, file);
    const int out = open(path, O_WRONLY | O_CLOEXEC);
    const ssize_t wrote = write(out, text, strlen(text));
    close(out);
    return wrote > 0;
}

static void *move(void *unused)
{
    (void)unused;
    if (!put("cgroup.threads", "0")) _exit(5);
    ready();
    forever();
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc != 2) return 2;
    snprintf(below, sizeof below, "%s/threaded", argv[1]);
    signal(SIGTERM, SIG_IGN);
    if (mkdir(below, 0755) != 0) return 3;
    if (!put("cgroup.type", "threaded")) return 4;
    if (fork() == 0) {
        record();
        pthread_create(&thread, NULL, move, NULL);
    }
    forever();
}
