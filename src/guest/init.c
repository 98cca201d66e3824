#include "guest/init.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/connection.h"
#include "guest/export.h"
#include "guest/lock.h"
#include "guest/visible_devices.h"

static struct lock fetching;
static struct reply_device_info facts;
static _Atomic bool facts_known; /* release after facts is filled */
static _Atomic bool initialised;

bool library_initialised(void)
{
    return atomic_load_explicit(&initialised, memory_order_acquire);
}

CUresult library_state(void)
{
    return library_initialised() ? connection_state() : CUDA_ERROR_NOT_INITIALIZED;
}

const struct reply_device_info *device_facts(void)
{
    return library_initialised() ? &facts : NULL;
}

/* Connects and fetches the facts, once. */
static CUresult fetch_facts(void)
{
    if (atomic_load_explicit(&facts_known, memory_order_acquire))
        return connection_state();
    lock_take(&fetching);
    CUresult result = connection_open();
    if (result == CUDA_SUCCESS && !atomic_load(&facts_known)) {
        struct request_device_info request = {0};
        result = call_wait(CALL_device_info, &request, sizeof request, NULL, 0, &facts, sizeof facts);
        atomic_store_explicit(&facts_known, result == CUDA_SUCCESS, memory_order_release);
    }
    lock_give(&fetching);
    return result;
}

VGPU_EXPORT CUresult cuInit(unsigned int Flags)
{
    if (Flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = fetch_facts();
    if (result == CUDA_SUCCESS)
        result = (CUresult)facts.init_result;
    if (result == CUDA_SUCCESS && !visible_devices_show(getenv("CUDA_VISIBLE_DEVICES"), &facts.uuid_v2))
        result = CUDA_ERROR_NO_DEVICE;
    if (result == CUDA_SUCCESS)
        atomic_store_explicit(&initialised, true, memory_order_release);
    return result;
}

VGPU_EXPORT CUresult cuDriverGetVersion(int *driverVersion)
{
    if (driverVersion == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    /* With no worker to ask, the version of the interface that this library has. */
    *driverVersion = fetch_facts() == CUDA_SUCCESS ? facts.driver_version : CUDA_VERSION;
    return CUDA_SUCCESS;
}
