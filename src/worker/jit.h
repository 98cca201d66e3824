/* JIT options as they come over the wire, made into the lists that the driver wants, with log buffers of the
 * worker's. */
#ifndef VGPU_WORKER_JIT_H
#define VGPU_WORKER_JIT_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/own_calls.h"

#define JIT_OPTIONS_MAX (OPTIONS_MAX + 4)

struct jit {
    CUjit_option keys[JIT_OPTIONS_MAX];
    void *values[JIT_OPTIONS_MAX];
    uint32_t count;             /* lists for the driver */
    uint32_t given;             /* of these, the guest's own, first */
    char *info, *error;         /* buffers, or NULL */
    uint32_t info_at, error_at; /* index of each buffer's size among values */
};

/* Reads `count` options at `options` (checked to be there). False when one is not a number or there are too
 * many, or without memory. jit_fini() afterwards in any case. */
bool jit_init(struct jit *jit, const uint8_t *options, uint32_t count, uint32_t info_bytes,
              uint32_t error_bytes);
void jit_fini(struct jit *jit);

/* What the driver has written into the buffers so far. */
uint32_t jit_info_bytes(const struct jit *jit);
uint32_t jit_error_bytes(const struct jit *jit);

#endif
