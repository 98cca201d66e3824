#include "daemon/gpu_facts.h"

#include "base/error.h"
#include "base/log.h"
#include "daemon/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vgpu/types.h>

/* Older than this is read again; what seldom changes, after a longer time. */
#define LIVE_US       UINT64_C(100000)
#define EVERYTHING_US UINT64_C(10000000)

#define PROCESSES_MAX 1024

LIST_HEAD(facts_request_list, facts_request);

struct known_gpu {
    LIST_ENTRY(known_gpu) in_facts;
    char gpu_uuid[VGPU_GPU_UUID_BYTES];
    struct facts_request_list requests;
    uint64_t live_us, everything_us; /* when it was read; 0: never */
    bool complained;

    /* The thread's while it is being read. */
    enum vgpu_status status;
    struct vgpu_error error;
    bool everything;
    struct nvml_facts facts;
    size_t process_count;
    struct nvml_process processes[PROCESSES_MAX];
};
LIST_HEAD(known_gpu_list, known_gpu);

struct gpu_facts {
    uv_loop_t *loop;
    uv_work_t work;
    struct nvml_reader *reader;
    struct known_gpu_list gpus;
    struct known_gpu *reading; /* NULL: none is being read */
    bool closed;
};

static void facts_free(struct gpu_facts *facts)
{
    struct known_gpu *gpu;
    while ((gpu = LIST_FIRST(&facts->gpus))) {
        LIST_REMOVE(gpu, in_facts);
        free(gpu);
    }
    nvml_reader_close(facts->reader);
    free(facts);
}

static void answer_all(struct known_gpu *gpu)
{
    struct facts_request *request;
    bool known = gpu->status == VGPU_OK;
    while ((request = LIST_FIRST(&gpu->requests))) {
        gpu_facts_take_back(request);
        request->ready(request, known ? &gpu->facts : NULL, gpu->processes, known ? gpu->process_count : 0);
    }
}

/* In a thread. */
static void work_run(uv_work_t *work)
{
    struct gpu_facts *facts = work->data;
    struct known_gpu *gpu = facts->reading;
    struct vgpu_error ignored;
    gpu->status = nvml_reader_read(facts->reader, gpu->gpu_uuid, gpu->everything, &gpu->facts, &gpu->error);
    gpu->process_count = PROCESSES_MAX;
    if (gpu->status != VGPU_OK || nvml_reader_processes(facts->reader, gpu->gpu_uuid, gpu->processes,
                                                        &gpu->process_count, &ignored) != VGPU_OK)
        gpu->process_count = 0;
}

static void read_next(struct gpu_facts *facts);

static void work_done(uv_work_t *work, int status)
{
    struct gpu_facts *facts = work->data;
    struct known_gpu *gpu = facts->reading;
    facts->reading = NULL;
    if (facts->closed) {
        facts_free(facts);
        return;
    }
    if (gpu->status == VGPU_OK) {
        gpu->live_us = schedule_now_us();
        if (gpu->everything)
            gpu->everything_us = gpu->live_us;
    } else if (!gpu->complained) {
        log_warning("a guest's NVML asks in vain: %s", gpu->error.message);
    }
    gpu->complained = gpu->status != VGPU_OK;
    answer_all(gpu);
    read_next(facts);
}

static void read_next(struct gpu_facts *facts)
{
    struct known_gpu *gpu;
    if (facts->reading)
        return;
    LIST_FOREACH(gpu, &facts->gpus, in_facts)
    {
        if (LIST_EMPTY(&gpu->requests))
            continue;
        gpu->everything = schedule_now_us() - gpu->everything_us >= EVERYTHING_US || !gpu->everything_us;
        facts->reading = gpu;
        if (uv_queue_work(facts->loop, &facts->work, work_run, work_done) != 0)
            facts->reading = NULL;
        return;
    }
}

static struct known_gpu *gpu_of(struct gpu_facts *facts, const char *gpu_uuid)
{
    struct known_gpu *gpu;
    LIST_FOREACH(gpu, &facts->gpus, in_facts)
    {
        if (strcmp(gpu->gpu_uuid, gpu_uuid) == 0)
            return gpu;
    }
    gpu = calloc(1, sizeof *gpu);
    if (!gpu)
        return NULL;
    snprintf(gpu->gpu_uuid, sizeof gpu->gpu_uuid, "%s", gpu_uuid);
    LIST_INIT(&gpu->requests);
    LIST_INSERT_HEAD(&facts->gpus, gpu, in_facts);
    return gpu;
}

void gpu_facts_ask(struct gpu_facts *facts, const char *gpu_uuid, struct facts_request *request)
{
    struct known_gpu *gpu = gpu_of(facts, gpu_uuid);
    if (!gpu) {
        request->ready(request, NULL, NULL, 0);
    } else if (facts->reading != gpu && gpu->live_us && schedule_now_us() - gpu->live_us < LIVE_US) {
        request->ready(request, &gpu->facts, gpu->processes, gpu->process_count);
    } else {
        request->waits = true;
        LIST_INSERT_HEAD(&gpu->requests, request, in_gpu);
        read_next(facts);
    }
}

void gpu_facts_take_back(struct facts_request *request)
{
    if (request->waits)
        LIST_REMOVE(request, in_gpu);
    request->waits = false;
}

enum vgpu_status gpu_facts_open(uv_loop_t *loop, const char *nvml_path, struct gpu_facts **facts,
                                struct vgpu_error *err)
{
    struct gpu_facts *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    made->loop = loop;
    made->work.data = made;
    LIST_INIT(&made->gpus);
    enum vgpu_status status = nvml_reader_open(nvml_path, &made->reader, err);
    if (status != VGPU_OK)
        free(made);
    else
        *facts = made;
    return status;
}

void gpu_facts_close(struct gpu_facts *facts)
{
    if (!facts)
        return;
    facts->closed = true;
    if (!facts->reading)
        facts_free(facts);
}
