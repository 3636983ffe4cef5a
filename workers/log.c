/* log: see log.h. */
#include "workers/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *process_name = "forkmap";
static bool verbose = true;

void log_open(const char *process)
{
    process_name = process;
}

void log_verbose(bool on)
{
    verbose = on;
}

static void line(const char *level, const char *format, va_list list)
{
    char text[1024];
    int head = snprintf(text, sizeof text, "%s[%d]: %s", process_name, (int)getpid(), level);
    vsnprintf(text + head, sizeof text - (size_t)head - 1, format, list);
    size_t length = 0;
    for (; text[length] != '\0'; length++)
        if ((unsigned char)text[length] < 0x20 || text[length] == 0x7f)
            text[length] = '?';
    text[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written; /* nothing is left to be done if the log is gone */
}

void notice(const char *format, ...)
{
    if (!verbose)
        return;
    va_list list;
    va_start(list, format);
    line("", format, list);
    va_end(list);
}

void warning(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    line("warning: ", format, list);
    va_end(list);
}

_Noreturn void die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    line("fatal: ", format, list);
    va_end(list);
    _exit(70);
}
