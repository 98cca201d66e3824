/* Barriers that are objects in shared memory. What is in their 64 bits is ours to choose: how many arrivals
 * are still missing, how many a phase expects, and the number of the phase. A token is the object as it was
 * on arrival. */
#include "simgpu/ptx_ops_single.h"

enum { COUNT_BITS = 20 };
#define COUNT_MASK ((1ull << COUNT_BITS) - 1)

static uint64_t pack(uint64_t phase, uint64_t expected, uint64_t pending)
{
    return phase << (2 * COUNT_BITS) | (expected & COUNT_MASK) << COUNT_BITS | (pending & COUNT_MASK);
}

static uint64_t phase_of(uint64_t object)
{
    return object >> (2 * COUNT_BITS);
}

/* Arrivals beyond what is missing are undefined; here they end the phase. */
static uint64_t arrive(uint64_t object, uint64_t count, bool drop)
{
    uint64_t expected = object >> COUNT_BITS & COUNT_MASK, pending = object & COUNT_MASK;
    if (drop)
        expected -= count < expected ? count : expected;
    if (pending > count)
        return pack(phase_of(object), expected, pending - count);
    return pack(phase_of(object) + 1, expected, expected);
}

static bool is_over(const struct ptx_warp *w, const struct ptx_insn *i, unsigned lane, uint64_t object)
{
    if (i->k[5] == PTX_MBARRIER_PARITY)
        return (phase_of(object) & 1) != (PTX_PLANE(w, uint32_t, i->b)[lane] & 1);
    return phase_of(object) != phase_of(PTX_PLANE(w, uint64_t, i->b)[lane]);
}

static void run_lane(struct ptx_warp *w, const struct ptx_insn *i, unsigned lane, uint64_t *object)
{
    uint64_t count = 1;
    if (i->b != PTX_PLANE_NONE && i->k[1] == 32)
        count = PTX_PLANE(w, uint32_t, i->b)[lane] & COUNT_MASK;
    switch ((enum ptx_mbarrier)i->k[5]) {
    case PTX_MBARRIER_INIT:
        *object = pack(0, count, count);
        break;
    case PTX_MBARRIER_INVAL:
        *object = 0;
        break;
    case PTX_MBARRIER_ARRIVE:
    case PTX_MBARRIER_DROP:
        if (i->d != PTX_PLANE_NONE)
            PTX_PLANE(w, uint64_t, i->d)[lane] = *object;
        *object = arrive(*object, count, i->k[5] == PTX_MBARRIER_DROP);
        break;
    case PTX_MBARRIER_TEST:
    case PTX_MBARRIER_PARITY: {
        uint32_t *d = PTX_PLANE(w, uint32_t, i->d), over = is_over(w, i, lane, *object);
        *d = (*d & ~(1u << lane)) | over << lane;
        if (!over) { /* others are to come first */
            w->yields = true;
            w->stop = NULL;
        }
        break;
    }
    }
}

void ptx_run_MBARRIER(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint8_t *pointers[PTX_LANES];
    if (!ptx_memory_resolve(w, i, (enum ptx_space)i->k[0], i->a, i->k[4], i->imm, 8, 8, true, pointers))
        return;
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        run_lane(w, i, lane, (uint64_t *)(void *)pointers[lane]);
    }
}
