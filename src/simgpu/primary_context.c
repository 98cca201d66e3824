/* cuDevicePrimaryCtx*: the one context of a device that all of a process shares. It is alive from a retain to
 * the last release, or to a reset, which does not change how often it is retained. Its handle stays the same
 * for ever. */
#include "cuda_api.h"
#include "simgpu/context.h"
#include "simgpu/handle.h"

static CUresult find_device(CUdevice dev, struct sim_device **device)
{
    CUresult result = driver_check();
    if (result)
        return result;
    *device = driver_device(dev);
    return *device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

/* Two threads may retain at once: creating takes the device's lock itself, so this one stands around both. */
static pthread_mutex_t primary_lock = PTHREAD_MUTEX_INITIALIZER;

CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find_device(dev, &device);
    if (!result && !pctx)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&primary_lock);
    if (!device->primary_is_alive) {
        result = context_create(device, device->primary_flags, device->primary, &device->primary);
        if (!result)
            device->primary->is_primary = device->primary_is_alive = true;
    }
    if (!result) {
        device->primary_refs++;
        *pctx = device->primary;
    }
    pthread_mutex_unlock(&primary_lock);
    return result;
}

static void end_primary(struct sim_device *device)
{
    if (device->primary_is_alive)
        context_end(device->primary);
    device->primary_is_alive = false;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find_device(dev, &device);
    if (result)
        return result;
    pthread_mutex_lock(&primary_lock);
    if (device->primary_refs == 0)
        result = CUDA_ERROR_INVALID_CONTEXT;
    else if (--device->primary_refs == 0)
        end_primary(device);
    pthread_mutex_unlock(&primary_lock);
    return result;
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find_device(dev, &device);
    if (result)
        return result;
    pthread_mutex_lock(&primary_lock);
    end_primary(device);
    pthread_mutex_unlock(&primary_lock);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned int flags)
{
    struct sim_device *device;
    CUresult result = find_device(dev, &device);
    if (!result && !context_flags_are_valid(flags))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&primary_lock);
    device->primary_flags = flags;
    if (device->primary_is_alive)
        device->primary->flags = flags;
    pthread_mutex_unlock(&primary_lock);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice dev, unsigned int *flags, int *active)
{
    struct sim_device *device;
    CUresult result = find_device(dev, &device);
    if (!result && (!flags || !active))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&primary_lock);
    *flags = device->primary_flags;
    *active = device->primary_is_alive;
    pthread_mutex_unlock(&primary_lock);
    return CUDA_SUCCESS;
}
