/* catalog: see catalog.h. The rows and how to find them; no code of the functions, which natives.c lists in the same
 * order. An example is a request body that works as it stands; where its answer is the same every time, the tests hold
 * the function to it. */
#include "workers/catalog.h"

#include <nettle/sha2.h>
#include <string.h>

#define ANY (-1)

static const struct native rows[] = {
    {
        .name = "squared",
        .signature = "squared(x)",
        .text = "x times x. Integers are exact at any size; a double that overflows is an encode_error.",
        .example_path = "/map",
        .example = "{\"function\": \"squared\", \"items\": [1, 2, 3]}",
        .example_answer = "{\"results\":[1,4,9]}",
        .least_args = 1,
        .most_args = 1,
    },
    {
        .name = "times",
        .signature = "times(a, ...)",
        .text = "The product of its arguments, from left to right: exact until the first double, IEEE double from "
                "there on.",
        .example_path = "/starmap",
        .example = "{\"function\": \"times\", \"items\": [[1, 2, 3], [4, 5, 6]]}",
        .example_answer = "{\"results\":[6,120]}",
        .least_args = 1,
        .most_args = ANY,
    },
    {
        .name = "roll",
        .signature = "roll(...)",
        .text = "The total of two six-sided dice. Arguments are ignored; the call's seed and the item's index decide.",
        .example_path = "/map",
        .example = "{\"function\": \"roll\", \"items\": [1, 2, 3, 4, 5], \"seed\": 42}",
        .example_answer = "{\"results\":[11,8,6,7,6]}",
        .least_args = 0,
        .most_args = ANY,
    },
    {
        .name = "is_prime",
        .signature = "is_prime(n)",
        .text = "Whether the integer n is prime: proved below 2^64, Baillie-PSW and Miller-Rabin up to 4096 digits.",
        .example_path = "/map",
        .example = "{\"function\": \"is_prime\", \"items\": [97, 91, 9007199254740881]}",
        .example_answer = "{\"results\":[true,false,true]}",
        .least_args = 1,
        .most_args = 1,
    },
    {
        .name = "factorize",
        .signature = "factorize(n)",
        .text = "The prime factors of n, ascending, each as often as it divides n; [] for 1. n is from 1 to 2^64-1.",
        .example_path = "/map",
        .example = "{\"function\": \"factorize\", \"items\": [60, 97, 9007199254740991]}",
        .example_answer = "{\"results\":[[2,2,3,5],[97],[6361,69431,20394401]]}",
        .least_args = 1,
        .most_args = 1,
    },
    {
        .name = "gcd",
        .signature = "gcd(a, ...)",
        .text = "The greatest common divisor of integers of any size; never negative, 0 if all are 0.",
        .example_path = "/starmap",
        .example = "{\"function\": \"gcd\", \"items\": [[12, 18], [105, 70, 28]]}",
        .example_answer = "{\"results\":[6,7]}",
        .least_args = 1,
        .most_args = ANY,
    },
    {
        .name = "collatz_steps",
        .signature = "collatz_steps(n)",
        .text = "How many steps of \"halve the even, treble the odd and add one\" lead from n to 1. n is an integer "
                "from 1, "
                "of at most 100000 digits.",
        .example_path = "/map",
        .example = "{\"function\": \"collatz_steps\", \"items\": [1, 6, 27]}",
        .example_answer = "{\"results\":[0,8,111]}",
        .least_args = 1,
        .most_args = 1,
    },
    {
        .name = "length",
        .signature = "length(x)",
        .text = "The code points of a string, the elements of an array, the members of an object.",
        .example_path = "/map",
        .example = "{\"function\": \"length\", \"items\": [\"caf\xc3\xa9\", [1, 2, 3], {\"a\": 1}]}",
        .example_answer = "{\"results\":[4,3,1]}",
        .least_args = 1,
        .most_args = 1,
    },
    {
        .name = "upper",
        .signature = "upper(s)",
        .text = "The string in upper case by Unicode's full mapping, which knows no language: \xc3\x9f becomes SS.",
        .example_path = "/map",
        .example = "{\"function\": \"upper\", \"items\": [\"stra\xc3\x9f"
                   "e\", \"\xcf\x80\xce\xb7\"]}",
        .example_answer = "{\"results\":[\"STRASSE\",\"\xce\xa0\xce\x97\"]}",
        .least_args = 1,
        .most_args = 1,
    },
    {
        .name = "sha256",
        .signature = "sha256(s)",
        .text = "The SHA-256 of the string's UTF-8, in hexadecimal.",
        .example_path = "/map",
        .example = "{\"function\": \"sha256\", \"items\": [\"abc\"]}",
        .example_answer = "{\"results\":[\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"]}",
        .least_args = 1,
        .most_args = 1,
    },
    {
        .name = "levenshtein",
        .signature = "levenshtein(a, b)",
        .text = "How many code points to insert, delete or replace to make one string of the other.",
        .example_path = "/starmap",
        .example = "{\"function\": \"levenshtein\", \"items\": [[\"kitten\", \"sitting\"], [\"flaw\", \"lawn\"]]}",
        .example_answer = "{\"results\":[3,2]}",
        .least_args = 2,
        .most_args = 2,
    },
    {
        .name = "echo",
        .signature = "echo(x)",
        .text = "Its argument as it was written; only line breaks between tokens become spaces.",
        .example_path = "/map",
        .example = "{\"function\": \"echo\", \"items\": [0.1, 1e23, 9007199254740993, -0.0, \"\\u0041\"]}",
        .example_answer = "{\"results\":[0.1,1e23,9007199254740993,-0.0,\"\\u0041\"]}",
        .least_args = 1,
        .most_args = 1,
    },
    {
        .name = "sleep_ms",
        .signature = "sleep_ms(ms)",
        .text = "Sleeps so many milliseconds (0 to 10^9, fractions too) and returns the number.",
        .example_path = "/map",
        .example = "{\"function\": \"sleep_ms\", \"items\": [10, 2.5]}",
        .example_answer = "{\"results\":[10,2.5]}",
        .least_args = 1,
        .most_args = 1,
    },
    {
        .name = "crash",
        .signature = "crash(x)",
        .text = "A signal's name: the worker dies by it. true: by SIGSEGV. Anything else is returned.",
        .example_path = "/map",
        .example = "{\"function\": \"crash\", \"items\": [1, \"SIGABRT\", 3]}",
        .least_args = 1,
        .most_args = 1,
        .flags = NATIVE_DEMO,
    },
    {
        .name = "exit_code",
        .signature = "exit_code(x)",
        .text = "An integer from 0 to 255: the worker exits with it. What is no number is returned.",
        .example_path = "/map",
        .example = "{\"function\": \"exit_code\", \"items\": [null, 3, null]}",
        .least_args = 1,
        .most_args = 1,
        .flags = NATIVE_DEMO,
    },
    {
        .name = "hang",
        .signature = "hang(x)",
        .text = "true: waits for ever. Anything else is returned.",
        .example_path = "/map",
        .example = "{\"function\": \"hang\", \"items\": [1, true, 3], \"item_timeout_ms\": 200}",
        .least_args = 1,
        .most_args = 1,
        .flags = NATIVE_DEMO,
    },
    {
        .name = "spin",
        .signature = "spin(x)",
        .text =
            "A number: keeps the processor busy for so many milliseconds and returns it. true: for ever. Anything else "
            "is returned.",
        .example_path = "/map",
        .example = "{\"function\": \"spin\", \"items\": [1, 2.5, null]}",
        .example_answer = "{\"results\":[1,2.5,null]}",
        .least_args = 1,
        .most_args = 1,
        .flags = NATIVE_DEMO,
    },
    {
        .name = "leak",
        .signature = "leak(x)",
        .text = "An integer: takes and keeps so many MiB of memory and returns it. true: without end. Anything else is "
                "returned.",
        .example_path = "/map",
        .example = "{\"function\": \"leak\", \"items\": [1, 0, null]}",
        .example_answer = "{\"results\":[1,0,null]}",
        .least_args = 1,
        .most_args = 1,
        .flags = NATIVE_DEMO,
    },
    {
        .name = "dice",
        .signature = "dice()",
        .text = "Counts of the totals of a run of rolls, for POST /dice.",
        .example_path = "/dice",
        .example = "{\"rolls\": 100, \"dice\": 2, \"sides\": 6, \"seed\": 42}",
        .least_args = 0,
        .most_args = 0,
        .flags = NATIVE_HIDDEN | NATIVE_FOLD,
    },
};

