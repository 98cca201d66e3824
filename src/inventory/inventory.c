#include "inventory/inventory.h"

#include "base/error.h"
#include "inventory/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Asked in this order; the first that exists on this host answers. */
static const struct source *const sources[] = {&source_nvml, &source_nvidia_smi};
#define SOURCE_COUNT (sizeof sources / sizeof sources[0])

struct inventory {
    struct inventory_options options; /* texts are this struct's own copies */
    void *states[SOURCE_COUNT];
    bool scanned;
};

static bool copy_text(const char **text)
{
    if (*text == NULL)
        return true;
    *text = strdup(*text);
    return *text != NULL;
}

static bool copy_options(struct inventory_options *to, const struct inventory_options *from)
{
    *to = (struct inventory_options){.simulated = from->simulated};
    const char *nvml_path = from->nvml_path;
    const char *nvidia_smi = from->nvidia_smi;
    const char *sysfs_root = from->sysfs_root;
    const char *proc_root = from->proc_root;
    bool good = copy_text(&nvml_path);
    to->nvml_path = good ? nvml_path : NULL;
    good = good && copy_text(&nvidia_smi);
    to->nvidia_smi = good ? nvidia_smi : NULL;
    good = good && copy_text(&sysfs_root);
    to->sysfs_root = good ? sysfs_root : NULL;
    good = good && copy_text(&proc_root);
    to->proc_root = good ? proc_root : NULL;
    return good;
}

enum vgpu_status inventory_open(const struct inventory_options *options, struct inventory **inventory,
                                struct vgpu_error *err)
{
    struct inventory *opened = calloc(1, sizeof *opened);
    if (opened == NULL || !copy_options(&opened->options, options)) {
        inventory_close(opened);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    }
    *inventory = opened;
    return VGPU_OK;
}

void inventory_close(struct inventory *inventory)
{
    if (inventory == NULL)
        return;
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        sources[i]->close(inventory->states[i]);
    free((void *)inventory->options.nvml_path);
    free((void *)inventory->options.nvidia_smi);
    free((void *)inventory->options.sysfs_root);
    free((void *)inventory->options.proc_root);
    free(inventory);
}

struct vgpu_gpu *gpu_list_add(struct gpu_list *list)
{
    struct vgpu_gpu *larger = reallocarray(list->gpus, list->count + 1, sizeof *larger);
    if (larger == NULL)
        return NULL;
    list->gpus = larger;
    struct vgpu_gpu *gpu = &larger[list->count++];
    *gpu = (struct vgpu_gpu){.gpu_id = -1};
    return gpu;
}

static enum vgpu_status error_pass(struct vgpu_error *err, enum vgpu_status status,
                                   const struct vgpu_error *from)
{
    return status == VGPU_OK ? VGPU_OK : error_set(err, status, "%s", from->message);
}

static enum vgpu_status ask_source(struct inventory *inventory, size_t index, bool fresh,
                                   struct gpu_list *list, struct vgpu_error *err)
{
    const struct source *source = sources[index];
    void **state = &inventory->states[index];
    enum vgpu_status status = VGPU_OK;
    if (*state == NULL)
        status = source->open(&inventory->options, state, err);
    return status == VGPU_OK ? source->scan(*state, fresh, list, err) : status;
}

/* Where there is neither: VGPU_ERR_NOT_FOUND. */
static enum vgpu_status ask_driver(struct inventory *inventory, bool fresh, struct gpu_list *list,
                                   struct vgpu_error *err)
{
    enum vgpu_status status = VGPU_ERR_NOT_FOUND;
    size_t last = inventory->options.simulated ? 1 : SOURCE_COUNT;
    for (size_t i = 0; i < last && status == VGPU_ERR_NOT_FOUND; i++)
        status = ask_source(inventory, i, fresh, list, err);
    return status;
}

/* The simulated machine has no bus: its driver says all, or it is broken. */
static enum vgpu_status look_simulated(struct inventory *inventory, bool fresh, struct gpu_list *list,
                                       struct vgpu_error *err)
{
    struct vgpu_error driver = {.status = VGPU_OK};
    enum vgpu_status status = ask_driver(inventory, fresh, list, &driver);
    if (status == VGPU_OK || status == VGPU_ERR_MEMORY)
        return error_pass(err, status, &driver);
    return error_set(err, VGPU_ERR_UNAVAILABLE,
                     "the simulated driver does not start (is VGPU_SIM_GPUS right?): %s", driver.message);
}

