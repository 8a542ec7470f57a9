// The first process of a User Mode Linux guest: runs the scripts that its host names on /dev/tty1, any number at once.
//
// A line "N" from the host: runs BOX/N.sh, its output into BOX/N.out; "N STATUS" goes back when it has ended, by a signal
// with 128 on top. The end of the line, because the host has closed it or is gone, powers the guest off.
// Kernel command line: uml_box=BOX, a folder of the host. BOX/setup.sh is run first, as number 0.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { most = 4096 };
static pid_t running[most];
static char box[1024];
static int line = -1;

static void off(const char *why)
{
    fprintf(stderr, "uml_init: %s\n", why);
    reboot(RB_POWER_OFF);
    _exit(1);
}

static void read_command_line(void)
{
    char text[4096] = "";
    const int file = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, text, sizeof text - 1) <= 0) off("no command line");
    close(file);
    const char *at = strstr(text, "uml_box=");
    if (!at || sscanf(at, "uml_box=%1023s", box) != 1) off("no uml_box");
}

static void open_line(void)
{
    line = open("/dev/tty1", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (line < 0) off("no /dev/tty1");
    struct termios mode;
    if (tcgetattr(line, &mode) != 0) off("/dev/tty1 is no terminal");
    cfmakeraw(&mode);
    tcsetattr(line, TCSANOW, &mode);
}

static void start(int number)
{
    char script[1100], out[1100];
    snprintf(script, sizeof script, number == 0 ? "%s/setup.sh" : "%s/%d.sh", box, number);
    snprintf(out, sizeof out, "%s/%d.out", box, number);
    const pid_t child = fork();
    if (child != 0) {
        running[number] = child;
        return;
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    const int nothing = open("/dev/null", O_RDONLY), file = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666);
    dup2(nothing, 0);
    dup2(file, 1);
    dup2(file, 2);
    closefrom(3);
    execl("/bin/bash", "bash", script, (char *)NULL);
    _exit(127);
}

static void reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (int number = 0; number < most; ++number) {
            if (running[number] != pid) continue;
            running[number] = 0;
            char word[64];
            const int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
            const int size = snprintf(word, sizeof word, "%d %d\n", number, code);
            (void)!write(line, word, (size_t)size);
        }
}

int main(void)
{
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sys", "/sys", "sysfs", 0, NULL);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    mkdir("/dev/shm", 01777);
    mount("shm", "/dev/shm", "tmpfs", 0, NULL);
    mount("run", "/run", "tmpfs", 0, NULL);
    (void)!chdir("/");
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    read_command_line();
    open_line();
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, NULL);
    const int signals = signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK);
    start(0);
    for (int number = 0;;) {
        struct pollfd ready[2] = {{line, POLLIN, 0}, {signals, POLLIN, 0}};
        if (poll(ready, 2, -1) < 0 && errno != EINTR) off("poll");
        struct signalfd_siginfo each;
        while (read(signals, &each, sizeof each) > 0) {}
        reap();
        if ((ready[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
        char text[256];
        const ssize_t got = read(line, text, sizeof text);
        if (got <= 0) off("the host is gone");
        for (ssize_t i = 0; i < got; ++i) {
            if (text[i] >= '0' && text[i] <= '9') number = (number * 10 + text[i] - '0') % most;
            if (text[i] == '\n' && number > 0) start(number), number = 0;
        }
    }
}
