/* The private tables behind cuGetExportTable. NVIDIA's runtime library (libcudart, which cuBLAS, cuDNN, NCCL
 * and others carry within them) asks the driver for some before its first call. Each is an array of words
 * that lives as long as the library: in most the first word is the array's size in bytes, the others are
 * functions. They are put together here from public calls, so that the worker needs nothing private.
 *
 * Layouts: as the open implementations of a CUDA driver that run the same libraries have them (ZLUDA's
 * dark_api, Lupine's client), and as a driver of version 580 answers. */
#ifndef VGPU_GUEST_EXPORT_TABLE_H
#define VGPU_GUEST_EXPORT_TABLE_H

#include <stdint.h>

#include "cuda/cuda_types.h"

/* A slot: a function, or in slot 0 the table's size. */
typedef const void *export_slot;

#define EXPORT_TABLE_SIZE(slots)  ((export_slot)(uintptr_t)((slots) * sizeof(export_slot)))
#define EXPORT_FUNCTION(function) ((export_slot)(uintptr_t)(function))

/* A function of which nothing is known but its place: says so on stderr once and fails. */
#define EXPORT_UNKNOWN_SLOT(table, slot)                                                                     \
    static CUresult table##_slot_##slot(void)                                                                \
    {                                                                                                        \
        static _Atomic int said;                                                                             \
        return export_slot_unknown(#table, slot, &said);                                                     \
    }
CUresult export_slot_unknown(const char *table, int slot, _Atomic int *said);

struct export_table {
    CUuuid id;
    const export_slot *slots;
};

extern const struct export_table export_table_runtime;
extern const struct export_table export_table_storage;
extern const struct export_table export_table_context_checks;
extern const struct export_table export_table_context_creation;
extern const struct export_table export_table_integrity;
extern const struct export_table export_table_internals;
extern const struct export_table export_table_processors;
extern const struct export_table export_table_tools_callbacks;
extern const struct export_table export_table_tools_threads;

#endif
