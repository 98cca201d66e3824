#include "simgpu/jit_options.h"

#include <string.h>

#include "base/clock.h"

CUresult jit_options_read(struct jit_options *options, unsigned int count, CUjit_option *names, void **values)
{
    memset(options, 0, sizeof *options);
    options->start_ns = clock_monotonic_ns();
    if (count && (!names || !values))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < count; i++) {
        switch (names[i]) {
        case CU_JIT_INFO_LOG_BUFFER:
            options->info.buffer = values[i];
            break;
        case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
            options->info.room = (unsigned int)(uintptr_t)values[i];
            options->info.size_value = &values[i];
            break;
        case CU_JIT_ERROR_LOG_BUFFER:
            options->error.buffer = values[i];
            break;
        case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
            options->error.room = (unsigned int)(uintptr_t)values[i];
            options->error.size_value = &values[i];
            break;
        case CU_JIT_MAX_REGISTERS:
            options->max_registers = (unsigned int)(uintptr_t)values[i];
            break;
        case CU_JIT_WALL_TIME:
            options->wall_time_value = &values[i];
            break;
        default:
            if ((unsigned int)names[i] >= CU_JIT_NUM_OPTIONS)
                return CUDA_ERROR_INVALID_VALUE;
        }
    }
    return CUDA_SUCCESS;
}

static void answer_log(const struct jit_log_buffer *log, const char *text)
{
    size_t length = 0;
    if (log->buffer && log->room) {
        length = text ? strlen(text) : 0;
        if (length >= log->room)
            length = log->room - 1;
        memcpy(log->buffer, text ? text : "", length);
        log->buffer[length] = 0;
    }
    if (log->size_value)
        *log->size_value = (void *)(uintptr_t)length;
}

void jit_options_answer(const struct jit_options *options, const char *info, const char *error)
{
    answer_log(&options->info, info);
    answer_log(&options->error, error);
    if (options->wall_time_value) {
        float milliseconds = (float)((double)(clock_monotonic_ns() - options->start_ns) / 1e6);
        memcpy(options->wall_time_value, &milliseconds, sizeof milliseconds);
    }
}
