#include "worker/warm_context.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "driver_api.h"

static struct {
    pthread_mutex_t lock; /* over `hidden`, and over each call that depends on it */
    bool hidden;          /* the context is ours alone, and the guest has not asked for it */
    CUdevice device;
    struct driver_api real; /* the functions that are replaced */
} warm = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock. */
static void destroy_hidden(void)
{
    if (warm.hidden)
        warm.real.cuDevicePrimaryCtxRelease_v2(warm.device);
    warm.hidden = false;
}

static CUresult retain(CUcontext *context, CUdevice device)
{
    pthread_mutex_lock(&warm.lock);
    CUresult result = warm.real.cuDevicePrimaryCtxRetain(context, device);
    if (result == CUDA_SUCCESS && warm.hidden) {
        warm.real.cuDevicePrimaryCtxRelease_v2(warm.device); /* the guest's own use keeps it */
        warm.hidden = false;
    }
    pthread_mutex_unlock(&warm.lock);
    return result;
}

static CUresult get_state(CUdevice device, unsigned int *flags, int *active)
{
    pthread_mutex_lock(&warm.lock);
    CUresult result = warm.real.cuDevicePrimaryCtxGetState(device, flags, active);
    if (result == CUDA_SUCCESS && warm.hidden)
        *active = 0;
    pthread_mutex_unlock(&warm.lock);
    return result;
}

/* What the context does not take as it stands is for a new one to have. */
static CUresult set_flags(CUdevice device, unsigned int flags)
{
    unsigned int taken = 0;
    int active = 0;
    pthread_mutex_lock(&warm.lock);
    CUresult result = warm.real.cuDevicePrimaryCtxSetFlags_v2(device, flags);
    if (warm.hidden && result != CUDA_ERROR_INVALID_VALUE && result != CUDA_ERROR_INVALID_DEVICE &&
        (result != CUDA_SUCCESS ||
         warm.real.cuDevicePrimaryCtxGetState(device, &taken, &active) != CUDA_SUCCESS || taken != flags)) {
        destroy_hidden();
        result = warm.real.cuDevicePrimaryCtxSetFlags_v2(device, flags);
    }
    pthread_mutex_unlock(&warm.lock);
    return result;
}

static CUresult release(CUdevice device)
{
    pthread_mutex_lock(&warm.lock);
    destroy_hidden();
    CUresult result = warm.real.cuDevicePrimaryCtxRelease_v2(device);
    pthread_mutex_unlock(&warm.lock);
    return result;
}

static CUresult reset(CUdevice device)
{
    pthread_mutex_lock(&warm.lock);
    destroy_hidden();
    CUresult result = warm.real.cuDevicePrimaryCtxReset_v2(device);
    pthread_mutex_unlock(&warm.lock);
    return result;
}

static void *make_room(void *unused)
{
    pthread_mutex_lock(&warm.lock);
    destroy_hidden();
    pthread_mutex_unlock(&warm.lock);
    return unused;
}

static bool is_hidden(void)
{
    pthread_mutex_lock(&warm.lock);
    bool hidden = warm.hidden;
    pthread_mutex_unlock(&warm.lock);
    return hidden;
}

/* A program with a context of its own seldom wants the primary one too. The program need not wait for its
 * end, unless there is no memory for both. */
static CUresult create_context(CUcontext *context, unsigned int flags, CUdevice device)
{
    pthread_t thread;
    CUresult result = warm.real.cuCtxCreate_v2(context, flags, device);
    if (!is_hidden())
        return result;
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
        make_room(NULL);
        return warm.real.cuCtxCreate_v2(context, flags, device);
    }
    if (result == CUDA_SUCCESS && pthread_create(&thread, NULL, make_room, NULL) == 0)
        pthread_detach(thread);
    return result;
}

CUresult warm_context_make(void)
{
    CUcontext context;
    CUresult result = driver.cuDeviceGet(&warm.device, 0);
    if (result != CUDA_SUCCESS)
        return result;
    if (driver.cuDevicePrimaryCtxRetain == NULL || driver.cuDevicePrimaryCtxRelease_v2 == NULL ||
        driver.cuDevicePrimaryCtxReset_v2 == NULL || driver.cuDevicePrimaryCtxGetState == NULL ||
        driver.cuDevicePrimaryCtxSetFlags_v2 == NULL || driver.cuCtxCreate_v2 == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    result = driver.cuDevicePrimaryCtxRetain(&context, warm.device);
    if (result != CUDA_SUCCESS)
        return result;
    warm.hidden = true;
    warm.real = driver;
    driver.cuDevicePrimaryCtxRetain = retain;
    driver.cuDevicePrimaryCtxRelease_v2 = release;
    driver.cuDevicePrimaryCtxReset_v2 = reset;
    driver.cuDevicePrimaryCtxGetState = get_state;
    driver.cuDevicePrimaryCtxSetFlags_v2 = set_flags;
    driver.cuCtxCreate_v2 = create_context;
    return CUDA_SUCCESS;
}
