/* model_drone MARK ROOT ID: a process that does what the model test tells it, by datagrams at ROOT/s/ID; it answers to
   ROOT/s/test. MARK is what the test finds it by, also where its environment is gone.
       spawn ID MODE        a child drone ID. MODE, any of: s setsid, d daemon (its parent ends), i ignores TERM, w without
                            environment, z its first thread ends
       leave ID MODE CODE   the same, and ends at once itself
       onterm ID            from here on TERM makes a daemon ID that ignores TERM, and nothing else
       ignore               ignores TERM
       pause                stops itself
       exit CODE
   model_drone timed MICROSECONDS CODE [CHILD]: ends by itself; with CHILD it leaves a daemon behind.
   model_drone tree COUNT FIFO: COUNT processes in all that sleep; one byte into FIFO when they are there.
   model_drone bomb FIFO: forks as long as it can, every process; one byte into FIFO when the first fork has failed.
   Ends by itself once the test is gone. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char **arguments;
static int sock = -1;
static volatile sig_atomic_t termed;

static void sleep_us(long us)
{
    struct timespec time = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&time, &time) != 0 && errno == EINTR) {
    }
}

static struct sockaddr_un address(const char *name)
{
    struct sockaddr_un out = {.sun_family = AF_UNIX};
    snprintf(out.sun_path, sizeof out.sun_path, "%s/s/%s", arguments[2], name);
    return out;
}

static void answer(const char *word, const char *id)
{
    char text[64];
    const struct sockaddr_un to = address("test");
    const int size = snprintf(text, sizeof text, "%s %s %d", word, id, (int)getpid());
    if (sendto(sock, text, (size_t)size, 0, (const struct sockaddr *)&to, sizeof to) < 0) _exit(98);
}

static void on_term(int signal)
{
    (void)signal;
    termed = 1;
}

static void obey(const char *name);

static void listen_as(const char *name)
{
    if (sock >= 0) close(sock);
    sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_un own = address(name);
    unlink(own.sun_path);
    if (sock < 0 || bind(sock, (const struct sockaddr *)&own, sizeof own) != 0) _exit(95);
    const struct timeval patience = {5, 0};
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    answer("hello", name);
}

static void *obey_in_thread(void *name)
{
    obey(name);
    return NULL;
}

/* In the child: never comes back. */
static void become(const char *id, const char *mode)
{
    termed = 0;
    signal(SIGCHLD, SIG_IGN);
    signal(SIGTERM, strchr(mode, 'i') ? SIG_IGN : SIG_DFL);
    if (strchr(mode, 's') || strchr(mode, 'd')) setsid();
    if (strchr(mode, 'd')) {
        const pid_t child = fork();
        if (child != 0) _exit(child < 0 ? 97 : 0);
    }
    static char name[32];
    snprintf(name, sizeof name, "%s", id);
    if (strchr(mode, 'w')) {
        char *argv[] = {arguments[0], arguments[1], arguments[2], name, NULL};
        char *none[] = {NULL};
        execve("/proc/self/exe", argv, none);
        _exit(96);
    }
    listen_as(name);
    if (strchr(mode, 'z')) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, obey_in_thread, name) != 0) _exit(94);
        syscall(SYS_exit, 0);
    }
    obey(name);
}

static void spawn(const char *id, const char *mode)
{
    if (fork() == 0) become(id, mode);
}

static void obey(const char *name)
{
    char spawn_on_term[32] = "";
    for (;;) {
        char text[128];
        const ssize_t got = recv(sock, text, sizeof text - 1, 0);
        if (termed) {
            termed = 0;
            if (spawn_on_term[0]) spawn(spawn_on_term, "di");
            spawn_on_term[0] = '\0';
        }
        if (got < 0) {
            const struct sockaddr_un to = address("test");
            if (sendto(sock, "tick", 4, MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof to) < 0 && errno != EAGAIN) _exit(99);
            continue;
        }
        text[got] = '\0';
        char word[16] = "", id[32] = "", mode[16] = "";
        int code = 0;
        sscanf(text, "%15s %31s %15s %d", word, id, mode, &code);
        if (strcmp(word, "spawn") == 0) {
            spawn(id, mode);
        } else if (strcmp(word, "leave") == 0) {
            spawn(id, mode);
            _exit(code);
        } else if (strcmp(word, "onterm") == 0) {
            struct sigaction action = {.sa_handler = on_term};
            snprintf(spawn_on_term, sizeof spawn_on_term, "%s", id);
            sigaction(SIGTERM, &action, NULL);
            answer("ok", name);
        } else if (strcmp(word, "ignore") == 0) {
            signal(SIGTERM, SIG_IGN);
            answer("ok", name);
        } else if (strcmp(word, "pause") == 0) {
            answer("ok", name);
            raise(SIGSTOP);
        } else if (strcmp(word, "exit") == 0) {
            _exit(atoi(id));
        }
    }
}

static void tell(const char *fifo)
{
    static int told;
    const int fd = told++ ? -1 : open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    (void)!write(fd, "x", 1);
    close(fd);
}

static void be_tree(int count, const char *fifo)
{
    for (int i = 1; i < count; ++i) {
        const pid_t child = fork();
        if (child == 0)
            for (;;) pause();
        if (child < 0) _exit(93);
    }
    tell(fifo);
    for (;;) pause();
}

static void be_bomb(const char *fifo)
{
    for (;;)
        if (fork() < 0) tell(fifo);
}

int main(int argc, char **argv)
{
    arguments = argv;
    if (argc >= 4 && strcmp(argv[1], "timed") == 0) {
        if (argc > 4 && fork() == 0) {
            setsid();
            sleep_us(600 * 1000000L);
            return 0;
        }
        sleep_us(atol(argv[2]));
        return atoi(argv[3]);
    }
    if (argc == 4 && strcmp(argv[1], "tree") == 0) be_tree(atoi(argv[2]), argv[3]);
    if (argc == 3 && strcmp(argv[1], "bomb") == 0) be_bomb(argv[2]);
    if (argc != 4) return 2;
    become(argv[3], "");
    return 0;
}
