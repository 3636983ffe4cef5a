/* world_oracle: what the scheduler promises, checked at each of its words; see world.h. Its tables are looked into only
 * to compare them with what the world knows. */
#include "tests/world.h"

#include <signal.h>
#include <sys/wait.h>

#define RESTARTS_TO_BLAME 9
#define UNREAD_MOST_NS 500000.0
#define LONG_ITEM_NS (5 * MS)  /* seen so long, an item holds nobody else's */
#define LATE_MOST_NS (60 * MS) /* samples, a partial result between them, and the way of the kill */

#define NUMBER(x) ((unsigned long long)(x))

/* --- handing out -------------------------------------------------------------------------------------------------- */

static uint32_t slots_of(const struct world *world, const struct client *client)
{
    uint32_t slots = 0;
    for (size_t i = 0; i < world->slots; i++)
        for (size_t j = 0; j < world->workers[i].queued; j++)
            if (world->workers[i].queue[j].client == client && !world->workers[i].queue[j].stale) {
                slots++;
                break;
            }
    return slots;
}

static void check_run(struct world *world, struct client *client, const struct sched_action *action)
{
    uint32_t deaths = 0;
    for (uint64_t i = action->first; i < action->first + action->count; i++) {
        struct item *item = &client->ledger[i];
        if (item->over || item->slot != 0)
            world_violated(world, "item %llu of call %llu is handed out again", NUMBER(i), NUMBER(client->number));
        item->slot = (uint8_t)(action->slot + 1);
        deaths += item->deaths;
        if (item->deaths > client->options.crash_retries + (uint32_t)item->restarts / RESTARTS_TO_BLAME)
            world_violated(world, "item %llu of call %llu killed %u workers and is handed out again", NUMBER(i),
                           NUMBER(client->number), item->deaths);
    }
    const struct worker *worker = &world->workers[action->slot];
    const struct sent *other = worker->queued > 0 ? &worker->queue[worker->queued - 1] : NULL;
    bool suspect_there = other != NULL && other->client->ledger[other->first].deaths > 0;
    if (deaths > 0 && (action->count > 1 || other != NULL))
        world_violated(world, "item %llu, a suspect, does not run alone", NUMBER(action->first));
    if (suspect_there && !other->client->deaf && !other->stale)
        world_violated(world, "a task behind a suspect, in slot %u", action->slot);
}

void oracle_dispatch(struct world *world, const struct sched_action *action)
{
    struct client *client = action->owner;
    struct worker *worker = &world->workers[action->slot];
    const struct sched_options *options = &client->options;
    bool dedicated = options->isolated || options->spawn;
    if (client->deaf)
        world_violated(world, "work of call %llu, which is over, is handed out", NUMBER(client->number));
    if (world->now_ns >= options->deadline_ns)
        world_violated(world, "work of call %llu is handed out after its deadline", NUMBER(client->number));
    if (action->count == 0 || action->first + action->count > client->known)
        world_violated(world, "task %llu has items that are not known", NUMBER(action->task));
    if (action->count > 1 && action->count > world_fit(client, action->first, UINT32_MAX, false))
        world_violated(world, "task %llu of %u items does not fit", NUMBER(action->task), action->count);
    if ((options->chunksize > 0 && action->count > options->chunksize) || (options->isolated && action->count > 1))
        world_violated(world, "task %llu of %u items is larger than asked for", NUMBER(action->task), action->count);
    if (worker->generation != action->generation || worker->life == LIFE_NONE || worker->life == LIFE_LEAVING ||
        worker->retired || worker->muted || worker->kill_ns != NEVER || (!dedicated && worker->life != LIFE_SERVING))
        world_violated(world, "task %llu for slot %u, which takes none", NUMBER(action->task), action->slot);
    if (worker->dedicated != dedicated || (options->isolated && (worker->queued > 0 || worker->items > 0)))
        world_violated(world, "task %llu for slot %u, which is not for it", NUMBER(action->task), action->slot);
    if (client->handed > 0 && options->stop_on_error && client->failed > 0)
        world_violated(world, "work of call %llu is handed out after an error", NUMBER(client->number));
    check_run(world, client, action);
    client->handed += action->count;
    world->tasks++;
}

