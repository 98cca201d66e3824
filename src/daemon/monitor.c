#include "daemon/monitor.h"

#include "base/log.h"
#include "cuda/nvml_types.h"
#include "daemon/seat.h"
#include "daemon/worker.h"
#include "wire/monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Each process that uses NCCL keeps a connection, as does each agent. All of them together cost a few
 * thousand answers a second. */
#define MONITORS_PER_VM_MAX 64

/* A use of the GPU that is the mean of a shorter time says little. */
#define UTILIZATION_US UINT64_C(500000)

/*   ASKED ──answer known──► ANSWERING ──sent──► PAUSED ──20 ms──► LISTENING ──question──► ASKED */
enum monitor_state { MONITOR_LISTENING, MONITOR_ASKED, MONITOR_ANSWERING, MONITOR_PAUSED };

struct answer {
    struct monitor_answer head;
    struct monitor_process processes[MONITOR_PROCESSES_MAX];
};

struct monitor {
    LIST_ENTRY(monitor) in_monitors;
    struct monitors *monitors;
    char vm_uuid[VGPU_VM_UUID_BYTES];
    uv_pipe_t pipe;
    uv_timer_t pause;
    uv_write_t write;
    unsigned open_handles;
    enum monitor_state state;
    bool ended;
    struct facts_request request;
    struct monitor_question question;
    size_t got; /* bytes of the question */
    struct answer answer;
};

static void listen_on(struct monitor *monitor);

/* ---- Ends ---- */

static void handle_closed(uv_handle_t *handle)
{
    struct monitor *monitor = handle->data;
    if (--monitor->open_handles == 0)
        free(monitor);
}

static void monitor_end(struct monitor *monitor)
{
    if (monitor->ended)
        return;
    monitor->ended = true;
    gpu_facts_take_back(&monitor->request);
    LIST_REMOVE(monitor, in_monitors);
    uv_close((uv_handle_t *)&monitor->pipe, handle_closed);
    uv_close((uv_handle_t *)&monitor->pause, handle_closed);
}

/* ---- Answers ---- */

static void pause_over(uv_timer_t *timer)
{
    listen_on(timer->data);
}

static void answer_sent(uv_write_t *write, int status)
{
    struct monitor *monitor = write->data;
    if (status < 0) {
        monitor_end(monitor);
    } else if (!monitor->ended) {
        monitor->state = MONITOR_PAUSED;
        uv_timer_start(&monitor->pause, pause_over, MONITOR_INTERVAL_MS, 0);
    }
}

static void answer_send(struct monitor *monitor, enum monitor_status status)
{
    struct monitor_answer *head = &monitor->answer.head;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    head->magic = MONITOR_MAGIC;
    head->status = (uint32_t)status;
    head->time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    uv_buf_t buffer = {.base = (char *)&monitor->answer,
                       .len = sizeof *head + head->process_count * sizeof(struct monitor_process)};
    monitor->state = MONITOR_ANSWERING;
    monitor->write.data = monitor;
    if (uv_write(&monitor->write, (uv_stream_t *)&monitor->pipe, &buffer, 1, answer_sent) < 0)
        monitor_end(monitor);
}

/* What NVML says of the GPU's memory, cut to what the VM may have. */
static void fill_memory(struct monitor_answer *head, const struct nvml_facts *facts, const struct vm *vm)
{
    const struct nvml_fact_function *function = &nvml_fact_functions[READ_nvmlDeviceGetMemoryInfo_v2];
    nvmlMemory_v2_t memory = {0};
    if (facts->results[function->first] == NVML_SUCCESS) {
        memcpy(&memory, facts->data + function->offset, sizeof memory);
    } else {
        nvmlMemory_t simple = {0};
        function = &nvml_fact_functions[READ_nvmlDeviceGetMemoryInfo];
        memcpy(&simple, facts->data + function->offset, sizeof simple);
        memory.total = simple.total;
        memory.free = simple.free;
        memory.used = simple.used;
    }
    head->memory_total_bytes = memory.total;
    head->memory_reserved_bytes = memory.reserved;
    head->memory_free_bytes = memory.free;
    head->memory_used_bytes = memory.used;
    uint64_t quota = vm->policy.page.memory_quota_bytes;
    if (!quota || quota >= memory.total)
        return;
    uint64_t used = vm->page ? vm_page_read(&vm->page->memory_used_bytes) : 0;
    uint64_t left = used < quota ? quota - used : 0;
    head->memory_total_bytes = quota;
    head->memory_reserved_bytes = 0;
    head->memory_free_bytes = left < memory.free ? left : memory.free;
    head->memory_used_bytes = used < quota ? used : quota;
}

/* Of the VM's GPU time since it was last asked for. */
static uint32_t percent_of(uint64_t gpu_time_us, uint64_t passed_us)
{
    uint64_t percent = passed_us ? gpu_time_us * 100 / passed_us : 0;
    return percent < 100 ? (uint32_t)percent : 100;
}

static uint32_t worker_percent(struct worker *worker, uint64_t now_us)
{
    uint64_t gpu_time_us = atomic_load_explicit(&worker->page->gpu_time_us, memory_order_relaxed);
    uint64_t passed_us = now_us - worker->usage.since_us;
    if (worker->usage.since_us && passed_us < UTILIZATION_US)
        return worker->usage.percent;
    bool first = !worker->usage.since_us;
    worker->usage.percent =
        first ? MONITOR_UNKNOWN : percent_of(gpu_time_us - worker->usage.gpu_time_us, passed_us);
    worker->usage.since_us = now_us;
    worker->usage.gpu_time_us = gpu_time_us;
    return worker->usage.percent;
}

