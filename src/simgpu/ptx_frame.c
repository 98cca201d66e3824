/* Frames: the registers of a function while lanes are in it. They are pooled per launch, with their constants
 * in place. */
#include <stdlib.h>
#include <string.h>

#include "simgpu/ptx_exec.h"

static void fill(uint8_t *plane, unsigned bits, uint64_t value)
{
    if (bits == 1) {
        uint32_t all = value & 1 ? PTX_ALL_LANES : 0;
        memcpy(plane, &all, 4);
        return;
    }
    for (unsigned lane = 0; lane < PTX_LANES; lane++) {
        if (bits == 16)
            ((uint16_t *)(void *)plane)[lane] = (uint16_t)value;
        else if (bits == 32)
            ((uint32_t *)(void *)plane)[lane] = (uint32_t)value;
        else
            ((uint64_t *)(void *)plane)[lane] = value;
    }
}

static uint64_t param_value(const struct ptx_executor *x, const struct ptx_constant *constant)
{
    enum ptx_type type = (enum ptx_type)constant->index;
    unsigned unused = 64 - ptx_type_bits(type);
    uint64_t value = 0;
    memcpy(&value, x->params + constant->value, ptx_type_bits(type) / 8);
    return ptx_type_is_signed(type) ? (uint64_t)((int64_t)(value << unused) >> unused) : value;
}

static uint64_t constant_value(const struct ptx_executor *x, const struct ptx_constant *constant)
{
    switch (constant->kind) {
    case PTX_CONSTANT_VARIABLE:
        return x->module->data[constant->index]->public.address + constant->value;
    case PTX_CONSTANT_SHARED:
        return x->kernel->shared_offset[constant->index] + constant->value;
    case PTX_CONSTANT_FUNCTION:
        return ptx_function_address(x->module->functions[constant->index]);
    case PTX_CONSTANT_PARAM:
        return param_value(x, constant);
    default:
        return constant->value;
    }
}

/* Those that are the same for all lanes of a warp. */
static uint64_t uniform_value(const struct ptx_warp *w, enum ptx_special special)
{
    const struct ptx_launch *launch = w->executor->launch;
    switch (special) {
    case PTX_SPECIAL_NTID_X:
    case PTX_SPECIAL_NTID_Y:
    case PTX_SPECIAL_NTID_Z:
        return launch->block[special - PTX_SPECIAL_NTID_X];
    case PTX_SPECIAL_CTAID_X:
    case PTX_SPECIAL_CTAID_Y:
    case PTX_SPECIAL_CTAID_Z:
        return w->block->id[special - PTX_SPECIAL_CTAID_X];
    case PTX_SPECIAL_NCTAID_X:
    case PTX_SPECIAL_NCTAID_Y:
    case PTX_SPECIAL_NCTAID_Z:
        return launch->grid[special - PTX_SPECIAL_NCTAID_X];
    case PTX_SPECIAL_WARPID:
        return w->id;
    case PTX_SPECIAL_NWARPID:
        return 64;
    case PTX_SPECIAL_SMID:
        return w->block->number % (launch->sm_count ? launch->sm_count : 1);
    case PTX_SPECIAL_NSMID:
        return launch->sm_count ? launch->sm_count : 1;
    case PTX_SPECIAL_GRIDID:
        return launch->grid_id;
    case PTX_SPECIAL_DYNAMIC_SHARED:
        return launch->dynamic_shared_bytes;
    case PTX_SPECIAL_TOTAL_SHARED:
        return w->executor->shared_bytes;
    case PTX_SPECIAL_ONE:
        return 1;
    case PTX_SPECIAL_ENVREG1:
        return launch->grid_workspace >> 32;
    case PTX_SPECIAL_ENVREG2:
        return launch->grid_workspace & 0xffffffff;
    default:
        return 0;
    }
}