/* --- items end ---------------------------------------------------------------------------------------------------- */

static void item_over(struct world *world, struct client *client, uint64_t index)
{
    struct item *item = &client->ledger[index];
    if (item->over)
        world_violated(world, "item %llu of call %llu ends twice", NUMBER(index), NUMBER(client->number));
    item->over = 1;
    client->ended++;
    world->items_over++;
}

void oracle_accepted(struct world *world, uint32_t slot, const struct sent *sent, uint32_t first, uint32_t count,
                     const struct sched_accepted *accepted)
{
    struct client *client = sent->client;
    if (accepted->owner != client || accepted->first != sent->first + first)
        world_violated(world, "a result of task %llu is taken for another's", NUMBER(sent->id));
    for (uint64_t i = accepted->first; i < accepted->first + count; i++) {
        const struct item *item = &client->ledger[i];
        if (item->slot != slot + 1)
            world_violated(world, "item %llu of call %llu has a result of slot %u", NUMBER(i), NUMBER(client->number),
                           slot);
        if (accepted->attempts > 1u + item->deaths + item->restarts / RESTARTS_TO_BLAME)
            world_violated(world, "item %llu of call %llu: attempt %u", NUMBER(i), NUMBER(client->number),
                           accepted->attempts);
        item_over(world, client, i);
    }
    client->failed += sent->failed;
}

void oracle_released(struct world *world, const struct sent *sent)
{
    (void)world;
    for (uint64_t i = sent->first + sent->reported; !sent->stale && i < sent->first + sent->count; i++)
        sent->client->ledger[i].slot = 0;
}

void oracle_sampled(struct world *world, uint32_t slot, const struct sent *page, uint32_t item)
{
    struct worker *worker = &world->workers[slot];
    uint64_t task = page != NULL ? page->id : 0;
    if (worker->queued == 0 || worker->muted || worker->kill_ns != NEVER)
        return;
    if (worker->shown_task != task || worker->shown_item != item) {
        worker->shown_task = task;
        worker->shown_item = item;
        worker->shown_ns = world->now_ns;
    }
    if (page == NULL || item >= page->count || worker->dedicated || world->now_ns - worker->shown_ns <= LONG_ITEM_NS)
        return;
    for (size_t i = 0; i < worker->queued; i++) {
        struct sent *sent = &worker->queue[i];
        if (sent == page || sent->stale || sent->client->deaf)
            continue;
        world_note(world, "stale", slot, sent->id, sent->client->number, sent->first, sent->count);
        oracle_released(world, sent);
        sent->stale = true;
        world->staled++;
    }
}

static bool is_crash(bool lost, int status)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    if (lost || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return false;
    for (size_t i = 0; WIFSIGNALED(status) && i < sizeof crashes / sizeof *crashes; i++)
        if (WTERMSIG(status) == crashes[i])
            return true;
    return WIFEXITED(status);
}

void oracle_death(struct world *world, uint32_t slot, const struct sent *page, uint32_t item, uint64_t ran_ns,
                  bool lost, int status)
{
    const struct worker *worker = &world->workers[slot];
    enum kill_reason reason = world->scheduler->slots[slot].kill;
    const struct slot *seen = &world->scheduler->slots[slot];
    bool moved = page != NULL && (seen->seen_task != page->id || seen->seen_item != item);
    bool limit = reason == KILL_TIMEOUT || reason == KILL_MEMORY;
    bool ours = reason == KILL_CANCEL || reason == KILL_STUCK || (limit && moved); /* such a kill is no item's fault */
    if (page != NULL && item < page->count && !page->stale && !ours) {
        struct item *guilty = &page->client->ledger[page->first + item];
        guilty->deaths++;
        guilty->ran_ns = ran_ns;
        guilty->status = (int16_t)(lost ? -1 : WIFSIGNALED(status) ? WTERMSIG(status) : -1 - WEXITSTATUS(status));
        world->crashes[page->client->options.function] += is_crash(lost, status);
    }
    if (worker->queued > 0) {
        const struct sent *head = &worker->queue[0];
        if (head->reported < head->count && !head->stale)
            head->client->ledger[head->first + head->reported].restarts++;
    }
}

