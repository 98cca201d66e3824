/* cuGetExportTable. */
#include "guest/export_table.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/diagnostics.h"
#include "guest/export.h"

static const struct export_table *const tables[] = {
    &export_table_runtime,          &export_table_storage,       &export_table_context_checks,
    &export_table_integrity,        &export_table_tools_threads, &export_table_tools_callbacks,
    &export_table_context_creation, &export_table_internals,     &export_table_processors,
};

CUresult export_slot_unknown(const char *table, int slot, _Atomic int *said)
{
    if (!atomic_exchange(said, 1))
        diagnostics_say("the program uses function %d of the driver's private table '%s', which vgpu does "
                        "not have; please report it with the program's name and version",
                        slot, table);
    return CUDA_ERROR_NOT_SUPPORTED;
}

/* Only asked for: most programs that ask do without. */
static void say_unknown(const CUuuid *id)
{
    char text[2 * sizeof id->bytes + 1];
    for (size_t i = 0; i < sizeof id->bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned)(unsigned char)id->bytes[i]);
    diagnostics_say("the program asks for the driver's private table %s, which vgpu does not have", text);
}

VGPU_EXPORT CUresult cuGetExportTable(const void **ppExportTable, const CUuuid *pExportTableId)
{
    if (ppExportTable == NULL || pExportTableId == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (memcmp(tables[i]->id.bytes, pExportTableId->bytes, sizeof pExportTableId->bytes) == 0) {
            *ppExportTable = tables[i]->slots;
            return CUDA_SUCCESS;
        }
    }
    *ppExportTable = NULL;
    if (diagnostics_wanted())
        say_unknown(pExportTableId);
    return CUDA_ERROR_INVALID_VALUE;
}
