#include "guest/primary_context.h"

#include "cuda_api.h"
#include "guest/context.h"
#include "guest/context_storage.h"
#include "guest/export.h"
#include "guest/lock.h"
#include "guest/ranges.h"
#include "guest_forward.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static struct {
    struct lock lock;
    CUcontext context; /* NULL until first retained */
    unsigned retained; /* by this process, not yet released */
    uint64_t changes;  /* calls that may have changed its state */
    /* Its state as the worker told it after change number known_changes - 1; 0: not asked yet. */
    uint64_t known_changes;
    unsigned flags;
    int active;
} primary;

static void state_changed(void)
{
    lock_take(&primary.lock);
    primary.changes++;
    lock_give(&primary.lock);
}

VGPU_EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
    CUresult result = forward_cuDevicePrimaryCtxRetain(pctx, dev);
    lock_take(&primary.lock);
    primary.changes++;
    if (result == CUDA_SUCCESS) {
        primary.context = *pctx;
        primary.retained++;
    }
    lock_give(&primary.lock);
    return result;
}

/* What the context keeps for libraries goes before it does, so that they still find it. */
VGPU_EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev)
{
    lock_take(&primary.lock);
    CUcontext ending = primary.retained == 1 ? primary.context : NULL;
    lock_give(&primary.lock);
    if (ending != NULL)
        context_storage_end(ending);
    CUresult result = forward_cuDevicePrimaryCtxRelease_v2(dev);
    ranges_context_ended();
    lock_take(&primary.lock);
    primary.changes++;
    if (result == CUDA_SUCCESS && primary.retained > 0)
        primary.retained--;
    lock_give(&primary.lock);
    return result;
}

VGPU_EXPORT CUresult cuDevicePrimaryCtxReset_v2(CUdevice dev)
{
    if (primary.context != NULL)
        context_storage_end(primary.context);
    CUresult result = forward_cuDevicePrimaryCtxReset_v2(dev);
    ranges_context_ended();
    state_changed();
    return result;
}

static CUresult flags_set(CUresult result, unsigned flags)
{
    state_changed();
    if (result == CUDA_SUCCESS)
        context_has_flags(flags);
    return result;
}

VGPU_EXPORT CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned int flags)
{
    return flags_set(forward_cuDevicePrimaryCtxSetFlags_v2(dev, flags), flags);
}

VGPU_EXPORT CUresult cuCtxSetFlags(unsigned int flags)
{
    return flags_set(forward_cuCtxSetFlags(flags), flags);
}

VGPU_EXPORT CUresult cuDevicePrimaryCtxGetState(CUdevice dev, unsigned int *flags, int *active)
{
    if (flags == NULL || active == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    lock_take(&primary.lock);
    uint64_t changes = primary.changes;
    bool known = dev == 0 && primary.known_changes == changes + 1;
    if (known) {
        *flags = primary.flags;
        *active = primary.active;
    }
    lock_give(&primary.lock);
    if (known)
        return CUDA_SUCCESS;
    CUresult result = forward_cuDevicePrimaryCtxGetState(dev, flags, active);
    if (result != CUDA_SUCCESS)
        return result;
    lock_take(&primary.lock);
    primary.flags = *flags;
    primary.active = *active;
    primary.known_changes = changes + 1;
    lock_give(&primary.lock);
    return result;
}

CUresult primary_context_borrow(bool *borrowed)
{
    static struct lock lock;
    static CUcontext kept;
    CUcontext current = NULL;
    *borrowed = false;
    CUresult result = cuCtxGetCurrent(&current);
    if (result != CUDA_SUCCESS || current != NULL)
        return result;
    lock_take(&lock);
    if (kept == NULL)
        result = cuDevicePrimaryCtxRetain(&kept, 0);
    lock_give(&lock);
    if (result == CUDA_SUCCESS)
        result = cuCtxPushCurrent_v2(kept);
    *borrowed = result == CUDA_SUCCESS;
    return result;
}

void primary_context_return(bool borrowed)
{
    if (borrowed)
        cuCtxPopCurrent_v2(NULL);
}
