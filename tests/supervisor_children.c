/* supervisor_children: see supervisor_children.h. */
#include "tests/supervisor_children.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/supervisor.h"

static int count_fds(void)
{
    DIR *open_fds = opendir("/proc/self/fd");
    int count = -3; /* ".", ".." and the folder itself */
    while (readdir(open_fds) != NULL)
        count++;
    closedir(open_fds);
    return count;
}

/* The zygote's pid; where it has died, that of the next one. */
static int ask_zygote(int *link)
{
    for (;;) {
        char pid[16] = "";
        struct supervisor_message message;
        struct pollfd control = {SUPERVISOR_CONTROL_FD, POLLIN, 0};
        if (*link >= 0 && send(*link, "?", 1, MSG_NOSIGNAL) == 1 && recv(*link, pid, sizeof pid - 1, 0) > 0)
            return atoi(pid);
        close(*link);
        poll(&control, 1, LATE_MS);
        if (supervisor_receive(SUPERVISOR_CONTROL_FD, &message, link) != 1)
            _exit(9);
    }
}

/* An orphan that lives until `link`'s other end is closed, which is at this process's end. */
static int make_orphan(void)
{
    int life[2], told[2];
    pid_t pid = -1;
    if (pipe(life) != 0 || pipe(told) != 0)
        _exit(9);
    pid_t middle = fork();
    if (middle == 0) {
        pid = fork();
        if (pid == 0) {
            char byte;
            close(life[1]);
            _exit(read(life[0], &byte, 1) == 0 ? 0 : 1);
        }
        _exit(write(told[1], &pid, sizeof pid) == sizeof pid ? 0 : 1);
    }
    waitpid(middle, NULL, 0);
    if (read(told[0], &pid, sizeof pid) != sizeof pid)
        _exit(9);
    return (int)pid;
}

static void answer(int fd, int *link)
{
    static int fds;
    char word[16] = "", text[128] = "";
    sigset_t mask;
    struct sigaction pipe_action;
    if (fds == 0)
        fds = count_fds() - 2; /* the link and this connection */
    ssize_t got = read(fd, word, sizeof word - 1);
    if (got > 0 && strcmp(word, "who") == 0)
        snprintf(text, sizeof text, "%d %d", (int)getpid(), ask_zygote(link));
    else if (got > 0 && strcmp(word, "orphan") == 0)
        snprintf(text, sizeof text, "%d 0", make_orphan());
    else if (got > 0 && strcmp(word, "exit") == 0)
        _exit(3);
    else if (got > 0 && strcmp(word, "state") == 0) {
        sigprocmask(SIG_SETMASK, NULL, &mask);
        sigaction(SIGPIPE, NULL, &pipe_action);
        bool clean = sigisemptyset(&mask) == 1 && pipe_action.sa_handler == SIG_DFL;
        snprintf(text, sizeof text, "%d %d", fds, clean && getpgid(0) == getpid());
    }
    if (write(fd, text, strlen(text)) < 0)
        _exit(9);
    close(fd);
}

int play_front(const char *scenario, size_t listeners)
{
    bool deaf = strcmp(scenario, "deaf") == 0, serving = strcmp(scenario, "silent") == 0;
    int link = -1;
    if (strcmp(scenario, "failing") == 0)
        return 7;
    for (;;) {
        struct pollfd fds[4] = {{SUPERVISOR_CONTROL_FD, POLLIN, 0}};
        for (size_t i = 0; i < listeners; i++)
            fds[1 + i] = (struct pollfd){SUPERVISOR_LISTEN_FD + (int)i, POLLIN, 0};
        poll(fds, 1 + listeners, -1);
        struct supervisor_message message;
        int passed, result = supervisor_receive(SUPERVISOR_CONTROL_FD, &message, &passed);
        if (!deaf && (result == 0 || (result == 1 && message.type == SUPERVISOR_DRAIN)))
            return 0;
        if (result == 1 && passed >= 0) {
            close(link);
            link = passed;
            if (!serving && !supervisor_send(SUPERVISOR_CONTROL_FD, SUPERVISOR_SERVING, 0, -1))
                return 9;
            serving = true;
        }
        for (size_t i = 0; i < listeners; i++) {
            int fd = (fds[1 + i].revents & POLLIN) != 0 ? accept(fds[1 + i].fd, NULL, NULL) : -1;
            if (fd >= 0)
                answer(fd, &link);
        }
    }
}

int play_zygote(void)
{
    char byte, pid[16];
    int length = snprintf(pid, sizeof pid, "%d", (int)getpid());
    while (recv(SUPERVISOR_CONTROL_FD, &byte, 1, 0) == 1)
        if (send(SUPERVISOR_CONTROL_FD, pid, (size_t)length, MSG_NOSIGNAL) != length)
            return 1;
    return 0;
}
