/* natives_prime: primes, factors and the Collatz walk. Below 2^64 everything is exact and quick: deterministic
 * Miller-Rabin, and Pollard's rho as Brent walks it, both over Montgomery's multiplication. Beyond, GMP, with bounds on
 * the size of n where the time would be out of all proportion. */
#include "workers/big.h"
#include "workers/natives.h"

#define PRIME_DIGITS_MAX 4096u     /* seconds for a prime of that size */
#define COLLATZ_DIGITS_MAX 100000u /* likewise */
#define PRIME_ROUNDS 32            /* GMP's: Baillie-PSW and eight of Miller-Rabin */

/* Arithmetic modulo an odd n. Numbers stand in Montgomery's form, as a·2^64 mod n. */
struct modulus {
    uint64_t n;
    uint64_t inverse; /* n · inverse = 1 modulo 2^64 */
    uint64_t one;     /* 2^64 mod n: the form of 1 */
};

static struct modulus modulus_of(uint64_t n)
{
    uint64_t inverse = n; /* right in the lowest 3 bits; each step doubles them */
    for (int i = 0; i < 5; i++)
        inverse *= 2 - n * inverse;
    return (struct modulus){n, inverse, -n % n};
}

static uint64_t multiply(const struct modulus *m, uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    uint64_t high = (uint64_t)(product >> 64), multiple = (uint64_t)product * m->inverse;
    uint64_t less = (uint64_t)(((unsigned __int128)multiple * m->n) >> 64);
    return high - less + (high < less ? m->n : 0);
}

static uint64_t form_of(const struct modulus *m, uint64_t a)
{
    return (uint64_t)(((unsigned __int128)(a % m->n) << 64) % m->n);
}

/* Whether odd n passes Miller and Rabin's test with this base: always if it is prime. */
static bool passes(const struct modulus *m, uint64_t base)
{
    const uint64_t minus_one = m->n - m->one;
    int twos = __builtin_ctzll(m->n - 1);
    uint64_t factor = form_of(m, base), power = m->one;
    if (factor == 0)
        return true; /* the base is a multiple of n and says nothing */
    for (uint64_t exponent = (m->n - 1) >> twos; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            power = multiply(m, power, factor);
        factor = multiply(m, factor, factor);
    }
    if (power == m->one || power == minus_one)
        return true;
    for (int i = 1; i < twos; i++) {
        power = multiply(m, power, power);
        if (power == minus_one)
            return true;
    }
    return false;
}

