/* cvt. Compiled once for each instruction set.
 *
 * In three steps over all lanes, so that the compiler can take several at a time: the source as a 64-bit
 * integer or a double (both exact), the conversion, the store for the lanes that are active. */
#include "simgpu/ptx_float.h"
#include "simgpu/ptx_ops_vector.h"

struct values {
    uint64_t integer[PTX_LANES];
    double number[PTX_LANES];
};

static void load_integers(const void *plane, enum ptx_type type, unsigned bits, uint64_t *out)
{
    uint64_t raw[PTX_LANES];
    for (unsigned lane = 0; lane < PTX_LANES; lane++)
        raw[lane] = bits == 16   ? ((const uint16_t *)plane)[lane]
                    : bits == 32 ? ((const uint32_t *)plane)[lane]
                                 : ((const uint64_t *)plane)[lane];
    switch (type) {
    case PTX_S8:
        for (unsigned lane = 0; lane < PTX_LANES; lane++)
            out[lane] = (uint64_t)(int64_t)(int8_t)raw[lane];
        break;
    case PTX_U8:
        for (unsigned lane = 0; lane < PTX_LANES; lane++)
            out[lane] = (uint8_t)raw[lane];
        break;
    case PTX_S16:
        for (unsigned lane = 0; lane < PTX_LANES; lane++)
            out[lane] = (uint64_t)(int64_t)(int16_t)raw[lane];
        break;
    case PTX_U16:
        for (unsigned lane = 0; lane < PTX_LANES; lane++)
            out[lane] = (uint16_t)raw[lane];
        break;
    case PTX_S32:
        for (unsigned lane = 0; lane < PTX_LANES; lane++)
            out[lane] = (uint64_t)(int64_t)(int32_t)raw[lane];
        break;
    case PTX_U32:
        for (unsigned lane = 0; lane < PTX_LANES; lane++)
            out[lane] = (uint32_t)raw[lane];
        break;
    default:
        memcpy(out, raw, sizeof raw);
    }
}

static void load_numbers(const void *plane, enum ptx_type type, bool ftz, double *out)
{
    for (unsigned lane = 0; lane < PTX_LANES; lane++) {
        if (type == PTX_F64)
            out[lane] = ((const double *)plane)[lane];
        else if (type == PTX_F32)
            out[lane] =
                (double)(ftz ? f32_flush(((const float *)plane)[lane]) : ((const float *)plane)[lane]);
        else
            out[lane] = half_value(((const uint16_t *)plane)[lane], type == PTX_BF16, false);
    }
}

static void store_integers(struct ptx_warp *w, const struct ptx_insn *i, const uint64_t *values,
                           unsigned bits)
{
    if (bits == 16) {
        uint16_t *d = PTX_PLANE(w, uint16_t, i->d);
        PTX_FOR_LANES(w->mask, d[lane] = (uint16_t)values[lane]);
    } else if (bits == 32) {
        uint32_t *d = PTX_PLANE(w, uint32_t, i->d);
        PTX_FOR_LANES(w->mask, d[lane] = (uint32_t)values[lane]);
    } else {
        uint64_t *d = PTX_PLANE(w, uint64_t, i->d);
        PTX_FOR_LANES(w->mask, d[lane] = values[lane]);
    }
}

static unsigned width_of(enum ptx_type type)
{
    switch (type) {
    case PTX_U8:
    case PTX_S8:
        return 8;
    case PTX_U16:
    case PTX_S16:
        return 16;
    case PTX_U32:
    case PTX_S32:
        return 32;
    default:
        return 64;
    }
}

static bool is_signed(enum ptx_type type)
{
    return type >= PTX_S8 && type <= PTX_S64;
}

static bool is_float(enum ptx_type type)
{
    return (type >= PTX_F16 && type <= PTX_F64) || type == PTX_TF32;
}

static uint64_t truncate_to(uint64_t value, enum ptx_type type)
{
    unsigned shift = 64 - width_of(type);
    return is_signed(type) ? (uint64_t)((int64_t)(value << shift) >> shift) : value << shift >> shift;
}

static uint64_t clamp_integer(uint64_t value, bool from_signed, enum ptx_type to)
{
    unsigned width = width_of(to);
    bool negative = from_signed && (int64_t)value < 0;
    if (is_signed(to)) {
        uint64_t most = (1ull << (width - 1)) - 1;
        if (negative)
            return (int64_t)value < -(int64_t)most - 1 ? ~most : value;
        return value > most ? most : value;
    }
    uint64_t most = width == 64 ? UINT64_MAX : (1ull << width) - 1;
    return negative ? 0 : value > most ? most : value;
}

static double round_integral(double value, enum ptx_rounding rounding)
{
    switch (rounding) {
    case PTX_RZI:
    case PTX_RZ:
        return trunc(value);
    case PTX_RMI:
    case PTX_RM:
        return floor(value);
    case PTX_RPI:
    case PTX_RP:
        return ceil(value);
    default:
        return rint(value);
    }
}

