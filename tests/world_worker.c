/* world_worker: the virtual workers of world.h: what they compute, write, hide, and what they die of. */
#include "tests/world.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define SEND_AFTER_NS (5 * MS)
#define HOG_NS (30 * MS)
#define TOLD_MALFORMED 0x8000u /* in sent.last: no RESULT but MALFORMED */
#define FULL_BYTES (900ull << 20)

/* --- computing ---------------------------------------------------------------------------------------------------- */

static int wait_status(enum kind kind, uint64_t cost_ns)
{
    if (kind == KIND_FORBIDDEN)
        return SIGSYS;
    if (kind == KIND_QUITS)
        return cost_ns % 2 == 0 ? SIGKILL : 0;
    return cost_ns % 3 == 0 ? SIGSEGV : cost_ns % 3 == 1 ? SIGABRT : 3 << 8;
}

static void expect(struct worker *worker, enum next next, uint64_t at_ns, uint32_t computed, uint32_t failed)
{
    worker->next = next;
    worker->next_ns = at_ns;
    worker->next_computed = computed;
    worker->next_failed = failed;
}

/* Computes ahead, up to the next thing that can be seen from outside. */
static void look_ahead(struct worker *worker)
{
    const struct sent *sent = &worker->queue[worker->at];
    uint64_t at_ns = worker->clock_ns, budget_ns = sent->budget_us * US;
    uint32_t i = sent->computed, failed = 0;
    while (i < sent->count) {
        if (budget_ns > 0 && i > 0 && at_ns - worker->task_ns >= budget_ns) {
            expect(worker, NEXT_YIELD, at_ns, i, failed);
            return;
        }
        uint64_t cost_ns = item_cost(sent->client, sent->first + i);
        enum kind kind = item_kind(sent->client, sent->first + i);
        if (kind == KIND_POISON || kind == KIND_QUITS || kind == KIND_FORBIDDEN) {
            expect(worker, NEXT_DIE, at_ns + cost_ns / 2, i, failed);
            worker->next_status = wait_status(kind, cost_ns);
            return;
        }
        if (kind == KIND_LOOPS || kind == KIND_MALFORMED) {
            expect(worker, kind == KIND_LOOPS ? NEXT_NOTHING : NEXT_MALFORMED, kind == KIND_LOOPS ? NEVER : at_ns, i,
                   failed);
            return;
        }
        at_ns += kind == KIND_HOGS ? HOG_NS : cost_ns;
        i++;
        failed += kind == KIND_FAILS;
        if (kind == KIND_FAILS && i < sent->count && (sent->flags & TASK_STOP_ON_ERROR)) {
            expect(worker, NEXT_STOP, at_ns, i, failed);
            return;
        }
        if (i < sent->count && at_ns - worker->sent_ns >= SEND_AFTER_NS) {
            expect(worker, NEXT_PART, at_ns, i, failed);
            return;
        }
    }
    expect(worker, NEXT_DONE, at_ns, i, failed);
}

struct sent *worker_page(const struct worker *worker, uint64_t at_ns, uint32_t *item, uint64_t *since_ns)
{
    *item = 0;
    *since_ns = at_ns;
    if (worker->life != LIFE_SERVING || worker->at >= worker->queued || worker->queue[worker->at].begun_ns == 0)
        return NULL;
    if (worker->frozen && worker->frozen_ns < at_ns)
        at_ns = worker->frozen_ns;
    struct sent *sent = &worker->queue[worker->at];
    *since_ns = worker->clock_ns;
    for (*item = sent->computed; *item < sent->count; ++*item) {
        enum kind kind = item_kind(sent->client, sent->first + *item);
        uint64_t cost_ns = kind == KIND_HOGS ? HOG_NS : item_cost(sent->client, sent->first + *item);
        bool endless = kind != KIND_PLAIN && kind != KIND_FAILS && kind != KIND_HOGS;
        if (endless || *since_ns + cost_ns > at_ns)
            break;
        *since_ns += cost_ns;
    }
    return sent;
}

