/* dice: from counts to the answer. Sums are exact integers, taken from near the mean, so that mean and variance are
 * right to the last digit for 2^53 rolls too. */
#include "api/dice.h"

#include "api/chi_square.h"
#include "api/multinomial.h"
#include "api/odds.h"
#include "workers/number.h"

#define MULTINOMIAL_ROLLS (UINT64_C(1) << 53)

__extension__ typedef __int128 wide_integer;

struct roll_args dice_args(const struct request *request)
{
    return (struct roll_args){
        .seed = request->seed, .dice = request->dice, .sides = request->sides, .rolls = request->rolls};
}

bool dice_multinomial(const struct request *request, uint64_t *counts)
{
    if (request->dice < 1 || request->dice > ROLL_DICE_MAX || request->sides < ROLL_SIDES_MIN ||
        request->sides > ROLL_SIDES_MAX || request->rolls > MULTINOMIAL_ROLLS)
        return false;
    multinomial_draw(odds_of(request->dice, request->sides), request->rolls, request->seed, counts);
    return true;
}

struct moments {
    double mean, variance;
};

static struct moments moments_of(const uint64_t *counts, size_t bins, uint64_t rolls, uint32_t dice)
{
    wide_integer sum = 0, off = 0, squares = 0;
    for (size_t bin = 0; bin < bins; bin++)
        sum += (wide_integer)counts[bin] * (int64_t)bin;
    /* The bin nearest the mean: from there `off` is less than `rolls`, and its square is small beside `squares`. */
    int64_t nearest = (int64_t)((sum + rolls / 2) / rolls);
    for (size_t bin = 0; bin < bins; bin++) {
        wide_integer distance = (int64_t)bin - nearest;
        off += counts[bin] * distance;
        squares += counts[bin] * distance * distance;
    }
    odds_real share = (odds_real)off / (odds_real)rolls;
    struct moments moments = {.mean = (double)((odds_real)(nearest + dice) + share)};
    if (rolls > 1)
        moments.variance = (double)(((odds_real)squares - share * (odds_real)off) / (odds_real)(rolls - 1));
    return moments;
}

static void append_double(struct buf *out, double value)
{
    buf_added(out, number_print_double(value, buf_room(out, NUMBER_TEXT_MAX)));
}

static void append_uint64(struct buf *out, uint64_t value)
{
    buf_added(out, number_print_uint64(value, buf_room(out, NUMBER_TEXT_MAX)));
}

static void append_member(struct buf *out, const char *name, uint64_t value)
{
    buf_append_text(out, name);
    append_uint64(out, value);
}

/* `,"12":` or, for the first, `"2":` */
static void append_total(struct buf *out, uint64_t total, bool first)
{
    buf_append_text(out, first ? "\"" : ",\"");
    append_uint64(out, total);
    buf_append_text(out, "\":");
}

static size_t append_counts(struct buf *out, const uint64_t *counts, size_t bins, uint32_t dice)
{
    size_t unique = 0;
    for (size_t bin = 0; bin < bins; bin++) {
        append_total(out, dice + bin, bin == 0);
        append_uint64(out, counts[bin]);
        unique += counts[bin] > 0;
    }
    return unique;
}

static void append_chi_square(struct buf *out, struct chi_square test)
{
    buf_append_text(out, "{\"statistic\":");
    append_double(out, test.statistic);
    append_member(out, ",\"df\":", test.df);
    buf_append_text(out, ",\"p_value\":");
    if (test.df > 0)
        append_double(out, test.p_value);
    else
        buf_append_text(out, "null");
    buf_append_char(out, '}');
}

void dice_answer(const struct request *request, const uint64_t *counts, struct buf *out)
{
    const struct odds *odds = odds_of(request->dice, request->sides);
    struct moments moments = moments_of(counts, odds->bins, request->rolls, request->dice);
    buf_append_text(out, "{\"counts\":{");
    size_t unique = append_counts(out, counts, odds->bins, request->dice);
    append_member(out, "},\"unique\":", unique);
    append_member(out, ",\"rolls\":", request->rolls);
    append_member(out, ",\"dice\":", request->dice);
    append_member(out, ",\"sides\":", request->sides);
    append_member(out, ",\"seed\":", request->seed);
    buf_append_text(out, ",\"mean\":");
    append_double(out, moments.mean);
    buf_append_text(out, ",\"variance\":");
    if (request->rolls > 1)
        append_double(out, moments.variance);
    else
        buf_append_text(out, "null");
    buf_append_text(out, ",\"expected\":{");
    for (size_t bin = 0; bin < odds->bins; bin++) {
        append_total(out, request->dice + bin, bin == 0);
        append_double(out, (double)(odds_at(odds, bin) * (odds_real)request->rolls));
    }
    buf_append_text(out, "},\"chi_square\":");
    append_chi_square(out, chi_square_test(odds, counts, request->rolls));
    buf_append_char(out, '}');
}
