/* What only the daemon knows: its answer to "state", as structs. */
#include "base/error.h"
#include "libvgpu/admin_client.h"
#include "libvgpu/admin_protocol.h"
#include "libvgpu/handle.h"

#include <stdio.h>
#include <stdlib.h>

#define STATE_TIMEOUT_MS 5000

/* Members of an object. The first that is missing or of the wrong kind makes the whole answer wrong. */
struct reader {
    const json_t *object;
    bool wrong;
};

static uint64_t read_count(struct reader *reader, const char *name)
{
    const json_t *value = json_object_get(reader->object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        reader->wrong = true;
        return 0;
    }
    return (uint64_t)json_integer_value(value);
}

/* null stands for "". */
static void read_text(struct reader *reader, const char *name, char *text, size_t size)
{
    const json_t *value = json_object_get(reader->object, name);
    if (!json_is_string(value) && !json_is_null(value))
        reader->wrong = true;
    const char *word = json_is_string(value) ? json_string_value(value) : "";
    int length = snprintf(text, size, "%s", word);
    if (length < 0 || (size_t)length >= size)
        reader->wrong = true;
}

/* Room for one `size` bytes large struct per element; NULL with count 0 where there is none. */
static void *read_list(struct reader *reader, const char *name, const json_t **list, size_t *count,
                       size_t size)
{
    *list = json_object_get(reader->object, name);
    *count = 0;
    if (!json_is_array(*list)) {
        reader->wrong = true;
        return NULL;
    }
    size_t length = json_array_size(*list);
    void *room = length == 0 ? NULL : calloc(length, size);
    if (room == NULL && length > 0)
        reader->wrong = true;
    else
        *count = length;
    return room;
}

static bool read_waiting(const json_t *object, struct vgpu_live_waiting *waiting)
{
    struct reader reader = {.object = object};
    read_text(&reader, "vm_uuid", waiting->vm_uuid, sizeof waiting->vm_uuid);
    uint64_t priority = read_count(&reader, "priority");
    waiting->priority = (enum vgpu_priority)priority;
    waiting->waiting_us = read_count(&reader, "waiting_us");
    return !reader.wrong && priority < VGPU_PRIORITY_COUNT;
}

/* null, and a daemon of before this member: not known. */
static struct vgpu_optional read_optional(struct reader *reader, const char *name)
{
    const json_t *value = json_object_get(reader->object, name);
    struct vgpu_optional optional = {.known = json_is_integer(value)};
    if (value != NULL && !optional.known && !json_is_null(value))
        reader->wrong = true;
    if (optional.known)
        optional.value = json_integer_value(value);
    return optional;
}

/* Likewise: "". */
static void read_optional_text(struct reader *reader, const char *name, char *text, size_t size)
{
    if (json_object_get(reader->object, name) != NULL)
        read_text(reader, name, text, size);
}

/* "wait_p50_us" and so on. */
static struct vgpu_percentiles read_percentiles(struct reader *reader, const char *what)
{
    struct vgpu_percentiles read = {.p50_us = {.known = false}};
    const struct {
        const char *name;
        struct vgpu_optional *value;
    } members[] = {{"p50", &read.p50_us}, {"p95", &read.p95_us}, {"p99", &read.p99_us}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_%s_us", what, members[i].name);
        *members[i].value = read_optional(reader, name);
    }
    return read;
}

static bool read_gpu(const json_t *object, struct vgpu_live_gpu *gpu)
{
    struct reader reader = {.object = object};
    const json_t *waiting = NULL;
    uint64_t gpu_id = read_count(&reader, "gpu_id");
    gpu->gpu_id = (int32_t)gpu_id;
    read_text(&reader, "gpu_uuid", gpu->gpu_uuid, sizeof gpu->gpu_uuid);
    read_text(&reader, "holder", gpu->holder, sizeof gpu->holder);
    gpu->held_us = read_count(&reader, "held_us");
    gpu->generation = read_count(&reader, "generation");
    gpu->waiting = read_list(&reader, "waiting", &waiting, &gpu->waiting_count, sizeof *gpu->waiting);
    for (size_t i = 0; i < gpu->waiting_count; i++)
        reader.wrong |= !read_waiting(json_array_get(waiting, i), &gpu->waiting[i]);
    read_optional_text(&reader, "background", gpu->background, sizeof gpu->background);
    read_optional_text(&reader, "preemption", gpu->preemption, sizeof gpu->preemption);
    gpu->warm_workers = read_optional(&reader, "warm_workers");
    gpu->warm_memory_bytes = read_optional(&reader, "warm_memory_bytes");
    gpu->places = read_optional(&reader, "places");
    gpu->handovers = read_optional(&reader, "handovers");
    gpu->preemptions = read_optional(&reader, "preemptions");
    gpu->wait_us = read_optional(&reader, "waited_us");
    gpu->ended_grants = read_optional(&reader, "ended_grants");
    gpu->ended_hold_us = read_optional(&reader, "ended_hold_us");
    gpu->wait = read_percentiles(&reader, "wait");
    gpu->hold = read_percentiles(&reader, "hold");
    return !reader.wrong && gpu_id <= INT32_MAX;
}

