/* What the runtime library needs of the driver besides the public calls: loading what nvcc has embedded in a
 * program, and the primary context. */
#include "guest/export_table.h"

#include <stddef.h>

#include "cuda_api.h"
#include "guest/unsupported.h"

/* `wrapper` is what nvcc puts around a fat binary (guest/image.h). */
static CUresult load_wrapped(CUmodule *module, const void *wrapper)
{
    return cuModuleLoadData(module, wrapper);
}

/* As load_wrapped with three arguments more, which no known caller uses. */
static CUresult load_wrapped_with(CUmodule *module, const void *wrapper, const void *first,
                                  const void *second, unsigned count)
{
    if (first != NULL || second != NULL || count != 0)
        return not_supported("loading a fat binary with options through the runtime's private table");
    return cuModuleLoadData(module, wrapper);
}

/* The fat binary itself. */
static CUresult load_bare_with(const void *fat_binary, CUmodule *module, const void *first,
                               const void *second, unsigned count)
{
    return load_wrapped_with(module, fat_binary, first, second, count);
}

static CUresult primary_context(CUcontext *context, CUdevice device)
{
    return cuDevicePrimaryCtxRetain(context, device);
}

/* Tells the driver something about the runtime's state; nothing here depends on it. */
static void note(size_t value)
{
    (void)value;
}

/* The compilers for PTX are the host's, and loaded there when one is needed. */
static CUresult load_compilers(void)
{
    return CUDA_SUCCESS;
}

EXPORT_UNKNOWN_FUNCTIONS(runtime, 13);

static const struct export_function runtime_functions[] = {
    EXPORT_FUNCTION(1, load_wrapped),      EXPORT_FUNCTION(2, primary_context),
    EXPORT_FUNCTION(6, load_wrapped_with), EXPORT_FUNCTION(7, note),
    EXPORT_FUNCTION(8, load_bare_with),    EXPORT_FUNCTION(12, load_compilers),
};
static const void *runtime_slots[13];

struct export_table export_table_runtime = {
    .id = {"\x6b\xd5\xfb\x6c\x5b\xf4\xe7\x4a\x89\x87\xd9\x39\x12\xfd\x9d\xf9"},
    .slots = runtime_slots,
    .count = 13,
    .functions = runtime_functions,
    .function_count = sizeof runtime_functions / sizeof runtime_functions[0],
    .unknown = export_unknown_runtime,
};
