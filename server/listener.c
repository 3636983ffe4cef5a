/* listener: see listener.h. */
#include "server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* While a front restarts, what clients connect waits here; the kernel cuts it to net.core.somaxconn. */
#define BACKLOG 4096

static bool parse_port(const char *text, uint16_t *port)
{
    unsigned value = 0;
    if (*text == '\0' || strlen(text) > 5)
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (unsigned)(*text - '0');
    }
    *port = (uint16_t)value;
    return value <= 65535;
}

static bool refuse(const char **why, const char *text)
{
    *why = text;
    return false;
}

bool listener_parse(struct listener *listener, const char *text, const char **why)
{
    *listener = (struct listener){.fd = -1};
    if (strncmp(text, "unix:", 5) == 0) {
        listener->local = true;
        if (text[5] == '\0')
            return refuse(why, "has no path");
        if (strlen(text + 5) >= sizeof((struct sockaddr_un *)0)->sun_path)
            return refuse(why, "has a path of more than 107 bytes");
        snprintf(listener->host, sizeof listener->host, "%s", text + 5);
        return true;
    }
    const char *colon = strrchr(text, ':'), *host = text;
    if (colon == NULL || strchr(colon, ']') != NULL)
        return refuse(why, "has no port");
    size_t length = (size_t)(colon - host);
    if (length == 0)
        return refuse(why, "has no host (0.0.0.0 or [::] is every address of the machine)");
    if (host[0] == '[') {
        if (host[length - 1] != ']' || length < 4)
            return refuse(why, "is no IPv6 address in brackets");
        host++;
        length -= 2;
    } else if (memchr(host, ':', length) != NULL) {
        return refuse(why, "needs brackets around its IPv6 address");
    }
    if (length >= sizeof listener->host)
        return refuse(why, "has a host of more than 255 bytes");
    memcpy(listener->host, host, length);
    struct in6_addr address;
    if (text[0] == '[' && inet_pton(AF_INET6, listener->host, &address) != 1)
        return refuse(why, "is no IPv6 address in brackets");
    if (!parse_port(colon + 1, &listener->port))
        return refuse(why, "has a port that is not 0 to 65535");
    return true;
}

static void tell_name(struct listener *listener)
{
    if (listener->local) {
        snprintf(listener->name, sizeof listener->name, "unix:%s", listener->host);
        return;
    }
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    if (getsockname(listener->fd, (struct sockaddr *)&address, &length) == 0)
        listener->port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                             : ((struct sockaddr_in *)&address)->sin_port);
    bool v6 = strchr(listener->host, ':') != NULL;
    snprintf(listener->name, sizeof listener->name, "http://%s%s%s:%u", v6 ? "[" : "", listener->host, v6 ? "]" : "",
             listener->port);
}

static int bound(int family, const struct sockaddr *address, socklen_t length)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* So that 0.0.0.0 and [::] can be listened on beside each other. */
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, address, length) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool nobody_listens(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused =
        fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return refused;
}

static bool open_local(struct listener *listener, char *error, size_t capacity)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, listener->host, sizeof address.sun_path - 1); /* listener_parse() bounded it */
    listener->fd = bound(AF_UNIX, (struct sockaddr *)&address, sizeof address);
    int why = errno;
    if (listener->fd < 0 && why == EADDRINUSE && nobody_listens(&address) && unlink(listener->host) == 0) {
        listener->fd = bound(AF_UNIX, (struct sockaddr *)&address, sizeof address);
        why = errno;
    }
    listener->owns_file = listener->fd >= 0;
    if (listener->fd < 0)
        snprintf(error, capacity, "cannot listen on unix:%s: %s", listener->host, strerror(why));
    return listener->fd >= 0;
}

static bool open_tcp(struct listener *listener, char *error, size_t capacity)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", listener->port);
    int result = getaddrinfo(listener->host, port, &hints, &found);
    if (result != 0) {
        snprintf(error, capacity, "cannot listen on %s: %s", listener->host, gai_strerror(result));
        return false;
    }
    for (const struct addrinfo *at = found; at != NULL && listener->fd < 0; at = at->ai_next)
        listener->fd = bound(at->ai_family, at->ai_addr, at->ai_addrlen);
    if (listener->fd < 0)
        snprintf(error, capacity, "cannot listen on %s port %u: %s", listener->host, listener->port, strerror(errno));
    freeaddrinfo(found);
    return listener->fd >= 0;
}

bool listener_open(struct listener *listener, char *error, size_t capacity)
{
    bool opened = listener->local ? open_local(listener, error, capacity) : open_tcp(listener, error, capacity);
    if (opened)
        tell_name(listener);
    return opened;
}

void listener_close(struct listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
    if (listener->owns_file)
        unlink(listener->host);
    listener->owns_file = false;
}

bool listener_write_port_file(const struct listener *listeners, size_t count, const char *path)
{
    const struct listener *told = &listeners[0];
    for (size_t i = count; i-- > 0;)
        if (!listeners[i].local)
            told = &listeners[i];
    char temporary[4096], text[288];
    if (snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid()) >= (int)sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (told->local)
        snprintf(text, sizeof text, "%s\n", told->host);
    else
        snprintf(text, sizeof text, "%u\n", told->port);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    written &= close(fd) == 0;
    if (written && rename(temporary, path) == 0)
        return true;
    int error = errno;
    unlink(temporary);
    errno = error;
    return false;
}
