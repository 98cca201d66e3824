/* What the guest knows about a kernel function. */
#ifndef VGPU_GUEST_FUNCTION_H
#define VGPU_GUEST_FUNCTION_H

#include "cuda/cuda_types.h"
#include "wire/own_calls.h"

struct function_facts {
    struct reply_function_info info;
    char *name;                      /* NULL until asked for; part of this allocation's life */
    struct parameter_place places[]; /* info.parameter_count */
};

/* Of a function or of a kernel standing in for one: asked of the worker the first time, then remembered with
 * the handle. NULL with *result set when there is no such function or the worker is gone. */
const struct function_facts *function_facts_of(CUfunction function, CUresult *result);

#endif
