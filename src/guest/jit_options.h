/* JIT options of a program, made ready for the wire, and their results carried back. */
#ifndef VGPU_GUEST_JIT_OPTIONS_H
#define VGPU_GUEST_JIT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/own_calls.h"

struct jit_options {
    struct option_value values[OPTIONS_MAX]; /* those that are numbers */
    void **slots[OPTIONS_MAX];               /* where each one's result goes */
    uint32_t count;
    char *info_log, *error_log; /* the program's buffers, or NULL */
    uint32_t info_log_bytes, error_log_bytes;
    void **info_log_filled, **error_log_filled; /* where the sizes used go, or NULL */
};

/* Reads the program's lists. CUDA_ERROR_NOT_SUPPORTED for an option whose value is a list of pointers. */
CUresult jit_options_read(struct jit_options *options, unsigned count, const CUjit_option *keys,
                          void **values);

/* Copies log texts of a reply to the program's buffers, cut to their size. */
void jit_options_logs(const struct jit_options *options, const char *info, uint32_t info_bytes,
                      const char *error, uint32_t error_bytes);

#endif
