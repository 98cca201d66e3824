/* Faults of a launch. */
#include "simgpu/ptx_exec.h"

void ptx_fault_raise(struct ptx_warp *warp, const struct ptx_insn *insn, unsigned lane,
                     enum ptx_fault_kind kind, uint64_t address, uint32_t bytes, bool is_write)
{
    struct ptx_executor *executor = warp->executor;
    warp->stop = NULL;
    if (executor->faulted)
        return;
    executor->faulted = true;
    const uint32_t *block = executor->launch->block;
    uint32_t thread = warp->id * PTX_LANES + lane;
    struct ptx_fault *fault = &executor->result->fault;
    *fault = (struct ptx_fault){.kind = kind, .address = address, .bytes = bytes, .is_write = is_write};
    for (int axis = 0; axis < 3; axis++)
        fault->block[axis] = warp->block->id[axis];
    fault->thread[0] = thread % block[0];
    fault->thread[1] = thread / block[0] % block[1];
    fault->thread[2] = thread / block[0] / block[1];
    fault->line = insn ? insn->line : 0;
    fault->function = warp->frame ? warp->frame->function->name : executor->kernel->name;
}

const char *ptx_fault_name(enum ptx_fault_kind kind)
{
    static const char *const names[] = {
        [PTX_FAULT_NONE] = "no fault",
        [PTX_FAULT_ILLEGAL_ADDRESS] = "illegal address",
        [PTX_FAULT_MISALIGNED_ADDRESS] = "misaligned address",
        [PTX_FAULT_ILLEGAL_INSTRUCTION] = "illegal instruction",
        [PTX_FAULT_TRAP] = "trap",
        [PTX_FAULT_ASSERT] = "assertion failed",
        [PTX_FAULT_OUT_OF_RESOURCES] = "too many resources requested",
        [PTX_FAULT_STACK_OVERFLOW] = "stack overflow",
        [PTX_FAULT_DEADLOCK] = "threads wait for each other",
        [PTX_FAULT_CANCELLED] = "cancelled",
        [PTX_FAULT_NO_MEMORY] = "out of host memory",
    };
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown fault";
}
