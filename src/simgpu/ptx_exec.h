/* A running launch. Private to the engine.
 *
 * The lanes of a warp that are at the same place run together, as a fragment; a branch that only some lanes
 * take splits it. Of the fragments of a warp the one furthest behind runs first, so that those ahead are
 * caught up with and joined again. That is only for speed: an instruction that needs lanes together names
 * them and waits for them, wherever they are (independent thread scheduling, as hardware has it since 7.0).
 */
#ifndef SIMGPU_PTX_EXEC_H
#define SIMGPU_PTX_EXEC_H

#include "simgpu/ptx_ir.h"

enum { PTX_BARRIERS = 17, PTX_HINTS = 64, PTX_MAX_DEPTH = 4096 };

/* The registers of one activation of a function for a set of lanes that called it together. */
struct ptx_frame {
    struct ptx_frame *next_of_all; /* every frame of the launch, to free them at its end */
    struct ptx_frame *parent;      /* of the caller; in the pool: the next free one */
    const struct ptx_function *function;
    const struct ptx_insn *return_to; /* in the caller */
    const struct ptx_call *call;
    uint32_t lanes; /* that have not returned yet */
    uint32_t depth;
    uint32_t local_base;           /* of its local memory in each lane's stack */
    uint32_t saved_top[PTX_LANES]; /* what alloca had taken before, for functions that use it */
    _Alignas(64) uint8_t regs[];
};

enum ptx_fragment_state { PTX_FRAGMENT_READY, PTX_FRAGMENT_AT_BARRIER, PTX_FRAGMENT_AT_SYNC };

struct ptx_fragment {
    const struct ptx_insn *pc; /* next instruction; for one at a barrier or sync: that very instruction */
    struct ptx_frame *frame;
    uint32_t mask;
    uint32_t delay; /* how often it used up its slice: others go first */
    enum ptx_fragment_state state;
    uint8_t barrier;
};

struct ptx_block;
struct ptx_executor;

struct ptx_warp {
    /* The running fragment. mask 0: none. Under GUARD mask is narrowed for one instruction. */
    uint8_t *regs;
    uint32_t mask;
    const struct ptx_insn *pc;
    const struct ptx_insn *stop; /* leave the loop at or beyond; NULL: at once */
    struct ptx_frame *frame;
    uint32_t delay;
    bool yields; /* give others a turn */

    uint32_t carry; /* condition code, a bit per lane */
    uint32_t live;  /* lanes that have not exited */
    uint32_t id;
    struct ptx_frame *kernel_frame; /* kept from block to block */
    unsigned fragment_count;
    struct ptx_fragment fragments[PTX_LANES]; /* the others */
    struct ptx_block *block;
    struct ptx_executor *executor;
    uint32_t stack_top[PTX_LANES]; /* local memory from here up is taken by alloca */
    uint32_t stack_low;            /* the least of them */
    uint8_t *local;                /* of lane 0; the others follow at executor->local_bytes */
};

struct ptx_barrier_state {
    uint32_t arrived;   /* threads */
    uint32_t expected;  /* 0: all that live */
    uint32_t popc, all; /* of .red; all: every predicate so far was true */
};

/* A block in memory. Its memory is reused for the next block when it has ended. */
struct ptx_block {
    uint32_t id[3];
    uint64_t number;
    bool runs;
    uint32_t live; /* threads */
    struct ptx_warp *warps;
    uint8_t *shared;
    uint8_t *local;
    struct ptx_barrier_state barriers[PTX_BARRIERS];
    uint32_t barriers_in_use; /* bits: somebody has arrived */
};

/* Of one launch; used by one thread. */
struct ptx_executor {
    const struct ptx_launch *launch;
    const struct ptx_function *kernel;
    const struct ptx_module *module;
    struct ptx_result *result;
    bool faulted;
    uint8_t *params;
    uint32_t params_bytes;
    uint32_t shared_bytes;
    uint32_t local_bytes; /* per lane */
    uint32_t threads, warps_per_block;
    struct ptx_frame **free_frames; /* by index of the function */
    struct ptx_frame *all_frames;
    struct ptx_range hints[PTX_HINTS]; /* ranges seen last, by place of the instruction */
    uint64_t instructions;
    uint64_t started_ns;
    struct ptx_block *blocks;
    unsigned block_count;
};