static bool read_vm(const json_t *object, struct vgpu_live_vm *vm)
{
    struct reader reader = {.object = object};
    read_text(&reader, "vm_uuid", vm->vm_uuid, sizeof vm->vm_uuid);
    vm->processes = (uint32_t)read_count(&reader, "processes");
    vm->grants = read_count(&reader, "grants");
    vm->wait_us = read_count(&reader, "wait_us");
    vm->hold_us = read_count(&reader, "hold_us");
    vm->calls = read_count(&reader, "calls");
    vm->gpu_calls = read_count(&reader, "gpu_calls");
    vm->device_memory_bytes = read_count(&reader, "device_memory_bytes");
    vm->waiting = read_optional(&reader, "waiting");
    vm->gpu_time_us = read_optional(&reader, "gpu_time_us");
    vm->preemptions = read_optional(&reader, "preemptions");
    vm->timeouts = read_optional(&reader, "timeouts");
    vm->limited_calls = read_optional(&reader, "limited_calls");
    vm->limited_us = read_optional(&reader, "limited_us");
    vm->refused_allocations = read_optional(&reader, "refused_allocations");
    vm->faults = read_optional(&reader, "faults");
    vm->wait = read_percentiles(&reader, "wait");
    vm->hold = read_percentiles(&reader, "hold");
    return !reader.wrong;
}

static bool read_daemon(const json_t *object, struct vgpu_live *live)
{
    struct reader reader = {.object = object};
    read_text(&reader, "version", live->version, sizeof live->version);
    live->pid = (int64_t)read_count(&reader, "pid");
    live->uptime_us = read_count(&reader, "uptime_us");
    read_text(&reader, "driver", live->driver, sizeof live->driver);
    return !reader.wrong;
}

static bool read_state(const json_t *object, struct vgpu_live *live)
{
    struct reader reader = {.object = object};
    const json_t *gpus = NULL;
    const json_t *vms = NULL;
    reader.wrong = !read_daemon(json_object_get(object, "daemon"), live);
    live->gpus = read_list(&reader, "gpus", &gpus, &live->gpu_count, sizeof *live->gpus);
    for (size_t i = 0; i < live->gpu_count; i++)
        reader.wrong |= !read_gpu(json_array_get(gpus, i), &live->gpus[i]);
    live->vms = read_list(&reader, "vms", &vms, &live->vm_count, sizeof *live->vms);
    for (size_t i = 0; i < live->vm_count; i++)
        reader.wrong |= !read_vm(json_array_get(vms, i), &live->vms[i]);
    return !reader.wrong;
}

enum vgpu_status vgpu_get_live(struct vgpu *handle, struct vgpu_live *live, struct vgpu_error *err)
{
    json_t *answer = NULL;
    enum vgpu_status status =
        admin_client_ask(vgpu_run_dir(handle), ADMIN_OP_STATE, STATE_TIMEOUT_MS, &answer, err);
    if (status != VGPU_OK)
        return status;
    struct vgpu_live read = {.pid = 0};
    if (read_state(answer, &read)) {
        *live = read;
    } else {
        vgpu_live_fini(&read);
        status =
            error_set(err, VGPU_ERR_CORRUPT,
                      "the daemon's answer lacks what this version expects: restart vgpud after an update");
    }
    json_decref(answer);
    return status;
}

void vgpu_live_fini(struct vgpu_live *live)
{
    for (size_t i = 0; i < live->gpu_count; i++)
        free(live->gpus[i].waiting);
    free(live->gpus);
    free(live->vms);
    *live = (struct vgpu_live){.pid = 0};
}
