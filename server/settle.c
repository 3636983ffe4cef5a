/* settle: the second half of options.h: gives every "auto" its value from what the machine has, checks what options ask
 * of each other, and reads the token's file. */
#include "server/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define M (UINT64_C(1) << 20)
#define FRONT_BYTES (16 * M)        /* what the front needs beside the bodies */
#define LEAST_WORKER_BYTES (16 * M) /* as in the table */
#define FILES_KEPT 200              /* descriptors that are not connections */
#define CONNECTION_BYTES (UINT64_C(64) << 10)
#define CONNECTIONS 10000

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool told(const struct options *options, const void *value)
{
    return options_source(options, value) != SOURCE_DEFAULT;
}

static void settle_workers(struct options *options, const struct cores *cores)
{
    bool automatic = options->workers == 0;
    if (automatic)
        options->workers = smaller(cores->count, 1024);
    snprintf(options->workers_reason, sizeof options->workers_reason, "%s%s", automatic ? "" : "as told; ",
             cores->reason);
}

/* The workers' own limits must bite before the container's, which takes everything down: what nobody asked for is cut
 * to fit, the workers' memory first, then their number; what was asked for and does not fit is refused. */
static bool settle_memory(struct options *options, const struct cores *cores, bool automatic, struct buf *error)
{
    if (options->max_bodies_bytes == 0)
        options->max_bodies_bytes = larger(cores->memory_bytes / 4, M);
    options->max_body_bytes = smaller(options->max_body_bytes, options->max_bodies_bytes);
    uint64_t kept = FRONT_BYTES + options->max_bodies_bytes;
    uint64_t left = cores->memory_bytes > kept ? cores->memory_bytes - kept : 0;
    uint64_t least = told(options, &options->worker_memory_bytes) ? options->worker_memory_bytes : LEAST_WORKER_BYTES;
    if (!cores->memory_limited)
        return true;
    if (automatic && options->workers > left / least && left >= least) {
        options->workers = left / least;
        snprintf(options->workers_reason, sizeof options->workers_reason, "container memory of %lluM",
                 (unsigned long long)(cores->memory_bytes / M));
    }
    if (options->workers * least > left) {
        buf_printf(error,
                   "%llu workers of %lluM, %lluM of bodies and %lluM for the front do not fit the container's %lluM: "
                   "lower --workers, --worker-memory or --max-bodies",
                   (unsigned long long)options->workers, (unsigned long long)(least / M),
                   (unsigned long long)(options->max_bodies_bytes / M), (unsigned long long)(FRONT_BYTES / M),
                   (unsigned long long)(cores->memory_bytes / M));
        return false;
    }
    options->worker_memory_bytes = smaller(options->worker_memory_bytes, left / options->workers / M * M);
    return true;
}

static bool settle_connections(struct options *options, const struct cores *cores, struct buf *error)
{
    uint64_t possible = cores->open_files > FILES_KEPT ? cores->open_files - FILES_KEPT : 0;
    if (options->max_connections == 0)
        options->max_connections = larger(
            1, smaller(smaller(CONNECTIONS, possible), larger(64, options->max_bodies_bytes / CONNECTION_BYTES)));
    if (options->max_connections <= possible)
        return true;
    buf_printf(error,
               "--max-connections: %llu connections and %u other files do not fit the limit of %llu open files (ulimit "
               "-n)",
               (unsigned long long)options->max_connections, FILES_KEPT, (unsigned long long)cores->open_files);
    return false;
}

bool options_settle(struct options *options, const struct cores *cores, struct buf *error)
{
    bool automatic = options->workers == 0;
    settle_workers(options, cores);
    if (!settle_memory(options, cores, automatic, error))
        return false;
    if (options->max_workers == 0)
        options->max_workers = larger(options->workers, smaller(1024, larger(8, 4 * (uint64_t)cores->count)));
    if (options->max_workers < options->workers) {
        buf_printf(error, "--max-workers: %llu is below the %llu workers to start with (%s)",
                   (unsigned long long)options->max_workers, (unsigned long long)options->workers,
                   options->workers_reason);
        return false;
    }
    return settle_connections(options, cores, error);
}

/* One line of visible ASCII; the newline that editors leave is not part of it. */
bool options_read_token(struct options *options, struct buf *error)
{
    if (options->token_file == NULL)
        return true;
    char text[OPTION_TOKEN_MAX + 3];
    int fd = open(options->token_file, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (got < 0)
        buf_printf(error, "--token-file: cannot read '%s': %s", options->token_file, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return false;
    size_t length = (size_t)got;
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    bool right = length > 0 && length <= OPTION_TOKEN_MAX;
    for (size_t i = 0; right && i < length; i++)
        right = text[i] > ' ' && text[i] < 0x7f;
    if (right) {
        memcpy(options->token, text, length);
        options->token[length] = '\0';
    } else {
        buf_printf(error, "--token-file: '%s' does not hold one line of 1 to %d visible ASCII characters",
                   options->token_file, OPTION_TOKEN_MAX);
    }
    explicit_bzero(text, sizeof text);
    return right;
}
