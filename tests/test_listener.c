/* listener: the written forms of addresses; sockets really opened, a dead unix socket's file replaced and a live one's
 * kept; the port file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/listener.h"

static char folder[] = "/tmp/forkmap-listener-XXXXXX";

static void addresses_are_read_as_written(void **state)
{
    static const struct {
        const char *text, *host;
        int port; /* -1: a unix socket; -2: refused, `host` being why */
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080},
        {"localhost:0", "localhost", 0},
        {"[::1]:65535", "::1", 65535},
        {"[::]:1", "::", 1},
        {"unix:/run/x.sock", "/run/x.sock", -1},
        {"unix:x", "x", -1},
        {"unix:", "has no path", -2},
        {"", "has no port", -2},
        {"[::1]", "has no port", -2},
        {"::1:80", "needs brackets around its IPv6 address", -2},
        {"[]:80", "is no IPv6 address in brackets", -2},
        {"[127.0.0.1]:80", "is no IPv6 address in brackets", -2},
        {"[::1:80", "is no IPv6 address in brackets", -2},
        {"a:", "has a port that is not 0 to 65535", -2},
        {"a:65536", "has a port that is not 0 to 65535", -2},
        {"a:080808", "has a port that is not 0 to 65535", -2},
        {"a:-1", "has a port that is not 0 to 65535", -2},
        {"a:8o", "has a port that is not 0 to 65535", -2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct listener listener;
        const char *why = NULL;
        bool right = listener_parse(&listener, cases[i].text, &why);
        assert_int_equal(right, cases[i].port >= -1);
        if (!right)
            assert_string_equal(why, cases[i].host);
        if (!right)
            continue;
        assert_string_equal(listener.host, cases[i].host);
        assert_int_equal(listener.local, cases[i].port == -1);
        assert_int_equal(listener.port, cases[i].port == -1 ? 0 : cases[i].port);
    }
    char path[160] = "unix:/";
    memset(path + 6, 'x', 106);
    struct listener listener;
    const char *why;
    assert_true(listener_parse(&listener, path, &why));
    path[112] = 'x';
    assert_false(listener_parse(&listener, path, &why));
}

static bool opened(struct listener *listener, const char *text, char error[512])
{
    const char *why = NULL;
    assert_true(listener_parse(listener, text, &why));
    return listener_open(listener, error, 512);
}

static bool reachable(const struct listener *listener)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_port = htons(listener->port)};
    port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(path.sun_path, sizeof path.sun_path, "%.100s", listener->host);
    int fd = socket(listener->local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    bool right = listener->local ? connect(fd, (struct sockaddr *)&path, sizeof path) == 0
                                 : connect(fd, (struct sockaddr *)&port, sizeof port) == 0;
    close(fd);
    return right;
}

static void a_tcp_socket_tells_its_port(void **state)
{
    struct listener listener, second;
    char error[512], text[64], name[64];
    assert_true(opened(&listener, "127.0.0.1:0", error));
    assert_true(listener.port > 0);
    snprintf(name, sizeof name, "http://127.0.0.1:%u", listener.port);
    assert_string_equal(listener.name, name);
    assert_true(reachable(&listener));
    assert_true((fcntl(listener.fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(listener.fd, F_GETFD) & FD_CLOEXEC) != 0);
    snprintf(text, sizeof text, "127.0.0.1:%u", listener.port);
    assert_false(opened(&second, text, error));
    assert_non_null(strstr(error, "Address already in use"));
    listener_close(&second);
    listener_close(&listener);
    assert_false(reachable(&listener));
    /* Connections of before, in TIME_WAIT, are no hindrance. */
    assert_true(opened(&second, text, error));
    listener_close(&second);
}

static void an_address_of_another_machine_is_refused(void **state)
{
    struct listener listener;
    char error[512];
    assert_false(opened(&listener, "192.0.2.1:80", error));
    assert_string_equal(error, "cannot listen on 192.0.2.1 port 80: Cannot assign requested address");
    listener_close(&listener);
}

static void a_dead_unix_socket_is_replaced_a_live_one_kept(void **state)
{
    struct listener first, second;
    char error[512], text[128];
    snprintf(text, sizeof text, "unix:%s/socket", folder);
    assert_true(opened(&first, text, error));
    assert_string_equal(first.name, text);
    assert_true(reachable(&first));

    assert_false(opened(&second, text, error));
    assert_non_null(strstr(error, "Address already in use"));
    listener_close(&second);
    assert_true(reachable(&first));

    close(first.fd); /* as kill -9 leaves it: the file is there, nobody listens */
    first.fd = -1;
    assert_true(opened(&second, text, error));
    assert_true(reachable(&second));
    listener_close(&second);
    assert_int_equal(access(text + 5, F_OK), -1);

    int file = open(text + 5, O_CREAT | O_WRONLY, 0600);
    close(file);
    assert_false(opened(&second, text, error));
    listener_close(&second);
    assert_int_equal(access(text + 5, F_OK), 0); /* whatever it is, it is not ours */
    unlink(text + 5);
}

static void the_port_file_holds_the_first_tcp_port(void **state)
{
    struct listener listeners[2];
    char error[512], text[128], path[128], expected[160], content[160] = "";
    snprintf(text, sizeof text, "unix:%s/socket", folder);
    snprintf(path, sizeof path, "%s/port", folder);
    assert_true(opened(&listeners[0], text, error));
    assert_true(opened(&listeners[1], "127.0.0.1:0", error));
    for (size_t count = 1; count <= 2; count++) {
        assert_true(listener_write_port_file(listeners, count, path));
        int fd = open(path, O_RDONLY);
        ssize_t got = read(fd, content, sizeof content - 1);
        close(fd);
        assert_true(got > 0);
        content[got] = '\0';
        if (count == 1)
            snprintf(expected, sizeof expected, "%s\n", text + 5);
        else
            snprintf(expected, sizeof expected, "%u\n", listeners[1].port);
        assert_string_equal(content, expected);
    }
    unlink(path);
    assert_false(listener_write_port_file(listeners, 2, "/no/such/folder/port"));
    listener_close(&listeners[0]);
    listener_close(&listeners[1]);
    assert_int_equal(rmdir(folder), 0); /* nothing is left, no temporary file either */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_as_written),
        cmocka_unit_test(a_tcp_socket_tells_its_port),
        cmocka_unit_test(an_address_of_another_machine_is_refused),
        cmocka_unit_test(a_dead_unix_socket_is_replaced_a_live_one_kept),
        cmocka_unit_test(the_port_file_holds_the_first_tcp_port),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
