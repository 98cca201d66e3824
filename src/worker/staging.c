#include "worker/staging.h"

#include "driver_api.h"
#include "worker/capture.h"
#include "worker/handle_map.h"
#include "worker/lane.h"
#include "worker/segment.h"

/* The events have a name of the worker's own in the map, so that a lane that ends their context waits for a
 * lane that is using them, and this one finds them gone. */
static uint64_t events_name(const struct lane *lane)
{
    return handle_value(HANDLE_STAGING, lane->number, 0);
}

static bool events_live(const struct lane *lane)
{
    void *found;
    return lane->staging_context != NULL && handle_find(HANDLE_STAGING, events_name(lane), &found);
}

uint8_t *staging_slot(const struct lane *lane, uint32_t slot)
{
    return lane->staging + (slot % STAGING_SLOTS) * STAGING_SLOT_BYTES;
}

CUevent staging_event(const struct lane *lane, uint32_t slot)
{
    return lane->staging_events[slot % STAGING_SLOTS];
}

static void publish_done(struct lane *lane, uint32_t done)
{
    lane->staging_done = done;
    atomic_store_explicit(&lane->shared->staging_done, done, memory_order_release);
}

void staging_poll(struct lane *lane, bool all)
{
    if (lane->staging_done == lane->staging_queued)
        return;
    if (!events_live(lane)) {
        publish_done(lane, lane->staging_queued); /* the copies are over, as their context is */
        return;
    }
    CUstreamCaptureMode mode = capture_step_aside();
    while (lane->staging_done != lane->staging_queued) {
        CUevent event = staging_event(lane, lane->staging_done);
        CUresult result = all ? driver.cuEventSynchronize(event) : driver.cuEventQuery(event);
        if (result == CUDA_ERROR_NOT_READY)
            break;
        /* Done, or lost with an error: either way the slot is free. */
        publish_done(lane, lane->staging_done + 1);
    }
    capture_step_back(mode);
}

CUresult staging_queued(struct lane *lane, CUresult result, CUstream stream)
{
    CUresult recorded = events_live(lane)
                            ? driver.cuEventRecord(staging_event(lane, lane->staging_queued), stream)
                            : CUDA_ERROR_INVALID_CONTEXT;
    lane->staging_queued++;
    staging_poll(lane, recorded != CUDA_SUCCESS);
    return result != CUDA_SUCCESS ? result : recorded;
}

static void destroy_events(struct lane *lane)
{
    void *found;
    staging_poll(lane, true);
    if (lane->staging_context != NULL && handle_withdraw(HANDLE_STAGING, events_name(lane), &found)) {
        for (uint32_t i = 0; i < STAGING_SLOTS; i++)
            driver.cuEventDestroy_v2(lane->staging_events[i]);
        handle_withdrawn_end(events_name(lane), HANDLE_GONE);
    }
    lane->staging_context = NULL;
}

static CUresult create_events(struct lane *lane, CUcontext context)
{
    uint32_t made = 0;
    CUresult result = CUDA_SUCCESS;
    CUstreamCaptureMode mode = capture_step_aside();
    while (made < STAGING_SLOTS && result == CUDA_SUCCESS) {
        result = driver.cuEventCreate(&lane->staging_events[made], CU_EVENT_DISABLE_TIMING);
        if (result == CUDA_SUCCESS)
            made++;
    }
    capture_step_back(mode);
    struct handle_owners owners = {.context = handle_known(HANDLE_CONTEXT, context)};
    if (result == CUDA_SUCCESS && handle_name(HANDLE_STAGING, events_name(lane), lane, owners) == 0)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS) {
        lane->staging_context = context;
        return CUDA_SUCCESS;
    }
    while (made > 0)
        driver.cuEventDestroy_v2(lane->staging_events[--made]);
    return result;
}

CUresult staging_follow_context(struct lane *lane)
{
    CUcontext context;
    CUresult result = driver.cuCtxGetCurrent(&context);
    if (result != CUDA_SUCCESS || context == NULL)
        return result != CUDA_SUCCESS ? result : CUDA_ERROR_INVALID_CONTEXT;
    if (context == lane->staging_context && events_live(lane))
        return CUDA_SUCCESS;
    destroy_events(lane);
    return create_events(lane, context);
}

void staging_end(struct lane *lane)
{
    if (lane->staging == NULL)
        return;
    destroy_events(lane);
    segment_drop((uintptr_t)lane->staging);
    lane->staging = NULL;
}
