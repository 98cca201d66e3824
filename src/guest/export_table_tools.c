/* Tables for tools that watch a program, through which the runtime asks whether one is there. None is. */
#include "guest/export_table.h"

#include <stddef.h>
#include <stdint.h>

#include "cuda_api.h"

/* Of which of the runtime's functions and events a tool wants to hear: none. The counts are the driver's; the
 * room is enough for words, whatever an element is. */
#define FUNCTIONS 1024u
#define DOMAINS   14u
static uint32_t functions[FUNCTIONS];
static uint32_t domains[DOMAINS];

static const void *functions_wanted(const void **flags, size_t *count)
{
    *count = FUNCTIONS;
    return *flags = functions;
}

static const void *domains_wanted(const void **flags, size_t *count)
{
    *count = DOMAINS;
    return *flags = domains;
}

EXPORT_UNKNOWN_SLOT(tools_callbacks, 1)
EXPORT_UNKNOWN_SLOT(tools_callbacks, 3)
EXPORT_UNKNOWN_SLOT(tools_callbacks, 4)
EXPORT_UNKNOWN_SLOT(tools_callbacks, 5)

static const export_slot callback_slots[] = {
    EXPORT_TABLE_SIZE(7),
    EXPORT_FUNCTION(tools_callbacks_slot_1),
    EXPORT_FUNCTION(functions_wanted),
    EXPORT_FUNCTION(tools_callbacks_slot_3),
    EXPORT_FUNCTION(tools_callbacks_slot_4),
    EXPORT_FUNCTION(tools_callbacks_slot_5),
    EXPORT_FUNCTION(domains_wanted),
};

const struct export_table export_table_tools_callbacks = {
    .id = {"\xa0\x94\x79\x8c\x2e\x74\x2e\x74\x93\xf2\x08\x00\x20\x0c\x0a\x66"},
    .slots = callback_slots,
};

/* The calling thread's current context, or NULL; never an error. */
static CUresult current_context(CUcontext *context)
{
    if (cuCtxGetCurrent(context) != CUDA_SUCCESS)
        *context = NULL;
    return CUDA_SUCCESS;
}

EXPORT_UNKNOWN_SLOT(tools_threads, 1)

static const export_slot thread_slots[] = {
    EXPORT_TABLE_SIZE(3),
    EXPORT_FUNCTION(tools_threads_slot_1),
    EXPORT_FUNCTION(current_context),
};

const struct export_table export_table_tools_threads = {
    .id = {"\x42\xd8\x5a\x81\x23\xf6\xcb\x47\x82\x98\xf6\xe7\x8a\x3a\xec\xdc"},
    .slots = thread_slots,
};
