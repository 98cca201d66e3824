/* atom and red: real atomic operations on host memory, so that launches that run at once see each other. */
#include "simgpu/ptx_float.h"
#include "simgpu/ptx_ops_single.h"

enum { ORDER = __ATOMIC_SEQ_CST };

static uint32_t combine_32(enum ptx_atom atom, enum ptx_type type, uint32_t old, uint32_t b)
{
    bool sign = type == PTX_S32;
    switch (atom) {
    case PTX_ATOM_MIN:
        return (sign ? (int32_t)old < (int32_t)b : old < b) ? old : b;
    case PTX_ATOM_MAX:
        return (sign ? (int32_t)old > (int32_t)b : old > b) ? old : b;
    case PTX_ATOM_INC:
        return old >= b ? 0 : old + 1;
    case PTX_ATOM_DEC:
        return old == 0 || old > b ? b : old - 1;
    default: /* add of f32 */
        return f32_canonical(f32_of(old) + f32_of(b));
    }
}

static uint64_t combine_64(enum ptx_atom atom, enum ptx_type type, uint64_t old, uint64_t b)
{
    bool sign = type == PTX_S64;
    switch (atom) {
    case PTX_ATOM_MIN:
        return (sign ? (int64_t)old < (int64_t)b : old < b) ? old : b;
    case PTX_ATOM_MAX:
        return (sign ? (int64_t)old > (int64_t)b : old > b) ? old : b;
    default: /* add of f64 */
        return f64_bits(f64_of(old) + f64_of(b));
    }
}

static uint16_t combine_half(enum ptx_atom atom, bool bf16, uint16_t old, uint16_t b)
{
    double x = half_value(old, bf16, false), y = half_value(b, bf16, false);
    if (atom == PTX_ATOM_ADD)
        return half_of(sum_to_odd(x, y), bf16, PTX_RN);
    if (x != x)
        return b;
    if (y != y)
        return old;
    return (x < y) == (atom == PTX_ATOM_MIN) ? old : b;
}

static uint32_t combine_pair(enum ptx_atom atom, bool bf16, uint32_t old, uint32_t b)
{
    uint32_t low = combine_half(atom, bf16, (uint16_t)old, (uint16_t)b);
    return low | (uint32_t)combine_half(atom, bf16, (uint16_t)(old >> 16), (uint16_t)(b >> 16)) << 16;
}

static uint16_t atomic_16(enum ptx_atom atom, enum ptx_type type, uint16_t *place, uint16_t b, uint16_t swap)
{
    uint16_t old = __atomic_load_n(place, __ATOMIC_RELAXED);
    if (atom == PTX_ATOM_CAS) {
        old = b;
        __atomic_compare_exchange_n(place, &old, swap, false, ORDER, ORDER);
        return old;
    }
    while (!__atomic_compare_exchange_n(place, &old, combine_half(atom, type == PTX_BF16, old, b), false,
                                        ORDER, ORDER))
        continue;
    return old;
}

static uint32_t atomic_32(enum ptx_atom atom, enum ptx_type type, uint32_t *place, uint32_t b, uint32_t swap)
{
    bool pair = type == PTX_F16X2 || type == PTX_BF16X2;
    uint32_t old = b;
    switch (atom) {
    case PTX_ATOM_AND:
        return __atomic_fetch_and(place, b, ORDER);
    case PTX_ATOM_OR:
        return __atomic_fetch_or(place, b, ORDER);
    case PTX_ATOM_XOR:
        return __atomic_fetch_xor(place, b, ORDER);
    case PTX_ATOM_EXCH:
        return __atomic_exchange_n(place, b, ORDER);
    case PTX_ATOM_CAS:
        __atomic_compare_exchange_n(place, &old, swap, false, ORDER, ORDER);
        return old;
    case PTX_ATOM_ADD:
        if (!pair && type != PTX_F32)
            return __atomic_fetch_add(place, b, ORDER);
        break;
    default:
        break;
    }
    old = __atomic_load_n(place, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(
        place, &old, pair ? combine_pair(atom, type == PTX_BF16X2, old, b) : combine_32(atom, type, old, b),
        false, ORDER, ORDER))
        continue;
    return old;
}

static uint64_t atomic_64(enum ptx_atom atom, enum ptx_type type, uint64_t *place, uint64_t b, uint64_t swap)
{
    uint64_t old = b;
    switch (atom) {
    case PTX_ATOM_AND:
        return __atomic_fetch_and(place, b, ORDER);
    case PTX_ATOM_OR:
        return __atomic_fetch_or(place, b, ORDER);
    case PTX_ATOM_XOR:
        return __atomic_fetch_xor(place, b, ORDER);
    case PTX_ATOM_EXCH:
        return __atomic_exchange_n(place, b, ORDER);
    case PTX_ATOM_CAS:
        __atomic_compare_exchange_n(place, &old, swap, false, ORDER, ORDER);
        return old;
    case PTX_ATOM_ADD:
        if (type != PTX_F64)
            return __atomic_fetch_add(place, b, ORDER);
        break;
    default:
        break;
    }
    old = __atomic_load_n(place, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(place, &old, combine_64(atom, type, old, b), false, ORDER, ORDER))
        continue;
    return old;
}

#define RUN(BITS)                                                                                            \
    do {                                                                                                     \
        const uint##BITS##_t *b = PTX_PLANE(w, uint##BITS##_t, i->b);                                        \
        const uint##BITS##_t *c = i->c == PTX_PLANE_NONE ? b : PTX_PLANE(w, uint##BITS##_t, i->c);           \
        uint##BITS##_t *d = i->d == PTX_PLANE_NONE ? NULL : PTX_PLANE(w, uint##BITS##_t, i->d);              \
        for (uint32_t rest = w->mask; rest; rest &= rest - 1) {                                              \
            unsigned lane = (unsigned)__builtin_ctz(rest);                                                   \
            uint##BITS##_t old =                                                                             \
                atomic_##BITS(atom, type, (uint##BITS##_t *)(void *)pointers[lane], b[lane], c[lane]);       \
            if (d)                                                                                           \
                d[lane] = old;                                                                               \
        }                                                                                                    \
    } while (0)

void ptx_run_ATOM(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint8_t *pointers[PTX_LANES];
    enum ptx_type type = (enum ptx_type)i->k[1];
    enum ptx_atom atom = (enum ptx_atom)i->k[5];
    unsigned bytes = ptx_type_bytes[type];
    if (!ptx_memory_resolve(w, i, (enum ptx_space)i->k[0], i->a, i->k[4], i->imm, bytes, bytes, true,
                            pointers))
        return;
    if (bytes == 2)
        RUN(16);
    else if (bytes == 4)
        RUN(32);
    else
        RUN(64);
}