static void check_death(struct world *world, const struct client *client, const struct sched_action *action)
{
    const struct item *item = &client->ledger[action->first];
    uint32_t worn_out = item->restarts / RESTARTS_TO_BLAME;
    if (action->count != 1 || item->deaths + worn_out < action->attempts)
        world_violated(world, "item %llu of call %llu is blamed for %u deaths, of %u", NUMBER(action->first),
                       NUMBER(client->number), action->attempts, item->deaths);
    bool open = world->scheduler->functions[client->options.function].open_ns != 0;
    if (action->attempts != client->options.crash_retries + 1 && !open)
        world_violated(world, "item %llu of call %llu is given up after %u attempts", NUMBER(action->first),
                       NUMBER(client->number), action->attempts);
    bool known = worn_out == 0 && action->attempts == item->deaths && item->restarts == 0;
    int status = action->signal > 0 ? action->signal : -1 - action->exit_code;
    if (known && item->status != status && !(item->status == -1 && status == 0))
        world_violated(world, "item %llu of call %llu died of %d, not of %d", NUMBER(action->first),
                       NUMBER(client->number), item->status, status);
}

static void check_timeout(struct world *world, const struct client *client, const struct sched_action *action)
{
    const struct item *item = &client->ledger[action->first];
    if (action->by_deadline) {
        if (world->now_ns < client->options.deadline_ns || action->count != 1 || item->slot == 0)
            world_violated(world, "item %llu of call %llu has no deadline yet", NUMBER(action->first),
                           NUMBER(client->number));
        return;
    }
    if (action->count != 1 || item->deaths == 0 || item->ran_ns < client->options.item_timeout_ns ||
        item->ran_ns > client->options.item_timeout_ns + LATE_MOST_NS)
        world_violated(world, "item %llu of call %llu timed out after %llu us", NUMBER(action->first),
                       NUMBER(client->number), NUMBER(item->ran_ns / US));
}

void oracle_fail(struct world *world, const struct sched_action *action)
{
    struct client *client = action->owner;
    if (client->deaf)
        world_violated(world, "an item of call %llu, which is over, fails", NUMBER(client->number));
    world->failures[action->error] += action->count;
    bool kept = action->error == ITEM_TIMEOUT && action->by_deadline;
    for (uint64_t i = action->first; i < action->first + action->count; i++) {
        if (client->ledger[i].slot != 0 && !kept)
            world_violated(world, "item %llu of call %llu fails while it runs", NUMBER(i), NUMBER(client->number));
        item_over(world, client, i);
    }
    client->failed += action->count;
    enum kind kind = item_kind(client, action->first);
    if (action->error == ITEM_WORKER_DIED)
        check_death(world, client, action);
    else if (action->error == ITEM_TIMEOUT)
        check_timeout(world, client, action);
    else if (action->error == ITEM_MEMORY_LIMIT ? kind != KIND_HOGS
             : action->error == ITEM_SANDBOX_VIOLATION
                 ? kind != KIND_FORBIDDEN
                 : action->error != ITEM_UNAVAILABLE || world->crashes[client->options.function] < CRASHES_TO_OPEN)
        world_violated(world, "item %llu of call %llu is none that ends as %d", NUMBER(action->first),
                       NUMBER(client->number), action->error);
}