static uint32_t lane_value(enum ptx_special special, unsigned lane)
{
    switch (special) {
    case PTX_SPECIAL_LANEMASK_EQ:
        return 1u << lane;
    case PTX_SPECIAL_LANEMASK_LE:
        return (uint32_t)((2ull << lane) - 1);
    case PTX_SPECIAL_LANEMASK_LT:
        return (1u << lane) - 1;
    case PTX_SPECIAL_LANEMASK_GE:
        return PTX_ALL_LANES << lane;
    case PTX_SPECIAL_LANEMASK_GT:
        return (uint32_t) ~((2ull << lane) - 1);
    default:
        return lane;
    }
}

/* One coordinate of each thread of the warp. */
static void thread_positions(const struct ptx_warp *w, unsigned axis, uint32_t *out)
{
    const uint32_t *block = w->executor->launch->block;
    uint32_t thread = w->id * PTX_LANES;
    uint32_t at[3] = {thread % block[0], thread / block[0] % block[1], thread / block[0] / block[1]};
    for (unsigned lane = 0; lane < PTX_LANES; lane++) {
        out[lane] = at[axis];
        if (++at[0] < block[0])
            continue;
        at[0] = 0;
        if (++at[1] < block[1])
            continue;
        at[1] = 0;
        at[2]++;
    }
}

static void fill_special(const struct ptx_warp *w, uint8_t *plane, const struct ptx_constant *constant)
{
    enum ptx_special special = (enum ptx_special)constant->index;
    bool by_lane = special == PTX_SPECIAL_LANEID ||
                   (special >= PTX_SPECIAL_LANEMASK_EQ && special <= PTX_SPECIAL_LANEMASK_GT);
    uint32_t values[PTX_LANES];
    if (special <= PTX_SPECIAL_TID_Z) {
        thread_positions(w, special - PTX_SPECIAL_TID_X, values);
    } else if (by_lane) {
        for (unsigned lane = 0; lane < PTX_LANES; lane++)
            values[lane] = lane_value(special, lane);
    } else {
        fill(plane, constant->bits, uniform_value(w, special));
        return;
    }
    for (unsigned lane = 0; lane < PTX_LANES; lane++) {
        if (constant->bits == 16)
            ((uint16_t *)(void *)plane)[lane] = (uint16_t)values[lane];
        else if (constant->bits == 32)
            ((uint32_t *)(void *)plane)[lane] = values[lane];
        else
            ((uint64_t *)(void *)plane)[lane] = values[lane];
    }
}

struct ptx_frame *ptx_frame_take(struct ptx_warp *w, const struct ptx_function *function)
{
    struct ptx_executor *x = w->executor;
    struct ptx_frame *frame = x->free_frames[function->index];
    if (frame) {
        x->free_frames[function->index] = frame->parent;
    } else {
        size_t bytes = (sizeof *frame + function->frame_bytes + 63) / 64 * 64;
        frame = aligned_alloc(64, bytes);
        if (!frame)
            return NULL;
        memset(frame, 0, bytes);
        frame->function = function;
        frame->next_of_all = x->all_frames;
        x->all_frames = frame;
        for (size_t i = 0; i < function->special_first; i++) {
            const struct ptx_constant *constant = &function->constants[i];
            fill(frame->regs + constant->plane, constant->bits, constant_value(x, constant));
        }
    }
    for (size_t i = function->special_first; i < function->constant_count; i++)
        fill_special(w, frame->regs + function->constants[i].plane, &function->constants[i]);
    frame->parent = NULL;
    return frame;
}

void ptx_frame_renew(struct ptx_warp *w, struct ptx_frame *frame)
{
    const struct ptx_function *function = frame->function;
    for (size_t i = function->block_first; i < function->constant_count; i++)
        fill_special(w, frame->regs + function->constants[i].plane, &function->constants[i]);
}

void ptx_frame_release(struct ptx_executor *x, struct ptx_frame *frame)
{
    frame->parent = x->free_frames[frame->function->index];
    x->free_frames[frame->function->index] = frame;
}

void ptx_frame_free_all(struct ptx_executor *x)
{
    while (x->all_frames) {
        struct ptx_frame *next = x->all_frames->next_of_all;
        free(x->all_frames);
        x->all_frames = next;
    }
}
