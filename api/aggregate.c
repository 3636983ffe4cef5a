/* aggregate: see aggregate.h. */
#include "api/aggregate.h"

#include <stdlib.h>

#include "api/numeral.h"
#include "api/tally.h"
#include "api/total.h"
#include "workers/log.h"

struct aggregation {
    enum aggregate aggregate;
    const char *refused;
    struct tally tally;   /* counts */
    struct total total;   /* sum, mean */
    struct numeral best;  /* min, max; no text: none yet */
    struct buf best_text; /* what its text points to */
};

struct aggregation *aggregation_new(enum aggregate aggregate)
{
    struct aggregation *aggregation = calloc(1, sizeof *aggregation);
    if (aggregation == NULL)
        die("out of memory");
    aggregation->aggregate = aggregate;
    return aggregation;
}

void aggregation_free(struct aggregation *aggregation)
{
    if (aggregation == NULL)
        return;
    tally_clear(&aggregation->tally);
    total_clear(&aggregation->total);
    buf_clear(&aggregation->best_text);
    free(aggregation);
}

size_t aggregation_bytes(const struct aggregation *aggregation)
{
    return sizeof *aggregation + tally_bytes(&aggregation->tally) + total_bytes(&aggregation->total) +
           aggregation->best_text.capacity;
}

const char *aggregation_refused(const struct aggregation *aggregation)
{
    return aggregation->refused;
}

static void take_best(struct aggregation *aggregation, const struct numeral *numeral)
{
    if (aggregation->best.text.length > 0) {
        int order = numeral_compare(numeral, &aggregation->best);
        if (aggregation->aggregate == AGGREGATE_MIN ? order >= 0 : order <= 0)
            return;
    }
    buf_reset(&aggregation->best_text);
    buf_append(&aggregation->best_text, numeral->text.at, numeral->text.length);
    aggregation->best = *numeral;
    aggregation->best.text.at = buf_start(&aggregation->best_text);
}

static void take_number(struct aggregation *aggregation, const struct numeral *numeral)
{
    if (aggregation->aggregate == AGGREGATE_MIN || aggregation->aggregate == AGGREGATE_MAX)
        take_best(aggregation, numeral);
    else
        total_add(&aggregation->total, numeral);
}

/* Most results are short integers: they are not looked at as tokens, and added without a look at their text. */
static inline void take_integer(struct aggregation *aggregation, int64_t integer, struct span text)
{
    switch (aggregation->aggregate) {
    case AGGREGATE_COUNTS:
        tally_add(&aggregation->tally, text);
        break;
    case AGGREGATE_SUM:
    case AGGREGATE_MEAN:
        total_add_integer(&aggregation->total, integer);
        break;
    default:
        take_best(aggregation, &(struct numeral){.text = text, .kind = NUMBER_INT64, .integer = integer});
    }
}

static void take_value(struct aggregation *aggregation, enum token kind, struct span text)
{
    static const char *const names[] = {
        [TOKEN_FALSE] = "boolean", [TOKEN_TRUE] = "boolean",  [TOKEN_STRING] = "string",
        [TOKEN_ARRAY] = "array",   [TOKEN_OBJECT] = "object",
    };
    if (kind == TOKEN_NULL)
        return;
    if (aggregation->aggregate == AGGREGATE_COUNTS) {
        tally_add(&aggregation->tally, text);
    } else if (kind == TOKEN_NUMBER) {
        struct numeral numeral = numeral_read(text);
        take_number(aggregation, &numeral);
    } else if (aggregation->refused == NULL) {
        aggregation->refused = names[kind];
    }
}

bool aggregation_add(struct aggregation *aggregation, struct span output, uint32_t count)
{
    const char *at = output.at, *end = at + output.length, *why;
    for (; count > 0; count--) {
        if (at == end || (*at != ',' && *at != '\n'))
            return false;
        at++;
        int64_t integer;
        const char *behind = number_scan_int64(at, end, &integer);
        if (behind != NULL) {
            take_integer(aggregation, integer, (struct span){at, (size_t)(behind - at)});
            at = behind;
            continue;
        }
        struct span text;
        enum token kind = token_read(&at, end, &text, &why);
        if (kind == TOKEN_BAD)
            return false;
        take_value(aggregation, kind, text);
    }
    return at == end;
}

void aggregation_print(struct aggregation *aggregation, struct buf *out)
{
    if (aggregation->aggregate == AGGREGATE_COUNTS) {
        buf_append_text(out, "\"counts\":");
        tally_print(&aggregation->tally, out);
        buf_printf(out, ",\"unique\":%zu", aggregation->tally.count);
        return;
    }
    buf_append_text(out, "\"aggregate\":");
    if (aggregation->aggregate == AGGREGATE_SUM)
        total_print_sum(&aggregation->total, out);
    else if (aggregation->aggregate == AGGREGATE_MEAN)
        total_print_mean(&aggregation->total, out);
    else if (aggregation->best.text.length > 0)
        buf_append(out, aggregation->best.text.at, aggregation->best.text.length);
    else
        buf_append_text(out, "null");
}