void oracle_end(struct world *world, struct client *client, enum sched_ended ended)
{
    bool all = client->complete && client->ended == client->items;
    bool right = !client->deaf && ended != SCHED_CANCELLED;
    if (ended == SCHED_COMPLETE)
        right = right && all;
    else if (ended == SCHED_STOPPED)
        right = right && client->complete && client->options.stop_on_error && client->failed > 0;
    else
        right = right && world->now_ns >= client->options.deadline_ns &&
                world->now_ns < client->options.deadline_ns + 3 * MS;
    if (!right)
        world_violated(world, "call %llu ends as %d with %llu of %llu items over", NUMBER(client->number), ended,
                       NUMBER(client->ended), NUMBER(client->items));
    world->ends[ended]++;
    world->calls_over++;
}

/* --- after each turn ---------------------------------------------------------------------------------------------- */

static void check_slots(struct world *world, bool *idle)
{
    const struct scheduler *scheduler = world->scheduler;
    uint32_t live = 0, starting = 0, empty = 0;
    for (size_t i = 0; i < world->slots; i++) {
        const struct slot *slot = &scheduler->slots[i];
        const struct worker *worker = &world->workers[i];
        size_t tasks = 0;
        double load_ns = 0;
        for (const struct sched_task *task = slot->head; task != NULL; task = task->next, tasks++)
            load_ns += task->guess_ns;
        if ((slot->state == SLOT_EMPTY) != (worker->life == LIFE_NONE) || (!worker->muted && tasks != worker->queued))
            world_violated(world, "slot %zu is %s with %zu tasks, its worker has %zu", i, slot_state_name(slot->state),
                           tasks, worker->queued);
        if (tasks > 1 && load_ns - slot->head->guess_ns > UNREAD_MOST_NS)
            world_violated(world, "slot %zu has %.0f us of work unread", i, (load_ns - slot->head->guess_ns) / 1000);
        if (slot->state == SLOT_READY && tasks > 0)
            world_violated(world, "slot %zu has work and is called idle", i);
        live += !slot->dedicated && (slot->state == SLOT_READY || slot->state == SLOT_BUSY);
        empty += slot->state == SLOT_EMPTY;
        starting += !slot->dedicated && slot->state == SLOT_STARTING;
        *idle = *idle || (!slot->dedicated && slot->state == SLOT_READY);
    }
    if (live != scheduler_live(scheduler) || starting != scheduler->starting)
        world_violated(world, "%u workers live, %u by its count", live, scheduler_live(scheduler));
    bool possible = world->link && scheduler->retry_ns <= world->now_ns && empty > 0;
    if (possible && live + starting < scheduler_target(scheduler))
        world_violated(world, "%u workers of %u, and none is started", live + starting, scheduler_target(scheduler));
}

static void check_calls(struct world *world, bool idle)
{
    size_t calls = 0;
    for (const struct client *client = world->clients; client != NULL; client = client->next) {
        const struct sched_call *call = client->work;
        if (client->deaf)
            continue;
        calls++;
        uint32_t cap = client->options.processes, used = slots_of(world, client);
        if (call->ended != client->ended || call->known != client->known)
            world_violated(world, "call %llu has %llu items over, %llu by its count", NUMBER(client->number),
                           NUMBER(client->ended), NUMBER(call->ended));
        if (cap > 0 && used > cap)
            world_violated(world, "call %llu is in %u slots, of %u", NUMBER(client->number), used, cap);
        bool dedicated = client->options.isolated || client->options.spawn;
        if (idle && !dedicated && call_has_work(call) && (cap == 0 || used < cap))
            world_violated(world, "a worker is idle while call %llu has work", NUMBER(client->number));
        if (call->complete && call->in_flight == 0 && !call_has_work(call))
            world_violated(world, "call %llu is over and nobody says so", NUMBER(client->number));
    }
    if (calls != scheduler_calls(world->scheduler))
        world_violated(world, "%zu calls, %zu by its count", calls, scheduler_calls(world->scheduler));
}

void oracle_turn(struct world *world)
{
    bool idle = false;
    check_slots(world, &idle);
    check_calls(world, idle);
}