/* Clamped to what the type holds. NaN is zero, but the middle of the range when a 64-bit type takes part. */
static uint64_t integer_of(double value, enum ptx_type from, enum ptx_type to, enum ptx_rounding rounding)
{
    unsigned width = width_of(to);
    if (value != value)
        return from == PTX_F64 || width == 64 ? truncate_to(1ull << (width - 1), to) : 0;
    value = round_integral(value, rounding);
    if (is_signed(to)) {
        double limit = (double)(1ull << (width - 1));
        if (value >= limit)
            return (1ull << (width - 1)) - 1;
        if (value < -limit)
            return ~((1ull << (width - 1)) - 1);
        return (uint64_t)(int64_t)value;
    }
    double limit = width == 64 ? 0x1p64 : (double)(1ull << width);
    if (value <= 0.0)
        return 0;
    if (value >= limit)
        return width == 64 ? UINT64_MAX : (1ull << width) - 1;
    return (uint64_t)value;
}

/* An integer as a double, exact or rounded to odd, for rounding once more. */
static double odd_double(uint64_t value, bool from_signed)
{
    bool negative = from_signed && (int64_t)value < 0;
    uint64_t magnitude = negative ? 0 - value : value;
    if (magnitude >> 53) {
        uint64_t low = magnitude & 0xfff;
        magnitude = (magnitude & ~0xfffull) | (low ? 0x1000 : 0);
    }
    double result = (double)magnitude;
    return negative ? -result : result;
}

static uint64_t small_float(double value, enum ptx_type to, const struct ptx_insn *i)
{
    enum ptx_rounding rounding = (enum ptx_rounding)i->k[2];
    if (rounding >= PTX_RNI && rounding <= PTX_RPI)
        value = round_integral(value, rounding);
    if ((i->k[3] & PTX_FLOAT_RELU) && value <= 0.0)
        value = 0.0;
    if (i->k[3] & PTX_FLOAT_SAT)
        value = value > 0.0 ? (value < 1.0 ? value : 1.0) : 0.0;
    if (to == PTX_TF32)
        return (uint64_t)small_of(value, 10, 8, rounding) << 13;
    return half_of(value, to == PTX_BF16, rounding);
}

static uint64_t f32_finish(float narrow, const struct ptx_insn *i)
{
    if (i->k[3] & PTX_FLOAT_FTZ)
        narrow = f32_flush(narrow);
    if (i->k[3] & PTX_FLOAT_SAT)
        narrow = f32_saturate(narrow);
    return f32_canonical(narrow);
}

static void to_float(const struct ptx_insn *i, bool from_integer, bool from_signed, const struct values *in,
                     uint64_t *out)
{
    enum ptx_type from = (enum ptx_type)i->k[0], to = (enum ptx_type)i->k[1];
    enum ptx_rounding rounding = (enum ptx_rounding)i->k[2];
    bool integral = rounding >= PTX_RNI && rounding <= PTX_RPI;
    rounding_begin(i->k[2]);
    for (unsigned lane = 0; lane < PTX_LANES; lane++) {
        uint64_t whole = in->integer[lane];
        double value = in->number[lane];
        if (to == PTX_F64) {
            if (from_integer)
                value = from_signed ? (double)(int64_t)whole : (double)whole;
            else if (integral)
                value = round_integral(value, rounding);
            if (i->k[3] & PTX_FLOAT_SAT)
                value = value > 0.0 ? (value < 1.0 ? value : 1.0) : 0.0;
            out[lane] = value != value && from != PTX_F64 ? 0x7ff8000000000000ull : f64_bits(value);
        } else if (to == PTX_F32) {
            if (from_integer)
                out[lane] = f32_finish(from_signed ? (float)(int64_t)whole : (float)whole, i);
            else
                out[lane] = f32_finish((float)(integral ? round_integral(value, rounding) : value), i);
        } else {
            out[lane] = small_float(from_integer ? odd_double(whole, from_signed) : value, to, i);
        }
    }
    rounding_end(i->k[2]);
}

void PTX_RUN(CVT)(struct ptx_warp *w, const struct ptx_insn *i)
{
    struct values in = {0};
    uint64_t out[PTX_LANES];
    enum ptx_type from = (enum ptx_type)i->k[0], to = (enum ptx_type)i->k[1];
    const void *plane = w->regs + i->a;
    bool from_integer = !is_float(from);
    if (from_integer)
        load_integers(plane, from, i->k[4], in.integer);
    else
        load_numbers(plane, from, i->k[3] & PTX_FLOAT_FTZ, in.number);
    if (is_float(to)) {
        to_float(i, from_integer, is_signed(from), &in, out);
    } else if (from_integer) {
        for (unsigned lane = 0; lane < PTX_LANES; lane++) {
            uint64_t value = in.integer[lane];
            out[lane] =
                i->k[3] & PTX_FLOAT_SAT ? clamp_integer(value, is_signed(from), to) : truncate_to(value, to);
        }
    } else {
        for (unsigned lane = 0; lane < PTX_LANES; lane++)
            out[lane] = integer_of(in.number[lane], from, to, (enum ptx_rounding)i->k[2]);
    }
    store_integers(w, i, out, i->k[5]);
}

/* Two f32 into a pair: a is the upper half. */
void PTX_RUN(CVT_PACK)(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint32_t *d = PTX_PLANE(w, uint32_t, i->d);
    const float *a = PTX_PLANE(w, float, i->a), *b = PTX_PLANE(w, float, i->b);
    enum ptx_type to = i->k[1] == PTX_BF16X2 ? PTX_BF16 : PTX_F16;
    PTX_FOR_LANES(w->mask, uint32_t high = (uint32_t)small_float((double)a[lane], to, i);
                  d[lane] = high << 16 | (uint32_t)small_float((double)b[lane], to, i));
}
