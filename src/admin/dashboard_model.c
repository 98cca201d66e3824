#include "admin/dashboard_model.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "admin/text.h"
#include "base/error.h"

void dashboard_model_init(struct dashboard_model *model)
{
    memset(model, 0, sizeof *model);
}

void dashboard_model_fini(struct dashboard_model *model)
{
    free(model->gpus);
    free(model->vms);
    free(model->rows);
    if (model->has_live)
        vgpu_live_fini(&model->live);
    memset(model, 0, sizeof *model);
}

static void series_add(struct series *series, float value)
{
    if (series->count == SERIES_LENGTH)
        memmove(series->values, series->values + 1, (SERIES_LENGTH - 1) * sizeof series->values[0]);
    else
        series->count++;
    series->values[series->count - 1] = value;
}

static float value_or_nan(struct vgpu_optional value, float scale)
{
    return value.known ? (float)value.value * scale : NAN;
}

static const struct dashboard_gpu *find_gpu(const struct dashboard_model *model, const char *gpu_uuid)
{
    for (size_t i = 0; i < model->gpu_count; i++)
        if (strcmp(model->gpus[i].gpu.gpu_uuid, gpu_uuid) == 0)
            return &model->gpus[i];
    return NULL;
}

/* The GPU as it is now behind its past as the model has it. */
static void fill_gpu(struct dashboard_gpu *to, const struct dashboard_model *model,
                     const struct vgpu_gpu *gpu, struct vgpu_live *live)
{
    const struct dashboard_gpu *before = find_gpu(model, gpu->gpu_uuid);
    if (before != NULL)
        *to = *before;
    to->gpu = *gpu;
    float memory = NAN;
    if (gpu->memory_used_mib.known && gpu->memory_total_mib.known && gpu->memory_total_mib.value > 0)
        memory = 100.0f * (float)gpu->memory_used_mib.value / (float)gpu->memory_total_mib.value;
    series_add(&to->utilization, value_or_nan(gpu->utilization_percent, 1.0f));
    series_add(&to->memory, memory);
    series_add(&to->temperature, value_or_nan(gpu->temperature_c, 1.0f));
    series_add(&to->power, value_or_nan(gpu->power_mw, 0.001f));
    to->live = false;
    to->holder[0] = '\0';
    to->background[0] = '\0';
    to->held_us = 0;
    to->waiting = NULL;
    to->waiting_count = 0;
    for (size_t i = 0; live != NULL && i < live->gpu_count; i++) {
        const struct vgpu_live_gpu *now = &live->gpus[i];
        if (strcmp(now->gpu_uuid, gpu->gpu_uuid) != 0)
            continue;
        to->live = true;
        snprintf(to->holder, sizeof to->holder, "%s", now->holder);
        snprintf(to->background, sizeof to->background, "%s", now->background);
        to->held_us = now->held_us;
        to->waiting = now->waiting;
        to->waiting_count = now->waiting_count;
    }
}

static int compare_uuid(const void *key, const void *element)
{
    return strcmp(key, ((const struct dashboard_vm *)element)->vm.vm_uuid);
}

static struct dashboard_vm *find_vm(struct dashboard_vm *vms, size_t count, const char *vm_uuid)
{
    return count == 0 ? NULL : bsearch(vm_uuid, vms, count, sizeof *vms, compare_uuid);
}

static int order_by_uuid(const void *a, const void *b)
{
    return strcmp(((const struct dashboard_vm *)a)->vm.vm_uuid, ((const struct dashboard_vm *)b)->vm.vm_uuid);
}

/* Rates are differences of the daemon's totals. elapsed_us is 0 where there is nothing to compare with; a
 * total that fell has been counted anew. */
static void fill_rates(struct dashboard_vm *vm, const struct dashboard_vm *before,
                       const struct vgpu_live_vm *now, uint64_t elapsed_us)
{
    vm->live = true;
    vm->processes = now->processes;
    vm->memory_bytes = now->device_memory_bytes;
    vm->wait_p50_us = now->wait.p50_us;
    vm->wait_p99_us = now->wait.p99_us;
    vm->calls = now->calls;
    vm->used_us = now->gpu_time_us.known ? (uint64_t)now->gpu_time_us.value : now->hold_us;
    vm->state = now->processes > 0 ? VM_STATE_IDLE : VM_STATE_NONE;
    bool comparable = before != NULL && before->live && now->calls >= before->calls &&
                      vm->used_us >= before->used_us && elapsed_us > 0;
    if (!comparable)
        return;
    double share = 100.0 * (double)(vm->used_us - before->used_us) / (double)elapsed_us;
    vm->gpu_share = share > 100.0 ? 100.0 : share;
    vm->calls_per_second = (double)(now->calls - before->calls) * 1e6 / (double)elapsed_us;
}

