#include "worker/gpu_time.h"

#include <stddef.h>

#include "base/clock.h"
#include "driver_api.h"
#include "worker/gate.h"
#include "worker/handle_map.h"

/* A wait for the GPU that is over so soon has found nothing to wait for. */
#define NOTHING_NS 5000u

static struct {
    uint64_t sum_ns;
    uint64_t looked_ns;
    bool busy;
} meter;

void gpu_time_begin(void)
{
    meter.looked_ns = clock_monotonic_ns();
    meter.busy = false;
}

bool gpu_time_was_busy(void)
{
    return meter.busy;
}

void gpu_time_publish(void)
{
    atomic_store_explicit(&gate_page->gpu_time_us, meter.sum_ns / 1000, memory_order_relaxed);
}

void gpu_time_look(bool busy)
{
    uint64_t now_ns = clock_monotonic_ns(), passed_ns = now_ns - meter.looked_ns;
    meter.sum_ns += busy && meter.busy ? passed_ns : busy || meter.busy ? passed_ns / 2 : 0;
    meter.looked_ns = now_ns;
    meter.busy = busy;
    gpu_time_publish();
}

void gpu_time_drained(void)
{
    uint64_t now_ns = clock_monotonic_ns(), passed_ns = now_ns - meter.looked_ns;
    if (meter.busy || passed_ns > NOTHING_NS)
        meter.sum_ns += passed_ns;
    meter.looked_ns = now_ns;
    meter.busy = false;
}

/* --- asking the driver --- */

static bool stream_is_done(CUstream stream)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    if (driver.cuStreamIsCapturing == NULL || driver.cuStreamIsCapturing(stream, &status) != CUDA_SUCCESS ||
        status != CU_STREAM_CAPTURE_STATUS_NONE)
        return true;
    return driver.cuStreamQuery(stream) != CUDA_ERROR_NOT_READY;
}

static void ask_stream(void *stream, void *user)
{
    bool *done = user;
    *done = *done && stream_is_done(stream);
}

static void ask_context(void *context, void *user)
{
    bool *done = user;
    if (*done && driver.cuCtxSetCurrent(context) == CUDA_SUCCESS)
        *done = stream_is_done(NULL);
}

bool gpu_time_nothing_runs(void)
{
    bool done = true;
    gate_contexts_lock();
    handle_each(HANDLE_CONTEXT, ask_context, &done);
    handle_each(HANDLE_STREAM, ask_stream, &done);
    driver.cuCtxSetCurrent(NULL);
    gate_contexts_unlock();
    return done;
}
