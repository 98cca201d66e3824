/* The option lists of cuModuleLoadDataEx, cuLinkCreate and their like. */
#ifndef VGPU_SIMGPU_JIT_OPTIONS_H
#define VGPU_SIMGPU_JIT_OPTIONS_H

#include "cuda/cuda_types.h"

/* A log buffer of the program: buffer NULL or room 0 where it gave none. */
struct jit_log_buffer {
    char *buffer;
    size_t room;
    void **size_value; /* where the number of bytes written goes back; NULL: not wanted */
};

struct jit_options {
    struct jit_log_buffer info;
    struct jit_log_buffer error;
    unsigned int max_registers; /* per thread; 0: no limit */
    void **wall_time_value;     /* a float of milliseconds goes back here */
    uint64_t start_ns;
};

/* CUDA_ERROR_INVALID_VALUE: an option that does not exist, or no list where a count is given. What concerns
 * the machine code alone is accepted and has no effect. values is kept. */
CUresult jit_options_read(struct jit_options *options, unsigned int count, CUjit_option *names,
                          void **values);

/* Writes both logs, cut to the room there is, and the time since reading. Texts may be NULL. */
void jit_options_answer(const struct jit_options *options, const char *info, const char *error);

#endif