#define ROWS (sizeof rows / sizeof *rows)

/* What is looked up for every request and every task, computed once. */
static struct {
    bool known;
    size_t lengths[ROWS];
    uint8_t hashes[ROWS][32];
} keys;

static void know_keys(void)
{
    static const char kind[] = "native";
    for (size_t i = 0; i < ROWS; i++) {
        struct sha256_ctx sha256;
        keys.lengths[i] = strlen(rows[i].name);
        sha256_init(&sha256);
        sha256_update(&sha256, sizeof kind, (const uint8_t *)kind);
        sha256_update(&sha256, keys.lengths[i], (const uint8_t *)rows[i].name);
        sha256_digest(&sha256, sizeof keys.hashes[i], keys.hashes[i]);
    }
    keys.known = true;
}

const struct native *catalog_row(size_t index)
{
    return index < ROWS ? &rows[index] : NULL;
}

const struct native *catalog_find(const char *name, size_t length)
{
    if (!keys.known)
        know_keys();
    for (size_t i = 0; i < ROWS; i++)
        if (keys.lengths[i] == length && memcmp(rows[i].name, name, length) == 0)
            return &rows[i];
    return NULL;
}

void catalog_hash(const struct native *native, uint8_t hash[32])
{
    if (!keys.known)
        know_keys();
    memcpy(hash, keys.hashes[native - rows], 32);
}

const struct native *catalog_by_hash(const uint8_t hash[32])
{
    if (!keys.known)
        know_keys();
    uint64_t start, other;
    memcpy(&start, hash, sizeof start);
    for (size_t i = 0; i < ROWS; i++) {
        memcpy(&other, keys.hashes[i], sizeof other);
        if (other == start && memcmp(keys.hashes[i], hash, 32) == 0)
            return &rows[i];
    }
    return NULL;
}
