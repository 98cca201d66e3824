/* A launch: its blocks, one after the other, or several at a time when they wait for each other. */
#include <stdlib.h>
#include <string.h>

#include "simgpu/ptx_exec.h"

enum {
    SLICE = 2048,        /* instructions of a warp before the next one has its turn */
    PATIENT_ROUNDS = 64, /* turns that all warps of a block use up before another block is tried */
    RESIDENT_BLOCKS = 64,
    SHARED_MAX = 227 * 1024,
    MEMORY_SLACK = 64,
};

static bool fail(struct ptx_executor *x, enum ptx_fault_kind kind)
{
    if (!x->faulted) {
        x->faulted = true;
        x->result->fault.kind = kind;
        x->result->fault.function = x->kernel->name;
    }
    return false;
}

/* ---- blocks
 * ------------------------------------------------------------------------------------------------ */

static void block_fini(struct ptx_block *block)
{
    free(block->warps);
    free(block->shared);
    free(block->local);
}

static bool block_init(struct ptx_executor *x, struct ptx_block *block)
{
    memset(block, 0, sizeof *block);
    size_t warps = x->warps_per_block;
    block->warps = calloc(warps, sizeof *block->warps);
    block->shared = calloc(1, x->shared_bytes + MEMORY_SLACK);
    block->local = calloc(1, warps * PTX_LANES * (size_t)x->local_bytes + MEMORY_SLACK);
    if (block->warps && block->shared && block->local)
        return true;
    block_fini(block);
    return false;
}

static bool warp_start(struct ptx_executor *x, struct ptx_block *block, unsigned number)
{
    struct ptx_warp *w = &block->warps[number];
    uint32_t first = number * PTX_LANES, threads = x->threads - first;
    /* The other fragments stay as they are: none of them counts. */
    w->fragment_count = 0;
    w->delay = 0;
    w->yields = false;
    w->carry = 0;
    w->id = number;
    w->block = block;
    w->executor = x;
    w->local = block->local + (size_t)first * x->local_bytes;
    for (unsigned lane = 0; lane < PTX_LANES; lane++)
        w->stack_top[lane] = x->local_bytes;
    w->stack_low = x->local_bytes;
    w->live = threads >= PTX_LANES ? PTX_ALL_LANES : (1u << threads) - 1;
    if (w->kernel_frame)
        ptx_frame_renew(w, w->kernel_frame);
    else
        w->kernel_frame = ptx_frame_take(w, x->kernel);
    w->frame = w->kernel_frame;
    if (!w->frame)
        return fail(x, PTX_FAULT_NO_MEMORY);
    w->frame->lanes = w->live;
    w->frame->depth = 0;
    w->frame->local_base = 0;
    w->regs = w->frame->regs;
    w->pc = x->kernel->code;
    w->mask = w->live;
    return true;
}

static bool block_start(struct ptx_executor *x, struct ptx_block *block, uint64_t number)
{
    const uint32_t *grid = x->launch->grid;
    block->number = number;
    block->id[0] = (uint32_t)(number % grid[0]);
    block->id[1] = (uint32_t)(number / grid[0] % grid[1]);
    block->id[2] = (uint32_t)(number / grid[0] / grid[1]);
    block->live = x->threads;
    for (unsigned i = 0; i < PTX_BARRIERS; i++)
        block->barriers[i] = (struct ptx_barrier_state){.all = 1};
    block->barriers_in_use = 0;
    for (unsigned i = 0; i < x->warps_per_block; i++)
        if (!warp_start(x, block, i))
            return false;
    block->runs = true;
    return true;
}

static bool is_cancelled(const struct ptx_executor *x)
{
    return x->launch->cancel && atomic_load_explicit(x->launch->cancel, memory_order_relaxed);
}

static bool any_ready(const struct ptx_executor *x, const struct ptx_block *block)
{
    for (unsigned i = 0; i < x->warps_per_block; i++)
        if (ptx_warp_is_ready(&block->warps[i]))
            return true;
    return false;
}

static void report_deadlock(struct ptx_executor *x, struct ptx_block *block)
{
    for (unsigned i = 0; i < x->warps_per_block; i++) {
        struct ptx_warp *w = &block->warps[i];
        if (!w->fragment_count)
            continue;
        w->frame = w->fragments[0].frame;
        ptx_fault_raise(w, w->fragments[0].pc, (unsigned)__builtin_ctz(w->fragments[0].mask),
                        PTX_FAULT_DEADLOCK, 0, 0, false);
        return;
    }
}

/* Gives each warp its turn until the block has ended, or has had `rounds` turns that it used up. Returns
 * false after a fault. */
