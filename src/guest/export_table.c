/* cuGetExportTable. */
#include "guest/export_table.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/diagnostics.h"
#include "guest/export.h"
#include "guest/lock.h"

static struct export_table *const tables[] = {
    &export_table_runtime,          &export_table_storage,          &export_table_context_checks,
    &export_table_integrity,        &export_table_tools_threads,    &export_table_tools_callbacks,
    &export_table_internals,        &export_table_module_functions, &export_table_processors,
    &export_table_context_creation,
};
#define TABLES (sizeof tables / sizeof tables[0])

/* A race costs a second line, no more. */
CUresult export_slot_unknown(const char *table, unsigned slot)
{
    static struct {
        _Atomic(const char *) table;
        _Atomic unsigned slot;
    } said[64];
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        const char *seen = atomic_load(&said[i].table);
        if (seen == table && atomic_load(&said[i].slot) == slot)
            break;
        if (seen == NULL) {
            atomic_store(&said[i].slot, slot);
            atomic_store(&said[i].table, table);
            diagnostics_say(
                "the program uses function %u of the driver's private table '%s', which vgpu does "
                "not have; please report it with the program's name and version",
                slot, table);
            break;
        }
    }
    return CUDA_ERROR_NOT_SUPPORTED;
}

/* Only when VGPU_DEBUG is set: most programs that ask do without. */
static void say_unknown(const CUuuid *id)
{
    char text[2 * sizeof id->bytes + 1];
    for (size_t i = 0; i < sizeof id->bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned)(unsigned char)id->bytes[i]);
    diagnostics_say("the program asks for the driver's private table %s, which vgpu does not have", text);
}

/* Filling twice, by two threads, gives the same. */
static void fill(struct export_table *table)
{
    for (unsigned i = 0; i < table->count; i++) {
        const void *content =
            table->unknown != NULL ? table->unknown + (size_t)i * EXPORT_UNKNOWN_BYTES : NULL;
        if (i == 0 && !table->begins_with_function)
            content = (const void *)(table->count * sizeof *table->slots);
        for (unsigned k = 0; k < table->function_count; k++)
            if (table->functions[k].slot == i)
                content = (const void *)(uintptr_t)table->functions[k].function;
        table->slots[i] = content;
    }
}

VGPU_EXPORT CUresult cuGetExportTable(const void **ppExportTable, const CUuuid *pExportTableId)
{
    if (ppExportTable == NULL || pExportTableId == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < TABLES; i++) {
        if (memcmp(tables[i]->id.bytes, pExportTableId->bytes, sizeof pExportTableId->bytes) == 0) {
            fill(tables[i]);
            *ppExportTable = tables[i]->slots;
            return CUDA_SUCCESS;
        }
    }
    *ppExportTable = NULL;
    if (diagnostics_wanted())
        say_unknown(pExportTableId);
    return CUDA_ERROR_INVALID_VALUE;
}
