/* Tables about contexts: what libraries keep with one, whether one may be used, making one. */
#include "guest/export_table.h"

#include <stddef.h>

#include "cuda_api.h"
#include "guest/context_storage.h"

/* This one has no size in front, and ends with NULL. */
static const export_slot storage_slots[] = {
    EXPORT_FUNCTION(context_storage_put),
    EXPORT_FUNCTION(context_storage_delete),
    EXPORT_FUNCTION(context_storage_get),
    NULL,
};

const struct export_table export_table_storage = {
    .id = {"\xc6\x93\x33\x6e\x11\x21\xdf\x11\xa8\xc3\x68\xf3\x55\xd8\x95\x93"},
    .slots = storage_slots,
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

EXPORT_UNKNOWN_SLOT(context_checks, 1)
EXPORT_UNKNOWN_SLOT(context_checks, 4)
EXPORT_UNKNOWN_SLOT(context_checks, 5)
EXPORT_UNKNOWN_SLOT(context_checks, 6)
EXPORT_UNKNOWN_SLOT(context_checks, 7)
EXPORT_UNKNOWN_SLOT(context_checks, 8)
EXPORT_UNKNOWN_SLOT(context_checks, 9)
EXPORT_UNKNOWN_SLOT(context_checks, 10)
EXPORT_UNKNOWN_SLOT(context_checks, 11)
EXPORT_UNKNOWN_SLOT(context_checks, 12)
EXPORT_UNKNOWN_SLOT(context_checks, 13)
EXPORT_UNKNOWN_SLOT(context_checks, 14)

static const export_slot check_slots[] = {
    EXPORT_TABLE_SIZE(15),
    EXPORT_FUNCTION(context_checks_slot_1),
    EXPORT_FUNCTION(check_context),
    EXPORT_FUNCTION(check_process),
    EXPORT_FUNCTION(context_checks_slot_4),
    EXPORT_FUNCTION(context_checks_slot_5),
    EXPORT_FUNCTION(context_checks_slot_6),
    EXPORT_FUNCTION(context_checks_slot_7),
    EXPORT_FUNCTION(context_checks_slot_8),
    EXPORT_FUNCTION(context_checks_slot_9),
    EXPORT_FUNCTION(context_checks_slot_10),
    EXPORT_FUNCTION(context_checks_slot_11),
    EXPORT_FUNCTION(context_checks_slot_12),
    EXPORT_FUNCTION(context_checks_slot_13),
    EXPORT_FUNCTION(context_checks_slot_14),
};

const struct export_table export_table_context_checks = {
    .id = {"\x26\x3e\x88\x60\x7c\xd2\x61\x43\x92\xf6\xbb\xd5\x00\x6d\xfa\x7e"},
    .slots = check_slots,
};

static const export_slot creation_slots[] = {
    EXPORT_TABLE_SIZE(2),
    EXPORT_FUNCTION(cuCtxCreate_v2),
};

const struct export_table export_table_context_creation = {
    .id = {"\x0c\xa5\x0b\x8c\x10\x04\x92\x9a\x89\xa7\xd0\xdf\x10\xe7\x72\x86"},
    .slots = creation_slots,
};
