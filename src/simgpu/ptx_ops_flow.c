/* Branches, calls, barriers. */
#include <string.h>

#include "base/clock.h"
#include "simgpu/ptx_ops_single.h"

static uint32_t predicate(const struct ptx_warp *w, const struct ptx_insn *i, uint32_t plane, bool complement)
{
    uint32_t value = *PTX_PLANE(w, uint32_t, plane);
    return complement ? ~value : value;
}

static const struct ptx_insn *target_of(const struct ptx_insn *i)
{
    return (const struct ptx_insn *)(uintptr_t)i->imm;
}

/* ---- branches ---------------------------------------------------------------------------------- */

void ptx_run_BRA(struct ptx_warp *w, const struct ptx_insn *i)
{
    w->pc = target_of(i);
}

void ptx_run_BRA_IF(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint32_t taken = w->mask & predicate(w, i, i->a, i->k[0]);
    const struct ptx_insn *target = target_of(i);
    if (taken == 0)
        return;
    if (taken == w->mask || target == i + 1) {
        w->pc = target;
        return;
    }
    /* The lanes that are further behind go on. */
    uint32_t others = w->mask & ~taken;
    if (target > i) {
        w->mask = others;
        ptx_warp_add(w, target, w->frame, taken);
    } else {
        w->mask = taken;
        w->pc = target;
        ptx_warp_add(w, i + 1, w->frame, others);
    }
}

void ptx_run_BRX(struct ptx_warp *w, const struct ptx_insn *i)
{
    const struct ptx_function *function = w->frame->function;
    const uint32_t *targets = function->lists[(uint32_t)i->imm], *index = PTX_PLANE(w, uint32_t, i->a);
    uint32_t count = (uint32_t)(i->imm >> 32), rest = w->mask;
    w->mask = 0;
    while (rest) {
        unsigned first = (unsigned)__builtin_ctz(rest);
        uint32_t same = 0;
        for (uint32_t lanes = rest; lanes; lanes &= lanes - 1) {
            unsigned lane = (unsigned)__builtin_ctz(lanes);
            same |= (uint32_t)(index[lane] == index[first]) << lane;
        }
        rest &= ~same;
        if (index[first] >= count) {
            ptx_fault_raise(w, i, first, PTX_FAULT_ILLEGAL_INSTRUCTION, 0, 0, false);
            return;
        }
        ptx_warp_add(w, &function->code[targets[index[first]]], w->frame, same);
    }
    w->stop = NULL;
}

void ptx_run_GUARD(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint32_t mask = w->mask, pass = mask & predicate(w, i, i->a, i->k[0]);
    w->pc = i + 2;
    if (!pass)
        return;
    w->mask = pass;
    i[1].run(w, i + 1);
    w->mask = mask;
}

void ptx_run_EXIT(struct ptx_warp *w, const struct ptx_insn *i)
{
    ptx_warp_exit(w);
}

/* After the last instruction of a function: as ret. */
void ptx_run_END(struct ptx_warp *w, const struct ptx_insn *i)
{
    ptx_run_RET(w, i);
}

void ptx_run_TRAP(struct ptx_warp *w, const struct ptx_insn *i)
{
    ptx_fault_raise(w, i, (unsigned)__builtin_ctz(w->mask), PTX_FAULT_TRAP, 0, 0, false);
}

void ptx_run_NANOSLEEP(struct ptx_warp *w, const struct ptx_insn *i)
{
    w->yields = true;
    w->stop = NULL;
}

/* ---- calls ------------------------------------------------------------------------------------- */

static uint8_t *local_place(struct ptx_warp *w, const struct ptx_frame *frame, unsigned lane, uint32_t place)
{
    return w->local + (size_t)lane * w->executor->local_bytes + frame->local_base + place;
}

/* One value from a frame to another, in bytes of local memory or in a register on either side. */
static void pass_value(struct ptx_warp *w, struct ptx_frame *from, bool from_register, uint32_t from_place,
                       struct ptx_frame *to, bool to_register, uint32_t to_place, uint32_t bytes)
{
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        const uint8_t *source = from_register ? from->regs + from_place + (size_t)lane * bytes
                                              : local_place(w, from, lane, from_place);
        uint8_t *out =
            to_register ? to->regs + to_place + (size_t)lane * bytes : local_place(w, to, lane, to_place);
        memcpy(out, source, bytes);
    }
}

static bool shape_fits(const struct ptx_actual *actuals, size_t count, const struct ptx_formal *formals,
                       size_t expected)
{
    if (count != expected)
        return false;
    for (size_t n = 0; n < count; n++)
        if (actuals[n].bytes != formals[n].bytes)
            return false;
    return true;
}