static void begin(struct worker *worker, uint64_t at_ns)
{
    worker->clock_ns = worker->task_ns = worker->queue[worker->at].begun_ns = at_ns;
    look_ahead(worker);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void unqueue(struct worker *worker)
{
    worker->shown_task = 0;
    client_release(worker->queue[0].client);
    worker->queued--;
    worker->at--;
    memmove(worker->queue, worker->queue + 1, worker->queued * sizeof *worker->queue);
}

static void breach(struct world *world, uint32_t slot)
{
    world->workers[slot].muted = true; /* the front reads no more from it */
    world->breaches++;
    scheduler_breach(world->scheduler, slot, world->now_ns);
}

/* Something that may not be; each is to be found out. */
static void lie(struct world *world, uint32_t slot, struct sched_result result, const struct sent *sent)
{
    uint32_t rest = sent->count - sent->reported;
    bool whole = result.count == rest;
    switch (world_random(world, 8)) {
    case 0:
        result.task += 1000;
        break;
    case 1:
        result.first++;
        break;
    case 2:
        result.count = rest + 1;
        break;
    case 3:
        result.flags = whole ? 0 : RESULT_LAST;
        break;
    case 4:
        result.task--;
        break;
    case 5:
        result.task = sent->reported == 0 ? result.task : 0;
        result.count = 0;
        result.failed = 0;
        result.flags = RESULT_LAST | RESULT_YIELDED;
        break;
    case 6:
        result.flags = RESULT_YIELDED;
        break;
    default:
        result.failed = result.count + 1;
    }
    struct sched_accepted accepted;
    world_note(world, "lies", slot, result.task, result.first, result.count, result.flags);
    if (scheduler_result(world->scheduler, slot, &result, world->now_ns, &accepted) != SCHED_BREACH)
        world_violated(world, "a lie of slot %u was believed", slot);
    breach(world, slot);
}

static void tell_malformed(struct world *world, uint32_t slot, struct sent *sent)
{
    struct sched_accepted accepted;
    world_note(world, "malformed", slot, sent->id, sent->client->number, 0, 0);
    enum sched_verdict verdict = scheduler_malformed(world->scheduler, slot, sent->id, world->now_ns, &accepted);
    oracle_released(world, sent);
    if (verdict != (sent->client->deaf || sent->stale ? SCHED_STALE : SCHED_ACCEPTED))
        world_violated(world, "a malformed task of slot %u: verdict %d", slot, verdict);
    if (verdict == SCHED_ACCEPTED)
        client_cancel(world, sent->client);
}

static void tell(struct world *world, uint32_t slot, struct sent *sent, bool over)
{
    struct sched_result result = {.task = sent->id,
                                  .started_ns = sent->begun_ns,
                                  .ended_ns = sent->ended_ns,
                                  .first = sent->reported,
                                  .count = sent->computed - sent->reported,
                                  .flags = over ? sent->last : 0,
                                  .failed = sent->failed};
    if (world->settings.chaos && world_chance(world, 500)) {
        lie(world, slot, result, sent);
        return;
    }
    if (world->settings.chaos && world_chance(world, 500)) { /* times cannot be checked, only bounded */
        result.started_ns = world_random(world, 2) ? UINT64_MAX : 0;
        result.ended_ns = world_random(world, UINT64_MAX);
    }
    struct sched_accepted accepted;
    world->results++;
    world_note(world, "result", slot, result.task, result.first, result.count, result.flags);
    enum sched_verdict verdict = scheduler_result(world->scheduler, slot, &result, world->now_ns, &accepted);
    if (verdict != (sent->client->deaf || sent->stale ? SCHED_STALE : SCHED_ACCEPTED))
        world_violated(world, "task %llu of slot %u: verdict %d", (unsigned long long)sent->id, slot, verdict);
    if (verdict == SCHED_ACCEPTED)
        oracle_accepted(world, slot, sent, result.first, result.count, &accepted);
    if (verdict == SCHED_ACCEPTED)
        sent->client->busy_ns += sent->ended_ns - sent->begun_ns;
    if (result.count > 0)
        world->workers[slot].shown_ns = world->now_ns; /* it moves: its item's time begins anew */
    sent->reported = sent->computed;
    sent->begun_ns = sent->ended_ns;
    sent->failed = 0;
    if (over)
        oracle_released(world, sent);
}

/* All that was gathered goes to the front. */
static void flush(struct world *world, uint32_t slot, uint64_t at_ns)
{
    struct worker *worker = &world->workers[slot];
    worker->sent_ns = at_ns;
    while (worker->queued > 0 && !worker->muted) {
        struct sent *sent = &worker->queue[0];
        bool over = worker->at > 0;
        if (!over && sent->computed == sent->reported)
            break;
        if (over && (sent->last & TOLD_MALFORMED))
            tell_malformed(world, slot, sent);
        else
            tell(world, slot, sent, over);
        if (!over || worker->muted)
            break;
        unqueue(worker);
    }
}

static void exit_soon(struct world *world, struct worker *worker, uint64_t at_ns)
{
    worker->life = LIFE_LEAVING;
    expect(worker, NEXT_EXIT, at_ns + 50 * US + world_random(world, 2 * MS), 0, 0);
    worker->next_status = 0;
    if (world->settings.chaos && world_chance(world, 5000))
        worker_freeze(world, (uint32_t)(worker - world->workers));
}

static void bye(struct world *world, uint32_t slot, uint64_t at_ns)
{
    struct worker *worker = &world->workers[slot];
    world_note(world, "bye", slot, worker->queued, 0, 0, 0);
    if (!worker->muted)
        scheduler_bye(world->scheduler, slot, 0, world->now_ns);
    exit_soon(world, worker, at_ns);
}

/* The task under way is over for the worker. */
static void end_task(struct world *world, uint32_t slot, uint32_t last, uint64_t at_ns)
{
    struct worker *worker = &world->workers[slot];
    struct sent *sent = &worker->queue[worker->at];
    bool leave = sent->flags & TASK_LEAVE;
    sent->last = last;
    worker->items += sent->computed;
    worker->at++;
    bool more = worker->at < worker->queued;
    leave |= world->settings.recycle_items > 0 && worker->items >= world->settings.recycle_items;
    if (leave || !more || !(worker->queue[worker->at].flags & TASK_QUICK))
        flush(world, slot, at_ns);
    if (leave)
        bye(world, slot, at_ns);
    else if (worker->at < worker->queued)
        begin(worker, at_ns);
    else if (worker->retired)
        exit_soon(world, worker, at_ns);
    else
        expect(worker, NEXT_NOTHING, NEVER, 0, 0);
}

void worker_step(struct world *world, uint32_t slot)
{
    struct worker *worker = &world->workers[slot];
    uint64_t at_ns = worker->next_ns;
    if (worker->next == NEXT_READY) {
        world_note(world, "ready", slot, 0, 0, 0, 0);
        worker->life = LIFE_SERVING;
        expect(worker, NEXT_NOTHING, NEVER, 0, 0);
        scheduler_ready(world->scheduler, slot, world->now_ns);
        if (worker->queued > 0)
            begin(worker, at_ns);
        else if (worker->retired)
            exit_soon(world, worker, at_ns);
        return;
    }
    if (worker->next == NEXT_DIE || worker->next == NEXT_EXIT) {
        worker_die(world, slot, at_ns, false, worker->next_status);
        return;
    }
    static const uint32_t lasts[] = {[NEXT_YIELD] = RESULT_LAST | RESULT_YIELDED,
                                     [NEXT_DONE] = RESULT_LAST,
                                     [NEXT_STOP] = RESULT_LAST | RESULT_STOPPED,
                                     [NEXT_MALFORMED] = TOLD_MALFORMED};
    struct sent *sent = &worker->queue[worker->at];
    sent->computed = worker->next_computed;
    sent->failed += worker->next_failed;
    sent->ended_ns = worker->clock_ns = at_ns;
    if (worker->next == NEXT_PART) {
        flush(world, slot, at_ns);
        look_ahead(worker);
    } else {
        end_task(world, slot, lasts[worker->next], at_ns);
    }
}

/* --- coming and going --------------------------------------------------------------------------------------------- */

void worker_fork(struct world *world, uint32_t slot, const struct sched_action *action)
{
    struct worker *worker = &world->workers[slot];
    if (worker->life != LIFE_NONE || scheduler_slot_state(world->scheduler, slot) != SLOT_STARTING)
        world_violated(world, "a fork for slot %u, which is taken", slot);
    if (!world->link)
        world_violated(world, "a fork for slot %u without a zygote", slot);
    world_note(world, "fork", slot, action->generation, 0, 0, 0);
    bool chaos = world->settings.chaos;
    if (chaos && world_chance(world, 10000)) { /* at once, as when the front has no descriptors left */
        scheduler_fork_failed(world->scheduler, slot, world->now_ns);
        return;
    }
    struct sent *queue = worker->queue;
    size_t capacity = worker->capacity;
    *worker = (struct worker){.life = LIFE_STARTING,
                              .generation = action->generation,
                              .dedicated = world->scheduler->slots[slot].dedicated,
                              .queue = queue,
                              .capacity = capacity,
                              .kill_ns = NEVER};
    expect(worker, NEXT_READY, world->now_ns + 300 * US + world_random(world, 4 * MS), 0, 0);
    if (chaos && world_chance(world, 10000))
        worker->next_ns += 1 * SECOND + world_random(world, 8 * SECOND);
    if (chaos && world_chance(world, 10000)) {
        worker->next = NEXT_DIE;
        worker->next_status = 1 << 8;
    }
    if (chaos && world_chance(world, 2000))
        worker_freeze(world, slot);
}

void worker_take(struct world *world, uint32_t slot, const struct sched_action *action)
{
    struct worker *worker = &world->workers[slot];
    struct client *client = action->owner;
    if (worker->queued == worker->capacity) {
        worker->capacity = worker->capacity > 0 ? worker->capacity * 2 : 16;
        worker->queue = realloc(worker->queue, worker->capacity * sizeof *worker->queue);
    }
    worker->queue[worker->queued++] = (struct sent){.client = client,
                                                    .id = action->task,
                                                    .first = action->first,
                                                    .count = action->count,
                                                    .budget_us = action->budget_us,
                                                    .flags = action->flags};
    client->tasks++;
    if (worker->life == LIFE_SERVING && !worker->frozen && worker->at + 1 == worker->queued) {
        worker->sent_ns = world->now_ns;
        begin(worker, world->now_ns + 3 * US);
    }
}

void worker_retire(struct world *world, uint32_t slot)
{
    struct worker *worker = &world->workers[slot];
    if (worker->life == LIFE_NONE)
        return; /* it went by itself, earlier in this turn */
    worker->retired = true;
    if (worker->life == LIFE_SERVING && worker->at == worker->queued && !worker->frozen)
        exit_soon(world, worker, world->now_ns);
}

void worker_freeze(struct world *world, uint32_t slot)
{
    struct worker *worker = &world->workers[slot];
    world_note(world, "stops", slot, 0, 0, 0, 0);
    worker->frozen = true;
    worker->frozen_ns = world->now_ns;
    worker->next_ns = NEVER;
}

void worker_die(struct world *world, uint32_t slot, uint64_t at_ns, bool lost, int status)
{
    struct worker *worker = &world->workers[slot];
    uint32_t item;
    uint64_t since_ns;
    struct sent *page = worker_page(worker, at_ns, &item, &since_ns);
    struct sched_death death = {
        .lost = lost, .status = status, .page_task = page != NULL ? page->id : 0, .page_item = item};
    if (page != NULL && item_kind(page->client, page->first + item) == KIND_HOGS)
        death.peak_bytes = FULL_BYTES;
    if (world->settings.chaos && page != NULL && world_chance(world, 10000)) {
        bool told = page->reported > 0 && world_random(world, 2);
        death.page_item = told ? page->reported - 1 : UINT32_MAX; /* nonsense on the page accuses nobody */
        page = NULL;
    }
    world->deaths++;
    world_note(world, "dies", slot, (uint64_t)status, death.page_task, death.page_item, lost);
    oracle_death(world, slot, page, item, at_ns - since_ns, lost, status);
    for (size_t i = 0; i < worker->queued; i++) {
        oracle_released(world, &worker->queue[i]);
        client_release(worker->queue[i].client);
    }
    *worker = (struct worker){.queue = worker->queue, .capacity = worker->capacity, .kill_ns = NEVER, .next_ns = NEVER};
    scheduler_ended(world->scheduler, slot, &death, world->now_ns);
}
