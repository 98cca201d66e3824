/* f16 and bf16, alone and in pairs. Compiled once for each instruction set.
 *
 * Sums, products and fused products are formed in double precision without loss that matters and rounded
 * once, so they are what IEEE 754 defines. */
#include "simgpu/ptx_float.h"
#include "simgpu/ptx_ops_vector.h"

static uint16_t pick_half(uint16_t p, uint16_t q, bool max, uint8_t flags, bool bf16)
{
    uint16_t sign = (p ^ q) & 0x8000;
    if (flags & PTX_FLOAT_XORSIGN) {
        p &= 0x7fff;
        q &= 0x7fff;
    }
    bool ftz = flags & PTX_FLOAT_FTZ;
    double x = half_value(p, bf16, ftz), y = half_value(q, bf16, ftz), result;
    if (x != x || y != y)
        result = (flags & PTX_FLOAT_NAN) || (x != x && y != y) ? (double)NAN : x == x ? x : y;
    else if (x == y)
        result = (signbit(x) != 0) != max ? x : y;
    else
        result = (x < y) != max ? x : y;
    uint16_t bits = half_of(result, bf16, PTX_RN);
    return flags & PTX_FLOAT_XORSIGN && result == result ? bits | sign : bits;
}

static uint16_t finish_half(double value, uint8_t flags, bool bf16)
{
    if ((flags & PTX_FLOAT_RELU) && value < 0.0)
        value = 0.0;
    if (flags & PTX_FLOAT_SAT)
        value = value > 0.0 ? (value < 1.0 ? value : 1.0) : 0.0;
    uint16_t bits = half_of(value, bf16, PTX_RN);
    uint16_t exponent = bf16 ? 0x7f80 : 0x7c00;
    if ((flags & PTX_FLOAT_FTZ) && (bits & exponent) == 0)
        bits &= 0x8000;
    if ((flags & PTX_FLOAT_RELU) && bits == 0x8000)
        bits = 0;
    return bits;
}

static uint16_t apply_half(const struct ptx_insn *i, uint16_t p, uint16_t q, uint16_t r)
{
    uint8_t flags = i->k[3];
    bool bf16 = flags & PTX_FLOAT_BF16, ftz = flags & PTX_FLOAT_FTZ;
    double x = half_value(p, bf16, ftz), y = half_value(q, bf16, ftz), z = half_value(r, bf16, ftz);
    switch ((enum ptx_half)i->k[0]) {
    case PTX_HALF_ADD:
        return finish_half(sum_to_odd(x, y), flags, bf16);
    case PTX_HALF_SUB:
        return finish_half(sum_to_odd(x, -y), flags, bf16);
    case PTX_HALF_MUL:
        return finish_half(x * y, flags, bf16);
    case PTX_HALF_FMA:
        return finish_half(sum_to_odd(x * y, z), flags, bf16);
    case PTX_HALF_NEG:
        return (ftz && x == 0.0 ? p & 0x8000 : p) ^ 0x8000;
    case PTX_HALF_ABS:
        return ftz && x == 0.0 ? 0 : p & 0x7fff;
    case PTX_HALF_MIN:
        return pick_half(p, q, false, flags, bf16);
    case PTX_HALF_MAX:
        return pick_half(p, q, true, flags, bf16);
    case PTX_HALF_EX2:
        return finish_half(exp2(x), flags, bf16);
    case PTX_HALF_TANH:
        return finish_half(tanh(x), flags, bf16);
    default:
        return 0;
    }
}

static void run_half(struct ptx_warp *w, const struct ptx_insn *i)
{
    unsigned parts = i->k[3] & PTX_FLOAT_PACKED ? 2 : 1;
    uint16_t *d = PTX_PLANE(w, uint16_t, i->d);
    const uint16_t *a = PTX_PLANE(w, uint16_t, i->a);
    const uint16_t *b = i->b == PTX_PLANE_NONE ? a : PTX_PLANE(w, uint16_t, i->b);
    const uint16_t *c = i->c == PTX_PLANE_NONE ? a : PTX_PLANE(w, uint16_t, i->c);
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        for (unsigned part = lane * parts; part < (lane + 1) * parts; part++)
            d[part] = apply_half(i, a[part], b[part], c[part]);
    }
}

void PTX_RUN(HALF1)(struct ptx_warp *w, const struct ptx_insn *i)
{
    run_half(w, i);
}

void PTX_RUN(HALF2)(struct ptx_warp *w, const struct ptx_insn *i)
{
    run_half(w, i);
}

void PTX_RUN(HALF3)(struct ptx_warp *w, const struct ptx_insn *i)
{
    run_half(w, i);
}
