/* liar: see liar.h. */
#include "tests/liar.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lies.h"
#include "workers/frame.h"
#include "workers/log.h"

/* --- which lie, if any -------------------------------------------------------------------------------------------- */

/* The word that a link beside the program says; '?' words only once. */
static bool read_link(const struct liar *liar, const char *link, char *name, size_t capacity)
{
    char path[600], word[64];
    snprintf(path, sizeof path, "%s/%s", liar->folder, link);
    ssize_t length = readlink(path, word, sizeof word - 1);
    if (length < 2 || (word[0] == '?' && unlink(path) != 0))
        return false;
    snprintf(name, capacity, "%.*s", (int)length - 1, word + 1);
    return true;
}

/* The lie that an item of the task asks for; `*item` is which. No item has a comma within. */
static bool read_item(const struct liar *liar, const struct task_message *task, uint32_t *item, char *name,
                      size_t capacity)
{
    const char *at = task->payload.at, *end = at + task->payload.length;
    *item = 0;
    for (; at + 2 < end; at++) {
        *item += *at == ',';
        if (*at != '"' || (at[1] != '!' && at[1] != '?'))
            continue;
        char path[600];
        snprintf(path, sizeof path, "%s/once", liar->folder);
        if (at[1] == '?' && unlink(path) != 0)
            return false;
        const char *quote = memchr(at + 1, '"', (size_t)(end - at - 1));
        snprintf(name, capacity, "%.*s", quote != NULL ? (int)(quote - at - 2) : 0, at + 2);
        return true;
    }
    return false;
}

static void run_task(struct liar *liar, const struct task_message *task)
{
    char name[64];
    uint32_t item = 0;
    bool lying = task->format == ITEMS_JSON ? read_item(liar, task, &item, name, sizeof name)
                                            : read_link(liar, "task", name, sizeof name);
    liar->page->item = lying ? item : 0;
    liar->page->phase = PAGE_RUNNING;
    liar->page->task = task->task;
    if (lying)
        tell_lie(liar, task, name);
    else
        tell_truth(liar, task);
    liar->page->item = task->count;
    if (task->flags & TASK_LEAVE) {
        send_bye(task->task);
        _exit(0);
    }
    liar->page->task = 0;
    liar->page->phase = PAGE_IDLE;
}

/* --- the worker's life -------------------------------------------------------------------------------------------- */

_Noreturn void liar_serve(const struct worker_settings *settings)
{
    static struct liar liar;
    ssize_t length = readlink("/proc/self/exe", liar.folder, sizeof liar.folder - 1);
    void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_PAGE_FD, 0);
    if (length <= 0 || page == MAP_FAILED)
        die("no folder, or no page");
    *strrchr(liar.folder, '/') = '\0';
    liar.page = page;
    liar.page->generation = settings->generation;
    close(WORKER_PAGE_FD);
    char name[64];
    if (read_link(&liar, "start", name, sizeof name))
        tell_first_lie(&liar, name);
    send_ready(PROTOCOL_VERSION);
    for (;;) {
        enum message type;
        uint16_t padding;
        struct span payload;
        size_t wanted;
        ssize_t n = read(WORKER_TASK_FD, buf_room(&liar.in, 65536), 65536);
        if (n <= 0)
            _exit(0);
        buf_added(&liar.in, (size_t)n);
        while (frame_next(&liar.in, &type, &padding, &payload, &wanted) == FRAME_WHOLE) {
            struct task_message task;
            if (type == MESSAGE_TASK && message_unpack_task(payload, padding, &task))
                run_task(&liar, &task);
            frame_done(&liar.in, payload);
        }
    }
}