static bool block_run(struct ptx_executor *x, struct ptx_block *block, unsigned rounds)
{
    while (block->live) {
        bool used_up = false;
        for (unsigned i = 0; i < x->warps_per_block; i++) {
            struct ptx_warp *w = &block->warps[i];
            if (!w->live)
                continue;
            if (x->launch->turn)
                x->launch->turn(x->launch->user);
            if (is_cancelled(x))
                return fail(x, PTX_FAULT_CANCELLED);
            enum ptx_warp_outcome outcome = ptx_warp_run(w, SLICE);
            if (outcome == PTX_WARP_FAULTED)
                return false;
            used_up |= outcome == PTX_WARP_YIELDED;
        }
        if (used_up && --rounds == 0)
            return true;
        if (!used_up && block->live && !any_ready(x, block)) {
            report_deadlock(x, block);
            return false;
        }
    }
    block->runs = false;
    return true;
}

/* ---- the grid
 * ------------------------------------------------------------------------------------------------ */

/* Warps point to their block, so the array of blocks has its final size from the start. */
static bool add_block(struct ptx_executor *x, unsigned most)
{
    if (x->block_count == most || !block_init(x, &x->blocks[x->block_count]))
        return false;
    x->block_count++;
    return true;
}

static void run_grid(struct ptx_executor *x)
{
    const struct ptx_launch *launch = x->launch;
    uint64_t total = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2], next = 0;
    unsigned most = launch->resident_blocks ? launch->resident_blocks : RESIDENT_BLOCKS;
    if (most > total)
        most = (unsigned)total;
    x->blocks = calloc(most, sizeof *x->blocks);
    if (!x->blocks || !add_block(x, most)) {
        fail(x, PTX_FAULT_NO_MEMORY);
        return;
    }
    /* A cooperative launch is known to need all its blocks at once. */
    while (launch->resident_blocks && add_block(x, most))
        continue;
    if (launch->resident_blocks && x->block_count < most) {
        fail(x, PTX_FAULT_NO_MEMORY);
        return;
    }
    for (;;) {
        unsigned running = 0;
        bool ended = false;
        for (unsigned i = 0; i < x->block_count; i++) {
            struct ptx_block *block = &x->blocks[i];
            do {
                if (!block->runs && (next == total || !block_start(x, block, next++)))
                    break;
                if (!block_run(x, block, x->block_count > 1 ? 1 : PATIENT_ROUNDS))
                    return;
                ended |= !block->runs;
            } while (!block->runs);
            running += block->runs;
        }
        if (x->faulted || (running == 0 && next == total))
            return;
        if (!ended && next < total)
            add_block(x, most);
    }
}

static bool check(struct ptx_executor *x)
{
    const struct ptx_launch *launch = x->launch;
    const struct ptx_kernel *kernel = launch->kernel;
    uint64_t threads = 1;
    for (int axis = 0; axis < 3; axis++) {
        if (launch->grid[axis] == 0 || launch->block[axis] == 0 || launch->block[axis] > 1024)
            return fail(x, PTX_FAULT_OUT_OF_RESOURCES);
        threads *= launch->block[axis];
    }
    uint64_t shared = (uint64_t)kernel->shared_bytes + launch->dynamic_shared_bytes;
    if (threads > 1024 || shared > (launch->max_shared_bytes ? launch->max_shared_bytes : SHARED_MAX))
        return fail(x, PTX_FAULT_OUT_OF_RESOURCES);
    if ((kernel->max_ntid[0] || kernel->req_ntid[0]) && threads > kernel->max_threads)
        return fail(x, PTX_FAULT_OUT_OF_RESOURCES);
    x->threads = (uint32_t)threads;
    x->warps_per_block = (x->threads + PTX_LANES - 1) / PTX_LANES;
    x->shared_bytes = (uint32_t)shared;
    return true;
}

static bool prepare(struct ptx_executor *x)
{
    const struct ptx_launch *launch = x->launch;
    const struct ptx_kernel *kernel = launch->kernel;
    uint32_t stack = launch->stack_bytes ? launch->stack_bytes : 1024;
    bool calls = x->kernel->callee_count || x->kernel->calls_pointer || x->kernel->needs_stack;
    x->local_bytes = (kernel->local_bytes + (calls ? stack : 0) + 15) / 16 * 16;
    x->params_bytes = kernel->params_bytes;
    x->params = calloc(1, kernel->params_bytes + MEMORY_SLACK);
    x->free_frames = calloc(x->module->function_count, sizeof *x->free_frames);
    if (!x->params || !x->free_frames)
        return fail(x, PTX_FAULT_NO_MEMORY);
    size_t given = launch->params_bytes < kernel->params_bytes ? launch->params_bytes : kernel->params_bytes;
    if (given && launch->params)
        memcpy(x->params, launch->params, given);
    return true;
}

bool ptx_launch_run(const struct ptx_launch *launch, struct ptx_result *result)
{
    struct ptx_executor x = {.launch = launch, .module = launch->kernel->module, .result = result};
    memset(result, 0, sizeof *result);
    x.kernel = x.module->kernels[launch->kernel->index];
    if (check(&x) && prepare(&x))
        run_grid(&x);
    for (unsigned i = 0; i < x.block_count; i++)
        block_fini(&x.blocks[i]);
    free(x.blocks);
    ptx_frame_free_all(&x);
    free(x.free_frames);
    free(x.params);
    result->instructions = x.instructions;
    return result->fault.kind == PTX_FAULT_NONE;
}
