/* held_tree COUNT FIFO: COUNT processes that sleep, every tenth in a session of its own as a daemon's child would be. Each holds
   FIFO open for writing: one byte comes when all are there, and the end of the file when the last of them is gone. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    const int fifo = open(argv[2], O_WRONLY);
    if (fifo < 0) return 1;
    int there[2];
    if (pipe(there) != 0) return 1;
    const int count = atoi(argv[1]);
    for (int i = 1; i < count; ++i) {
        const pid_t child = fork();
        if (child < 0) return 1;
        if (child == 0) {
            if (i % 10 == 0 && (setsid() < 0 || fork() != 0)) _exit(0);
            if (write(there[1], "", 1) != 1) _exit(1);
            for (;;) pause();
        }
    }
    char byte;
    for (int i = 1; i < count; ++i)
        if (read(there[0], &byte, 1) != 1) return 1;
    if (write(fifo, "", 1) != 1) return 1;
    for (;;) pause();
}
