/* For the files of operations that are compiled once. */
#ifndef SIMGPU_PTX_OPS_SINGLE_H
#define SIMGPU_PTX_OPS_SINGLE_H

#include "simgpu/ptx_exec.h"

#define PTX_DECLARE(NAME) void ptx_run_##NAME(struct ptx_warp *w, const struct ptx_insn *i);
PTX_SINGLE_OPS(PTX_DECLARE)
#undef PTX_DECLARE

/* Bytes in memory, by enum ptx_type; 0 for predicates. */
extern const uint8_t ptx_type_bytes[PTX_TYPE_COUNT];

#endif
