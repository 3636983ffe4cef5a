/* one_core: what one core does in C, in the process itself: GMP's test of a big prime, again and again. Reads one
 * {"times": 64, "number": "…"} a line, answers one {"seconds": …, "primes": …}. */
#include <gmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(void)
{
    static char line[8192];
    while (fgets(line, sizeof line, stdin) != NULL) {
        const char *times = strstr(line, "\"times\": "), *number = strstr(line, "\"number\": \"");
        mpz_t n;
        mpz_init(n);
        if (times == NULL || number == NULL || gmp_sscanf(number + 11, "%Zd", n) != 1)
            return 2;
        double started = now();
        long primes = 0;
        for (long i = strtol(times + 9, NULL, 10); i > 0; i--) {
            /* gmp.h declares the test pure: without this the compiler does it once and multiplies. */
            __asm__ volatile("" ::: "memory");
            primes += mpz_probab_prime_p(n, 32) > 0;
        }
        printf("{\"seconds\": %.6f, \"primes\": %ld}\n", now() - started, primes);
        fflush(stdout);
        mpz_clear(n);
    }
    return 0;
}
