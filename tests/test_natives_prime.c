/* is_prime and factorize against a sieve, and against what they say about each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/native_call.h"

#define SIEVE 20000u

static const char *result_of(const char *function, uint64_t n)
{
    char args[32];
    snprintf(args, sizeof args, "[%llu]", (unsigned long long)n);
    return native_result(function, args);
}

static bool says_prime(uint64_t n)
{
    return strcmp(result_of("is_prime", n), "true") == 0;
}

/* The factors multiply up to n, ascend and are prime. */
static void check_factors(uint64_t n)
{
    char text[1024];
    snprintf(text, sizeof text, "%s", result_of("factorize", n));
    assert_int_equal(text[0], '[');
    uint64_t product = 1, last = 2;
    for (char *at = text + 1; *at != ']' && *at != '\0';) {
        uint64_t factor = strtoull(at, &at, 10);
        at += *at == ',';
        assert_true(factor >= last);
        assert_true(says_prime(factor));
        product *= factor;
        last = factor;
    }
    assert_int_equal(product, n);
}

static void small_numbers_are_as_the_sieve_says(void **state)
{
    static bool composite[SIEVE];
    for (uint64_t n = 2; n < SIEVE; n++) {
        for (uint64_t k = n * n; k < SIEVE; k += n)
            composite[k] = true;
        assert_int_equal(says_prime(n), !composite[n]);
    }
}

static void factors_multiply_up(void **state)
{
    for (uint64_t n = 1; n < 3000; n++)
        check_factors(n);
    uint64_t n = 88172645463325252u;
    for (int i = 0; i < 200; i++) {
        n ^= n << 13;
        n ^= n >> 7;
        n ^= n << 17;
        check_factors(n);
        check_factors(n >> 24 | 1);
    }
}

/* The walk that finds divisors has to come to an end where it is hardest: on squares, cubes and twins. */
static void powers_and_twins_are_split(void **state)
{
    uint64_t last = 2;
    for (uint64_t p = 3; p < 2500; p += 2) {
        if (!says_prime(p))
            continue;
        check_factors(p * p);
        check_factors(p * p * p);
        check_factors(p * last);
        last = p;
    }
    check_factors(3037000493u * 3037000507u);
    check_factors(4294967291u * 4294967279u);
}

static void sizes_are_bounded(void **state)
{
    char *args = malloc(100100);
    assert_non_null(args);
    memset(args, '7', 100100);
    args[0] = '[';
    args[4098] = ']', args[4099] = '\0';
    assert_string_equal(native_result("is_prime", args),
                        "bad_arguments ValueError: is_prime() takes up to 4096 digits, got 4097");
    args[4098] = '7';
    args[4099] = '7', args[100002] = ']', args[100003] = '\0';
    assert_string_equal(native_result("collatz_steps", args),
                        "bad_arguments ValueError: collatz_steps() takes up to 100000 digits, got 100001");
    free(args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_numbers_are_as_the_sieve_says),
        cmocka_unit_test(factors_multiply_up),
        cmocka_unit_test(powers_and_twins_are_split),
        cmocka_unit_test(sizes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
