/* log: one line per event on standard error, and die() for the impossible. A line is one write(), control characters
 * escaped, so that processes that share the descriptor never break each other's lines. */
#ifndef FORKMAP_WORKERS_LOG_H
#define FORKMAP_WORKERS_LOG_H

#include <stdbool.h>

/* Which process speaks: "forkmap", "front", "zygote", "worker"; a string that lives as long as the process. */
void log_open(const char *process);
/* false drops notice() lines; warning() and die() always speak. */
void log_verbose(bool on);
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The impossible: says why and exits with 70 (EX_SOFTWARE). Never for a request's faults. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
