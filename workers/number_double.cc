// number_double: see number_double.h. The only C++ in the project, for the speed of these two functions alone.
#include "workers/number_double.h"

#include <charconv>
#if __has_include(<dragonbox/dragonbox.h>)
#include <dragonbox/dragonbox.h>
#endif

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

extern "C" const char *number_double_scan(const char *at, const char *end, double *value)
{
    auto result = std::from_chars(at, end, *value);
    return result.ec == std::errc() ? result.ptr : nullptr;
}

#if __has_include(<dragonbox/dragonbox.h>)
// Dragonbox (Jeon, 2022) finds the digits in a third of the time.
extern "C" uint64_t number_double_digits(double value, int *exponent)
{
    auto decimal = jkj::dragonbox::to_decimal(value);
    *exponent = decimal.exponent;
    return decimal.significand;
}
#else
extern "C" uint64_t number_double_digits(double value, int *exponent)
{
    char text[32]; // d.ddde+xx
    const char *end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
    uint64_t digits = 0;
    int behind = 0;
    bool fraction = false;
    const char *at = text;
    for (; *at != 'e'; at++) {
        fraction |= *at == '.';
        if (*at == '.')
            continue;
        digits = digits * 10 + static_cast<uint64_t>(*at - '0');
        behind += fraction;
    }
    at += at[1] == '+' ? 2 : 1;
    std::from_chars(at, end, *exponent);
    *exponent -= behind;
    return digits;
}
#endif
