/* What lanes of a warp do together: shfl, vote, match, redux, elect, bar.warp.
 *
 * The instruction names the lanes that take part. Mostly they are all here already and it is done at once.
 * Otherwise the lanes that are here wait until the others have come to an instruction of the same kind, which
 * need not be the same one: both sides of a branch may have their own.
 *
 * Operands: b: the plane of member masks, or none for the forms without .sync, which take the lanes that
 * happen to run together. SHFL: a value, c lane or distance, imm the plane of the clamp and segment mask, d,
 * e the predicate. VOTE: a predicate. MATCH: a value, k[0] all, k[1] 64 bits, d, e. REDUX: a value, k[1]
 * signed. ELECT: d the elected lane, e the predicate. */
#include "simgpu/ptx_ops_single.h"

struct meeting {
    uint32_t arrived;            /* lanes that are at such an instruction */
    uint32_t members[PTX_LANES]; /* lanes that each one names */
    uint64_t values[PTX_LANES];  /* what each one brings */
};

static void bring(struct meeting *meeting, const struct ptx_insn *i, const uint8_t *regs, uint32_t mask)
{
    bool has_value = i->a != PTX_PLANE_NONE, has_members = i->b != PTX_PLANE_NONE;
    const void *a = regs + (has_value ? i->a : 0);
    const uint32_t *members = (const uint32_t *)(const void *)(regs + (has_members ? i->b : 0));
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        meeting->members[lane] = has_members ? members[lane] : mask;
        if (!has_value)
            meeting->values[lane] = 0;
        else if (i->op == PTX_OP_VOTE)
            meeting->values[lane] = *(const uint32_t *)a >> lane & 1;
        else if (i->op == PTX_OP_MATCH && i->k[1])
            meeting->values[lane] = ((const uint64_t *)a)[lane];
        else
            meeting->values[lane] = ((const uint32_t *)a)[lane];
    }
    meeting->arrived |= mask;
}

static void set_predicate(uint8_t *regs, uint32_t plane, unsigned lane, bool value)
{
    if (plane == PTX_PLANE_NONE)
        return;
    uint32_t *p = (uint32_t *)(void *)(regs + plane);
    *p = (*p & ~(1u << lane)) | (uint32_t)value << lane;
}

static void shuffle(const struct meeting *meeting, const struct ptx_insn *i, uint8_t *regs, unsigned lane)
{
    uint32_t b = ((const uint32_t *)(const void *)(regs + i->c))[lane] & 31;
    uint32_t clamp = ((const uint32_t *)(const void *)(regs + i->imm))[lane], segment = clamp >> 8 & 31;
    int last = (int)((lane & segment) | (clamp & 31 & ~segment)), first = (int)(lane & segment), from;
    bool inside;
    switch ((enum ptx_shfl)i->k[0]) {
    case PTX_SHFL_UP:
        from = (int)lane - (int)b;
        inside = from >= last;
        break;
    case PTX_SHFL_DOWN:
        from = (int)lane + (int)b;
        inside = from <= last;
        break;
    case PTX_SHFL_BFLY:
        from = (int)(lane ^ b);
        inside = from <= last;
        break;
    default:
        from = first | (int)(b & ~segment);
        inside = from <= last;
    }
    if (!inside || !(meeting->arrived >> from & 1))
        from = (int)lane;
    ((uint32_t *)(void *)(regs + i->d))[lane] = (uint32_t)meeting->values[from];
    set_predicate(regs, i->e, lane, inside);
}

static void vote(const struct meeting *meeting, const struct ptx_insn *i, uint8_t *regs, unsigned lane,
                 uint32_t group)
{
    uint32_t yes = 0;
    for (uint32_t rest = group; rest; rest &= rest - 1) {
        unsigned other = (unsigned)__builtin_ctz(rest);
        yes |= (uint32_t)meeting->values[other] << other;
    }
    switch ((enum ptx_vote)i->k[0]) {
    case PTX_VOTE_ALL:
        set_predicate(regs, i->d, lane, yes == group);
        break;
    case PTX_VOTE_ANY:
        set_predicate(regs, i->d, lane, yes != 0);
        break;
    case PTX_VOTE_UNI:
        set_predicate(regs, i->d, lane, yes == 0 || yes == group);
        break;
    case PTX_VOTE_BALLOT:
        ((uint32_t *)(void *)(regs + i->d))[lane] = yes;
        break;
    }
}

static void match(const struct meeting *meeting, const struct ptx_insn *i, uint8_t *regs, unsigned lane,
                  uint32_t group)
{
    uint32_t same = 0;
    for (uint32_t rest = group; rest; rest &= rest - 1) {
        unsigned other = (unsigned)__builtin_ctz(rest);
        same |= (uint32_t)(meeting->values[other] == meeting->values[lane]) << other;
    }
    bool all = same == group;
    ((uint32_t *)(void *)(regs + i->d))[lane] = i->k[0] && !all ? 0 : same;
    set_predicate(regs, i->e, lane, all);
}

