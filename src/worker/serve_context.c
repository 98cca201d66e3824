#include "worker/serve.h"

#include "driver_api.h"
#include "worker/handle_map.h"
#include "worker/held_memory.h"

CUresult context_flags_error(unsigned flags)
{
    return flags & ~(unsigned)CU_CTX_FLAGS_MASK ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;
}

/* The name of the device's primary context, or 0 when it has none or is not active. */
static uint64_t primary_name(CUdevice device)
{
    unsigned flags;
    int active = 0;
    CUcontext context;
    if (driver.cuDevicePrimaryCtxGetState(device, &flags, &active) != CUDA_SUCCESS || !active ||
        driver.cuDevicePrimaryCtxRetain(&context, device) != CUDA_SUCCESS)
        return 0;
    uint64_t name = handle_known(HANDLE_CONTEXT, context);
    driver.cuDevicePrimaryCtxRelease_v2(device);
    return name;
}

/* Ends a use of the primary context, or all of them: what was made in it goes with it when it was the last.
 */
static CUresult end_primary(CUdevice device, CUresult (*end)(CUdevice), bool all)
{
    if (end == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    uint64_t name = primary_name(device);
    void *context;
    bool withdrawn = name != 0 && handle_withdraw(HANDLE_CONTEXT, name, &context);
    CUresult result = end(device);
    unsigned flags;
    int active = 0;
    bool stays = driver.cuDevicePrimaryCtxGetState(device, &flags, &active) == CUDA_SUCCESS && active;
    bool emptied = !stays || all; /* the driver keeps the context itself, for whoever retains it next */
    if (withdrawn)
        handle_withdrawn_end(name, emptied ? HANDLE_EMPTIED : HANDLE_STAYS);
    if (withdrawn && emptied)
        held_memory_context_emptied(context);
    return result;
}

CUresult serve_cuDevicePrimaryCtxRelease_v2(struct call *call)
{
    const struct request_cuDevicePrimaryCtxRelease_v2 *request = call->request;
    return end_primary(request->dev, driver.cuDevicePrimaryCtxRelease_v2, false);
}

CUresult serve_cuDevicePrimaryCtxReset_v2(struct call *call)
{
    const struct request_cuDevicePrimaryCtxReset_v2 *request = call->request;
    return end_primary(request->dev, driver.cuDevicePrimaryCtxReset_v2, true);
}
