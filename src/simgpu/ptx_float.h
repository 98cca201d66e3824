/* Floating point as GPUs do it, where that differs from the host: flushed subnormals, canonical NaNs, half
 * precision, rounding per instruction. Private to the engine; included by files compiled twice, so all is
 * inline. */
#ifndef SIMGPU_PTX_FLOAT_H
#define SIMGPU_PTX_FLOAT_H

#include <fenv.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "simgpu/ptx_ops.h"

static inline uint32_t f32_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static inline float f32_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline uint64_t f64_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

static inline double f64_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

/* Subnormals become zero of the same sign. */
static inline float f32_flush(float value)
{
    uint32_t bits = f32_bits(value);
    return f32_of((bits & 0x7f800000) == 0 ? bits & 0x80000000 : bits);
}

/* Single precision has one NaN: 0x7fffffff. */
static inline uint32_t f32_canonical(float value)
{
    return value != value ? 0x7fffffffu : f32_bits(value);
}

/* NaN saturates to +0. */
static inline float f32_saturate(float value)
{
    return value > 0.0f ? (value < 1.0f ? value : 1.0f) : 0.0f;
}

static inline int rounding_of(enum ptx_rounding rounding)
{
    switch (rounding) {
    case PTX_RZ:
    case PTX_RZI:
        return FE_TOWARDZERO;
    case PTX_RM:
    case PTX_RMI:
        return FE_DOWNWARD;
    case PTX_RP:
    case PTX_RPI:
        return FE_UPWARD;
    default:
        return FE_TONEAREST;
    }
}

/* Around the instructions that do not round to nearest. */
static inline void rounding_begin(uint8_t rounding)
{
    if (rounding != PTX_RN && rounding != PTX_RNI)
        fesetround(rounding_of((enum ptx_rounding)rounding));
}

static inline void rounding_end(uint8_t rounding)
{
    if (rounding != PTX_RN && rounding != PTX_RNI)
        fesetround(FE_TONEAREST);
}

/* The value of an f16 or bf16, exact. */
static inline double half_value(uint16_t bits, bool bf16, bool ftz)
{
    if (bf16)
        return (double)f32_of((uint32_t)bits << 16);
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    if (exponent == 31)
        return (double)f32_of(sign | 0x7f800000 | fraction << 13);
    if (exponent != 0)
        return (double)f32_of(sign | (exponent + 112) << 23 | fraction << 13);
    double magnitude = ftz ? 0.0 : (double)fraction * 0x1p-24;
    return sign ? -magnitude : magnitude;
}

/* A double rounded to a small format (mantissa bits without the leading one, exponent bits), as its bits. NaN
 * becomes the canonical one: all bits but the sign set. */
static inline uint32_t small_of(double value, unsigned mantissa, unsigned exponent_bits,
                                enum ptx_rounding rounding)
{
    uint64_t bits = f64_bits(value);
    uint32_t sign = (uint32_t)(bits >> 63) << (mantissa + exponent_bits);
    int bias = (1 << (exponent_bits - 1)) - 1, exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    uint32_t infinity = ((1u << exponent_bits) - 1) << mantissa;
    if (value != value)
        return (1u << (mantissa + exponent_bits)) - 1;
    if (exponent == 1024)
        return sign | infinity;
    if (value == 0.0)
        return sign;
    uint64_t significand = 1ull << 52 | (bits & 0xfffffffffffffull);
    unsigned shift = 52 - mantissa;
    bool subnormal = exponent < 1 - bias;
    if (subnormal) {
        unsigned more = (unsigned)(1 - bias - exponent);
        shift = more > 62 - shift ? 62 : shift + more;
    }
    uint64_t kept = significand >> shift, rest = significand & ((1ull << shift) - 1),
             half = 1ull << (shift - 1);
    bool up;
    if (rounding == PTX_RZ)
        up = false;
    else if (rounding == PTX_RM)
        up = sign && rest;
    else if (rounding == PTX_RP)
        up = !sign && rest;
    else if (rounding == PTX_RNA)
        up = rest >= half;
    else
        up = rest > half || (rest == half && (kept & 1));
    kept += up;
    uint32_t result = subnormal
                          ? (uint32_t)kept
                          : ((uint32_t)(exponent + bias) << mantissa) + (uint32_t)(kept - (1ull << mantissa));
    if (result >= infinity) {
        bool to_infinity = rounding == PTX_RN || rounding == PTX_RNA || (rounding == PTX_RM && sign) ||
                           (rounding == PTX_RP && !sign);
        result = to_infinity ? infinity : infinity - 1;
    }
    return sign | result;
}

static inline uint16_t half_of(double value, bool bf16, enum ptx_rounding rounding)
{
    return (uint16_t)(bf16 ? small_of(value, 7, 8, rounding) : small_of(value, 10, 5, rounding));
}

/* x + y in double, where what does not fit is not rounded away but sets the last bit ("round to odd"), so
 * that rounding the result once more, to a much shorter format, is right. */
static inline double sum_to_odd(double x, double y)
{
    double sum = x + y;
    double part = sum - x, error = (x - (sum - part)) + (y - part);
    uint64_t bits = f64_bits(sum);
    if (!(error > 0.0 || error < 0.0) || isinf(sum) || (bits & 1))
        return sum;
    /* The true value lies between sum and a neighbour; both neighbours are odd. */
    return f64_of((error > 0.0) == (sum > 0.0) ? bits + 1 : bits - 1);
}

#endif