static void reduce(const struct meeting *meeting, const struct ptx_insn *i, uint8_t *regs, unsigned lane,
                   uint32_t group)
{
    uint32_t result = (uint32_t)meeting->values[__builtin_ctz(group)];
    bool sign = i->k[1];
    for (uint32_t rest = group & (group - 1); rest; rest &= rest - 1) {
        uint32_t value = (uint32_t)meeting->values[__builtin_ctz(rest)];
        bool less = sign ? (int32_t)value < (int32_t)result : value < result;
        switch ((enum ptx_redux)i->k[0]) {
        case PTX_REDUX_ADD:
            result += value;
            break;
        case PTX_REDUX_MIN:
            result = less ? value : result;
            break;
        case PTX_REDUX_MAX:
            result = less ? result : value;
            break;
        case PTX_REDUX_AND:
            result &= value;
            break;
        case PTX_REDUX_OR:
            result |= value;
            break;
        case PTX_REDUX_XOR:
            result ^= value;
            break;
        }
    }
    ((uint32_t *)(void *)(regs + i->d))[lane] = result;
}

static void perform(const struct meeting *meeting, const struct ptx_insn *i, uint8_t *regs, uint32_t mask)
{
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        uint32_t group = (meeting->members[lane] & meeting->arrived) | 1u << lane;
        switch (i->op) {
        case PTX_OP_SHFL:
            shuffle(meeting, i, regs, lane);
            break;
        case PTX_OP_VOTE:
            vote(meeting, i, regs, lane, group);
            break;
        case PTX_OP_MATCH:
            match(meeting, i, regs, lane, group);
            break;
        case PTX_OP_REDUX:
            reduce(meeting, i, regs, lane, group);
            break;
        case PTX_OP_ELECT:
            ((uint32_t *)(void *)(regs + i->d))[lane] = (uint32_t)__builtin_ctz(group);
            set_predicate(regs, i->e, lane, (unsigned)__builtin_ctz(group) == lane);
            break;
        default:
            break;
        }
    }
}

/* Lanes of mask for which nobody is missing. */
static uint32_t complete_lanes(const struct ptx_warp *w, const struct meeting *meeting, uint32_t mask)
{
    uint32_t ready = 0;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        ready |= (uint32_t)((meeting->members[lane] & w->live & ~meeting->arrived) == 0) << lane;
    }
    return ready;
}

static void meet(struct ptx_warp *w, const struct ptx_insn *i)
{
    struct meeting meeting = {0};
    bring(&meeting, i, w->regs, w->mask);
    if (complete_lanes(w, &meeting, w->mask) == w->mask) {
        perform(&meeting, i, w->regs, w->mask);
        return;
    }
    ptx_warp_park(w, i, PTX_FRAGMENT_AT_SYNC, 0);
    ptx_sync_resolve(w);
}

static bool same_kind(const struct ptx_insn *a, const struct ptx_insn *b)
{
    return a->op == b->op && a->k[0] == b->k[0] && a->k[1] == b->k[1];
}

/* Lets the lanes of a fragment that have what they need go on; the others stay. */
static void let_go(struct ptx_warp *w, unsigned fragment, uint32_t ready)
{
    struct ptx_fragment *f = &w->fragments[fragment];
    if (ready == f->mask) {
        f->state = PTX_FRAGMENT_READY;
        f->pc++;
        return;
    }
    f->mask &= ~ready;
    struct ptx_fragment part = *f;
    part.mask = ready;
    part.state = PTX_FRAGMENT_READY;
    part.pc++;
    w->fragments[w->fragment_count++] = part;
}

/* All values are brought before the first result is written: both may be in the same register. */
void ptx_sync_resolve(struct ptx_warp *w)
{
    uint32_t ready[PTX_LANES] = {0};
    unsigned count = w->fragment_count;
    for (unsigned f = 0; f < count; f++) {
        if (w->fragments[f].state != PTX_FRAGMENT_AT_SYNC || ready[f])
            continue;
        const struct ptx_insn *kind = w->fragments[f].pc;
        struct meeting meeting = {0};
        bool here[PTX_LANES] = {false};
        for (unsigned n = f; n < count; n++) {
            struct ptx_fragment *other = &w->fragments[n];
            here[n] = other->state == PTX_FRAGMENT_AT_SYNC && same_kind(other->pc, kind);
            if (here[n])
                bring(&meeting, other->pc, other->frame->regs, other->mask);
        }
        for (unsigned n = f; n < count; n++) {
            struct ptx_fragment *other = &w->fragments[n];
            if (!here[n] || ready[n])
                continue;
            ready[n] = complete_lanes(w, &meeting, other->mask);
            perform(&meeting, other->pc, other->frame->regs, ready[n]);
        }
    }
    for (unsigned f = 0; f < count; f++)
        if (ready[f])
            let_go(w, f, ready[f]);
}

void ptx_run_SHFL(struct ptx_warp *w, const struct ptx_insn *i)
{
    meet(w, i);
}

void ptx_run_VOTE(struct ptx_warp *w, const struct ptx_insn *i)
{
    meet(w, i);
}

void ptx_run_MATCH(struct ptx_warp *w, const struct ptx_insn *i)
{
    meet(w, i);
}

void ptx_run_REDUX(struct ptx_warp *w, const struct ptx_insn *i)
{
    meet(w, i);
}

void ptx_run_ELECT(struct ptx_warp *w, const struct ptx_insn *i)
{
    meet(w, i);
}

void ptx_run_BAR_WARP(struct ptx_warp *w, const struct ptx_insn *i)
{
    meet(w, i);
}

void ptx_run_ACTIVEMASK(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint32_t *d = PTX_PLANE(w, uint32_t, i->d);
    PTX_FOR_LANES(w->mask, d[lane] = w->mask);
}