static void mark_queue_states(struct dashboard_vm *vms, size_t count, const struct dashboard_gpu *gpu)
{
    struct dashboard_vm *holder = gpu->holder[0] != '\0' ? find_vm(vms, count, gpu->holder) : NULL;
    struct dashboard_vm *background =
        gpu->background[0] != '\0' ? find_vm(vms, count, gpu->background) : NULL;
    if (holder != NULL)
        holder->state = VM_STATE_HOLDING;
    if (background != NULL)
        background->state = VM_STATE_HOLDING;
    for (size_t i = 0; i < gpu->waiting_count; i++) {
        struct dashboard_vm *waiting = find_vm(vms, count, gpu->waiting[i].vm_uuid);
        if (waiting != NULL)
            waiting->state = VM_STATE_WAITING;
    }
}

static void fill_vms(struct dashboard_vm *vms, const struct dashboard_model *model,
                     const struct vgpu_snapshot *snapshot, const struct vgpu_live *live, uint64_t now_us)
{
    bool same_daemon = live != NULL && model->has_live && live->pid == model->live.pid;
    uint64_t elapsed = same_daemon ? now_us - model->updated_us : 0;
    for (size_t i = 0; i < snapshot->vm_count; i++)
        vms[i] = (struct dashboard_vm){
            .vm = snapshot->vms[i], .gpu_share = (double)NAN, .calls_per_second = (double)NAN};
    qsort(vms, snapshot->vm_count, sizeof *vms, order_by_uuid);
    for (size_t i = 0; live != NULL && i < live->vm_count; i++) {
        struct dashboard_vm *vm = find_vm(vms, snapshot->vm_count, live->vms[i].vm_uuid);
        if (vm != NULL)
            fill_rates(vm, find_vm(model->vms, model->vm_count, live->vms[i].vm_uuid), &live->vms[i],
                       elapsed);
    }
}

/* Whether `text` begins with `part`, whatever the case of either. */
static bool begins_with(const char *text, const char *part)
{
    for (;;) {
        uint32_t wanted = text_next(&part), got = text_next(&text);
        if (wanted == 0)
            return true;
        if (got != wanted && towlower((wint_t)got) != towlower((wint_t)wanted))
            return false;
    }
}

static bool contains(const char *text, const char *part)
{
    do {
        if (begins_with(text, part))
            return true;
    } while (text_next(&text) != 0);
    return false;
}

static bool passes(const struct dashboard_model *model, const struct dashboard_vm *vm)
{
    const char *filter = model->filter;
    char pool[] = {vm->vm.pool, '\0'};
    /* One letter is a pool's before it is part of every other word. */
    if (strlen(filter) == 1 && strchr(model->pools, toupper((unsigned char)filter[0])) != NULL)
        return contains(pool, filter);
    return contains(vm->vm.vm_name, filter) || contains(vm->vm.vm_uuid, filter) || contains(pool, filter) ||
           contains(vgpu_priority_name(vm->vm.priority), filter) ||
           contains(dashboard_state_name(vm->state), filter);
}

/* What a VM is ordered by where that is a number; NAN: not known. */
static double sort_number(const struct dashboard_vm *vm, enum dashboard_sort sort)
{
    switch (sort) {
    case SORT_POOL:
        return vm->vm.pool;
    case SORT_CLASS:
        return vm->vm.priority;
    case SORT_SHARE:
        return vm->gpu_share;
    case SORT_MEMORY:
        return vm->processes > 0 ? (double)vm->memory_bytes : (double)NAN;
    case SORT_CALLS:
        return vm->calls_per_second;
    case SORT_WAIT:
        return vm->wait_p99_us.known ? (double)vm->wait_p99_us.value : (double)NAN;
    default:
        return vm->vm.vm_id;
    }
}

static int compare_rows(const void *a, const void *b, void *user)
{
    const struct dashboard_model *model = user;
    const struct dashboard_vm *first = &model->vms[*(const size_t *)a],
                              *second = &model->vms[*(const size_t *)b];
    double left = sort_number(first, model->sort), right = sort_number(second, model->sort);
    /* What is not known comes last, whichever way round. */
    if (isnan(left) != isnan(right))
        return isnan(left) ? 1 : -1;
    int order = left < right ? -1 : left > right;
    if (model->sort == SORT_NAME)
        order = strcmp(first->vm.vm_name, second->vm.vm_name);
    if (order != 0)
        return model->descending ? -order : order;
    return first->vm.vm_id < second->vm.vm_id ? -1 : first->vm.vm_id > second->vm.vm_id;
}

