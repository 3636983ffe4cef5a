// number_double: see number_double.h. The only C++ in the project, for the speed of these two functions alone.
#include "workers/number_double.h"

#include <charconv>
#include <cmath>
#include <cstring>
#if __has_include(<dragonbox/dragonbox.h>)
#include <dragonbox/dragonbox.h>
#endif

extern "C" {
#include "workers/number.h"
}

// from_chars() says "out of range" for too small as for too large. The decimal order of magnitude tells them apart: it
// is beyond ±300 then, so its sign is enough.
static bool too_large(const char *at, const char *end)
{
    long order = 0, exponent = 0;
    bool fraction = false, significant = false;
    for (at += *at == '-'; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.')
            fraction = true;
        else if (*at != '0')
            significant = true;
        if (*at != '.')
            order += significant ? !fraction : -fraction;
    }
    bool small = false;
    for (; at < end; at++) {
        small |= *at == '-';
        if (*at >= '0' && *at <= '9' && exponent < 1000000000000)
            exponent = exponent * 10 + (*at - '0');
    }
    return order + (small ? -exponent : exponent) > 0;
}

extern "C" bool number_double_read(const char *at, const char *end, double *value)
{
    if (std::from_chars(at, end, *value).ec == std::errc())
        return true;
    *value = *at == '-' ? -0.0 : 0.0;
    return !too_large(at, end);
}

#if __has_include(<dragonbox/dragonbox.h>)
// Dragonbox (Jeon, 2022) finds the digits in a third of the time.
extern "C" size_t number_double_shortest(double value, char *to)
{
    char *start = to, digits[NUMBER_TEXT_MAX];
    if (std::signbit(value))
        *to++ = '-';
    uint64_t significand = 0;
    int exponent = 0;
    if (value != 0) {
        auto decimal = jkj::dragonbox::to_decimal(value);
        significand = decimal.significand;
        exponent = decimal.exponent;
    }
    size_t count = number_print_uint64(significand, digits);
    exponent += static_cast<int>(count) - 1;
    *to++ = digits[0];
    if (count > 1) {
        *to++ = '.';
        memcpy(to, digits + 1, 16); // at most 17 digits, whatever is behind them
        to += count - 1;
    }
    *to++ = 'e';
    *to++ = exponent < 0 ? '-' : '+';
    unsigned size = static_cast<unsigned>(exponent < 0 ? -exponent : exponent);
    if (size >= 100)
        *to++ = static_cast<char>('0' + size / 100);
    *to++ = static_cast<char>('0' + size / 10 % 10);
    *to++ = static_cast<char>('0' + size % 10);
    return static_cast<size_t>(to - start);
}
#else
extern "C" size_t number_double_shortest(double value, char *to)
{
    return std::to_chars(to, to + NUMBER_SHORTEST_MAX, value, std::chars_format::scientific).ptr - to;
}
#endif