static void enter(struct ptx_warp *w, const struct ptx_insn *i, const struct ptx_function *callee)
{
    struct ptx_frame *caller = w->frame;
    const struct ptx_call *call = &caller->function->calls[i->imm >> 32];
    unsigned first = (unsigned)__builtin_ctz(w->mask);
    if (callee->builtin && !callee->code) {
        ptx_builtin_call(w, i, callee, call);
        return;
    }
    uint64_t local_base = (uint64_t)caller->local_base + caller->function->local_bytes;
    if (local_base + callee->local_bytes > w->stack_low || caller->depth >= PTX_MAX_DEPTH) {
        ptx_fault_raise(w, i, first, PTX_FAULT_STACK_OVERFLOW, 0, 0, true);
        return;
    }
    struct ptx_frame *frame = ptx_frame_take(w, callee);
    if (!frame) {
        ptx_fault_raise(w, i, first, PTX_FAULT_NO_MEMORY, 0, 0, false);
        return;
    }
    frame->parent = caller;
    frame->depth = caller->depth + 1;
    frame->local_base = (uint32_t)local_base;
    frame->lanes = w->mask;
    frame->return_to = w->pc;
    frame->call = call;
    if (callee->uses_alloca)
        memcpy(frame->saved_top, w->stack_top, sizeof frame->saved_top);
    for (size_t n = 0; n < call->argument_count; n++)
        pass_value(w, caller, call->arguments[n].is_register, call->arguments[n].place, frame,
                   callee->params[n].is_register, callee->params[n].place, call->arguments[n].bytes);
    w->frame = frame;
    w->regs = frame->regs;
    w->pc = callee->code;
    if (w->fragment_count)
        w->stop = NULL;
}

void ptx_run_CALL(struct ptx_warp *w, const struct ptx_insn *i)
{
    enter(w, i, w->executor->module->functions[(uint32_t)i->imm]);
}

/* Lanes that call something else than the first one does come again. */
void ptx_run_CALL_POINTER(struct ptx_warp *w, const struct ptx_insn *i)
{
    const struct ptx_module *module = w->executor->module;
    const uint64_t *address = PTX_PLANE(w, uint64_t, i->a);
    unsigned first = (unsigned)__builtin_ctz(w->mask);
    uint64_t index = (address[first] - PTX_WINDOW_FUNCTION) / 16 - 1;
    const struct ptx_function *callee = index < module->function_count ? module->functions[index] : NULL;
    const struct ptx_call *call = &w->frame->function->calls[i->imm >> 32];
    bool fits = callee && !callee->is_kernel && callee->code &&
                address[first] == ptx_function_address(callee) &&
                shape_fits(call->arguments, call->argument_count, callee->params, callee->param_count) &&
                shape_fits(call->results, call->result_count, callee->results, callee->result_count);
    if (!fits) {
        ptx_fault_raise(w, i, first, PTX_FAULT_ILLEGAL_INSTRUCTION, address[first], 0, false);
        return;
    }
    uint32_t same = 0;
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        same |= (uint32_t)(address[lane] == address[first]) << lane;
    }
    uint32_t others = w->mask & ~same;
    w->mask = same;
    if (others)
        ptx_warp_add(w, i, w->frame, others);
    enter(w, i, callee);
}

void ptx_run_RET(struct ptx_warp *w, const struct ptx_insn *i)
{
    struct ptx_frame *frame = w->frame, *caller = frame->parent;
    if (!caller) {
        ptx_warp_exit(w);
        return;
    }
    const struct ptx_function *function = frame->function;
    for (size_t n = 0; n < frame->call->result_count; n++) {
        const struct ptx_actual *result = &frame->call->results[n];
        pass_value(w, frame, function->results[n].is_register, function->results[n].place, caller,
                   result->is_register, result->place, result->bytes);
    }
    if (function->uses_alloca) {
        PTX_FOR_LANES(w->mask, w->stack_top[lane] = frame->saved_top[lane]);
        ptx_stack_measure(w);
    }
    w->pc = frame->return_to;
    w->frame = caller;
    w->regs = caller->regs;
    frame->lanes &= ~w->mask;
    if (!frame->lanes)
        ptx_frame_release(w->executor, frame);
    if (w->fragment_count)
        w->stop = NULL;
}

/* ---- barriers of the block --------------------------------------------------------------------- */

