#include "daemon/host.h"

#include "base/error.h"
#include "daemon/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int vm_compare(const void *a, const void *b)
{
    const struct vm *const *left = a;
    const struct vm *const *right = b;
    return strcmp((*left)->info.vm_uuid, (*right)->info.vm_uuid);
}

static int info_compare(const void *a, const void *b)
{
    const struct vgpu_vm *const *left = a;
    const struct vgpu_vm *const *right = b;
    return strcmp((*left)->vm_uuid, (*right)->vm_uuid);
}

static int vm_compare_uuid(const void *key, const void *element)
{
    const struct vm *const *vm = element;
    return strcmp(key, (*vm)->info.vm_uuid);
}

struct vm *host_find_vm(const struct host *host, const char *vm_uuid)
{
    if (!host->vm_count)
        return NULL;
    struct vm **found = bsearch(vm_uuid, host->vms, host->vm_count, sizeof *host->vms, vm_compare_uuid);
    return found ? *found : NULL;
}

struct vm *host_find_vm_by_cid(const struct host *host, uint32_t vsock_cid)
{
    for (size_t i = 0; i < host->vm_count; i++) {
        if (vsock_cid && host->vms[i]->info.vsock_cid == vsock_cid)
            return host->vms[i];
    }
    return NULL;
}

static struct gpu *find_gpu(const struct host *host, int64_t gpu_id)
{
    for (size_t i = 0; i < host->gpu_count; i++) {
        if (host->gpus[i]->gpu_id == gpu_id)
            return host->gpus[i];
    }
    return NULL;
}

static struct gpu *gpu_create(struct host *host, int32_t gpu_id)
{
    struct gpu **grown = realloc(host->gpus, (host->gpu_count + 1) * sizeof(struct gpu *));
    if (!grown)
        return NULL;
    host->gpus = grown;
    struct gpu *gpu = calloc(1, sizeof *gpu);
    if (!gpu)
        return NULL;
    gpu->gpu_id = gpu_id;
    LIST_INIT(&gpu->seats);
    LIST_INIT(&gpu->spares.list);
    sched_gpu_add(host->sched, &gpu->sched);
    size_t place = host->gpu_count++;
    for (; place > 0 && host->gpus[place - 1]->gpu_id > gpu_id; place--)
        host->gpus[place] = host->gpus[place - 1];
    host->gpus[place] = gpu;
    return gpu;
}

/* NULL: it is in none. */
static const struct vgpu_limits *pool_limits(const struct host *host, char pool)
{
    return pool >= 'A' && pool <= 'Z' ? &host->pools[pool - 'A'] : NULL;
}

static void gpu_update_policy(struct host *host, struct gpu *gpu, char primary_pool)
{
    struct gpu_policy policy = policy_of_gpu(&host->defaults, pool_limits(host, primary_pool));
    bool same = policy.places == gpu->policy.places && policy.ageing_us == gpu->policy.ageing_us;
    gpu->policy = policy;
    if (!same)
        host->actions->gpu_changed(host->context, gpu);
}

static void gpu_update(struct host *host, struct gpu *gpu, const struct vgpu_gpu *info)
{
    gpu_update_policy(host, gpu, info ? info->pools[0] : '\0');
    bool was_online = gpu->online;
    gpu->online = info && info->status == VGPU_GPU_ONLINE;
    if (info) {
        memcpy(gpu->gpu_uuid, info->gpu_uuid, sizeof gpu->gpu_uuid);
        memcpy(gpu->reason, info->reason, sizeof gpu->reason);
    }
    if (was_online && !gpu->online)
        host->actions->gpu_lost(host->context, gpu);
}

static const struct vgpu_gpu *snapshot_gpu(const struct vgpu_snapshot *snapshot, int32_t gpu_id)
{
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        if (snapshot->gpus[i].gpu_id == gpu_id)
            return &snapshot->gpus[i];
    }
    return NULL;
}

static enum vgpu_status apply_gpus(struct host *host, const struct vgpu_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        int32_t gpu_id = snapshot->gpus[i].gpu_id;
        if (!find_gpu(host, gpu_id) && !gpu_create(host, gpu_id))
            return VGPU_ERR_MEMORY;
    }
    for (size_t i = 0; i < host->gpu_count; i++)
        gpu_update(host, host->gpus[i], snapshot_gpu(snapshot, host->gpus[i]->gpu_id));
    return VGPU_OK;
}

static void vm_update(struct host *host, struct vm *vm, const struct vgpu_vm *info)
{
    struct vm_policy policy = policy_of_vm(&host->defaults, pool_limits(host, info->pool), &info->limits);
    bool reclassed = vm->info.priority != info->priority || vm->info.paused != info->paused ||
                     vm->policy.weight != policy.weight;
    bool quarantined = info->quarantined && !vm_is_quarantined(vm);
    vm->info = *info;
    vm->gpu = info->gpu_id.known ? find_gpu(host, info->gpu_id.value) : NULL;
    if (!vm_policy_equal(&vm->policy, &policy)) {
        vm->policy = policy;
        if (vm->page)
            vm_page_set_limits(vm->page, &policy.page);
    }
    if (reclassed)
        host->actions->vm_reclassed(host->context, vm);
    if (quarantined)
        host->actions->vm_quarantined(host->context, vm);
}

