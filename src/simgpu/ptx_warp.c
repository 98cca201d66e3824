/* The fragments of a warp: which one runs, how they part and join. */
#include "simgpu/ptx_exec.h"

void ptx_warp_park(struct ptx_warp *w, const struct ptx_insn *pc, enum ptx_fragment_state state,
                   uint8_t barrier)
{
    w->fragments[w->fragment_count++] = (struct ptx_fragment){
        .pc = pc, .frame = w->frame, .mask = w->mask, .delay = w->delay, .state = state, .barrier = barrier};
    w->mask = 0;
    w->stop = NULL;
}

void ptx_warp_add(struct ptx_warp *w, const struct ptx_insn *pc, struct ptx_frame *frame, uint32_t mask)
{
    for (unsigned i = 0; i < w->fragment_count; i++) {
        struct ptx_fragment *other = &w->fragments[i];
        if (other->pc == pc && other->frame == frame && other->state == PTX_FRAGMENT_READY) {
            other->mask |= mask;
            return;
        }
    }
    w->fragments[w->fragment_count++] = (struct ptx_fragment){
        .pc = pc, .frame = frame, .mask = mask, .delay = w->delay, .state = PTX_FRAGMENT_READY};
    if (frame == w->frame && pc < w->stop)
        w->stop = pc;
}

/* Lanes that exit leave every function they are in. */
void ptx_warp_exit(struct ptx_warp *w)
{
    uint32_t mask = w->mask;
    struct ptx_frame *frame = w->frame;
    while (frame) {
        struct ptx_frame *parent = frame->parent;
        frame->lanes &= ~mask;
        if (!frame->lanes && parent)
            ptx_frame_release(w->executor, frame);
        frame = parent;
    }
    w->live &= ~mask;
    w->block->live -= (uint32_t)__builtin_popcount(mask);
    w->mask = 0;
    w->stop = NULL;
    if (w->fragment_count)
        ptx_sync_resolve(w);
    ptx_barrier_check_all(w->block);
}

bool ptx_warp_is_ready(const struct ptx_warp *w)
{
    for (unsigned i = 0; i < w->fragment_count; i++)
        if (w->fragments[i].state == PTX_FRAGMENT_READY)
            return true;
    return w->mask != 0;
}

/* Of those that are ready: the one that used the fewest slices, then the one deepest in calls, then the one
 * furthest behind. */
static bool goes_before(const struct ptx_fragment *a, const struct ptx_fragment *b)
{
    if (a->delay != b->delay)
        return a->delay < b->delay;
    if (a->frame->depth != b->frame->depth)
        return a->frame->depth > b->frame->depth;
    return a->pc < b->pc;
}

static bool pick(struct ptx_warp *w)
{
    unsigned best = w->fragment_count;
    for (unsigned i = 0; i < w->fragment_count; i++)
        if (w->fragments[i].state == PTX_FRAGMENT_READY &&
            (best == w->fragment_count || goes_before(&w->fragments[i], &w->fragments[best])))
            best = i;
    if (best == w->fragment_count)
        return false;
    const struct ptx_fragment *fragment = &w->fragments[best];
    w->pc = fragment->pc;
    w->frame = fragment->frame;
    w->regs = fragment->frame->regs;
    w->mask = fragment->mask;
    w->delay = fragment->delay;
    w->fragments[best] = w->fragments[--w->fragment_count];
    return true;
}

/* Takes in the fragments that are at the same place, and finds where the next ones wait. */
static void join(struct ptx_warp *w)
{
    w->stop = (const struct ptx_insn *)UINTPTR_MAX;
    if (w->fragment_count == 0)
        w->delay = 0;
    for (unsigned i = 0; i < w->fragment_count;) {
        const struct ptx_fragment *other = &w->fragments[i];
        if (other->frame != w->frame || other->state != PTX_FRAGMENT_READY) {
            i++;
        } else if (other->pc == w->pc) {
            w->mask |= other->mask;
            w->delay = other->delay > w->delay ? other->delay : w->delay;
            w->fragments[i] = w->fragments[--w->fragment_count];
        } else {
            if (other->pc > w->pc && other->pc < w->stop)
                w->stop = other->pc;
            i++;
        }
    }
}

enum ptx_warp_outcome ptx_warp_run(struct ptx_warp *w, unsigned slice)
{
    struct ptx_executor *x = w->executor;
    while (slice) {
        if (w->mask == 0 && !pick(w))
            return w->live ? PTX_WARP_BLOCKED : PTX_WARP_DONE;
        join(w);
        unsigned before = slice, lanes = (unsigned)__builtin_popcount(w->mask);
        do {
            const struct ptx_insn *insn = w->pc;
            w->pc = insn + 1;
            insn->run(w, insn);
            slice--;
        } while (w->pc < w->stop && slice);
        x->instructions += (uint64_t)(before - slice) * lanes;
        if (x->faulted)
            return PTX_WARP_FAULTED;
        if (w->mask == 0)
            continue;
        if (w->yields)
            slice = 0;
        if (slice == 0)
            w->delay++;
        if (w->fragment_count)
            ptx_warp_park(w, w->pc, PTX_FRAGMENT_READY, 0);
    }
    w->yields = false;
    return PTX_WARP_YIELDED;
}
