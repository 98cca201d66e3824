#include "daemon/spares.h"

#include "base/log.h"
#include "daemon/host.h"
#include "daemon/worker.h"

/* From the moment that a guest has been served: its first calls come now. */
#define REPLACE_DELAY_US UINT64_C(300000)

/* For what memory a new one holds. */
#define MEMORY_ATTEMPTS 5
#define MEMORY_RETRY_US UINT64_C(200000)

#define RETRY_FIRST_US UINT64_C(1000000)
#define RETRY_LAST_US  UINT64_C(60000000)

/* A guest process may come for this GPU. */
static bool is_in_use(const struct host *host, const struct gpu *gpu)
{
    for (size_t i = 0; gpu->online && i < host->vm_count; i++) {
        if (host->vms[i]->gpu == gpu)
            return true;
    }
    return false;
}

static void timer_fired(uv_timer_t *timer);

/* Looks again at this time, or earlier. */
static void look_at(struct spares *spares, uint64_t time_us)
{
    uint64_t now_us = schedule_now_us();
    if (spares->closed || !spares->wanted || time_us >= spares->due_us)
        return;
    spares->due_us = time_us;
    uv_timer_start(&spares->timer, timer_fired, time_us > now_us ? (time_us - now_us + 999) / 1000 : 0, 0);
}

static void failed(struct spares *spares, struct gpu *gpu)
{
    uint64_t wait_us = RETRY_LAST_US;
    if (gpu->spares.failures < 6)
        wait_us = RETRY_FIRST_US << gpu->spares.failures++;
    gpu->spares.next_us = schedule_now_us() + wait_us;
    look_at(spares, gpu->spares.next_us);
}

/* One at a time: two that start at once only wait for each other in the driver. */
static void refill(struct spares *spares, struct gpu *gpu)
{
    const struct worker *worker;
    struct vgpu_error err;
    LIST_FOREACH(worker, &gpu->spares.list, in_spares)
    {
        if (worker->state == WORKER_WARMING)
            return;
    }
    if (spares_ready_count(gpu) >= spares->wanted)
        return;
    if (gpu->spares.next_us > schedule_now_us()) {
        look_at(spares, gpu->spares.next_us);
    } else if (worker_start_spare(spares->service, gpu, &err) != VGPU_OK) {
        log_warning("GPU %d: %s", (int)gpu->gpu_id, err.message);
        failed(spares, gpu);
    }
}

static void end_all(struct gpu *gpu)
{
    struct worker *worker;
    LIST_FOREACH(worker, &gpu->spares.list, in_spares)
    {
        worker_end(worker, "no guest will come");
    }
}

static void memory_known(struct facts_request *request, const struct nvml_facts *facts,
                         const struct nvml_process *processes, size_t process_count)
{
    struct gpu *gpu = (struct gpu *)((char *)request - offsetof(struct gpu, spares.request));
    struct worker *worker;
    LIST_FOREACH(worker, &gpu->spares.list, in_spares)
    {
        for (size_t i = 0; i < process_count; i++) {
            if ((int)processes[i].pid == worker_pid(worker) && processes[i].memory_bytes != UINT64_MAX)
                worker->spare_memory_bytes = processes[i].memory_bytes;
        }
    }
}

/* The host's NVML may have been read just before the worker was ready: asks again then, a few times. */
static void ask_for_memory(struct spares *spares, struct gpu *gpu)
{
    struct worker *worker;
    bool missing = false;
    LIST_FOREACH(worker, &gpu->spares.list, in_spares)
    {
        if (worker->state == WORKER_WARM && !worker->spare_memory_bytes &&
            worker->spare_memory_asked < MEMORY_ATTEMPTS) {
            worker->spare_memory_asked++;
            missing = true;
        }
    }
    if (!missing || !spares->facts || gpu->spares.request.waits)
        return;
    look_at(spares, schedule_now_us() + MEMORY_RETRY_US);
    gpu->spares.request.ready = memory_known;
    gpu_facts_ask(spares->facts, gpu->gpu_uuid, &gpu->spares.request);
}

static void timer_fired(uv_timer_t *timer)
{
    struct spares *spares = timer->data;
    spares->due_us = UINT64_MAX;
    for (size_t i = 0; i < spares->host->gpu_count; i++) {
        if (is_in_use(spares->host, spares->host->gpus[i]))
            refill(spares, spares->host->gpus[i]);
        ask_for_memory(spares, spares->host->gpus[i]);
    }
}

void spares_init(struct spares *spares, uv_loop_t *loop, struct service *service, const struct host *host,
                 unsigned wanted)
{
    *spares = (struct spares){.service = service, .host = host, .wanted = wanted, .due_us = UINT64_MAX};
    uv_timer_init(loop, &spares->timer);
    spares->timer.data = spares;
}

void spares_look(struct spares *spares)
{
    for (size_t i = 0; i < spares->host->gpu_count; i++) {
        if (!is_in_use(spares->host, spares->host->gpus[i]))
            end_all(spares->host->gpus[i]);
    }
    look_at(spares, schedule_now_us());
}

void spares_close(struct spares *spares)
{
    spares->closed = true;
    uv_timer_stop(&spares->timer);
    for (size_t i = 0; i < spares->host->gpu_count; i++)
        end_all(spares->host->gpus[i]);
}

void spares_fini(struct spares *spares)
{
    spares->closed = true;
    uv_close((uv_handle_t *)&spares->timer, NULL);
}

struct worker *spares_take(struct gpu *gpu)
{
    struct worker *worker;
    struct worker *found = NULL;
    LIST_FOREACH(worker, &gpu->spares.list, in_spares)
    {
        if (worker->state == WORKER_WARM || (worker->state == WORKER_WARMING && !found))
            found = worker;
    }
    if (found) {
        LIST_REMOVE(found, in_spares);
        found->is_spare = false;
    }
    return found;
}

unsigned spares_ready_count(const struct gpu *gpu)
{
    const struct worker *worker;
    unsigned count = 0;
    LIST_FOREACH(worker, &gpu->spares.list, in_spares)
    {
        count += worker->state == WORKER_WARM;
    }
    return count;
}

uint64_t spares_memory_bytes(const struct gpu *gpu)
{
    const struct worker *worker;
    uint64_t bytes = 0;
    LIST_FOREACH(worker, &gpu->spares.list, in_spares)
    {
        bytes += worker->spare_memory_bytes;
    }
    return bytes;
}

void spares_served(struct spares *spares)
{
    look_at(spares, schedule_now_us() + REPLACE_DELAY_US);
}

void spares_ready(struct worker *worker)
{
    worker->gpu->spares.failures = 0;
    worker->gpu->spares.next_us = 0;
    look_at(&worker->service->spares, schedule_now_us());
}

void spares_gone(struct worker *worker)
{
    LIST_REMOVE(worker, in_spares);
    worker->is_spare = false;
    if (worker->state == WORKER_ENDING)
        look_at(&worker->service->spares, schedule_now_us());
    else
        failed(&worker->service->spares, worker->gpu);
}
