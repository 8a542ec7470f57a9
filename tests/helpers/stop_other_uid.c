// stop_other_uid UID: a child becomes that user (this program is root's and setuid where its caller is not root).
#include "stop_common.h"

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    int done[2];
    char nothing;
    if (pipe(done) != 0) return 3;
    if (fork() == 0) {
        const uid_t uid = (uid_t)strtoul(argv[1], NULL, 10);
        signal(SIGTERM, SIG_IGN);
        record();
        if (setresuid(uid, uid, uid) != 0) _exit(1);
        close(done[1]);
        forever();
    }
    if (setresuid(getuid(), getuid(), getuid()) != 0) return 1;
    close(done[1]);
    if (read(done[0], &nothing, 1) == 0) ready();
    forever();
}
