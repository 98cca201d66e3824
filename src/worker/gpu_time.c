#include "worker/gpu_time.h"

#include <pthread.h>
#include <stddef.h>

#include "base/clock.h"
#include "driver_api.h"
#include "worker/capture.h"
#include "worker/gate.h"
#include "worker/handle_map.h"

/* A wait for the GPU that is over so soon has found nothing to wait for. */
#define NOTHING_NS 5000u

static struct {
    uint64_t sum_ns;
    uint64_t looked_ns;
    bool busy;
    bool waits; /* for the GPU, since the last look */
    pthread_mutex_t lock;
} meter = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void publish(uint64_t sum_ns)
{
    atomic_store_explicit(&gate_page->gpu_time_us, sum_ns / 1000, memory_order_relaxed);
}

/* The time since the last look, which is now. Under the lock. */
static uint64_t passed(void)
{
    uint64_t now_ns = clock_monotonic_ns(), passed_ns = now_ns - meter.looked_ns;
    meter.looked_ns = now_ns;
    return passed_ns;
}

void gpu_time_begin(void)
{
    pthread_mutex_lock(&meter.lock);
    passed();
    meter.busy = false;
    pthread_mutex_unlock(&meter.lock);
}

bool gpu_time_was_busy(void)
{
    return meter.busy;
}

void gpu_time_look(bool busy)
{
    pthread_mutex_lock(&meter.lock);
    uint64_t passed_ns = passed();
    meter.sum_ns += busy && meter.busy ? passed_ns : busy || meter.busy ? passed_ns / 2 : 0;
    meter.busy = busy;
    publish(meter.sum_ns);
    pthread_mutex_unlock(&meter.lock);
}

void gpu_time_idle_until(uint64_t time_ns)
{
    pthread_mutex_lock(&meter.lock);
    if (!meter.busy && time_ns > meter.looked_ns)
        meter.looked_ns = time_ns;
    pthread_mutex_unlock(&meter.lock);
}

void gpu_time_waits(void)
{
    pthread_mutex_lock(&meter.lock);
    meter.waits = true;
    pthread_mutex_unlock(&meter.lock);
}

void gpu_time_tick(void)
{
    pthread_mutex_lock(&meter.lock);
    uint64_t passed_ns = clock_monotonic_ns() - meter.looked_ns;
    if (meter.waits && passed_ns > NOTHING_NS)
        publish(meter.sum_ns + passed_ns);
    pthread_mutex_unlock(&meter.lock);
}

void gpu_time_drained(void)
{
    pthread_mutex_lock(&meter.lock);
    uint64_t passed_ns = passed();
    if (passed_ns > NOTHING_NS)
        meter.sum_ns += passed_ns;
    meter.busy = meter.waits = false;
    publish(meter.sum_ns);
    pthread_mutex_unlock(&meter.lock);
}

/* --- asking the driver --- */

static bool stream_is_done(CUstream stream)
{
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
    if (capture_is_under_way()) { /* asking would end it */
        done = !meter.busy;
    } else {
        handle_each(HANDLE_CONTEXT, ask_context, &done);
        handle_each(HANDLE_STREAM, ask_stream, &done);
        driver.cuCtxSetCurrent(NULL);
    }
    gate_contexts_unlock();
    return done;
}
