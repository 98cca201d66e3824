#include "simgpu/driver.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cuda_api.h"
#include "simgpu/arena.h"
#include "simgpu/channel_group.h"
#include "simgpu/work.h"

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic CUresult init_result = CUDA_ERROR_NOT_INITIALIZED;
static atomic_bool is_forked;
static bool was_tried;
static struct machine machine;
static struct shared_state *shared_state;
static struct sim_device devices[MACHINE_GPUS_MAX];
static int device_count;

/* --- which devices the process may see --- */

static const struct machine_gpu *gpu_by_uuid(const char *word, size_t length)
{
    const struct machine_gpu *found = NULL;
    for (unsigned int i = 0; i < machine.gpu_count; i++)
        if (strncasecmp(machine.gpus[i].uuid_text, word, length) == 0) {
            if (found)
                return NULL; /* the prefix means more than one */
            found = &machine.gpus[i];
        }
    return found;
}

/* One entry of CUDA_VISIBLE_DEVICES; NULL: it names nothing, which ends the list. */
static const struct machine_gpu *visible_gpu(const char *word, size_t length)
{
    if (length >= 4 && strncasecmp(word, "GPU-", 4) == 0)
        return gpu_by_uuid(word, length);
    unsigned long index = 0;
    if (length == 0 || strspn(word, "0123456789") < length || length > 9)
        return NULL;
    for (size_t i = 0; i < length; i++)
        index = index * 10 + (unsigned long)(word[i] - '0');
    return index < machine.gpu_count ? &machine.gpus[index] : NULL;
}

static void add_device(const struct machine_gpu *gpu)
{
    struct sim_device *device = &devices[device_count];
    device->ordinal = device_count++;
    device->gpu = gpu;
    device->limits = model_limits(gpu->model);
    pthread_mutex_init(&device->lock, NULL);
}

static void find_devices(void)
{
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    if (!list) {
        for (unsigned int i = 0; i < machine.gpu_count; i++)
            if (!machine.gpus[i].lost)
                add_device(&machine.gpus[i]);
        return;
    }
    while (*list && device_count < MACHINE_GPUS_MAX) {
        while (*list == ' ')
            list++;
        size_t length = strcspn(list, ", ");
        const struct machine_gpu *gpu = visible_gpu(list, length);
        if (!gpu)
            return;
        for (int i = 0; i < device_count; i++)
            if (devices[i].gpu == gpu) {
                device_count = 0; /* named twice: no device at all */
                return;
            }
        if (!gpu->lost)
            add_device(gpu);
        list += length;
        list += strspn(list, " ");
        if (*list == ',')
            list++;
    }
}

/* --- init --- */

static void after_fork_in_child(void)
{
    atomic_store(&is_forked, true);
}

static CUresult initialise(void)
{
    struct vgpu_error err;
    enum vgpu_status status = machine_load(&machine, &err);
    if (!status)
        status = shared_state_open(machine.seed, &shared_state, &err);
    if (status) {
        fprintf(stderr, "simulated libcuda.so.1: %s\n", err.message);
        return CUDA_ERROR_SYSTEM_NOT_READY;
    }
    channel_group_allow_pauses(machine.pauses);
    find_devices();
    if (device_count == 0)
        return CUDA_ERROR_NO_DEVICE;
    if (!arena_init())
        return CUDA_ERROR_OUT_OF_MEMORY;
    work_init();
    pthread_atfork(NULL, NULL, after_fork_in_child);
    return CUDA_SUCCESS;
}

CUresult cuInit(unsigned int Flags)
{
    if (Flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (atomic_load(&is_forked))
        return CUDA_ERROR_NOT_INITIALIZED;
    pthread_mutex_lock(&init_lock);
    if (!was_tried) {
        was_tried = true;
        atomic_store(&init_result, initialise());
    }
    pthread_mutex_unlock(&init_lock);
    return atomic_load(&init_result);
}

CUresult cuDriverGetVersion(int *driverVersion)
{
    if (!driverVersion)
        return CUDA_ERROR_INVALID_VALUE;
    *driverVersion = MACHINE_CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult driver_check(void)
{
    if (atomic_load(&is_forked))
        return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = atomic_load(&init_result);
    return result == CUDA_ERROR_NO_DEVICE ? CUDA_ERROR_NOT_INITIALIZED : result;
}

struct sim_device *driver_device(CUdevice ordinal)
{
    return ordinal >= 0 && ordinal < device_count ? &devices[ordinal] : NULL;
}

int driver_device_count(void)
{
    return device_count;
}

struct shared_state *driver_shared_state(void)
{
    return shared_state;
}

/* --- a device's memory --- */

uint64_t driver_device_memory(const struct sim_device *device)
{
    return device->gpu->memory_bytes - device->gpu->reserved_bytes;
}

/* The device has one user more, who takes so much of its memory. */
static CUresult enter(struct sim_device *device, uint64_t bytes)
{
    CUresult result = CUDA_SUCCESS;
    if (device->gpu->error)
        return CUDA_ERROR_DEVICE_UNAVAILABLE;
    pthread_mutex_lock(&device->lock);
    if (device->slot_users == 0) {
        device->slot = shared_state_join(shared_state, device->gpu->key);
        if (!device->slot)
            result = CUDA_ERROR_DEVICE_UNAVAILABLE;
    }
    if (!result && !shared_slot_reserve(shared_state, device->slot, bytes, driver_device_memory(device))) {
        result = CUDA_ERROR_OUT_OF_MEMORY;
        if (device->slot_users == 0)
            shared_state_leave(shared_state, device->slot);
    }
    if (!result)
        device->slot_users++;
    pthread_mutex_unlock(&device->lock);
    return result;
}

static void leave(struct sim_device *device, uint64_t bytes)
{
    pthread_mutex_lock(&device->lock);
    shared_slot_release(shared_state, device->slot, bytes);
    if (--device->slot_users == 0) {
        shared_state_leave(shared_state, device->slot);
        device->slot = NULL;
    }
    pthread_mutex_unlock(&device->lock);
}

CUresult driver_device_enter(struct sim_device *device)
{
    return enter(device, device->gpu->context_bytes);
}

void driver_device_leave(struct sim_device *device)
{
    leave(device, device->gpu->context_bytes);
}

CUresult driver_device_reserve_apart(struct sim_device *device, uint64_t bytes)
{
    return enter(device, bytes);
}

void driver_device_release_apart(struct sim_device *device, uint64_t bytes)
{
    leave(device, bytes);
}

CUresult driver_device_reserve(struct sim_device *device, uint64_t bytes)
{
    bool fits = shared_slot_reserve(shared_state, device->slot, bytes, driver_device_memory(device));
    return fits ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

void driver_device_release(struct sim_device *device, uint64_t bytes)
{
    shared_slot_release(shared_state, device->slot, bytes);
}
