/* The private tables behind cuGetExportTable. NVIDIA's runtime library (libcudart, which cuBLAS, cuDNN, NCCL
 * and others carry within them) asks the driver for some before its first call. Each is an array of words
 * that lives as long as the library: in most the first word is the array's size in bytes, the others are
 * functions. They are put together here from public calls, so that the worker needs nothing private.
 *
 * Layouts: as the open implementations of a CUDA driver that run the same libraries have them (ZLUDA's
 * dark_api, Lupine's client), and as a driver of version 580 was seen to answer. */
#ifndef VGPU_GUEST_EXPORT_TABLE_H
#define VGPU_GUEST_EXPORT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

#define EXPORT_SLOTS_MAX 128u

/* A function whose meaning is known, and its slot. */
struct export_function {
    unsigned slot;
    void (*function)(void);
};
#define EXPORT_FUNCTION(slot, name)                                                                          \
    {                                                                                                        \
        slot, (void (*)(void))(name)                                                                         \
    }

struct export_table {
    CUuuid id;
    const void **slots; /* room for `count`; filled when the table is first asked for */
    unsigned count;
    bool begins_with_function; /* not with its size */
    const struct export_function *functions;
    unsigned function_count;
    /* From EXPORT_UNKNOWN_FUNCTIONS: what stands in all other slots. NULL: they stay empty. */
    const char *unknown;
};

/* Functions for `count` slots of which nothing is known but their place: whoever calls one is told on stderr,
 * once, and gets CUDA_ERROR_NOT_SUPPORTED. Names export_unknown_TABLE and the table's name as text. */
#define EXPORT_UNKNOWN_BYTES 32u
#define EXPORT_UNKNOWN_FUNCTIONS(table, count)                                                               \
    const char export_name_##table[] = #table;                                                               \
    extern const char export_unknown_##table[];                                                              \
    __asm__(".pushsection .text\n"                                                                           \
            ".balign 32\n"                                                                                   \
            "export_unknown_" #table ":\n"                                                                   \
            ".set export_slot, 0\n"                                                                          \
            ".rept " #count "\n"                                                                             \
            ".balign 32\n"                                                                                   \
            "endbr64\n"                                                                                      \
            "lea export_name_" #table "(%rip), %rdi\n"                                                       \
            "mov $export_slot, %esi\n"                                                                       \
            "jmp export_slot_unknown\n"                                                                      \
            ".set export_slot, export_slot + 1\n"                                                            \
            ".endr\n"                                                                                        \
            ".popsection\n")

/* What those functions do. */
CUresult export_slot_unknown(const char *table, unsigned slot);

extern struct export_table export_table_runtime;
extern struct export_table export_table_storage;
extern struct export_table export_table_context_checks;
extern struct export_table export_table_context_creation;
extern struct export_table export_table_integrity;
extern struct export_table export_table_internals;
extern struct export_table export_table_module_functions;
extern struct export_table export_table_processors;
extern struct export_table export_table_tools_callbacks;
extern struct export_table export_table_tools_threads;

#endif
