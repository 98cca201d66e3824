#include "guest/jit_options.h"

#include <string.h>

CUresult jit_options_read(struct jit_options *options, unsigned count, const CUjit_option *keys,
                          void **values)
{
    memset(options, 0, sizeof *options);
    if (count > OPTIONS_MAX || (count > 0 && (keys == NULL || values == NULL)))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++) {
        uint32_t bytes = (uint32_t)(uintptr_t)values[i];
        switch (keys[i]) {
        case CU_JIT_INFO_LOG_BUFFER:
            options->info_log = values[i];
            break;
        case CU_JIT_ERROR_LOG_BUFFER:
            options->error_log = values[i];
            break;
        case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
            options->info_log_bytes = bytes;
            options->info_log_filled = &values[i];
            break;
        case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
            options->error_log_bytes = bytes;
            options->error_log_filled = &values[i];
            break;
        case CU_JIT_GLOBAL_SYMBOL_NAMES:
        case CU_JIT_GLOBAL_SYMBOL_ADDRESSES:
        case CU_JIT_REFERENCED_KERNEL_NAMES:
        case CU_JIT_REFERENCED_VARIABLE_NAMES:
            return CUDA_ERROR_NOT_SUPPORTED;
        default:
            options->values[options->count].key = keys[i];
            options->values[options->count].value = (uintptr_t)values[i];
            options->slots[options->count++] = &values[i];
        }
    }
    if (options->info_log == NULL)
        options->info_log_bytes = 0;
    if (options->error_log == NULL)
        options->error_log_bytes = 0;
    return CUDA_SUCCESS;
}

static void copy_log(char *to, uint32_t room, void **filled, const char *text, uint32_t bytes)
{
    uint32_t used = bytes < room ? bytes : room;
    if (to == NULL || room == 0)
        return;
    if (used > 0)
        memcpy(to, text, used);
    to[used < room ? used : room - 1] = '\0';
    if (filled != NULL)
        *filled = (void *)(uintptr_t)used;
}

void jit_options_logs(const struct jit_options *options, const char *info, uint32_t info_bytes,
                      const char *error, uint32_t error_bytes)
{
    copy_log(options->info_log, options->info_log_bytes, options->info_log_filled, info, info_bytes);
    copy_log(options->error_log, options->error_log_bytes, options->error_log_filled, error, error_bytes);
}
