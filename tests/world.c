/* world: see world.h. This file has the time, the front's turns, and what goes wrong by itself. */
#include "tests/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLE_NS (10 * MS)
#define HOG_SEEN_NS (2 * MS)
#define MEMORY_BYTES (1ull << 30)

uint64_t world_random(struct world *world, uint64_t below)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return below > 0 ? (world->random * 0x2545f4914f6cdd1du >> 11) % below : 0;
}

bool world_chance(struct world *world, uint32_t per_million)
{
    return world_random(world, 1000000) < per_million;
}

/* --- what is told when a promise is broken ------------------------------------------------------------------------ */

void world_note(struct world *world, const char *what, uint32_t slot, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    world->notes[world->note_count++ % NOTES] = (struct note){world->event, world->now_ns, {a, b, c, d}, what, slot};
}

void world_violated(struct world *world, const char *format, ...)
{
    char what[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    uint64_t from = world->note_count > NOTES ? world->note_count - NOTES : 0;
    for (uint64_t i = from; i < world->note_count; i++) {
        const struct note *note = &world->notes[i % NOTES];
        print_message("%9llu %12.6f s  %-10s slot %-3u %llu %llu %llu %llu\n", (unsigned long long)note->event,
                      (double)note->now_ns / 1e9, note->what, note->slot, (unsigned long long)note->number[0],
                      (unsigned long long)note->number[1], (unsigned long long)note->number[2],
                      (unsigned long long)note->number[3]);
    }
    print_message("SIM_SEED=%llu, event %llu: %s\n", (unsigned long long)world->settings.seed,
                  (unsigned long long)world->event, what);
    fail();
    abort();
}

/* --- the front's turn --------------------------------------------------------------------------------------------- */

static void do_dispatch(struct world *world, const struct sched_action *action)
{
    struct client *client = action->owner;
    world_note(world, "dispatch", action->slot, action->task, client->number, action->first, action->count);
    if (scheduler_slot_state(world->scheduler, action->slot) == SLOT_EMPTY)
        return; /* its worker could not be made, earlier in this turn */
    oracle_dispatch(world, action);
    worker_take(world, action->slot, action);
}

static void do_kill(struct world *world, const struct sched_action *action)
{
    struct worker *worker = &world->workers[action->slot];
    world_note(world, "kill", action->slot, world->scheduler->slots[action->slot].kill, 0, 0, 0);
    if (worker->life == LIFE_NONE)
        return; /* it went by itself, earlier in this turn */
    if (worker->generation != action->generation)
        world_violated(world, "the kill of slot %u meets another worker", action->slot);
    worker->kill_ns = world->now_ns + 20 * US + world_random(world, 2 * MS);
}

static void do_end(struct world *world, const struct sched_action *action)
{
    struct client *client = action->owner;
    world_note(world, "end", 0, client->number, action->ended, client->ended, client->items);
    oracle_end(world, client, action->ended);
    client->work = NULL;
    client->deaf = true;
    client->over_ns = world->now_ns;
    client->feed_ns = client->cancel_ns = NEVER;
    if (world->on_over != NULL)
        world->on_over(world, client);
}

static void act(struct world *world)
{
    struct sched_action action;
    while (scheduler_take(world->scheduler, &action)) {
        switch (action.type) {
        case SCHED_FORK:
            worker_fork(world, action.slot, &action);
            break;
        case SCHED_DISPATCH:
            do_dispatch(world, &action);
            break;
        case SCHED_KILL:
            do_kill(world, &action);
            break;
        case SCHED_RETIRE:
            world_note(world, "retire", action.slot, 0, 0, 0, 0);
            worker_retire(world, action.slot);
            break;
        case SCHED_FAIL:
            world_note(world, "fail", 0, ((struct client *)action.owner)->number, action.first, action.count,
                       action.error);
            oracle_fail(world, &action);
            break;
        case SCHED_END:
            do_end(world, &action);
            break;
        }
    }
}

static void sample(struct world *world)
{
    world->sample_ns = world->now_ns + SAMPLE_NS;
    for (uint32_t i = 0; i < world->slots; i++) {
        struct worker *worker = &world->workers[i];
        enum slot_state state = scheduler_slot_state(world->scheduler, i);
        if (state == SLOT_READY || state == SLOT_EMPTY)
            continue;
        uint32_t item;
        uint64_t since_ns;
        struct sent *page = worker_page(worker, world->now_ns, &item, &since_ns);
        oracle_sampled(world, i, page, item);
        scheduler_sample(world->scheduler, i, page != NULL ? page->id : 0, item, true, world->now_ns);
        if (page != NULL && item < page->count && item_kind(page->client, page->first + item) == KIND_HOGS &&
            world->now_ns - since_ns > HOG_SEEN_NS)
            scheduler_over_memory(world->scheduler, i, world->now_ns);
    }
}

/* --- what goes wrong by itself ------------------------------------------------------------------------------------ */

static struct worker *someone(struct world *world, uint32_t *slot)
{
    *slot = (uint32_t)world_random(world, world->slots);
    for (size_t i = 0; i < world->slots; i++, *slot = (*slot + 1) % (uint32_t)world->slots)
        if (world->workers[*slot].life != LIFE_NONE)
            return &world->workers[*slot];
    return NULL;
}

static void toggle_link(struct world *world)
{
    world->link = !world->link;
    world->link_ns = world->now_ns + (world->link ? 5 * SECOND : 5 * MS) + world_random(world, 500 * MS);
    scheduler_link(world->scheduler, world->link);
    world_note(world, "link", 0, world->link, 0, 0, 0);
    for (uint32_t i = 0; !world->link && i < world->slots; i++)
        if (world->workers[i].life != LIFE_NONE)
            worker_die(world, i, world->now_ns, true, 0);
}

static void go_wrong(struct world *world)
{
    static const int statuses[] = {SIGKILL, SIGTERM, SIGSEGV, 0, 9 << 8};
    uint32_t slot;
    if (world->now_ns >= world->kill_ns) {
        world->kill_ns = world->now_ns + world_random(world, 50 * MS);
        if (someone(world, &slot) != NULL)
            worker_die(world, slot, world->now_ns, false, statuses[world_random(world, 5)]);
        world->event++;
    }
    if (world->now_ns >= world->freeze_ns) {
        world->freeze_ns = world->now_ns + world_random(world, 1 * SECOND);
        struct worker *worker = someone(world, &slot);
        if (worker != NULL && !worker->frozen)
            worker_freeze(world, slot);
        world->event++;
    }
    if (world->now_ns >= world->link_ns) {
        toggle_link(world);
        world->event++;
    }
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_ns(const struct world *world)
{
    uint64_t at_ns = earlier(scheduler_due_ns(world->scheduler), world->sample_ns);
    at_ns =
        earlier(at_ns, earlier(world->arrival_ns, earlier(world->kill_ns, earlier(world->freeze_ns, world->link_ns))));
    for (size_t i = 0; i < world->slots; i++)
        if (world->workers[i].life != LIFE_NONE)
            at_ns = earlier(at_ns, earlier(world->workers[i].next_ns, world->workers[i].kill_ns));
    for (const struct client *client = world->clients; client != NULL; client = client->next)
        at_ns = earlier(at_ns, earlier(client->feed_ns, client->cancel_ns));
    return at_ns;
}

static void step_worker(struct world *world, uint32_t slot)
{
    struct worker *worker = &world->workers[slot];
    while (worker->life != LIFE_NONE && earlier(worker->next_ns, worker->kill_ns) <= world->now_ns) {
        world->event++;
        if (worker->kill_ns <= worker->next_ns)
            worker_die(world, slot, worker->kill_ns, false, SIGKILL);
        else
            worker_step(world, slot);
    }
}

static void step_clients(struct world *world)
{
    for (struct client *client = world->clients, *next; client != NULL; client = next) {
        next = client->next;
        if (client->cancel_ns <= world->now_ns) {
            world->event++;
            client_cancel(world, client);
        } else if (client->feed_ns <= world->now_ns) {
            world->event++;
            client_feed(world, client);
        }
    }
    if (world->now_ns >= world->arrival_ns) {
        world->event++;
        world->arrival_ns = world->now_ns + world_random(world, 8 * MS);
        client_arrives(world);
    }
}

static void step(struct world *world, uint64_t at_ns)
{
    world->now_ns = at_ns > world->now_ns ? at_ns : world->now_ns + 1;
    if (world_chance(world, 10000)) /* the front was busy elsewhere */
        world->now_ns += world_random(world, 1 * MS);
    for (uint32_t i = 0; i < world->slots; i++)
        step_worker(world, i);
    step_clients(world);
    if (world->settings.chaos)
        go_wrong(world);
    if (world->now_ns >= world->sample_ns)
        sample(world);
    scheduler_run(world->scheduler, world->now_ns);
    act(world);
    oracle_turn(world);
    clients_forget(world);
}

void world_step(struct world *world)
{
    step(world, next_ns(world));
}

void world_until(struct world *world, uint64_t now_ns)
{
    while (world->now_ns < now_ns)
        step(world, earlier(next_ns(world), now_ns));
}

void world_settle(struct world *world, uint64_t most_ns)
{
    uint64_t until_ns = world->now_ns + most_ns;
    world->settings.chaos = false;
    world->arrival_ns = world->kill_ns = world->freeze_ns = world->link_ns = NEVER;
    if (!world->link)
        toggle_link(world);
    world->link_ns = NEVER;
    while (world->clients != NULL) {
        if (world->now_ns > until_ns)
            world_violated(world, "call %llu does not end", (unsigned long long)world->clients->number);
        world_step(world);
    }
    world_until(world, world->now_ns + 12 * SECOND); /* those told to leave have left by then, or were killed */
    for (uint32_t i = 0; i < world->slots; i++)
        if (world->workers[i].life != LIFE_NONE && scheduler_slot_state(world->scheduler, i) != SLOT_READY)
            world_violated(world, "slot %u is still %s", i, slot_state_name(scheduler_slot_state(world->scheduler, i)));
    if (scheduler_live(world->scheduler) != scheduler_target(world->scheduler))
        world_violated(world, "%u workers live, of %u", scheduler_live(world->scheduler),
                       scheduler_target(world->scheduler));
}

void world_init(struct world *world, const struct world_settings *settings)
{
    *world = (struct world){.settings = *settings, .random = settings->seed * 0x9e3779b97f4a7c15u + 88172645463325252u};
    struct scheduler_limits limits = {.workers = settings->workers,
                                      .max_workers = settings->max_workers,
                                      .functions = F_LAST,
                                      .idle_shrink_ns = 2 * SECOND,
                                      .memory_bytes = MEMORY_BYTES,
                                      .fit = world_fit};
    world->now_ns = 1000 * SECOND;
    world->scheduler = scheduler_new(&limits);
    world->slots = scheduler_slots(world->scheduler);
    world->workers = calloc(world->slots, sizeof *world->workers);
    for (size_t i = 0; i < world->slots; i++)
        world->workers[i].next_ns = world->workers[i].kill_ns = NEVER;
    world->arrival_ns = settings->arrivals ? world->now_ns : NEVER;
    world->kill_ns = world->freeze_ns = world->link_ns = settings->chaos ? world->now_ns + SECOND : NEVER;
    world->link = true;
    scheduler_link(world->scheduler, true);
}

void world_clear(struct world *world)
{
    scheduler_free(world->scheduler);
    for (struct client *client = world->clients; client != NULL; client = client->next)
        client->deaf = true, client->tasks = 0;
    clients_forget(world);
    for (size_t i = 0; i < world->slots; i++)
        free(world->workers[i].queue);
    free(world->workers);
}
