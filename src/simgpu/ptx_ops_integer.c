/* Integer arithmetic, logic and bits. Compiled once for each instruction set. */
#include "simgpu/ptx_ops_vector.h"

__extension__ typedef __int128 s128;
__extension__ typedef unsigned __int128 u128;

#define FOR_B(MACRO, NAME, EXPRESSION)                                                                       \
    MACRO(NAME##_16, uint16_t, uint16_t, EXPRESSION)                                                         \
    MACRO(NAME##_32, uint32_t, uint32_t, EXPRESSION)                                                         \
    MACRO(NAME##_64, uint64_t, uint64_t, EXPRESSION)
#define FOR_SU(MACRO, NAME, EXPRESSION)                                                                      \
    MACRO(NAME##_S16, int16_t, int16_t, EXPRESSION)                                                          \
    MACRO(NAME##_S32, int32_t, int32_t, EXPRESSION)                                                          \
    MACRO(NAME##_S64, int64_t, int64_t, EXPRESSION)                                                          \
    MACRO(NAME##_U16, uint16_t, uint16_t, EXPRESSION)                                                        \
    MACRO(NAME##_U32, uint32_t, uint32_t, EXPRESSION)                                                        \
    MACRO(NAME##_U64, uint64_t, uint64_t, EXPRESSION)

/* 16-bit operands become int, whose product could overflow: 1u makes it unsigned. */
FOR_B(PTX_BINARY, ADD, x + y)
FOR_B(PTX_BINARY, SUB, x - y)
FOR_B(PTX_BINARY, MUL, 1u * x * y)
FOR_B(PTX_TERNARY, MAD, 1u * x * y + z)
FOR_SU(PTX_BINARY, MIN, x < y ? x : y)
FOR_SU(PTX_BINARY, MAX, x > y ? x : y)
FOR_B(PTX_BINARY, AND, x &y)
FOR_B(PTX_BINARY, OR, x | y)
FOR_B(PTX_BINARY, XOR, x ^ y)
FOR_B(PTX_UNARY, NOT, ~x)
FOR_B(PTX_UNARY, CNOT, x == 0)
FOR_B(PTX_UNARY, NEG, 0u - x)
FOR_B(PTX_UNARY, MOV, x)
PTX_UNARY(ABS_16, uint16_t, uint16_t, x >> 15 ? 0u - x : x)
PTX_UNARY(ABS_32, uint32_t, uint32_t, x >> 31 ? 0u - x : x)
PTX_UNARY(ABS_64, uint64_t, uint64_t, x >> 63 ? 0u - x : x)

PTX_BINARY(MULHI_S16, int16_t, int16_t, (int32_t)x *y >> 16)
PTX_BINARY(MULHI_S32, int32_t, int32_t, (int64_t)x *y >> 32)
PTX_BINARY(MULHI_S64, int64_t, int64_t, (s128)x *y >> 64)
PTX_BINARY(MULHI_U16, uint16_t, uint16_t, (uint32_t)x *y >> 16)
PTX_BINARY(MULHI_U32, uint32_t, uint32_t, (uint64_t)x *y >> 32)
PTX_BINARY(MULHI_U64, uint64_t, uint64_t, (u128)x *y >> 64)
PTX_TERNARY(MADHI_S16, uint16_t, int16_t, (uint32_t)((int32_t)x *y >> 16) + (uint32_t)z)
PTX_TERNARY(MADHI_S32, uint32_t, int32_t, (uint32_t)((int64_t)x *y >> 32) + (uint32_t)z)
PTX_TERNARY(MADHI_S64, uint64_t, int64_t, (uint64_t)((s128)x *y >> 64) + (uint64_t)z)
PTX_TERNARY(MADHI_U16, uint16_t, uint16_t, ((uint32_t)x * y >> 16) + z)
PTX_TERNARY(MADHI_U32, uint32_t, uint32_t, (uint32_t)((uint64_t)x *y >> 32) + z)
PTX_TERNARY(MADHI_U64, uint64_t, uint64_t, (uint64_t)((u128)x *y >> 64) + z)
PTX_BINARY(MULWIDE_S16, int32_t, int16_t, (int32_t)x *y)
PTX_BINARY(MULWIDE_S32, int64_t, int32_t, (int64_t)x *y)
PTX_BINARY(MULWIDE_U16, uint32_t, uint16_t, (uint32_t)x *y)
PTX_BINARY(MULWIDE_U32, uint64_t, uint32_t, (uint64_t)x *y)

#define MADWIDE(NAME, D, W, T)                                                                               \
    void PTX_RUN(NAME)(struct ptx_warp * w, const struct ptx_insn *i)                                        \
    {                                                                                                        \
        D *d = PTX_PLANE(w, D, i->d);                                                                        \
        const T *a = PTX_PLANE(w, T, i->a), *b = PTX_PLANE(w, T, i->b);                                      \
        const D *c = PTX_PLANE(w, D, i->c);                                                                  \
        PTX_FOR_LANES(w->mask, d[lane] = (D)((W)a[lane] * b[lane]) + c[lane]);                               \
    }
MADWIDE(MADWIDE_S16, uint32_t, int32_t, int16_t)
MADWIDE(MADWIDE_S32, uint64_t, int64_t, int32_t)
MADWIDE(MADWIDE_U16, uint32_t, uint32_t, uint16_t)
MADWIDE(MADWIDE_U32, uint64_t, uint64_t, uint32_t)

/* Division by zero gives all ones and the dividend, as on hardware; the smallest number by -1 gives itself.
 */
#define DIVIDE(BITS)                                                                                         \
    PTX_BINARY(DIV_U##BITS, uint##BITS##_t, uint##BITS##_t, y == 0 ? UINT##BITS##_MAX : x / y)               \
    PTX_BINARY(REM_U##BITS, uint##BITS##_t, uint##BITS##_t, y == 0 ? x : x % y)                              \
    PTX_BINARY(DIV_S##BITS, int##BITS##_t, int##BITS##_t,                                                    \
               y == 0    ? -1                                                                                \
               : y == -1 ? (int##BITS##_t)(0 - (uint##BITS##_t)x)                                            \
                         : x / y)                                                                            \
    PTX_BINARY(REM_S##BITS, int##BITS##_t, int##BITS##_t, y == 0 ? x : y == -1 ? 0 : x % y)
DIVIDE(16)
DIVIDE(32)
DIVIDE(64)

/* c + |a - b| */
#define SAD(SUFFIX, T, U) PTX_TERNARY(SAD_##SUFFIX, U, T, (U)z + (x < y ? (U)y - (U)x : (U)x - (U)y))
SAD(S16, int16_t, uint16_t)
SAD(S32, int32_t, uint32_t)
SAD(S64, int64_t, uint64_t)
SAD(U16, uint16_t, uint16_t)
SAD(U32, uint32_t, uint32_t)
SAD(U64, uint64_t, uint64_t)

static inline int32_t saturate(int64_t value)
{
    return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32_t)value;
}
PTX_BINARY(ADDSAT_S32, int32_t, int32_t, saturate((int64_t)x + y))
PTX_BINARY(SUBSAT_S32, int32_t, int32_t, saturate((int64_t)x - y))
PTX_TERNARY(MADHISAT_S32, int32_t, int32_t, saturate(((int64_t)x * y >> 32) + z))

static inline uint32_t multiply_24(uint32_t x, uint32_t y, bool is_signed, bool high)
{
    uint64_t product;
    if (is_signed)
        product = (uint64_t)((int64_t)((int32_t)(x << 8) >> 8) * ((int32_t)(y << 8) >> 8));
    else
        product = (uint64_t)(x & 0xffffff) * (y & 0xffffff);
    return (uint32_t)(high ? product >> 16 : product);
}
PTX_BINARY(MUL24, uint32_t, uint32_t, multiply_24(x, y, i->k[0], i->k[1]))

/* ---- extended precision: the carry is a bit per lane ------------------------------------------- */

static inline void set_carry(struct ptx_warp *w, unsigned lane, bool carry)
{
    w->carry = (w->carry & ~(1u << lane)) | (uint32_t)carry << lane;
}

#define ADDC(NAME, T, WIDE)                                                                                  \
    void PTX_RUN(NAME)(struct ptx_warp * w, const struct ptx_insn *i)                                        \
    {                                                                                                        \
        T *d = PTX_PLANE(w, T, i->d);                                                                        \
        const T *a = PTX_PLANE(w, T, i->a), *b = PTX_PLANE(w, T, i->b);                                      \
        for (uint32_t rest = w->mask; rest; rest &= rest - 1) {                                              \
            unsigned lane = (unsigned)__builtin_ctz(rest);                                                   \
            WIDE in = i->k[0] & PTX_CARRY_IN ? w->carry >> lane & 1 : 0;                                     \
            WIDE sum =                                                                                       \
                i->k[0] & PTX_CARRY_SUBTRACT ? (WIDE)a[lane] - b[lane] - in : (WIDE)a[lane] + b[lane] + in;  \
            d[lane] = (T)sum;                                                                                \
            if (i->k[0] & PTX_CARRY_OUT)                                                                     \
                set_carry(w, lane, (sum >> (sizeof(T) * 8) & 1) != 0);                                       \
        }                                                                                                    \
    }
ADDC(ADDC_32, uint32_t, uint64_t)
ADDC(ADDC_64, uint64_t, u128)

#define MADC(NAME, T, S, WIDE, SWIDE)                                                                        \
    void PTX_RUN(NAME)(struct ptx_warp * w, const struct ptx_insn *i)                                        \
    {                                                                                                        \
        T *d = PTX_PLANE(w, T, i->d);                                                                        \
        const T *a = PTX_PLANE(w, T, i->a), *b = PTX_PLANE(w, T, i->b), *c = PTX_PLANE(w, T, i->c);          \
        for (uint32_t rest = w->mask; rest; rest &= rest - 1) {                                              \
            unsigned lane = (unsigned)__builtin_ctz(rest);                                                   \
            WIDE product = i->k[0] & PTX_CARRY_SIGNED ? (WIDE)((SWIDE)(S)a[lane] * (S)b[lane])               \
                                                      : (WIDE)a[lane] * b[lane];                             \
            WIDE part = (T)(i->k[0] & PTX_CARRY_HIGH ? product >> (sizeof(T) * 8) : product);                \
            WIDE sum = part + c[lane] + (i->k[0] & PTX_CARRY_IN ? w->carry >> lane & 1 : 0);                 \
            d[lane] = (T)sum;                                                                                \
            if (i->k[0] & PTX_CARRY_OUT)                                                                     \
                set_carry(w, lane, (sum >> (sizeof(T) * 8) & 1) != 0);                                       \
        }                                                                                                    \
    }
MADC(MADC_32, uint32_t, int32_t, uint64_t, int64_t)
MADC(MADC_64, uint64_t, int64_t, u128, s128)

/* ---- predicates: a bit per lane ---------------------------------------------------------------- */

#define PREDICATE(NAME, EXPRESSION)                                                                          \
    void PTX_RUN(NAME)(struct ptx_warp * w, const struct ptx_insn *i)                                        \
    {                                                                                                        \
        uint32_t *d = PTX_PLANE(w, uint32_t, i->d), x = *PTX_PLANE(w, uint32_t, i->a);                       \
        uint32_t y = i->b == PTX_PLANE_NONE ? 0 : *PTX_PLANE(w, uint32_t, i->b);                             \
        (void)y;                                                                                             \
        *d = (*d & ~w->mask) | ((EXPRESSION)&w->mask);                                                       \
    }
PREDICATE(AND_P, x &y)
PREDICATE(OR_P, x | y)
PREDICATE(XOR_P, x ^ y)
PREDICATE(NOT_P, ~x)
PREDICATE(MOV_P, x)

/* ---- shifts: amounts are not taken modulo the width -------------------------------------------- */

#define SHIFT(NAME, T, EXPRESSION)                                                                           \
    void PTX_RUN(NAME)(struct ptx_warp * w, const struct ptx_insn *i)                                        \
    {                                                                                                        \
        T *d = PTX_PLANE(w, T, i->d);                                                                        \
        const T *a = PTX_PLANE(w, T, i->a);                                                                  \
        const uint32_t *b = PTX_PLANE(w, uint32_t, i->b);                                                    \
        const uint32_t width = sizeof(T) * 8;                                                                \
        PTX_FOR_LANES(w->mask, T x = a[lane]; uint32_t y = b[lane]; d[lane] = (T)(EXPRESSION));              \
    }
SHIFT(SHL_16, uint16_t, y < width ? x << y : 0)
SHIFT(SHL_32, uint32_t, y < width ? x << y : 0)
SHIFT(SHL_64, uint64_t, y < width ? x << y : 0)
SHIFT(SHR_U16, uint16_t, y < width ? x >> y : 0)
SHIFT(SHR_U32, uint32_t, y < width ? x >> y : 0)
SHIFT(SHR_U64, uint64_t, y < width ? x >> y : 0)
SHIFT(SHR_S16, int16_t, x >> (y < width ? y : width - 1))
SHIFT(SHR_S32, int32_t, x >> (y < width ? y : width - 1))
SHIFT(SHR_S64, int64_t, x >> (y < width ? y : width - 1))

/* {b, a} shifted; left keeps the high word, right the low one. */
static inline uint32_t funnel(uint32_t low, uint32_t high, uint32_t amount, bool right, bool wrap)
{
    uint32_t shift = wrap ? amount & 31 : amount > 32 ? 32 : amount;
    uint64_t both = (uint64_t)high << 32 | low;
    if (right)
        return (uint32_t)(both >> shift);
    return shift == 32 ? low : (uint32_t)(both << shift >> 32);
}
PTX_TERNARY(SHF, uint32_t, uint32_t, funnel(x, y, z, i->k[0], i->k[1]))

static inline uint32_t logic3(uint32_t x, uint32_t y, uint32_t z, uint32_t table)
{
    uint32_t result = 0;
    if (table & 0x01)
        result |= ~x & ~y & ~z;
    if (table & 0x02)
        result |= ~x & ~y & z;
    if (table & 0x04)
        result |= ~x & y & ~z;
    if (table & 0x08)
        result |= ~x & y & z;
    if (table & 0x10)
        result |= x & ~y & ~z;
    if (table & 0x20)
        result |= x & ~y & z;
    if (table & 0x40)
        result |= x & y & ~z;
    if (table & 0x80)
        result |= x & y & z;
    return result;
}
PTX_TERNARY(LOP3, uint32_t, uint32_t, logic3(x, y, z, (uint32_t)i->imm))

/* ---- bytes ------------------------------------------------------------------------------------- */

static uint32_t permute(uint32_t x, uint32_t y, uint32_t control, enum ptx_prmt mode)
{
    static const uint8_t selectors[][4][4] = {
        [PTX_PRMT_F4E] = {{0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {3, 4, 5, 6}},
        [PTX_PRMT_B4E] = {{0, 7, 6, 5}, {1, 0, 7, 6}, {2, 1, 0, 7}, {3, 2, 1, 0}},
        [PTX_PRMT_RC8] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}},
        [PTX_PRMT_ECL] = {{0, 1, 2, 3}, {1, 1, 2, 3}, {2, 2, 2, 3}, {3, 3, 3, 3}},
        [PTX_PRMT_ECR] = {{0, 0, 0, 0}, {0, 1, 1, 1}, {0, 1, 2, 2}, {0, 1, 2, 3}},
        [PTX_PRMT_RC16] = {{0, 1, 0, 1}, {2, 3, 2, 3}, {0, 1, 0, 1}, {2, 3, 2, 3}},
    };
    uint64_t both = (uint64_t)y << 32 | x;
    uint32_t result = 0;
    for (unsigned byte = 0; byte < 4; byte++) {
        unsigned selector =
            mode == PTX_PRMT_INDEX ? control >> byte * 4 & 15 : selectors[mode][control & 3][byte];
        uint32_t value = (uint32_t)(both >> (selector & 7) * 8) & 0xff;
        if (selector & 8)
            value = value & 0x80 ? 0xff : 0;
        result |= value << byte * 8;
    }
    return result;
}
PTX_TERNARY(PRMT, uint32_t, uint32_t, permute(x, y, z, (enum ptx_prmt)i->k[0]))

static inline int32_t part_of(uint32_t value, unsigned bit, unsigned width, bool is_signed)
{
    uint32_t part = value >> bit & ((1u << width) - 1);
    return is_signed ? (int32_t)(part << (32 - width)) >> (32 - width) : (int32_t)part;
}

static inline uint32_t dot4(uint32_t x, uint32_t y, uint32_t z, bool x_signed, bool y_signed)
{
    for (unsigned bit = 0; bit < 32; bit += 8)
        z += (uint32_t)(part_of(x, bit, 8, x_signed) * part_of(y, bit, 8, y_signed));
    return z;
}
PTX_TERNARY(DP4A, uint32_t, uint32_t, dot4(x, y, z, i->k[0], i->k[1]))

static inline uint32_t dot2(uint32_t x, uint32_t y, uint32_t z, const uint8_t *k)
{
    for (unsigned part = 0; part < 2; part++)
        z += (uint32_t)(part_of(x, part * 16, 16, k[0]) * part_of(y, part * 8 + (k[2] ? 16 : 0), 8, k[1]));
    return z;
}
PTX_TERNARY(DP2A, uint32_t, uint32_t, dot2(x, y, z, i->k))

/* ---- bit fields -------------------------------------------------------------------------------- */

static inline uint64_t extract(uint64_t value, uint32_t position, uint32_t length, unsigned width,
                               bool is_signed)
{
    position &= 0xff;
    length &= 0xff;
    if (length == 0)
        return 0;
    uint64_t last = (uint64_t)position + length - 1;
    uint64_t sign = is_signed ? value >> (last < width ? last : width - 1) & 1 : 0;
    uint64_t field = position < width ? value >> position : 0;
    uint64_t have = position < width ? width - position : 0; /* bits that exist from position up */
    uint64_t keep = length < have ? length : have;
    uint64_t mask = keep >= 64 ? UINT64_MAX : (1ull << keep) - 1;
    return (field & mask) | (sign ? ~mask : 0);
}

#define BFE(SUFFIX, T, WIDTH, SIGNED)                                                                        \
    void PTX_RUN(BFE_##SUFFIX)(struct ptx_warp * w, const struct ptx_insn *i)                                \
    {                                                                                                        \
        T *d = PTX_PLANE(w, T, i->d);                                                                        \
        const T *a = PTX_PLANE(w, T, i->a);                                                                  \
        const uint32_t *b = PTX_PLANE(w, uint32_t, i->b), *c = PTX_PLANE(w, uint32_t, i->c);                 \
        PTX_FOR_LANES(w->mask, d[lane] = (T)extract(a[lane], b[lane], c[lane], WIDTH, SIGNED));              \
    }
BFE(U32, uint32_t, 32, false)
BFE(U64, uint64_t, 64, false)
BFE(S32, uint32_t, 32, true)
BFE(S64, uint64_t, 64, true)

static inline uint64_t insert(uint64_t from, uint64_t into, uint32_t position, uint32_t length,
                              unsigned width)
{
    position &= 0xff;
    length &= 0xff;
    if (position >= width || length == 0)
        return into;
    uint64_t mask = length >= 64 ? UINT64_MAX : (1ull << length) - 1;
    return (into & ~(mask << position)) | (from & mask) << position;
}

#define BFI(SUFFIX, T)                                                                                       \
    void PTX_RUN(BFI_##SUFFIX)(struct ptx_warp * w, const struct ptx_insn *i)                                \
    {                                                                                                        \
        T *d = PTX_PLANE(w, T, i->d);                                                                        \
        const T *a = PTX_PLANE(w, T, i->a), *b = PTX_PLANE(w, T, i->b);                                      \
        const uint32_t *c = PTX_PLANE(w, uint32_t, i->c), *e = PTX_PLANE(w, uint32_t, i->e);                 \
        PTX_FOR_LANES(w->mask, d[lane] = (T)insert(a[lane], b[lane], c[lane], e[lane], SUFFIX));             \
    }
BFI(32, uint32_t)
BFI(64, uint64_t)

/* Position of the highest bit that is not the sign; all ones when there is none. */
static inline uint32_t find_bit(uint64_t value, unsigned width, bool is_signed, bool amount)
{
    if (is_signed && value >> (width - 1) & 1)
        value = ~value & (width == 64 ? UINT64_MAX : (1ull << width) - 1);
    if (value == 0)
        return UINT32_MAX;
    uint32_t position = 63 - (uint32_t)__builtin_clzll(value);
    return amount ? width - 1 - position : position;
}
PTX_UNARY(BFIND_U32, uint32_t, uint32_t, find_bit(x, 32, false, i->k[0]))
PTX_UNARY(BFIND_S32, uint32_t, uint32_t, find_bit(x, 32, true, i->k[0]))
PTX_UNARY(BFIND_U64, uint32_t, uint64_t, find_bit(x, 64, false, i->k[0]))
PTX_UNARY(BFIND_S64, uint32_t, uint64_t, find_bit(x, 64, true, i->k[0]))

static inline uint64_t reverse(uint64_t x)
{
    x = __builtin_bswap64(x);
    x = (x & 0x0f0f0f0f0f0f0f0full) << 4 | (x >> 4 & 0x0f0f0f0f0f0f0f0full);
    x = (x & 0x3333333333333333ull) << 2 | (x >> 2 & 0x3333333333333333ull);
    return (x & 0x5555555555555555ull) << 1 | (x >> 1 & 0x5555555555555555ull);
}
PTX_UNARY(BREV_32, uint32_t, uint32_t, reverse(x) >> 32)
PTX_UNARY(BREV_64, uint64_t, uint64_t, reverse(x))
PTX_UNARY(POPC_32, uint32_t, uint32_t, __builtin_popcount(x))
PTX_UNARY(POPC_64, uint32_t, uint64_t, __builtin_popcountll(x))
PTX_UNARY(CLZ_32, uint32_t, uint32_t, x ? (uint32_t)__builtin_clz(x) : 32)
PTX_UNARY(CLZ_64, uint32_t, uint64_t, x ? (uint32_t)__builtin_clzll(x) : 64)

/* The offset-th set bit of the mask from base: forwards when positive, backwards when negative, base itself
 * when zero and set. */
static uint32_t find_nth(uint32_t mask, uint32_t base, int32_t offset)
{
    if (base > 31)
        return UINT32_MAX;
    if (offset == 0)
        return mask >> base & 1 ? base : UINT32_MAX;
    int step = offset > 0 ? 1 : -1;
    int64_t wanted = offset > 0 ? offset : -(int64_t)offset, seen = 0;
    for (int bit = (int)base; bit >= 0 && bit < 32; bit += step)
        if (mask >> bit & 1 && ++seen == wanted)
            return (uint32_t)bit;
    return UINT32_MAX;
}
PTX_TERNARY(FNS, uint32_t, uint32_t, find_nth(x, y, (int32_t)z))

static inline uint32_t bit_mask(uint32_t position, uint32_t length, bool wrap)
{
    position = wrap ? position & 31 : position > 32 ? 32 : position;
    length = wrap ? length & 31 : length > 32 ? 32 : length;
    uint64_t ones = (1ull << length) - 1;
    return (uint32_t)(ones << position);
}
PTX_BINARY(BMSK, uint32_t, uint32_t, bit_mask(x, y, i->k[0]))

static inline uint32_t extend(uint32_t value, uint32_t position, bool wrap, bool is_signed)
{
    if (wrap)
        position &= 31;
    if (position >= 32)
        return value;
    if (position == 0)
        return 0;
    uint32_t mask = (1u << position) - 1;
    bool sign = is_signed && value >> (position - 1) & 1;
    return (value & mask) | (sign ? ~mask : 0);
}
PTX_BINARY(SZEXT, uint32_t, uint32_t, extend(x, y, i->k[0], i->k[1]))

/* ---- two 16-bit numbers in a register ---------------------------------------------------------- */

#define X2(NAME, T, EXPRESSION)                                                                              \
    static inline uint32_t NAME##_pair(uint32_t p, uint32_t q)                                               \
    {                                                                                                        \
        uint32_t result = 0;                                                                                 \
        for (unsigned shift = 0; shift < 32; shift += 16) {                                                  \
            T x = (T)(p >> shift), y = (T)(q >> shift);                                                      \
            result |= (uint32_t)(uint16_t)(EXPRESSION) << shift;                                             \
        }                                                                                                    \
        return result;                                                                                       \
    }                                                                                                        \
    PTX_BINARY(NAME, uint32_t, uint32_t, NAME##_pair(x, y))
X2(ADD_X2, uint16_t, x + y)
X2(SUB_X2, uint16_t, x - y)
X2(MIN_S16X2, int16_t, x < y ? x : y)
X2(MAX_S16X2, int16_t, x > y ? x : y)
X2(MIN_U16X2, uint16_t, x < y ? x : y)
X2(MAX_U16X2, uint16_t, x > y ? x : y)
PTX_UNARY(NEG_X2, uint32_t, uint32_t, SUB_X2_pair(0, x))

static inline uint32_t differences(uint32_t x, uint32_t y, uint32_t z, const uint8_t *k)
{
    uint32_t bytes = 0, sum = z;
    for (unsigned bit = 0; bit < 32; bit += 8) {
        int32_t p = part_of(x, bit, 8, k[0]), q = part_of(y, bit, 8, k[1]);
        uint32_t difference = (uint32_t)(p > q ? p - q : q - p);
        bytes |= (difference & 0xff) << bit;
        sum += difference;
    }
    return k[2] ? sum : bytes;
}
PTX_TERNARY(VABSDIFF4, uint32_t, uint32_t, differences(x, y, z, i->k))

/* ---- selection --------------------------------------------------------------------------------- */

#define SELECT(BITS)                                                                                         \
    void PTX_RUN(SELP_##BITS)(struct ptx_warp * w, const struct ptx_insn *i)                                 \
    {                                                                                                        \
        uint##BITS##_t *d = PTX_PLANE(w, uint##BITS##_t, i->d);                                              \
        const uint##BITS##_t *a = PTX_PLANE(w, uint##BITS##_t, i->a),                                        \
                             *b = PTX_PLANE(w, uint##BITS##_t, i->b);                                        \
        uint32_t p = *PTX_PLANE(w, uint32_t, i->c);                                                          \
        PTX_FOR_LANES(w->mask, d[lane] = p >> lane & 1 ? a[lane] : b[lane]);                                 \
    }                                                                                                        \
    void PTX_RUN(SLCT_##BITS)(struct ptx_warp * w, const struct ptx_insn *i)                                 \
    {                                                                                                        \
        uint##BITS##_t *d = PTX_PLANE(w, uint##BITS##_t, i->d);                                              \
        const uint##BITS##_t *a = PTX_PLANE(w, uint##BITS##_t, i->a),                                        \
                             *b = PTX_PLANE(w, uint##BITS##_t, i->b);                                        \
        const uint32_t *c = PTX_PLANE(w, uint32_t, i->c);                                                    \
        PTX_FOR_LANES(w->mask, d[lane] = is_at_least_zero(c[lane], i->k[0], i->k[3]) ? a[lane] : b[lane]);   \
    }

/* As a float: -0.0 counts, NaN does not. */
static inline bool is_at_least_zero(uint32_t value, bool is_float, bool ftz)
{
    if (!is_float)
        return !(value >> 31);
    if ((value & 0x7fffffff) > 0x7f800000)
        return false;
    return !(value >> 31) || (value & 0x7fffffff) == 0 || (ftz && (value & 0x7f800000) == 0);
}
SELECT(16)
SELECT(32)
SELECT(64)

/* ---- packing, simple conversions --------------------------------------------------------------- */

#define PACK(NAME, W, T, COUNT)                                                                              \
    void PTX_RUN(PACK_##NAME)(struct ptx_warp * w, const struct ptx_insn *i)                                 \
    {                                                                                                        \
        W *d = PTX_PLANE(w, W, i->d);                                                                        \
        const uint32_t *list = w->frame->function->lists[i->imm];                                            \
        PTX_FOR_LANES(w->mask, W value = 0; for (unsigned part = 0; part < COUNT; part++) value |=           \
                                            (W)PTX_PLANE(w, T, list[part])[lane] << part * sizeof(T) * 8;    \
                      d[lane] = value);                                                                      \
    }                                                                                                        \
    void PTX_RUN(UNPACK_##NAME)(struct ptx_warp * w, const struct ptx_insn *i)                               \
    {                                                                                                        \
        W copy[PTX_LANES]; /* a part may be the source itself */                                             \
        memcpy(copy, PTX_PLANE(w, W, i->a), sizeof copy);                                                    \
        const uint32_t *list = w->frame->function->lists[i->imm];                                            \
        for (unsigned part = 0; part < COUNT; part++) {                                                      \
            if (list[part] == PTX_PLANE_NONE)                                                                \
                continue;                                                                                    \
            T *d = PTX_PLANE(w, T, list[part]);                                                              \
            PTX_FOR_LANES(w->mask, d[lane] = (T)(copy[lane] >> part * sizeof(T) * 8));                       \
        }                                                                                                    \
    }
PACK(16X2, uint32_t, uint16_t, 2)
PACK(16X4, uint64_t, uint16_t, 4)
PACK(32X2, uint64_t, uint32_t, 2)

PTX_UNARY(CVT_U64_U32, uint64_t, uint32_t, x)
PTX_UNARY(CVT_S64_S32, int64_t, int32_t, x)
PTX_UNARY(CVT_B32_B64, uint32_t, uint64_t, x)
