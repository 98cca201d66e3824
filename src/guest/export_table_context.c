/* Tables about contexts: what libraries keep with one, whether one may be used, making one. */
#include "guest/export_table.h"

#include <stddef.h>

#include "cuda_api.h"
#include "guest/context_storage.h"

/* This one has no size in front, and ends with NULL. */
static const struct export_function storage_functions[] = {
    EXPORT_FUNCTION(0, context_storage_put),
    EXPORT_FUNCTION(1, context_storage_delete),
    EXPORT_FUNCTION(2, context_storage_get),
};
static const void *storage_slots[4];

struct export_table export_table_storage = {
    .id = {"\xc6\x93\x33\x6e\x11\x21\xdf\x11\xa8\xc3\x68\xf3\x55\xd8\x95\x93"},
    .slots = storage_slots,
    .count = 4,
    .begins_with_function = true,
    .functions = storage_functions,
    .function_count = sizeof storage_functions / sizeof storage_functions[0],
};

/* Whether the runtime may use a context: nothing stands against it. */
static CUresult check_context(CUcontext context, unsigned *objections, const void **details)
{
    (void)context;
    (void)details;
    *objections = 0;
    return CUDA_SUCCESS;
}

static unsigned check_process(void)
{
    return 0;
}

EXPORT_UNKNOWN_FUNCTIONS(context_checks, 15);

static const struct export_function context_checks_functions[] = {
    EXPORT_FUNCTION(2, check_context),
    EXPORT_FUNCTION(3, check_process),
};
static const void *context_checks_slots[15];

struct export_table export_table_context_checks = {
    .id = {"\x26\x3e\x88\x60\x7c\xd2\x61\x43\x92\xf6\xbb\xd5\x00\x6d\xfa\x7e"},
    .slots = context_checks_slots,
    .count = 15,
    .functions = context_checks_functions,
    .function_count = sizeof context_checks_functions / sizeof context_checks_functions[0],
    .unknown = export_unknown_context_checks,
};

static const struct export_function context_creation_functions[] = {
    EXPORT_FUNCTION(1, cuCtxCreate_v2),
};
static const void *context_creation_slots[2];

struct export_table export_table_context_creation = {
    .id = {"\x0c\xa5\x0b\x8c\x10\x04\x92\x9a\x89\xa7\xd0\xdf\x10\xe7\x72\x86"},
    .slots = context_creation_slots,
    .count = 2,
    .functions = context_creation_functions,
    .function_count = sizeof context_creation_functions / sizeof context_creation_functions[0],
};
