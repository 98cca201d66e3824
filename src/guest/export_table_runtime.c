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

EXPORT_UNKNOWN_SLOT(runtime, 3)
EXPORT_UNKNOWN_SLOT(runtime, 4)
EXPORT_UNKNOWN_SLOT(runtime, 5)
EXPORT_UNKNOWN_SLOT(runtime, 9)
EXPORT_UNKNOWN_SLOT(runtime, 10)
EXPORT_UNKNOWN_SLOT(runtime, 11)

static const export_slot slots[] = {
    EXPORT_TABLE_SIZE(13),
    EXPORT_FUNCTION(load_wrapped),
    EXPORT_FUNCTION(primary_context),
    EXPORT_FUNCTION(runtime_slot_3),
    EXPORT_FUNCTION(runtime_slot_4),
    EXPORT_FUNCTION(runtime_slot_5),
    EXPORT_FUNCTION(load_wrapped_with),
    EXPORT_FUNCTION(note),
    EXPORT_FUNCTION(load_bare_with),
    EXPORT_FUNCTION(runtime_slot_9),
    EXPORT_FUNCTION(runtime_slot_10),
    EXPORT_FUNCTION(runtime_slot_11),
    EXPORT_FUNCTION(load_compilers),
};

const struct export_table export_table_runtime = {
    .id = {"\x6b\xd5\xfb\x6c\x5b\xf4\xe7\x4a\x89\x87\xd9\x39\x12\xfd\x9d\xf9"},
    .slots = slots,
};
