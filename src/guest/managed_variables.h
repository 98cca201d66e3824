/* Variables of modules that the program and kernels share (`__managed__`). Their memory is the worker's
 * driver's, and cannot be shared; the program has a copy of each at the same address. What the program has
 * changed goes to the GPU before the next launch, what kernels have changed comes back when the program waits
 * for them. A byte that both change in between keeps what the program wrote. */
#ifndef VGPU_GUEST_MANAGED_VARIABLES_H
#define VGPU_GUEST_MANAGED_VARIABLES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

/* A variable of a module, whose addresses are reserved here: if it is managed, the program can use it from
 * now on. */
CUresult managed_variable_found(uint64_t address, uint64_t bytes);

extern _Atomic uint32_t managed_variable_count;

static inline bool managed_variables_exist(void)
{
    return atomic_load_explicit(&managed_variable_count, memory_order_relaxed) != 0;
}

/* Before work that may read them, and after waiting for work that may have written them. Only where
 * managed_variables_exist(). Never called from within each other. */
void managed_variables_send(void);
void managed_variables_fetch(void);

#endif
