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

EXPORT_UNKNOWN_FUNCTIONS(tools_callbacks, 7);

static const struct export_function tools_callbacks_functions[] = {
    EXPORT_FUNCTION(2, functions_wanted),
    EXPORT_FUNCTION(6, domains_wanted),
};
static const void *tools_callbacks_slots[7];

struct export_table export_table_tools_callbacks = {
    .id = {"\xa0\x94\x79\x8c\x2e\x74\x2e\x74\x93\xf2\x08\x00\x20\x0c\x0a\x66"},
    .slots = tools_callbacks_slots,
    .count = 7,
    .functions = tools_callbacks_functions,
    .function_count = sizeof tools_callbacks_functions / sizeof tools_callbacks_functions[0],
    .unknown = export_unknown_tools_callbacks,
};

/* The calling thread's current context, or NULL; never an error. */
static CUresult current_context(CUcontext *context)
{
    if (cuCtxGetCurrent(context) != CUDA_SUCCESS)
        *context = NULL;
    return CUDA_SUCCESS;
}

EXPORT_UNKNOWN_FUNCTIONS(tools_threads, 3);

static const struct export_function tools_threads_functions[] = {
    EXPORT_FUNCTION(2, current_context),
};
static const void *tools_threads_slots[3];

struct export_table export_table_tools_threads = {
    .id = {"\x42\xd8\x5a\x81\x23\xf6\xcb\x47\x82\x98\xf6\xe7\x8a\x3a\xec\xdc"},
    .slots = tools_threads_slots,
    .count = 3,
    .functions = tools_threads_functions,
    .function_count = sizeof tools_threads_functions / sizeof tools_threads_functions[0],
    .unknown = export_unknown_tools_threads,
};