static void fill_processes(struct answer *answer, const struct vm *vm, const struct gpu *gpu)
{
    struct seat *seat;
    struct worker *worker;
    uint64_t now_us = schedule_now_us();
    uint32_t sum = 0;
    bool known = true;
    LIST_FOREACH(seat, &vm->seats, in_vm)
    {
        if (seat->gpu != gpu)
            continue;
        LIST_FOREACH(worker, &seat->workers, in_seat)
        {
            uint32_t pid = atomic_load_explicit(&worker->page->guest_pid, memory_order_relaxed);
            uint32_t percent = worker_percent(worker, now_us);
            if (!pid || answer->head.process_count == MONITOR_PROCESSES_MAX)
                continue;
            known = known && percent != MONITOR_UNKNOWN;
            sum += percent != MONITOR_UNKNOWN ? percent : 0;
            answer->processes[answer->head.process_count++] = (struct monitor_process){
                .pid = pid,
                .utilization_percent = percent,
                .memory_bytes =
                    atomic_load_explicit(&worker->page->device_memory_bytes, memory_order_relaxed),
            };
        }
    }
    answer->head.utilization_percent = !known ? MONITOR_UNKNOWN : sum < 100 ? sum : 100;
}

static void facts_ready(struct facts_request *request, const struct nvml_facts *facts,
                        const struct nvml_process *processes, size_t process_count)
{
    struct monitor *monitor = (struct monitor *)((char *)request - offsetof(struct monitor, request));
    const struct vm *vm = host_find_vm(monitor->monitors->host, monitor->vm_uuid);
    memset(&monitor->answer.head, 0, sizeof monitor->answer.head);
    if (!vm || !vm->gpu || !vm->gpu->online) {
        answer_send(monitor, MONITOR_NO_GPU);
    } else if (!facts) {
        answer_send(monitor, MONITOR_NOT_READABLE);
    } else {
        monitor->answer.head.facts = *facts;
        fill_memory(&monitor->answer.head, facts, vm);
        fill_processes(&monitor->answer, vm, vm->gpu);
        answer_send(monitor, MONITOR_OK);
    }
}

static void question_answer(struct monitor *monitor)
{
    const struct vm *vm = host_find_vm(monitor->monitors->host, monitor->vm_uuid);
    monitor->state = MONITOR_ASKED;
    monitor->got = 0;
    memset(&monitor->answer.head, 0, sizeof monitor->answer.head);
    if (monitor->question.magic != MONITOR_MAGIC) {
        monitor_end(monitor);
    } else if (monitor->question.layout != NVML_FACT_LAYOUT) {
        answer_send(monitor, MONITOR_OTHER_LAYOUT);
    } else if (!vm || !vm->gpu || !vm->gpu->online) {
        answer_send(monitor, MONITOR_NO_GPU);
    } else {
        monitor->request.ready = facts_ready;
        gpu_facts_ask(monitor->monitors->facts, vm->gpu->gpu_uuid, &monitor->request);
    }
}

/* ---- Questions ---- */

static void read_space(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct monitor *monitor = handle->data;
    buffer->base = (char *)&monitor->question + monitor->got;
    buffer->len = sizeof monitor->question - monitor->got;
}

static void read_done(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    struct monitor *monitor = stream->data;
    if (got < 0) {
        monitor_end(monitor);
        return;
    }
    monitor->got += (size_t)got;
    if (monitor->got < sizeof monitor->question)
        return;
    uv_read_stop(stream);
    question_answer(monitor);
}

static void listen_on(struct monitor *monitor)
{
    monitor->state = MONITOR_LISTENING;
    if (uv_read_start((uv_stream_t *)&monitor->pipe, read_space, read_done) < 0)
        monitor_end(monitor);
}

static bool is_crowded(const struct monitors *monitors, const char *vm_uuid)
{
    const struct monitor *monitor;
    unsigned count = 0;
    LIST_FOREACH(monitor, &monitors->list, in_monitors)
    {
        count += strcmp(monitor->vm_uuid, vm_uuid) == 0;
    }
    return count >= MONITORS_PER_VM_MAX;
}

void monitor_accept(struct monitors *monitors, const char *vm_uuid, int fd)
{
    struct monitor *monitor = is_crowded(monitors, vm_uuid) ? NULL : calloc(1, sizeof *monitor);
    if (!monitor) {
        close(fd);
        return;
    }
    monitor->monitors = monitors;
    snprintf(monitor->vm_uuid, sizeof monitor->vm_uuid, "%s", vm_uuid);
    monitor->open_handles = 2;
    uv_pipe_init(monitors->loop, &monitor->pipe, 0);
    uv_timer_init(monitors->loop, &monitor->pause);
    monitor->pipe.data = monitor->pause.data = monitor;
    LIST_INSERT_HEAD(&monitors->list, monitor, in_monitors);
    if (uv_pipe_open(&monitor->pipe, fd) < 0) {
        close(fd);
        monitor_end(monitor);
        return;
    }
    listen_on(monitor);
}

void monitors_end(struct monitors *monitors, const char *vm_uuid)
{
    struct monitor *monitor;
    struct monitor *next;
    for (monitor = LIST_FIRST(&monitors->list); monitor; monitor = next) {
        next = LIST_NEXT(monitor, in_monitors);
        if (!vm_uuid || strcmp(monitor->vm_uuid, vm_uuid) == 0)
            monitor_end(monitor);
    }
}