static enum vgpu_status look(struct inventory *inventory, bool fresh, struct gpu_list *list,
                             struct vgpu_error *err)
{
    if (inventory->options.simulated)
        return look_simulated(inventory, fresh, list, err);
    struct vgpu_error driver = {.status = VGPU_OK};
    enum vgpu_status answer = ask_driver(inventory, fresh, list, &driver);
    bool no_driver = answer == VGPU_ERR_NOT_FOUND;
    bool silent = answer == VGPU_ERR_UNAVAILABLE;
    if (answer != VGPU_OK && !no_driver && !silent)
        return error_pass(err, answer, &driver);
    enum vgpu_status status =
        pci_add_missing(&inventory->options, answer != VGPU_OK ? driver.message : NULL, list, err);
    if (status == VGPU_OK && silent && list->count == 0)
        return error_pass(err, answer, &driver);
    return status;
}

static bool any_failed(const struct gpu_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->gpus[i].status == VGPU_GPU_ERROR)
            return true;
    return false;
}

/* A driver looks for its GPUs when it is initialised. To do that again at every scan would cost seconds on a
 * host where nothing else keeps the GPUs awake, so it is done when one looks broken: it may have been reset,
 * or have come since. The simulated driver reads its machine anew at no cost. */
static enum vgpu_status look_anew(struct inventory *inventory, struct gpu_list *list, struct vgpu_error *err)
{
    bool first = !inventory->scanned;
    inventory->scanned = true;
    enum vgpu_status status = look(inventory, first || inventory->options.simulated, list, err);
    if (status != VGPU_OK || first || inventory->options.simulated || !any_failed(list))
        return status;
    free(list->gpus);
    *list = (struct gpu_list){.gpus = NULL};
    return look(inventory, true, list, err);
}

enum vgpu_status inventory_scan(struct inventory *inventory, struct vgpu_gpu **gpus, size_t *count,
                                struct vgpu_error *err)
{
    struct gpu_list list = {.gpus = NULL};
    enum vgpu_status status = look_anew(inventory, &list, err);
    if (status != VGPU_OK) {
        free(list.gpus);
        return status;
    }
    *gpus = list.gpus;
    *count = list.count;
    return VGPU_OK;
}

/* By UUID, or by address where the bus alone shows it now. */
static const struct vgpu_gpu *find_same(const struct gpu_list *list, const struct vgpu_gpu *gpu)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->gpus[i].gpu_uuid, gpu->gpu_uuid) == 0)
            return &list->gpus[i];
    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->gpus[i].gpu_uuid, SOURCE_STAND_IN_PREFIX, strlen(SOURCE_STAND_IN_PREFIX)) == 0 &&
            strcmp(list->gpus[i].pci_address, gpu->pci_address) == 0)
            return &list->gpus[i];
    return NULL;
}

static void refresh_one(struct vgpu_gpu *gpu, const struct vgpu_gpu *now)
{
    static const struct vgpu_gpu gone = {.status = VGPU_GPU_OFFLINE, .reason = "not found now"};
    if (now == NULL)
        now = &gone;
    gpu->memory_used_mib = now->memory_used_mib;
    gpu->utilization_percent = now->utilization_percent;
    gpu->temperature_c = now->temperature_c;
    gpu->power_mw = now->power_mw;
    gpu->status = now->status;
    memcpy(gpu->reason, now->reason, sizeof gpu->reason);
}

enum vgpu_status inventory_refresh(struct inventory *inventory, struct vgpu_gpu *gpus, size_t count,
                                   struct vgpu_error *err)
{
    struct gpu_list list = {.gpus = NULL};
    enum vgpu_status status = look(inventory, false, &list, err);
    for (size_t i = 0; status == VGPU_OK && i < count; i++)
        refresh_one(&gpus[i], find_same(&list, &gpus[i]));
    free(list.gpus);
    return status;
}
