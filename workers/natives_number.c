/* natives_number: arithmetic. Integers are exact: int64 as long as it fits, GMP from there. A double takes over where
 * the first one comes, as in C and in Python. */
#include "workers/big.h"
#include "workers/natives.h"

/* A product under way: whole × part, the whole big once it has to be, then the part gathers what still fits, so that
 * many small factors cost few long multiplications. From the first double on it is `real`. */
struct product {
    int64_t part;
    bool has_whole, is_real;
    mpz_t whole;
    double real;
};

static void multiply_whole(struct product *product, int64_t factor)
{
    if (!product->has_whole) {
        mpz_init_set_si(product->whole, 1);
        product->has_whole = true;
    }
    mpz_mul_si(product->whole, product->whole, factor);
}

static void multiply_int64(struct product *product, int64_t factor)
{
    int64_t part;
    if (!__builtin_mul_overflow(product->part, factor, &part)) {
        product->part = part;
        return;
    }
    multiply_whole(product, product->part);
    product->part = factor;
}

static void multiply_big(struct product *product, struct span factor, struct buf *scratch)
{
    mpz_t big;
    mpz_init(big);
    big_read(big, factor, scratch);
    multiply_whole(product, product->part);
    product->part = 1;
    mpz_mul(product->whole, product->whole, big);
    mpz_clear(big);
}

static double read_double(const struct native_number *number, struct buf *scratch)
{
    if (number->kind == NUMBER_DOUBLE)
        return number->real;
    if (number->kind == NUMBER_INT64)
        return (double)number->integer;
    mpz_t big;
    mpz_init(big);
    big_read(big, number->text, scratch);
    double real = big_double(big, scratch);
    mpz_clear(big);
    return real;
}

static void turn_real(struct product *product, struct buf *scratch)
{
    if (product->has_whole) {
        multiply_whole(product, product->part);
        product->real = big_double(product->whole, scratch);
    } else {
        product->real = (double)product->part;
    }
    product->is_real = true;
}

static void multiply(struct product *product, const struct native_number *factor, struct buf *scratch)
{
    if (factor->kind == NUMBER_DOUBLE && !product->is_real)
        turn_real(product, scratch);
    if (product->is_real)
        product->real *= read_double(factor, scratch);
    else if (factor->kind == NUMBER_INT64)
        multiply_int64(product, factor->integer);
    else
        multiply_big(product, factor->text, scratch);
}

static bool return_product(struct native_call *call, const char *function, struct product *product)
{
    if (product->is_real)
        return native_return_double(call, function, product->real);
    if (product->has_whole) {
        multiply_whole(product, product->part);
        big_print(product->whole, call->out);
    } else {
        native_return_int64(call, product->part);
    }
    return true;
}

bool native_times(struct native_call *call)
{
    struct product product = {.part = 1};
    bool done = true;
    for (size_t i = 0; done && i < call->count; i++) {
        struct native_number factor;
        done = native_number(call, "times", i, &factor);
        if (done)
            multiply(&product, &factor, call->scratch);
    }
    done = done && return_product(call, "times", &product);
    if (product.has_whole)
        mpz_clear(product.whole);
    return done;
}

bool native_squared(struct native_call *call)
{
    struct native_number x;
    uint64_t square;
    if (!native_number(call, "squared", 0, &x))
        return false;
    if (x.kind == NUMBER_DOUBLE)
        return native_return_double(call, "squared", x.real * x.real);
    if (x.kind == NUMBER_INT64 && !__builtin_mul_overflow(x.integer, x.integer, &square)) {
        native_return_uint64(call, square);
        return true;
    }
    mpz_t big;
    mpz_init(big);
    big_read(big, x.text, call->scratch);
    mpz_mul(big, big, big);
    big_print(big, call->out);
    mpz_clear(big);
    return true;
}

uint64_t native_gcd_uint64(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The same with a big one among the arguments; all of them are known to be integers. */
static void gcd_big(struct native_call *call)
{
    mpz_t divisor, big;
    mpz_inits(divisor, big, NULL);
    for (size_t i = 0; i < call->count; i++) {
        big_read(big, call->args[i], call->scratch);
        mpz_gcd(divisor, divisor, big);
    }
    big_print(divisor, call->out);
    mpz_clears(divisor, big, NULL);
}

bool native_gcd(struct native_call *call)
{
    uint64_t divisor = 0;
    bool big = false;
    for (size_t i = 0; i < call->count; i++) {
        struct native_number number;
        if (!native_integer(call, "gcd", i, &number))
            return false;
        if (number.kind == NUMBER_BIG)
            big = true;
        else
            divisor =
                native_gcd_uint64(divisor, number.integer < 0 ? -(uint64_t)number.integer : (uint64_t)number.integer);
    }
    if (big)
        gcd_big(call);
    else
        native_return_uint64(call, divisor);
    return true;
}