static struct vm *vm_create(const struct vgpu_vm *info)
{
    struct vm *vm = calloc(1, sizeof *vm);
    if (!vm)
        return NULL;
    vm->info = *info;
    vm->info.quarantined = false; /* until vm_update() finds that it is */
    LIST_INIT(&vm->seats);
    STAILQ_INIT(&vm->arrivals);
    return vm;
}

enum vgpu_status vm_open_page(struct vm *vm, struct vgpu_error *err)
{
    if (vm->page)
        return VGPU_OK;
    if (!vm->timing)
        vm->timing = calloc(1, sizeof *vm->timing);
    if (!vm->timing)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = vm_page_create(&vm->page, &vm->page_fd, err);
    if (status == VGPU_OK)
        vm_page_set_limits(vm->page, &vm->policy.page);
    return status;
}

void vm_describe_quarantine(const struct vm *vm, char *text, size_t text_bytes)
{
    const char *reason = vm->info.quarantine_reason;
    snprintf(text, text_bytes,
             "VM %s is in quarantine%s%.80s; ask the host's administrator (vgpu-admin release)",
             vm->info.vm_uuid, reason[0] ? ": " : "", reason);
}

void vm_destroy(struct vm *vm)
{
    if (vm->page)
        close(vm->page_fd);
    vm_page_destroy(vm->page);
    window_destroy(vm->window);
    fault_log_fini(&vm->faults);
    free(vm->timing);
    free(vm);
}

/* The VMs of the snapshot, by vm_uuid: those there are, and new ones made for the others (has no host->vms
 * entry yet). *is_new says which. NULL when out of memory. */
static struct vm **vms_of_snapshot(const struct host *host, const struct vgpu_snapshot *snapshot,
                                   const struct vgpu_vm **infos, bool *is_new)
{
    struct vm **vms = calloc(snapshot->vm_count + 1, sizeof(struct vm *));
    for (size_t i = 0; vms && i < snapshot->vm_count; i++) {
        vms[i] = host_find_vm(host, infos[i]->vm_uuid);
        is_new[i] = !vms[i];
        if (is_new[i] && !(vms[i] = vm_create(infos[i]))) {
            while (i-- > 0) {
                if (is_new[i])
                    vm_destroy(vms[i]);
            }
            free(vms);
            return NULL;
        }
    }
    return vms;
}

/* Both lists are by vm_uuid: who is in the old one alone has been removed. */
static void removed_vms_leave(struct host *host, struct vm **old, size_t old_count)
{
    for (size_t i = 0; i < old_count; i++) {
        if (host->vm_count && bsearch(&old[i], host->vms, host->vm_count, sizeof *host->vms, vm_compare))
            continue;
        old[i]->removed = true;
        host->actions->vm_removed(host->context, old[i]);
    }
}

static enum vgpu_status apply_vms(struct host *host, const struct vgpu_snapshot *snapshot)
{
    size_t count = snapshot->vm_count;
    const struct vgpu_vm **infos = calloc(count + 1, sizeof(const struct vgpu_vm *));
    bool *is_new = calloc(count + 1, sizeof *is_new);
    struct vm **vms = NULL;
    if (infos && is_new) {
        for (size_t i = 0; i < count; i++)
            infos[i] = &snapshot->vms[i];
        qsort(infos, count, sizeof *infos, info_compare);
        vms = vms_of_snapshot(host, snapshot, infos, is_new);
    }
    if (vms) {
        struct vm **old = host->vms;
        size_t old_count = host->vm_count;
        host->vms = vms;
        host->vm_count = count;
        removed_vms_leave(host, old, old_count);
        free(old);
        for (size_t i = 0; i < count; i++) {
            vm_update(host, vms[i], infos[i]);
            if (is_new[i])
                host->actions->vm_added(host->context, vms[i]);
        }
    }
    free(infos);
    free(is_new);
    return vms ? VGPU_OK : VGPU_ERR_MEMORY;
}

enum vgpu_status host_apply(struct host *host, const struct vgpu_snapshot *snapshot, struct vgpu_error *err)
{
    memset(host->pools, 0, sizeof host->pools);
    for (size_t i = 0; i < snapshot->pool_count; i++)
        host->pools[snapshot->pools[i].pool - 'A'] = snapshot->pools[i].limits;
    enum vgpu_status status = apply_gpus(host, snapshot);
    if (status == VGPU_OK)
        status = apply_vms(host, snapshot);
    if (status != VGPU_OK)
        error_set(err, status, "out of memory while taking over the configuration");
    return status;
}

void host_fini(struct host *host)
{
    for (size_t i = 0; i < host->vm_count; i++)
        vm_destroy(host->vms[i]);
    for (size_t i = 0; i < host->gpu_count; i++)
        free(host->gpus[i]);
    free(host->vms);
    free(host->gpus);
    host->vms = NULL;
    host->gpus = NULL;
    host->vm_count = 0;
    host->gpu_count = 0;
}
