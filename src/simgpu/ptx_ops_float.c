/* f32 and f64 arithmetic. Compiled once for each instruction set; without contraction, and with errno and
 * rounding left to us (-ffp-contract=off -fno-math-errno -frounding-math).
 *
 * Results that IEEE 754 defines are those, bit for bit. The approximations (.approx, .full) are computed in
 * double precision and rounded once: relative error at most 2^-23, better than the bounds PTX gives. */
#include "simgpu/ptx_float.h"
#include "simgpu/ptx_ops_vector.h"

/* ---- round to nearest, nothing else: the common ones ------------------------------------------- */

#define QUICK(NAME, EXPRESSION)                                                                              \
    void PTX_RUN(NAME##_F32)(struct ptx_warp * w, const struct ptx_insn *i)                                  \
    {                                                                                                        \
        uint32_t *d = PTX_PLANE(w, uint32_t, i->d);                                                          \
        const float *a = PTX_PLANE(w, float, i->a), *b = PTX_PLANE(w, float, i->b);                          \
        PTX_FOR_LANES(w->mask, float x = a[lane]; float y = b[lane]; d[lane] = f32_canonical(EXPRESSION));   \
    }                                                                                                        \
    PTX_BINARY(NAME##_F64, double, double, EXPRESSION)
QUICK(ADD, x + y)
QUICK(SUB, x - y)
QUICK(MUL, x *y)
QUICK(DIV, x / y)

void PTX_RUN(FMA_F32)(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint32_t *d = PTX_PLANE(w, uint32_t, i->d);
    const float *a = PTX_PLANE(w, float, i->a), *b = PTX_PLANE(w, float, i->b),
                *c = PTX_PLANE(w, float, i->c);
    PTX_FOR_LANES(w->mask, d[lane] = f32_canonical(fmaf(a[lane], b[lane], c[lane])));
}

PTX_TERNARY(FMA_F64, double, double, fma(x, y, z))

/* ---- with a rounding mode, .ftz, .sat ---------------------------------------------------------- */

static inline float in_f32(float value, uint8_t flags)
{
    return flags & PTX_FLOAT_FTZ ? f32_flush(value) : value;
}

static inline uint32_t out_f32(float value, uint8_t flags)
{
    if (flags & PTX_FLOAT_FTZ)
        value = f32_flush(value);
    if (flags & PTX_FLOAT_SAT)
        value = f32_saturate(value);
    return f32_canonical(value);
}

#define GENERAL_F32(NAME, EXPRESSION)                                                                        \
    void PTX_RUN(NAME##_F32_X)(struct ptx_warp * w, const struct ptx_insn *i)                                \
    {                                                                                                        \
        uint32_t *d = PTX_PLANE(w, uint32_t, i->d);                                                          \
        const float *a = PTX_PLANE(w, float, i->a), *b = PTX_PLANE(w, float, i->b);                          \
        const float *c = i->c == PTX_PLANE_NONE ? a : PTX_PLANE(w, float, i->c);                             \
        uint8_t flags = i->k[3];                                                                             \
        rounding_begin(i->k[2]);                                                                             \
        PTX_FOR_LANES(w->mask, float x = in_f32(a[lane], flags); float y = in_f32(b[lane], flags);           \
                      float z = in_f32(c[lane], flags); (void)z; d[lane] = out_f32(EXPRESSION, flags));      \
        rounding_end(i->k[2]);                                                                               \
    }
GENERAL_F32(ADD, x + y)
GENERAL_F32(SUB, x - y)
GENERAL_F32(MUL, x *y)
GENERAL_F32(DIV, x / y)
GENERAL_F32(FMA, fmaf(x, y, z))

#define GENERAL_F64(NAME, EXPRESSION)                                                                        \
    void PTX_RUN(NAME##_F64_X)(struct ptx_warp * w, const struct ptx_insn *i)                                \
    {                                                                                                        \
        double *d = PTX_PLANE(w, double, i->d);                                                              \
        const double *a = PTX_PLANE(w, double, i->a), *b = PTX_PLANE(w, double, i->b);                       \
        const double *c = i->c == PTX_PLANE_NONE ? a : PTX_PLANE(w, double, i->c);                           \
        rounding_begin(i->k[2]);                                                                             \
        PTX_FOR_LANES(w->mask, double x = a[lane]; double y = b[lane]; double z = c[lane]; (void)z;          \
                      d[lane] = EXPRESSION);                                                                 \
        rounding_end(i->k[2]);                                                                               \
    }
GENERAL_F64(ADD, x + y)
GENERAL_F64(SUB, x - y)
GENERAL_F64(MUL, x *y)
GENERAL_F64(DIV, x / y)
GENERAL_F64(FMA, fma(x, y, z))

/* ---- min and max: -0 is less than +0, NaN gives way to a number unless .NaN -------------------- */

static inline uint32_t pick_f32(float x, float y, bool max, uint8_t flags)
{
    uint32_t sign = (f32_bits(x) ^ f32_bits(y)) & 0x80000000;
    x = in_f32(x, flags);
    y = in_f32(y, flags);
    if (flags & PTX_FLOAT_XORSIGN) {
        x = f32_of(f32_bits(x) & 0x7fffffff);
        y = f32_of(f32_bits(y) & 0x7fffffff);
    }
    float result;
    if (x != x || y != y)
        result = (flags & PTX_FLOAT_NAN) || x == x ? ((flags & PTX_FLOAT_NAN) ? NAN : x) : y;
    else if (x == y)
        result = f32_of(max ? f32_bits(x) & f32_bits(y) : f32_bits(x) | f32_bits(y));
    else
        result = (x < y) != max ? x : y;
    uint32_t bits = f32_canonical(result);
    return flags & PTX_FLOAT_XORSIGN && result == result ? bits | sign : bits;
}

static inline double pick_f64(double x, double y, bool max)
{
    if (x != x)
        return y;
    if (y != y)
        return x;
    if (x == y)
        return f64_of(max ? f64_bits(x) & f64_bits(y) : f64_bits(x) | f64_bits(y));
    return (x < y) != max ? x : y;
}

PTX_BINARY(MIN_F32, uint32_t, float, pick_f32(x, y, false, i->k[3]))
PTX_BINARY(MAX_F32, uint32_t, float, pick_f32(x, y, true, i->k[3]))
PTX_BINARY(MIN_F64, double, double, pick_f64(x, y, false))
PTX_BINARY(MAX_F64, double, double, pick_f64(x, y, true))

/* ---- signs ------------------------------------------------------------------------------------- */

static inline uint32_t flush_bits(uint32_t bits, uint8_t flags)
{
    return (flags & PTX_FLOAT_FTZ) && (bits & 0x7f800000) == 0 ? bits & 0x80000000 : bits;
}

PTX_UNARY(ABS_F32, uint32_t, uint32_t, flush_bits(x, i->k[3]) & 0x7fffffff)
PTX_UNARY(NEG_F32, uint32_t, uint32_t, flush_bits(x, i->k[3]) ^ 0x80000000)
PTX_UNARY(ABS_F64, uint64_t, uint64_t, x & ~(1ull << 63))
PTX_UNARY(NEG_F64, uint64_t, uint64_t, x ^ 1ull << 63)
PTX_BINARY(COPYSIGN_F32, uint32_t, uint32_t, (x & 0x80000000) | (y & 0x7fffffff))
PTX_BINARY(COPYSIGN_F64, uint64_t, uint64_t, (x & 1ull << 63) | (y & ~(1ull << 63)))

/* ---- kinds of numbers
 * --------------------------------------------------------------------------------------- */

static bool is_kind(enum ptx_testp kind, uint64_t exponent, uint64_t most, uint64_t fraction)
{
    switch (kind) {
    case PTX_TESTP_FINITE:
        return exponent != most;
    case PTX_TESTP_INFINITE:
        return exponent == most && !fraction;
    case PTX_TESTP_NUMBER:
        return exponent != most || !fraction;
    case PTX_TESTP_NAN:
        return exponent == most && fraction;
    case PTX_TESTP_NORMAL:
        return exponent != most && exponent != 0;
    case PTX_TESTP_SUBNORMAL:
        return exponent == 0 && fraction;
    }
    return false;
}

static void store_predicate(struct ptx_warp *w, const struct ptx_insn *i, uint32_t outcome)
{
    uint32_t *d = PTX_PLANE(w, uint32_t, i->d);
    *d = (*d & ~w->mask) | (outcome & w->mask);
}

void PTX_RUN(TESTP_F32)(struct ptx_warp *w, const struct ptx_insn *i)
{
    const uint32_t *a = PTX_PLANE(w, uint32_t, i->a);
    uint32_t outcome = 0;
    for (unsigned lane = 0; lane < PTX_LANES; lane++)
        outcome |= (uint32_t)is_kind((enum ptx_testp)i->k[0], a[lane] >> 23 & 0xff, 0xff, a[lane] & 0x7fffff)
                   << lane;
    store_predicate(w, i, outcome);
}

void PTX_RUN(TESTP_F64)(struct ptx_warp *w, const struct ptx_insn *i)
{
    const uint64_t *a = PTX_PLANE(w, uint64_t, i->a);
    uint32_t outcome = 0;
    for (unsigned lane = 0; lane < PTX_LANES; lane++)
        outcome |= (uint32_t)is_kind((enum ptx_testp)i->k[0], a[lane] >> 52 & 0x7ff, 0x7ff,
                                     a[lane] & 0xfffffffffffffull)
                   << lane;
    store_predicate(w, i, outcome);
}

/* ---- functions
 * ------------------------------------------------------------------------------------------------ */

static float math_f32(enum ptx_math math, float x)
{
    double wide = (double)x;
    switch (math) {
    case PTX_MATH_RCP:
    case PTX_MATH_RCP_APPROX:
        return 1.0f / x;
    case PTX_MATH_SQRT:
        return sqrtf(x);
    case PTX_MATH_RSQRT:
    case PTX_MATH_RSQRT_APPROX:
        return (float)(1.0 / sqrt(wide));
    case PTX_MATH_SIN:
        return (float)sin(wide);
    case PTX_MATH_COS:
        return (float)cos(wide);
    case PTX_MATH_EX2:
        return (float)exp2(wide);
    case PTX_MATH_LG2:
        return (float)log2(wide);
    case PTX_MATH_TANH:
        return (float)tanh(wide);
    }
    return x;
}

void PTX_RUN(MATH_F32)(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint32_t *d = PTX_PLANE(w, uint32_t, i->d);
    const float *a = PTX_PLANE(w, float, i->a);
    uint8_t flags = i->k[3];
    enum ptx_math math = (enum ptx_math)i->k[0];
    rounding_begin(i->k[2]);
    if (math == PTX_MATH_RCP)
        PTX_FOR_LANES(w->mask, d[lane] = out_f32(1.0f / in_f32(a[lane], flags), flags));
    else if (math == PTX_MATH_SQRT)
        PTX_FOR_LANES(w->mask, d[lane] = out_f32(sqrtf(in_f32(a[lane], flags)), flags));
    else
        for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
            unsigned lane = (unsigned)__builtin_ctz(rest);
            d[lane] = out_f32(math_f32(math, in_f32(a[lane], flags)), flags);
        }
    rounding_end(i->k[2]);
}

/* The approximations in double precision give the upper half of the result and flush subnormals. */
static double approximate_f64(enum ptx_math math, double x)
{
    if ((f64_bits(x) & 0x7ff0000000000000ull) == 0)
        x = f64_of(f64_bits(x) & 1ull << 63);
    double result = math == PTX_MATH_RCP_APPROX ? 1.0 / x : 1.0 / sqrt(x);
    if (result != result)
        return f64_of(0x7fffffff00000000ull);
    uint64_t bits = f64_bits(result);
    return f64_of((bits & 0x7ff0000000000000ull) == 0 ? bits & 1ull << 63 : bits & ~0xffffffffull);
}

void PTX_RUN(MATH_F64)(struct ptx_warp *w, const struct ptx_insn *i)
{
    double *d = PTX_PLANE(w, double, i->d);
    const double *a = PTX_PLANE(w, double, i->a);
    enum ptx_math math = (enum ptx_math)i->k[0];
    rounding_begin(i->k[2]);
    if (math == PTX_MATH_RCP)
        PTX_FOR_LANES(w->mask, d[lane] = 1.0 / a[lane]);
    else if (math == PTX_MATH_SQRT)
        PTX_FOR_LANES(w->mask, d[lane] = sqrt(a[lane]));
    else
        PTX_FOR_LANES(w->mask, d[lane] = approximate_f64(math, a[lane]));
    rounding_end(i->k[2]);
}
