/* world_client: who asks for work in world.h: what the items are and cost, how they become known, who gives up. */
#include "tests/world.h"

#include <stdlib.h>

#define CLIENTS_MOST 24

const struct world_function world_functions[] = {
    [F_QUICK] = {"quick", 300, 1, {0}},
    [F_SMALL] = {"small", 5 * US, 1, {0}},
    [F_MEDIUM] = {"medium", 100 * US, 30, {0}},
    [F_SLOW] = {"slow", 1 * MS, 20, {0}},
    [F_LONG] = {"long", 20 * MS, 3, {0}},
    [F_FAILING] = {"failing", 20 * US, 2, {[KIND_FAILS] = 20000}},
    [F_POISON] = {"poison", 50 * US, 2, {[KIND_POISON] = 1000}},
    [F_QUITS] = {"quits", 20 * US, 2, {[KIND_QUITS] = 1000}},
    [F_SNARE] = {"snare", 1 * US, 1, {[KIND_LOOPS] = 100}},
    [F_LOOPS] = {"loops", 100 * US, 2, {[KIND_LOOPS] = 1000}},
    [F_HOGS] = {"hogs", 30 * US, 2, {[KIND_HOGS] = 2000}},
    [F_FORBIDDEN] = {"forbidden", 10 * US, 2, {[KIND_FORBIDDEN] = 1000}},
    [F_GARBLED] = {"garbled", 10 * US, 2, {[KIND_MALFORMED] = 500}},
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

enum kind item_kind(const struct client *client, uint64_t index)
{
    const struct world_function *function = &world_functions[client->options.function];
    uint32_t drawn = (uint32_t)(mix(client->seed + index * 0x9e3779b97f4a7c15u) >> 32) % 1000000;
    for (unsigned kind = KIND_FAILS; kind < KINDS; kind++) {
        if (drawn < function->per_million[kind])
            return (enum kind)kind;
        drawn -= function->per_million[kind];
    }
    return KIND_PLAIN;
}

uint64_t item_cost(const struct client *client, uint64_t index)
{
    const struct world_function *function = &world_functions[client->options.function];
    uint64_t drawn = mix(~client->seed + index * 0x9e3779b97f4a7c15u);
    uint64_t cost_ns = function->cost_ns / 2 + drawn % (function->cost_ns + 1);
    return (drawn >> 40) % 100 == 0 ? cost_ns * function->tail : cost_ns;
}

uint32_t world_fit(void *owner, uint64_t first, uint32_t most, bool chunksize_given)
{
    const struct client *client = owner;
    (void)chunksize_given;
    if (client->fit == 0)
        return most;
    uint32_t fits = 1 + (uint32_t)(mix(client->seed + first) % client->fit);
    return fits < most ? fits : most;
}

struct client *world_call(struct world *world, struct sched_options options, uint64_t items)
{
    struct client *client = calloc(1, sizeof *client);
    client->number = ++world->client_numbers;
    client->seed = mix(world->settings.seed * 1000003 + client->number);
    client->items = items;
    client->ledger = calloc(items + 1, sizeof *client->ledger);
    client->cancel_ns = NEVER;
    client->feed_ns = client->arrived_ns = world->now_ns;
    options.owner = client;
    if (options.deadline_ns == 0)
        options.deadline_ns = world->now_ns + 3600 * SECOND;
    if (options.item_timeout_ns == 0)
        options.item_timeout_ns = 30 * SECOND;
    client->options = options;
    client->next = world->clients;
    world->clients = client;
    world->client_count++;
    world_note(world, "call", 0, client->number, items, options.function, options.principal);
    client->work = scheduler_call(world->scheduler, &options, world->now_ns);
    return client;
}

/* More items are known: all, or, of a call that is fed in pieces, some. */
void client_feed(struct world *world, struct client *client)
{
    uint64_t missing = client->items - client->known;
    client->known += client->pieces ? world_random(world, missing + 1) : missing;
    client->complete = !client->pieces || (client->known == client->items && world_random(world, 2));
    client->feed_ns = client->complete ? NEVER : world->now_ns + world_random(world, 3 * MS);
    world_note(world, "items", 0, client->number, client->known, client->complete, 0);
    scheduler_items(world->scheduler, client->work, client->known, client->complete);
}

void client_cancel(struct world *world, struct client *client)
{
    world_note(world, "cancel", 0, client->number, client->ended, client->known, 0);
    scheduler_cancel(world->scheduler, client->work, world->now_ns);
    client->work = NULL;
    client->deaf = true;
    client->over_ns = world->now_ns;
    client->feed_ns = client->cancel_ns = NEVER;
    world->ends[SCHED_CANCELLED]++;
    world->calls_over++;
    if (world->on_over != NULL)
        world->on_over(world, client);
}

void client_release(struct client *client)
{
    client->tasks--;
}

void clients_forget(struct world *world)
{
    struct client **link = &world->clients;
    while (*link != NULL) {
        struct client *client = *link;
        if (!client->deaf || client->tasks > 0) {
            link = &client->next;
            continue;
        }
        *link = client->next;
        world->client_count--;
        free(client->ledger);
        free(client);
    }
}

static uint64_t some_items(struct world *world)
{
    switch (world_random(world, 8)) {
    case 0:
        return 0;
    case 1:
    case 2:
    case 3:
        return 1;
    case 4:
    case 5:
        return world_random(world, 20);
    case 6:
        return world_random(world, 300);
    default:
        return world_random(world, 2001);
    }
}

/* A client as nobody would wish for. */
void client_arrives(struct world *world)
{
    uint32_t function = (uint32_t)world_random(world, F_LAST);
    bool refused = scheduler_breaker_ns(world->scheduler, function, world->now_ns) != 0;
    if (world->client_count >= CLIENTS_MOST || (refused && !world_chance(world, 50000)))
        return;
    static const uint64_t timeouts_ns[] = {0, 0, 200 * MS, 1 * SECOND};
    struct sched_options options = {
        .principal = (uint32_t)world_random(world, 4),
        .function = function,
        .crash_retries = (uint32_t)world_random(world, 3),
        .item_timeout_ns = timeouts_ns[world_random(world, 4)],
        .stop_on_error = world_chance(world, 150000),
    };
    if (world_chance(world, 300000))
        options.chunksize = 1 + world_random(world, world_random(world, 2) ? 4 : 1000);
    if (world_chance(world, 200000))
        options.processes = 1 + (uint32_t)world_random(world, world->settings.max_workers);
    if (world_chance(world, 50000))
        options.deadline_ns = world->now_ns + world_random(world, 500 * MS);
    if (world_functions[function].per_million[KIND_LOOPS] > 0 && options.item_timeout_ns == 0)
        options.item_timeout_ns = 300 * MS;
    uint64_t items = some_items(world);
    options.isolated = items <= 300 && world_chance(world, 60000);
    options.spawn = world_chance(world, 60000);
    struct client *client = world_call(world, options, items);
    client->pieces = world_chance(world, 250000);
    client->fit = world_chance(world, 200000) ? 1 + (uint32_t)world_random(world, 100) : 0;
    if (world_chance(world, 80000))
        client->cancel_ns = world->now_ns + world_random(world, 50 * MS);
}
