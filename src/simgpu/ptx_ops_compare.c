/* setp: comparisons into predicates. Compiled once for each instruction set. */
#include "simgpu/ptx_float.h"
#include "simgpu/ptx_ops_vector.h"

static inline uint32_t combine(const struct ptx_insn *i, uint32_t outcome, uint32_t with)
{
    switch ((enum ptx_combine)i->k[0]) {
    case PTX_COMBINE_AND:
        return outcome & with;
    case PTX_COMBINE_OR:
        return outcome | with;
    case PTX_COMBINE_XOR:
        return outcome ^ with;
    default:
        return outcome;
    }
}

/* d gets the outcome combined with c, e its complement combined with c. */
static inline void store(struct ptx_warp *w, const struct ptx_insn *i, uint32_t outcome)
{
    uint32_t with = i->c == PTX_PLANE_NONE ? 0 : *PTX_PLANE(w, uint32_t, i->c);
    if (i->k[2])
        with = ~with;
    if (i->d != PTX_PLANE_NONE) {
        uint32_t *d = PTX_PLANE(w, uint32_t, i->d);
        *d = (*d & ~w->mask) | (combine(i, outcome, with) & w->mask);
    }
    if (i->e != PTX_PLANE_NONE) {
        uint32_t *e = PTX_PLANE(w, uint32_t, i->e);
        *e = (*e & ~w->mask) | (combine(i, ~outcome, with) & w->mask);
    }
}

/* All lanes are compared: those that are not active are dropped when storing. */
#define COMPARE(NAME, T, EXPRESSION)                                                                         \
    void PTX_RUN(SETP_##NAME)(struct ptx_warp * w, const struct ptx_insn *i)                                 \
    {                                                                                                        \
        const T *a = PTX_PLANE(w, T, i->a), *b = PTX_PLANE(w, T, i->b);                                      \
        uint32_t outcome = 0;                                                                                \
        for (unsigned lane = 0; lane < PTX_LANES; lane++) {                                                  \
            T x = a[lane], y = b[lane];                                                                      \
            outcome |= (uint32_t)(EXPRESSION) << lane;                                                       \
        }                                                                                                    \
        store(w, i, outcome);                                                                                \
    }

#define FOR_B(NAME, EXPRESSION)                                                                              \
    COMPARE(NAME##_16, uint16_t, EXPRESSION)                                                                 \
    COMPARE(NAME##_32, uint32_t, EXPRESSION)                                                                 \
    COMPARE(NAME##_64, uint64_t, EXPRESSION)
#define FOR_SU(NAME, EXPRESSION)                                                                             \
    COMPARE(NAME##_S16, int16_t, EXPRESSION)                                                                 \
    COMPARE(NAME##_S32, int32_t, EXPRESSION)                                                                 \
    COMPARE(NAME##_S64, int64_t, EXPRESSION)                                                                 \
    COMPARE(NAME##_U16, uint16_t, EXPRESSION)                                                                \
    COMPARE(NAME##_U32, uint32_t, EXPRESSION)                                                                \
    COMPARE(NAME##_U64, uint64_t, EXPRESSION)

FOR_B(EQ, x == y)
FOR_B(NE, x != y)
FOR_SU(LT, x < y)
FOR_SU(LE, x <= y)
FOR_SU(GT, x > y)
FOR_SU(GE, x >= y)

#define COMPARE_F32(NAME, EXPRESSION)                                                                        \
    void PTX_RUN(SETP_##NAME##_F32)(struct ptx_warp * w, const struct ptx_insn *i)                           \
    {                                                                                                        \
        const float *a = PTX_PLANE(w, float, i->a), *b = PTX_PLANE(w, float, i->b);                          \
        bool ftz = i->k[1] & PTX_FLOAT_FTZ;                                                                  \
        uint32_t outcome = 0;                                                                                \
        for (unsigned lane = 0; lane < PTX_LANES; lane++) {                                                  \
            float x = ftz ? f32_flush(a[lane]) : a[lane], y = ftz ? f32_flush(b[lane]) : b[lane];            \
            outcome |= (uint32_t)(EXPRESSION) << lane;                                                       \
        }                                                                                                    \
        store(w, i, outcome);                                                                                \
    }
#define FLOAT(NAME, EXPRESSION) COMPARE_F32(NAME, EXPRESSION) COMPARE(NAME##_F64, double, EXPRESSION)

/* The plain ones are false when an operand is NaN (ne too), the ones with u are true then. */
FLOAT(EQ, x == y)
FLOAT(NE, x<y || x> y)
FLOAT(LT, x < y)
FLOAT(LE, x <= y)
FLOAT(GT, x > y)
FLOAT(GE, x >= y)
FLOAT(EQU, !(x < y || x > y))
FLOAT(NEU, x != y)
FLOAT(LTU, !(x >= y))
FLOAT(LEU, !(x > y))
FLOAT(GTU, !(x <= y))
FLOAT(GEU, !(x < y))
FLOAT(ISNUM, x == x && y == y)
FLOAT(ISNAN, x != x || y != y)

static bool compare(enum ptx_compare how, double x, double y)
{
    switch (how) {
    case PTX_EQ:
        return x == y;
    case PTX_NE:
        return x < y || x > y;
    case PTX_LT:
        return x < y;
    case PTX_LE:
        return x <= y;
    case PTX_GT:
        return x > y;
    case PTX_GE:
        return x >= y;
    case PTX_EQU:
        return !(x < y || x > y);
    case PTX_NEU:
        return x != y;
    case PTX_LTU:
        return !(x >= y);
    case PTX_LEU:
        return !(x > y);
    case PTX_GTU:
        return !(x <= y);
    case PTX_GEU:
        return !(x < y);
    case PTX_NUM:
        return x == x && y == y;
    case PTX_NAN:
        return x != x || y != y;
    }
    return false;
}

static uint32_t compare_halves(struct ptx_warp *w, const struct ptx_insn *i, unsigned part, unsigned stride)
{
    const uint16_t *a = PTX_PLANE(w, uint16_t, i->a), *b = PTX_PLANE(w, uint16_t, i->b);
    bool bf16 = i->k[4], ftz = i->k[1] & PTX_FLOAT_FTZ;
    uint32_t outcome = 0;
    for (unsigned lane = 0; lane < PTX_LANES; lane++) {
        double x = half_value(a[lane * stride + part], bf16, ftz),
               y = half_value(b[lane * stride + part], bf16, ftz);
        outcome |= (uint32_t)compare((enum ptx_compare)i->k[3], x, y) << lane;
    }
    return outcome;
}

/* A pair gives two outcomes, of the low halves in d and of the high ones in e. */
void PTX_RUN(SETPH)(struct ptx_warp *w, const struct ptx_insn *i)
{
    if (!i->k[5]) {
        store(w, i, compare_halves(w, i, 0, 1));
        return;
    }
    uint32_t with = i->c == PTX_PLANE_NONE ? 0 : *PTX_PLANE(w, uint32_t, i->c);
    if (i->k[2])
        with = ~with;
    uint32_t places[2] = {i->d, i->e};
    for (unsigned part = 0; part < 2; part++) {
        if (places[part] == PTX_PLANE_NONE)
            continue;
        uint32_t *place = PTX_PLANE(w, uint32_t, places[part]);
        uint32_t outcome = combine(i, compare_halves(w, i, part, 2), with);
        *place = (*place & ~w->mask) | (outcome & w->mask);
    }
}