#define PTX_ALL_LANES 0xffffffffu

/* Runs statement for each active lane, with `lane` its number. */
#define PTX_FOR_LANES(MASK, STATEMENT)                                                                       \
    do {                                                                                                     \
        if ((MASK) == PTX_ALL_LANES) {                                                                       \
            _Pragma("GCC ivdep") for (unsigned lane = 0; lane < PTX_LANES; lane++)                           \
            {                                                                                                \
                STATEMENT;                                                                                   \
            }                                                                                                \
        } else {                                                                                             \
            for (uint32_t rest_ = (MASK); rest_; rest_ &= rest_ - 1) {                                       \
                unsigned lane = (unsigned)__builtin_ctz(rest_);                                              \
                STATEMENT;                                                                                   \
            }                                                                                                \
        }                                                                                                    \
    } while (0)

#define PTX_PLANE(WARP, TYPE, OFFSET) ((TYPE *)(void *)((WARP)->regs + (OFFSET)))

/* ptx_fault.c: records the first fault of the launch and makes the warp stop. */
void ptx_fault_raise(struct ptx_warp *warp, const struct ptx_insn *insn, unsigned lane,
                     enum ptx_fault_kind kind, uint64_t address, uint32_t bytes, bool is_write);

/* ptx_frame.c. NULL when out of memory. */
struct ptx_frame *ptx_frame_take(struct ptx_warp *warp, const struct ptx_function *function);
void ptx_frame_release(struct ptx_executor *executor, struct ptx_frame *frame);
/* For the next block: the special registers that differ between blocks. */
void ptx_frame_renew(struct ptx_warp *warp, struct ptx_frame *frame);
void ptx_frame_free_all(struct ptx_executor *executor);

/* ptx_ops_memory.c: the host address of each active lane's access, checked. Returns false after a fault. */
bool ptx_memory_resolve(struct ptx_warp *warp, const struct ptx_insn *insn, enum ptx_space space,
                        uint32_t base, bool wide, uint64_t offset, uint32_t bytes, uint32_t align, bool write,
                        uint8_t **pointers);
/* The same for one generic address of one lane, such as an argument of vprintf. */
uint8_t *ptx_memory_generic(struct ptx_warp *warp, const struct ptx_insn *insn, unsigned lane,
                            uint64_t address, uint32_t bytes, uint32_t align, bool write);

/* ptx_warp.c */

/* Puts the running fragment aside, to go on at pc when its state allows; nothing runs then. */
void ptx_warp_park(struct ptx_warp *warp, const struct ptx_insn *pc, enum ptx_fragment_state state,
                   uint8_t barrier);
/* Adds a fragment that is ready; one at the same place takes it in. The mask of the running one is the
 * caller's to narrow. */
void ptx_warp_add(struct ptx_warp *warp, const struct ptx_insn *pc, struct ptx_frame *frame, uint32_t mask);
/* The running fragment ends: all its lanes exit. */
void ptx_warp_exit(struct ptx_warp *warp);
bool ptx_warp_is_ready(const struct ptx_warp *warp);

enum ptx_warp_outcome { PTX_WARP_BLOCKED, PTX_WARP_YIELDED, PTX_WARP_DONE, PTX_WARP_FAULTED };
/* Runs until nothing is ready or `slice` instructions are done. */
enum ptx_warp_outcome ptx_warp_run(struct ptx_warp *warp, unsigned slice);

/* ptx_ops_flow.c: completes barriers for which nobody is missing any more. */
void ptx_barrier_check_all(struct ptx_block *block);

/* ptx_ops_warp.c: lets those lanes at a sync go on for which all others that they name have come. */
void ptx_sync_resolve(struct ptx_warp *warp);

/* ptx_ops_alloca.c: after a change of stack_top. */
void ptx_stack_measure(struct ptx_warp *warp);

/* ptx_builtin.c */
void ptx_builtin_call(struct ptx_warp *warp, const struct ptx_insn *insn, const struct ptx_function *function,
                      const struct ptx_call *call);

#endif
