/* option_rows: see option_rows.h. */
#include "server/option_rows.h"

#include <stddef.h>

#include "api/tree.h"

#define K UINT64_C(1024)
#define M (K * 1024)
#define G (M * 1024)
#define DAY_MS UINT64_C(86400000)

#define AT(name) offsetof(struct options, name), #name

const struct option_row option_rows[] = {
    {"listen", ADDRESSES, AT(listen), "127.0.0.1:8080", .text = "where to listen; several: repeat it or use commas"},
    {"port-file", TEXT, AT(port_file), .text = "file to write the port (or unix path) to, once serving"},
    {"workers", COUNT, AT(workers), "0", 0, 1024, .text = "worker processes; 0: one per core"},
    {"max-workers", COUNT, AT(max_workers), "0", 0, 1024,
     .text = "how far a call's `processes` may grow the pool; 0: the larger of 8 and 4 per core"},
    {"worker-memory", BYTES, AT(worker_memory_bytes), "256M", 16 * M, 1024 * G,
     .text = "memory of one worker; by default less where a container's limit is tight"},
    {"recycle-items", COUNT, AT(recycle_items), "0", 0, UINT32_MAX,
     .text = "a worker is replaced after so many items; 0: never"},
    {"start-method", CHOICE, AT(start_method), "forkserver", .choices = {"forkserver", "spawn"},
     .text = "how workers start"},
    {"demo-functions", FLAG, AT(demo_functions), .text = "offer the functions that crash, hang and leak on purpose"},
    {"max-body", BYTES, AT(max_body_bytes), "256M", 1 * K, 1024 * G, .text = "one request's body"},
    {"max-bodies", BYTES, AT(max_bodies_bytes), "0", 0, 1024 * G,
     .text = "all bodies and answers together; 0: a quarter of the memory"},
    {"max-answer", BYTES, AT(max_answer_bytes), "1G", 1 * K, 1024 * G, .text = "one call's answer"},
    {"max-item", BYTES, AT(max_item_bytes), "1M", 1, 32 * M, .text = "one item"},
    {"max-items", COUNT, AT(max_items), "10000000", 1, 1000000000, .text = "items of one call"},
    {"item-timeout-ms", MILLISECONDS, AT(item_timeout_ms), "30000", 1, DAY_MS,
     .text = "limit and default of a call's item_timeout_ms"},
    {"deadline-ms", MILLISECONDS, AT(deadline_ms), "300000", 1, DAY_MS,
     .text = "limit and default of a call's deadline_ms"},
    {"max-connections", COUNT, AT(max_connections), "0", 0, 1000000,
     .text = "connections at once; 0: up to 10000, as open files and memory allow"},
    {"header-timeout-ms", MILLISECONDS, AT(header_timeout_ms), "10000", 100, DAY_MS,
     .text = "how long a request's header may take"},
    {"min-body-rate", BYTES, AT(min_body_rate), "1K", 0, 1 * G, .text = "a body comes at least so fast, per second"},
    {"errors-listed", COUNT, AT(errors_listed), "1000", 1, 1000000, .text = "errors that one answer lists"},
    {"idle-shrink-ms", MILLISECONDS, AT(idle_shrink_ms), "60000", 0, DAY_MS,
     .text = "a worker above `workers` that idles so long leaves; 0: never"},
    {"max-queue-ms", MILLISECONDS, AT(max_queue_ms), "30000", 1, DAY_MS,
     .text = "calls are refused (503) when the estimated wait is longer"},
    {"drain-ms", MILLISECONDS, AT(drain_ms), "30000", 0, DAY_MS,
     .text = "how long SIGTERM waits for the calls under way"},
    {"allowed-host", HOSTS, AT(allowed_hosts),
     .text = "further names to be addressed by (Host), `*.name` or `*`; several: repeat it or use commas"},
    {"cors-origin", ORIGINS, AT(cors_origins),
     .text = "web origins that may call, as https://name, or `*`; several: repeat it or use commas"},
    {"token-file", TEXT, AT(token_file), .text = "file with the bearer token that requests must carry"},
    {"verbose", FLAG, AT(verbose), .text = "log what starts and ends, too"},
    {"quiet", FLAG, AT(quiet), .text = "say nothing on standard output"},
};
const size_t option_row_count = sizeof option_rows / sizeof *option_rows;
_Static_assert(sizeof option_rows / sizeof *option_rows <= OPTIONS_MAX, "struct options has a source for each row");

static void append_size(struct buf *to, uint64_t bytes)
{
    static const char suffixes[] = "\0KMGT";
    size_t unit = 0;
    for (; bytes >= K && bytes % K == 0 && unit < 4; unit++)
        bytes /= K;
    buf_printf(to, "%llu%.1s", (unsigned long long)bytes, suffixes + unit);
}

void option_row_takes(const struct option_row *row, struct buf *to)
{
    switch (row->kind) {
    case COUNT:
    case MILLISECONDS:
        buf_printf(to, "%llu to %llu%s", (unsigned long long)row->least, (unsigned long long)row->most,
                   row->kind == COUNT ? "" : " milliseconds");
        break;
    case BYTES:
        append_size(to, row->least);
        buf_append_text(to, " to ");
        append_size(to, row->most);
        buf_append_text(to, " bytes");
        break;
    case CHOICE:
        for (size_t i = 0; row->choices[i] != NULL; i++)
            buf_printf(to, "%s%s", i > 0 ? " or " : "", row->choices[i]);
        break;
    case FLAG:
        buf_append_text(to, "true or false");
        break;
    case TEXT:
        buf_append_text(to, "a path");
        break;
    case ADDRESSES:
        buf_append_text(to, "HOST:PORT, [IPv6]:PORT or unix:PATH");
        break;
    case HOSTS:
        buf_append_text(to, "a name without port, *.name or *");
        break;
    case ORIGINS:
        buf_append_text(to, "scheme://name[:port], null or *");
        break;
    }
}

void options_help(struct buf *to)
{
    buf_append_text(to,
                    "Usage: forkmap serve [OPTION]...\n\n"
                    "Serves until SIGTERM. Each option may come from the environment too, as FORKMAP_MAX_BODY=64M for\n"
                    "--max-body 64M; the flag wins. Sizes are bytes, or end in K, M, G or T.\n\n");
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        buf_printf(to, "  --%s\n      %s\n", row->name, row->text);
        if (row->kind == FLAG)
            continue;
        buf_append_text(to, "      ");
        option_row_takes(row, to);
        if (row->preset != NULL)
            buf_printf(to, " (default %s)", row->preset);
        buf_append_char(to, '\n');
    }
}

json_t *options_json(const struct options *options)
{
    json_t *limits = json_object();
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        const void *value = (const char *)options + row->offset;
        if (row->kind > FLAG || value == &options->verbose || value == &options->quiet)
            continue;
        if (row->kind == FLAG)
            tree_set(limits, row->member, json_boolean(*(const bool *)value));
        else if (row->kind == CHOICE)
            tree_set(limits, row->member, json_string(row->choices[*(const uint64_t *)value]));
        else
            tree_set(limits, row->member, tree_count(*(const uint64_t *)value));
    }
    return limits;
}
