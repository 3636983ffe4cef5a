/* serve_raw: see serve_raw.h. */
#include "tests/serve_raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void raw_open(struct raw *raw, const struct server *server)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(server->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    raw->closed = false;
    raw->length = 0;
    raw->got[0] = '\0';
    raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(raw->fd >= 0);
    assert_int_equal(connect(raw->fd, (const struct sockaddr *)&address, sizeof address), 0);
}

void raw_close(struct raw *raw)
{
    if (raw->fd >= 0)
        close(raw->fd);
    raw->fd = -1;
}

unsigned raw_count(const struct raw *raw, const char *text)
{
    unsigned count = 0;
    size_t length = strlen(text);
    const char *at = raw->got, *end = raw->got + raw->length;
    while ((at = memmem(at, (size_t)(end - at), text, length)) != NULL) {
        count++;
        at += length;
    }
    return count;
}

unsigned raw_status(const struct raw *raw)
{
    unsigned status = 0;
    return sscanf(raw->got, "HTTP/1.1 %3u", &status) == 1 ? status : 0;
}

/* Takes what is there, waiting up to `wait_ms` for something. */
static void take(struct raw *raw, int wait_ms)
{
    struct pollfd ready = {.fd = raw->fd, .events = POLLIN};
    if (raw->closed || poll(&ready, 1, wait_ms) <= 0)
        return;
    assert_true(raw->length + 1 < sizeof raw->got);
    ssize_t length = recv(raw->fd, raw->got + raw->length, sizeof raw->got - 1 - raw->length, MSG_DONTWAIT);
    if (length > 0)
        raw->length += (size_t)length;
    else if (length == 0 || errno != EAGAIN)
        raw->closed = true;
    raw->got[raw->length] = '\0';
}

void raw_send(struct raw *raw, const char *bytes, size_t length)
{
    uint64_t until_ms = clock_ms() + wait_bound_ms();
    while (length > 0) {
        ssize_t sent = send(raw->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return; /* it has closed: what it said before can still be read */
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
            continue;
        }
        if (clock_ms() > until_ms)
            fail_msg("the server takes no more bytes");
        poll(&(struct pollfd){.fd = raw->fd, .events = POLLOUT}, 1, 10);
    }
}

void raw_text(struct raw *raw, const char *text)
{
    raw_send(raw, text, strlen(text));
}

bool raw_wait(struct raw *raw, const char *text, unsigned times, uint64_t bound_ms)
{
    uint64_t until_ms = clock_ms() + (bound_ms > 0 ? bound_ms : wait_bound_ms());
    while (raw_count(raw, text) < times && !raw->closed && clock_ms() < until_ms)
        take(raw, 20);
    return raw_count(raw, text) >= times;
}

bool raw_wait_end(struct raw *raw, uint64_t bound_ms)
{
    uint64_t until_ms = clock_ms() + (bound_ms > 0 ? bound_ms : wait_bound_ms());
    while (!raw->closed && clock_ms() < until_ms)
        take(raw, 20);
    return raw->closed;
}
