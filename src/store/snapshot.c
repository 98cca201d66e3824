#include "store/database.h"

#include <stdlib.h>

enum vgpu_status store_get_snapshot(struct store *store, struct vgpu_snapshot *snapshot,
                                    struct vgpu_error *err)
{
    struct vgpu_snapshot read = {.gpus = NULL};
    bool inside = store->explicit_transaction;
    enum vgpu_status status = VGPU_OK;
    if (!inside) {
        struct query begin = query_start(store, "BEGIN");
        status = query_run(&begin, err);
    }
    if (status != VGPU_OK)
        return status;
    status = store_list_gpus(store, 0, &read.gpus, &read.gpu_count, err);
    if (status == VGPU_OK)
        status = store_list_vms(store, 0, -1, &read.vms, &read.vm_count, err);
    if (status == VGPU_OK)
        status = store_list_pools(store, &read.pools, &read.pool_count, err);
    if (!inside) {
        struct query end = query_start(store, "ROLLBACK");
        query_run(&end, NULL); /* nothing was written: ending it cannot lose anything */
    }
    if (status == VGPU_OK)
        *snapshot = read;
    else
        store_snapshot_fini(&read);
    return status;
}

void store_snapshot_fini(struct vgpu_snapshot *snapshot)
{
    free(snapshot->gpus);
    free(snapshot->vms);
    free(snapshot->pools);
    *snapshot = (struct vgpu_snapshot){.gpus = NULL};
}
