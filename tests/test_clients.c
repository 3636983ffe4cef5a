/* clients: who is cut off, and when: each phase has its own limit. Times are told, sockets are a pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/clients.h"

#define SECOND 1000000000ull

static const struct client_limits limits = {.head_ns = 10 * SECOND, .idle_ns = 60 * SECOND, .min_body_rate = 1024};

/* Whether a client in `phase` since 0 with so many bytes is cut off at `now_ns`. */
static bool cut_off(enum client_phase phase, uint64_t bytes, uint64_t now_ns)
{
    struct clients clients = {0};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct client *client = clients_add(&clients, pair[0], 0);
    client_enter(client, phase, 0);
    client->body_bytes = bytes;
    clients_sweep(&clients, &limits, now_ns);
    struct pollfd polled = {pair[1], POLLIN, 0};
    bool gone = poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP);
    clients_remove(&clients, client);
    assert_int_equal(clients.count, 0);
    assert_null(clients.first);
    close(pair[0]);
    close(pair[1]);
    return gone;
}

static void each_phase_has_its_limit(void **state)
{
    static const struct {
        enum client_phase phase;
        uint64_t bytes, fine_s, late_s;
    } rows[] = {
        {CLIENT_HEAD, 0, 10, 11},
        {CLIENT_IDLE, 0, 70, 71},
        {CLIENT_BODY, 0, 10, 11},
        {CLIENT_BODY, 20 * 1024, 20, 21},
        {CLIENT_SEND, 0, 10, 11},
        {CLIENT_SEND, 100 * 1024, 110, 111},
        {CLIENT_WAIT, 0, 1000000, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(cut_off(rows[i].phase, rows[i].bytes, rows[i].fine_s * SECOND));
        if (rows[i].late_s != UINT64_MAX)
            assert_true(cut_off(rows[i].phase, rows[i].bytes, rows[i].late_s * SECOND));
    }
}

static void a_phase_begins_anew(void **state)
{
    struct clients clients = {0};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct client *client = clients_add(&clients, pair[0], 0), *other = clients_add(&clients, -1, 0);
    client->body_bytes = 7;
    client_enter(client, CLIENT_HEAD, 5 * SECOND);
    assert_int_equal(client->body_bytes, 0);
    clients_sweep(&clients, &limits, 15 * SECOND);
    struct pollfd polled = {pair[1], POLLIN, 0};
    assert_int_equal(poll(&polled, 1, 0), 0);
    client_enter(NULL, CLIENT_HEAD, 0); /* a request whose connection is not known */
    clients_remove(&clients, client);
    assert_ptr_equal(clients.first, other);
    clients_remove(&clients, other);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_phase_has_its_limit),
        cmocka_unit_test(a_phase_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
