/* supervisor_message: what is sent arrives, with its descriptor; what is malformed is refused and leaks none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/supervisor.h"

static int pair[2];

static int set_up(void **state)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
    close(pair[0]);
    if (pair[1] >= 0)
        close(pair[1]);
    return 0;
}

/* The lowest free descriptor: the same before and after, if none leaks. */
static int lowest_free(void)
{
    int fd = dup(pair[0]);
    close(fd);
    return fd;
}

static void what_is_sent_arrives(void **state)
{
    struct supervisor_message message;
    int passed, pipe_fds[2];
    char byte;
    assert_int_equal(pipe(pipe_fds), 0);
    assert_true(supervisor_send(pair[0], SUPERVISOR_DRAIN, 0, -1));
    assert_true(supervisor_send(pair[0], SUPERVISOR_ZYGOTE_LINK, 7, pipe_fds[1]));
    close(pipe_fds[1]);
    assert_int_equal(supervisor_receive(pair[1], &message, &passed), 1);
    assert_int_equal(message.type, SUPERVISOR_DRAIN);
    assert_int_equal(passed, -1);
    assert_int_equal(supervisor_receive(pair[1], &message, &passed), 1);
    assert_int_equal(message.type, SUPERVISOR_ZYGOTE_LINK);
    assert_int_equal(message.kind, 7);
    assert_true((fcntl(passed, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(write(passed, "x", 1), 1);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    close(passed);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 0); /* no copy is left anywhere */
    close(pipe_fds[0]);
}

static void nothing_to_read_and_end_of_file_differ(void **state)
{
    struct supervisor_message message;
    int passed;
    assert_int_equal(supervisor_receive(pair[0], &message, &passed), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(supervisor_send(pair[1], SUPERVISOR_SERVING, 0, -1));
    close(pair[1]);
    pair[1] = -1;
    assert_int_equal(supervisor_receive(pair[0], &message, &passed), 1);
    assert_int_equal(supervisor_receive(pair[0], &message, &passed), 0);
    assert_int_equal(passed, -1);
    assert_false(supervisor_send(pair[0], SUPERVISOR_DRAIN, 0, -1));
    assert_int_equal(errno, EPIPE);
}

static void a_full_socket_is_told_not_waited_for(void **state)
{
    unsigned sent = 0;
    while (sent < 1000000 && supervisor_send(pair[0], SUPERVISOR_DRAIN, 0, -1))
        sent++;
    assert_int_equal(errno, EAGAIN);
    assert_in_range(sent, 1, 999999);
}

static void malformed_messages_are_refused(void **state)
{
    static const char bytes[64] = {1};
    static const size_t lengths[] = {1, 4, 7, 9, 64};
    int before = lowest_free();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t passing = 0; passing <= 3; passing++) {
            union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(3 * sizeof(int))];
            } control = {0};
            const int fds[3] = {pair[0], pair[0], pair[0]};
            struct iovec part = {(void *)(uintptr_t)bytes, lengths[i]};
            struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1};
            if (passing > 0) {
                control.header = (struct cmsghdr){
                    .cmsg_len = CMSG_LEN(passing * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
                memcpy(CMSG_DATA(&control.header), fds, passing * sizeof(int));
                head.msg_control = control.bytes;
                head.msg_controllen = CMSG_SPACE(passing * sizeof(int));
            }
            assert_int_equal(sendmsg(pair[0], &head, 0), lengths[i]);
            struct supervisor_message message;
            int passed;
            assert_int_equal(supervisor_receive(pair[1], &message, &passed), -1);
            assert_int_equal(errno, EPROTO);
            assert_int_equal(passed, -1);
            assert_int_equal(lowest_free(), before);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_sent_arrives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_to_read_and_end_of_file_differ, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_socket_is_told_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_messages_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
