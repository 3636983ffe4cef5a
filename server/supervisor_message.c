/* supervisor_message: what the supervisor and the front say to each other, writer and reader; see supervisor.h. */
#include "server/supervisor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

bool supervisor_send(int fd, uint32_t type, uint32_t kind, int passed_fd)
{
    struct supervisor_message message = {type, kind};
    struct iovec part = {&message, sizeof message};
    struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1};
    union control control = {0};
    if (passed_fd >= 0) {
        control.header =
            (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof passed_fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof passed_fd);
        head.msg_control = control.bytes;
        head.msg_controllen = sizeof control.bytes;
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof message;
}

int supervisor_receive(int fd, struct supervisor_message *message, int *passed_fd)
{
    struct iovec part = {message, sizeof *message};
    union control control = {0};
    struct msghdr head = {.msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = CMSG_LEN(sizeof *passed_fd)}; /* not one more: it would leak */
    *passed_fd = -1;
    ssize_t got;
    do
        got = recvmsg(fd, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == ECONNRESET ? 0 : -1;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&head);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof *passed_fd))
        memcpy(passed_fd, CMSG_DATA(header), sizeof *passed_fd);
    if (got == 0)
        return 0;
    if (got == (ssize_t)sizeof *message && (head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
        return 1;
    if (*passed_fd >= 0)
        close(*passed_fd);
    *passed_fd = -1;
    errno = EPROTO;
    return -1;
}
