/* How many blocks of a kernel one multiprocessor holds: registers, shared memory, threads and block slots, in
 * the steps in which the hardware gives them out. */
#ifndef VGPU_SIMGPU_OCCUPANCY_H
#define VGPU_SIMGPU_OCCUPANCY_H

#include "simgpu/function.h"

/* 0: a block of that size does not fit at all. */
unsigned int occupancy_blocks_per_sm(struct CUfunc_st *function, unsigned int block_threads,
                                     size_t dynamic_shared_bytes);

#endif