static void deliver(struct ptx_fragment *fragment, const struct ptx_barrier_state *barrier)
{
    const struct ptx_insn *i = fragment->pc;
    uint32_t *d = (uint32_t *)(void *)(fragment->frame->regs + (i->d == PTX_PLANE_NONE ? 0 : i->d));
    uint32_t outcome = i->k[0] == PTX_BARRIER_AND ? barrier->all : barrier->popc != 0;
    if (i->k[0] == PTX_BARRIER_POPC)
        PTX_FOR_LANES(fragment->mask, d[lane] = barrier->popc);
    else if (i->k[0] != PTX_BARRIER_SYNC)
        *d = (*d & ~fragment->mask) | (outcome ? fragment->mask : 0);
    fragment->pc++;
    fragment->state = PTX_FRAGMENT_READY;
}

static void complete_if_full(struct ptx_block *block, unsigned number)
{
    struct ptx_barrier_state *barrier = &block->barriers[number];
    if (barrier->arrived == 0 || barrier->arrived < (barrier->expected ? barrier->expected : block->live))
        return;
    unsigned warps = (block->warps[0].executor->threads + PTX_LANES - 1) / PTX_LANES;
    for (unsigned n = 0; n < warps; n++) {
        struct ptx_warp *w = &block->warps[n];
        for (unsigned f = 0; f < w->fragment_count; f++)
            if (w->fragments[f].state == PTX_FRAGMENT_AT_BARRIER && w->fragments[f].barrier == number)
                deliver(&w->fragments[f], barrier);
    }
    *barrier = (struct ptx_barrier_state){.all = 1};
    block->barriers_in_use &= ~(1u << number);
}

void ptx_barrier_check_all(struct ptx_block *block)
{
    for (uint32_t rest = block->barriers_in_use; rest; rest &= rest - 1)
        complete_if_full(block, (unsigned)__builtin_ctz(rest));
}

void ptx_run_BAR(struct ptx_warp *w, const struct ptx_insn *i)
{
    unsigned first = (unsigned)__builtin_ctz(w->mask);
    uint32_t number = PTX_PLANE(w, uint32_t, i->a)[first];
    uint32_t expected = i->b == PTX_PLANE_NONE ? 0 : PTX_PLANE(w, uint32_t, i->b)[first];
    bool fits = number < PTX_BARRIERS && expected % PTX_LANES == 0 && (i->b == PTX_PLANE_NONE || expected);
    if (!fits) {
        ptx_fault_raise(w, i, first, PTX_FAULT_ILLEGAL_INSTRUCTION, 0, 0, false);
        return;
    }
    struct ptx_barrier_state *barrier = &w->block->barriers[number];
    /* With a number of threads, a warp counts whole, whatever lanes of it are left. */
    bool whole = expected && w->mask == w->live;
    barrier->arrived += whole ? (uint32_t)PTX_LANES : (uint32_t)__builtin_popcount(w->mask);
    barrier->expected = expected;
    w->block->barriers_in_use |= 1u << number;
    if (i->c != PTX_PLANE_NONE) {
        uint32_t yes = w->mask & predicate(w, i, i->c, i->k[1]);
        barrier->popc += (uint32_t)__builtin_popcount(yes);
        barrier->all &= yes == w->mask;
    }
    if (i->k[0] != PTX_BARRIER_ARRIVE)
        ptx_warp_park(w, i, PTX_FRAGMENT_AT_BARRIER, (uint8_t)number);
    complete_if_full(w->block, number);
}

/* ---- clocks
 * ------------------------------------------------------------------------------------------------ */

static uint64_t clock_value(const struct ptx_launch *launch, enum ptx_special special)
{
    uint64_t value;
    if (special < PTX_SPECIAL_TIMER) {
        uint64_t ns = clock_monotonic_ns(), khz = launch->clock_khz ? launch->clock_khz : 1000000;
        value = ns / 1000000 * khz + ns % 1000000 * khz / 1000000;
        return special == PTX_SPECIAL_CLOCK_HI ? value >> 32 : value;
    }
    value = launch->timer_ns ? launch->timer_ns(launch->user) : clock_wall_us() * 1000;
    return special == PTX_SPECIAL_TIMER_HI ? value >> 32 : value;
}

void ptx_run_CLOCK(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint64_t value = clock_value(w->executor->launch, (enum ptx_special)i->k[0]);
    if (i->k[1] == 16)
        PTX_FOR_LANES(w->mask, PTX_PLANE(w, uint16_t, i->d)[lane] = (uint16_t)value);
    else if (i->k[1] == 32)
        PTX_FOR_LANES(w->mask, PTX_PLANE(w, uint32_t, i->d)[lane] = (uint32_t)value);
    else
        PTX_FOR_LANES(w->mask, PTX_PLANE(w, uint64_t, i->d)[lane] = value);
}