static void choose_rows(struct dashboard_model *model)
{
    model->row_count = 0;
    for (size_t i = 0; i < model->vm_count; i++)
        if (passes(model, &model->vms[i]))
            model->rows[model->row_count++] = i;
    if (model->row_count > 1)
        qsort_r(model->rows, model->row_count, sizeof *model->rows, compare_rows, model);
}

enum vgpu_status dashboard_model_update(struct dashboard_model *model, const struct vgpu_snapshot *snapshot,
                                        struct vgpu_live *live, const char *daemon_note, uint64_t now_us,
                                        struct vgpu_error *err)
{
    struct dashboard_gpu *gpus = calloc(snapshot->gpu_count + 1, sizeof *gpus);
    struct dashboard_vm *vms = calloc(snapshot->vm_count + 1, sizeof *vms);
    size_t *rows = calloc(snapshot->vm_count + 1, sizeof *rows);
    if (gpus == NULL || vms == NULL || rows == NULL) {
        free(gpus);
        free(vms);
        free(rows);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < snapshot->gpu_count; i++)
        fill_gpu(&gpus[i], model, &snapshot->gpus[i], live);
    fill_vms(vms, model, snapshot, live, now_us);
    for (size_t i = 0; i < snapshot->gpu_count; i++)
        mark_queue_states(vms, snapshot->vm_count, &gpus[i]);
    for (size_t i = 0; i < snapshot->vm_count; i++)
        if (vms[i].vm.paused)
            vms[i].state = VM_STATE_PAUSED;
    for (size_t i = 0; i < snapshot->vm_count; i++)
        if (vms[i].vm.quarantined)
            vms[i].state = VM_STATE_QUARANTINED;
    free(model->gpus);
    free(model->vms);
    free(model->rows);
    if (model->has_live)
        vgpu_live_fini(&model->live);
    model->gpus = gpus;
    model->gpu_count = snapshot->gpu_count;
    model->vms = vms;
    model->vm_count = snapshot->vm_count;
    model->rows = rows;
    model->updated_us = now_us;
    model->has_live = live != NULL;
    if (live != NULL) {
        model->live = *live;
        memset(live, 0, sizeof *live);
    }
    snprintf(model->daemon_note, sizeof model->daemon_note, "%s", daemon_note);
    size_t pools = 0;
    for (; pools < snapshot->pool_count && pools < sizeof model->pools - 1; pools++)
        model->pools[pools] = snapshot->pools[pools].pool;
    model->pools[pools] = '\0';
    choose_rows(model);
    return VGPU_OK;
}

void dashboard_model_sort(struct dashboard_model *model, enum dashboard_sort sort)
{
    model->descending = model->sort == sort ? !model->descending : sort >= SORT_CLASS;
    model->sort = sort;
    choose_rows(model);
}

void dashboard_model_filter(struct dashboard_model *model, const char *text)
{
    snprintf(model->filter, sizeof model->filter, "%s", text);
    choose_rows(model);
}

const struct dashboard_vm *dashboard_model_row(const struct dashboard_model *model, size_t row)
{
    return row < model->row_count ? &model->vms[model->rows[row]] : NULL;
}

size_t dashboard_model_find_gpu(const struct dashboard_model *model, int32_t gpu_id)
{
    for (size_t i = 0; i < model->gpu_count; i++)
        if (model->gpus[i].gpu.gpu_id == gpu_id)
            return i;
    return model->gpu_count;
}

size_t dashboard_model_find_row(const struct dashboard_model *model, const char *vm_uuid)
{
    for (size_t row = 0; row < model->row_count; row++)
        if (strcmp(model->vms[model->rows[row]].vm.vm_uuid, vm_uuid) == 0)
            return row;
    return model->row_count;
}

const char *dashboard_model_vm_name(const struct dashboard_model *model, const char *vm_uuid)
{
    const struct dashboard_vm *vm = find_vm(model->vms, model->vm_count, vm_uuid);
    return vm != NULL ? vm->vm.vm_name : vm_uuid;
}

const char *dashboard_state_name(enum dashboard_vm_state state)
{
    static const char *const names[] = {
        [VM_STATE_NONE] = "-",          [VM_STATE_IDLE] = "idle",     [VM_STATE_WAITING] = "waiting",
        [VM_STATE_HOLDING] = "holding", [VM_STATE_PAUSED] = "paused", [VM_STATE_QUARANTINED] = "quarant"};
    return names[state];
}