static bool is_prime(uint64_t n)
{
    static const uint8_t small[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    /* Sinclair's bases: no composite below 2^64 passes all seven. */
    static const uint32_t bases[] = {2, 325, 9375, 28178, 450775, 9780504, 1795265022};
    if (n < 2)
        return false;
    for (size_t i = 0; i < sizeof small; i++)
        if (n % small[i] == 0)
            return n == small[i];
    if (n < 41 * 41)
        return true;
    struct modulus m = modulus_of(n);
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
        if (!passes(&m, bases[i]))
            return false;
    return true;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static uint64_t next(const struct modulus *m, uint64_t x, uint64_t step)
{
    uint64_t square = multiply(m, x, x);
    return square >= m->n - step ? square - (m->n - step) : square + step;
}

/* One walk x → x² + step by Brent's rule, the differences multiplied up and their divisor taken once in a while.
 * Returns a divisor of n, which is n itself when the walk was of no use. */
static uint64_t walk(const struct modulus *m, uint64_t step)
{
    enum { BATCH = 128 };
    uint64_t x, y = 2, start = y, product = m->one, divisor = 1;
    for (uint64_t length = 1; divisor == 1; length *= 2) {
        x = y;
        for (uint64_t i = 0; i < length; i++)
            y = next(m, y, step);
        for (uint64_t done = 0; done < length && divisor == 1; done += BATCH) {
            start = y;
            for (uint64_t i = 0; i < BATCH && i < length - done; i++) {
                y = next(m, y, step);
                product = multiply(m, product, distance(x, y));
            }
            divisor = native_gcd_uint64(product, m->n);
        }
    }
    if (divisor != m->n)
        return divisor;
    /* The batch overshot: once more through it, step by step. */
    do {
        start = next(m, start, step);
        divisor = native_gcd_uint64(distance(x, start), m->n);
    } while (divisor == 1);
    return divisor;
}

/* A proper divisor of a composite without small factors. */
static uint64_t find_divisor(uint64_t n)
{
    struct modulus m = modulus_of(n);
    for (uint64_t step = 1;; step++) {
        uint64_t divisor = walk(&m, step);
        if (divisor != n)
            return divisor;
    }
}

struct factors {
    uint64_t primes[64];
    size_t count;
};

static void insert_factor(struct factors *factors, uint64_t prime)
{
    size_t at = factors->count++;
    for (; at > 0 && factors->primes[at - 1] > prime; at--)
        factors->primes[at] = factors->primes[at - 1];
    factors->primes[at] = prime;
}

static void split(struct factors *factors, uint64_t n)
{
    while (n > 1 && !is_prime(n)) {
        uint64_t divisor = find_divisor(n);
        split(factors, divisor);
        n /= divisor;
    }
    if (n > 1)
        insert_factor(factors, n);
}

static void factor(struct factors *factors, uint64_t n)
{
    for (uint64_t prime = 2; prime < 256 && prime * prime <= n; prime += 1 + (prime & 1))
        for (; n % prime == 0; n /= prime)
            insert_factor(factors, prime);
    split(factors, n);
}

/* Whether an integer fits 64 bits without sign. */
static bool read_uint64(const struct native_number *number, struct buf *scratch, uint64_t *value)
{
    *value = (uint64_t)number->integer;
    if (number->kind == NUMBER_INT64)
        return number->integer >= 0;
    if (number->text.length > 20 || number->text.at[0] == '-')
        return false;
    mpz_t big;
    mpz_init(big);
    big_read(big, number->text, scratch);
    bool fits = mpz_fits_ulong_p(big);
    *value = mpz_get_ui(big);
    mpz_clear(big);
    return fits;
}

static bool is_big_prime(struct span text, struct buf *scratch)
{
    mpz_t big;
    mpz_init(big);
    big_read(big, text, scratch);
    bool prime = mpz_probab_prime_p(big, PRIME_ROUNDS) > 0;
    mpz_clear(big);
    return prime;
}

bool native_is_prime(struct native_call *call)
{
    struct native_number n;
    uint64_t small;
    bool prime = false;
    if (!native_integer(call, "is_prime", 0, &n))
        return false;
    if (n.text.at[0] == '-')
        prime = false;
    else if (read_uint64(&n, call->scratch, &small))
        prime = is_prime(small);
    else if (n.text.length > PRIME_DIGITS_MAX)
        return native_fail(call, ITEM_BAD_ARGUMENTS, "ValueError", "is_prime() takes up to %u digits, got %zu",
                           PRIME_DIGITS_MAX, n.text.length);
    else
        prime = is_big_prime(n.text, call->scratch);
    buf_append_text(call->out, prime ? "true" : "false");
    return true;
}

bool native_factorize(struct native_call *call)
{
    struct native_number n;
    uint64_t value;
    if (!native_integer(call, "factorize", 0, &n))
        return false;
    if (!read_uint64(&n, call->scratch, &value) || value == 0)
        return native_fail(call, ITEM_BAD_ARGUMENTS, "ValueError",
                           "factorize() takes integers from 1 to 18446744073709551615 (2^64-1)");
    struct factors factors = {.count = 0};
    factor(&factors, value);
    buf_append_char(call->out, '[');
    for (size_t i = 0; i < factors.count; i++) {
        if (i > 0)
            buf_append_char(call->out, ',');
        native_return_uint64(call, factors.primes[i]);
    }
    buf_append_char(call->out, ']');
    return true;
}

/* Walks until n is 1, or until its next odd step would leave 64 bits; returns the steps walked. */
static uint64_t collatz_uint64(uint64_t *n)
{
    uint64_t steps = 0;
    for (;;) {
        int twos = __builtin_ctzll(*n);
        *n >>= twos;
        steps += (uint64_t)twos;
        if (*n == 1 || *n > (UINT64_MAX - 1) / 3)
            return steps;
        *n = 3 * *n + 1;
        steps++;
    }
}

/* The same above 64 bits, down to where n fits them and its next odd step too. */
static uint64_t collatz_big(mpz_t n)
{
    uint64_t steps = 0;
    for (;;) {
        mp_bitcnt_t twos = mpz_scan1(n, 0);
        mpz_tdiv_q_2exp(n, n, twos);
        steps += twos;
        if (mpz_cmp_ui(n, (UINT64_MAX - 1) / 3) <= 0)
            return steps;
        mpz_mul_ui(n, n, 3);
        mpz_add_ui(n, n, 1);
        steps++;
    }
}

/* All the way to 1 from a number too big for collatz_uint64(): a token's text, or n. */
static uint64_t collatz_from(const struct span *text, uint64_t n, struct buf *scratch)
{
    mpz_t big;
    mpz_init_set_ui(big, n);
    if (text != NULL)
        big_read(big, *text, scratch);
    uint64_t steps = 0;
    do {
        steps += collatz_big(big);
        n = mpz_get_ui(big);
        steps += collatz_uint64(&n);
        mpz_set_ui(big, n);
    } while (n != 1);
    mpz_clear(big);
    return steps;
}

bool native_collatz_steps(struct native_call *call)
{
    struct native_number number;
    if (!native_integer(call, "collatz_steps", 0, &number))
        return false;
    if (number.text.at[0] == '-' || (number.kind == NUMBER_INT64 && number.integer == 0))
        return native_fail(call, ITEM_BAD_ARGUMENTS, "ValueError", "collatz_steps() takes integers from 1");
    if (number.text.length > COLLATZ_DIGITS_MAX)
        return native_fail(call, ITEM_BAD_ARGUMENTS, "ValueError", "collatz_steps() takes up to %u digits, got %zu",
                           COLLATZ_DIGITS_MAX, number.text.length);
    uint64_t n = (uint64_t)number.integer, steps = 0;
    if (number.kind == NUMBER_INT64)
        steps = collatz_uint64(&n);
    if (number.kind == NUMBER_BIG || n != 1)
        steps += collatz_from(number.kind == NUMBER_BIG ? &number.text : NULL, n, call->scratch);
    native_return_uint64(call, steps);
    return true;
}
