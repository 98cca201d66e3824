/* alloca: from the top of each thread's local memory downwards, while calls take theirs from the bottom. */
#include "simgpu/ptx_ops_single.h"

void ptx_stack_measure(struct ptx_warp *w)
{
    w->stack_low = w->executor->local_bytes;
    for (unsigned lane = 0; lane < PTX_LANES; lane++)
        if (w->stack_top[lane] < w->stack_low)
            w->stack_low = w->stack_top[lane];
}

static bool take_stack(struct ptx_warp *w, const struct ptx_insn *i, unsigned lane, uint64_t size)
{
    uint64_t least = (uint64_t)w->frame->local_base + w->frame->function->local_bytes,
             top = w->stack_top[lane];
    if (size > top || top - size < least || ((top - size) & ~(i->imm - 1)) < least) {
        ptx_fault_raise(w, i, lane, PTX_FAULT_STACK_OVERFLOW, 0, 0, true);
        return false;
    }
    w->stack_top[lane] = (uint32_t)((top - size) & ~(i->imm - 1));
    return true;
}

static uint64_t operand(const struct ptx_warp *w, const struct ptx_insn *i, unsigned lane)
{
    if (i->a == PTX_PLANE_NONE)
        return 0;
    return i->k[4] ? PTX_PLANE(w, uint64_t, i->a)[lane] : PTX_PLANE(w, uint32_t, i->a)[lane];
}

void ptx_run_ALLOCA(struct ptx_warp *w, const struct ptx_insn *i)
{
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        uint64_t value = operand(w, i, lane);
        if (i->k[5] == PTX_ALLOCA_TAKE && !take_stack(w, i, lane, value))
            return;
        if (i->k[5] == PTX_ALLOCA_RESTORE && value <= w->executor->local_bytes)
            w->stack_top[lane] = (uint32_t)value;
        if (i->d != PTX_PLANE_NONE && i->k[4])
            PTX_PLANE(w, uint64_t, i->d)[lane] = w->stack_top[lane];
        else if (i->d != PTX_PLANE_NONE)
            PTX_PLANE(w, uint32_t, i->d)[lane] = w->stack_top[lane];
    }
    ptx_stack_measure(w);
}
