/* clients: the connections there are, what each is doing and since when; whoever is too slow is cut off. It closes
 * nothing itself: it shuts the socket down, and the library that reads it sees that. */
#ifndef FORKMAP_SERVER_CLIENTS_H
#define FORKMAP_SERVER_CLIENTS_H

#include <stddef.h>
#include <stdint.h>

enum client_phase {
    CLIENT_IDLE, /* between requests */
    CLIENT_HEAD, /* its request line or headers arrive */
    CLIENT_BODY, /* its body arrives */
    CLIENT_WAIT, /* its answer is being computed */
    CLIENT_SEND, /* its answer is being sent */
};

struct client {
    struct client *prev, *next;
    int fd;
    enum client_phase phase;
    uint64_t phase_ns;   /* when it entered the phase */
    uint64_t body_bytes; /* that came of the body, in CLIENT_BODY; that go out, in CLIENT_SEND */
};

struct clients {
    struct client *first;
    size_t count;
};

struct client_limits {
    uint64_t head_ns;       /* for a whole head; and after it, before the body rate counts */
    uint64_t idle_ns;       /* between requests */
    uint64_t min_body_rate; /* bytes per second, both ways; 0: any */
};

struct client *clients_add(struct clients *clients, int fd, uint64_t now_ns);
void clients_remove(struct clients *clients, struct client *client);
/* NULL is fine: a request whose connection is not known. */
void client_enter(struct client *client, enum client_phase phase, uint64_t now_ns);
void clients_sweep(struct clients *clients, const struct client_limits *limits, uint64_t now_ns);

#endif
