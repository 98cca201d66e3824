#include "worker/jit.h"

#include <stdlib.h>
#include <string.h>

/* Options whose value the driver takes as a pointer. */
static bool is_pointer(uint32_t key)
{
    switch (key) {
    case CU_JIT_INFO_LOG_BUFFER:
    case CU_JIT_ERROR_LOG_BUFFER:
    case CU_JIT_GLOBAL_SYMBOL_NAMES:
    case CU_JIT_GLOBAL_SYMBOL_ADDRESSES:
    case CU_JIT_REFERENCED_KERNEL_NAMES:
    case CU_JIT_REFERENCED_VARIABLE_NAMES:
        return true;
    default:
        return key >= CU_JIT_NUM_OPTIONS; /* what we do not know we do not pass on */
    }
}

static bool add_log(struct jit *jit, char **buffer, uint32_t *size_at, uint32_t bytes,
                    CUjit_option buffer_key, CUjit_option size_key)
{
    if (bytes == 0)
        return true;
    if (bytes > LOG_MAX_BYTES)
        bytes = LOG_MAX_BYTES;
    *buffer = calloc(1, bytes);
    if (*buffer == NULL)
        return false;
    jit->keys[jit->count] = buffer_key;
    jit->values[jit->count++] = *buffer;
    *size_at = jit->count;
    jit->keys[jit->count] = size_key;
    jit->values[jit->count++] = (void *)(uintptr_t)bytes;
    return true;
}

bool jit_init(struct jit *jit, const uint8_t *options, uint32_t count, uint32_t info_bytes,
              uint32_t error_bytes)
{
    memset(jit, 0, sizeof *jit);
    if (count > OPTIONS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct option_value option;
        memcpy(&option, options + i * sizeof option, sizeof option);
        if (is_pointer(option.key) || option.key == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES ||
            option.key == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
            return false;
        jit->keys[i] = (CUjit_option)option.key;
        jit->values[i] = (void *)(uintptr_t)option.value;
    }
    jit->count = jit->given = count;
    return add_log(jit, &jit->info, &jit->info_at, info_bytes, CU_JIT_INFO_LOG_BUFFER,
                   CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES) &&
           add_log(jit, &jit->error, &jit->error_at, error_bytes, CU_JIT_ERROR_LOG_BUFFER,
                   CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
}

void jit_fini(struct jit *jit)
{
    free(jit->info);
    free(jit->error);
    jit->info = jit->error = NULL;
}

/* The driver replaces a buffer's size by what it has used; some failures leave it as it was, with a text that
 * ends earlier. */
static uint32_t used(const char *buffer, const void *size)
{
    uint32_t bytes = (uint32_t)(uintptr_t)size;
    if (buffer == NULL)
        return 0;
    if (bytes > LOG_MAX_BYTES)
        bytes = LOG_MAX_BYTES;
    return (uint32_t)strnlen(buffer, bytes);
}

uint32_t jit_info_bytes(const struct jit *jit)
{
    return used(jit->info, jit->values[jit->info_at]);
}

uint32_t jit_error_bytes(const struct jit *jit)
{
    return used(jit->error, jit->values[jit->error_at]);
}
