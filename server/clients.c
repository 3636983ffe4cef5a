/* clients: see clients.h. */
#include "server/clients.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "workers/log.h"

struct client *clients_add(struct clients *clients, int fd, uint64_t now_ns)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        die("out of memory");
    *client = (struct client){.next = clients->first, .fd = fd, .phase = CLIENT_HEAD, .phase_ns = now_ns};
    if (clients->first != NULL)
        clients->first->prev = client;
    clients->first = client;
    clients->count++;
    return client;
}

void clients_remove(struct clients *clients, struct client *client)
{
    if (client->prev != NULL)
        client->prev->next = client->next;
    else
        clients->first = client->next;
    if (client->next != NULL)
        client->next->prev = client->prev;
    clients->count--;
    free(client);
}

void client_enter(struct client *client, enum client_phase phase, uint64_t now_ns)
{
    if (client == NULL)
        return;
    client->phase = phase;
    client->phase_ns = now_ns;
    client->body_bytes = 0;
}

static bool is_late(const struct client *client, const struct client_limits *limits, uint64_t now_ns)
{
    uint64_t age_ns = now_ns > client->phase_ns ? now_ns - client->phase_ns : 0;
    switch (client->phase) {
    case CLIENT_HEAD:
        return age_ns > limits->head_ns;
    case CLIENT_IDLE:
        return age_ns > limits->idle_ns + limits->head_ns;
    case CLIENT_BODY:
        return age_ns > limits->head_ns && client->body_bytes < limits->min_body_rate * (age_ns / 1000000000u);
    case CLIENT_SEND: /* however slowly it reads, the answer does not lie here for ever */
        return limits->min_body_rate > 0 &&
               age_ns > limits->head_ns + client->body_bytes / limits->min_body_rate * 1000000000u;
    default:
        return false; /* the service's own time */
    }
}

void clients_sweep(struct clients *clients, const struct client_limits *limits, uint64_t now_ns)
{
    for (struct client *client = clients->first; client != NULL; client = client->next)
        if (is_late(client, limits, now_ns))
            shutdown(client->fd, SHUT_RDWR);
}
