/* big: see big.h. */
#include "workers/big.h"

#include <math.h>
#include <string.h>

#include "workers/number.h"

void big_read(mpz_t big, struct span integer, struct buf *scratch)
{
    size_t length = scratch->length;
    buf_append(scratch, integer.at, integer.length);
    buf_append_char(scratch, '\0');
    mpz_set_str(big, buf_start(scratch) + length, 10);
    buf_truncate(scratch, length);
}

void big_print(const mpz_t big, struct buf *out)
{
    size_t most = mpz_sizeinbase(big, 10) + 2; /* a sign and a NUL */
    char *to = buf_room(out, most);
    mpz_get_str(to, 10, big);
    buf_added(out, strlen(to));
}

double big_double(const mpz_t big, struct buf *scratch)
{
    /* mpz_get_d() truncates; the reader of doubles rounds. */
    size_t length = scratch->length;
    int64_t integer;
    double real = 0;
    if (mpz_sizeinbase(big, 2) > 1024)
        return mpz_sgn(big) * INFINITY;
    big_print(big, scratch);
    buf_append(scratch, "e0", 2);
    struct span text = {buf_start(scratch) + length, scratch->length - length};
    if (number_read(text, &integer, &real) != NUMBER_DOUBLE)
        real = mpz_sgn(big) * INFINITY;
    buf_truncate(scratch, length);
    return real;
}
