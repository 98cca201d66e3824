#include "daemon/exposition.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Collecting ---- */

static void collect_gpu(struct exposition_gpu *to, const struct gpu *gpu)
{
    to->gpu_id = gpu->gpu_id;
    memcpy(to->gpu_uuid, gpu->gpu_uuid, sizeof to->gpu_uuid);
    to->online = gpu->online;
    to->held = gpu->sched.holders != NULL;
    to->waiting = gpu->sched.waiting_count;
    to->places = gpu->policy.places;
    to->preemption = gpu->preemption;
    to->handovers = gpu->handovers;
    to->preemptions = gpu->preemptions;
    memcpy(to->timing, gpu->timing, sizeof to->timing);
}

static void collect_vm(struct exposition_vm *to, struct vm *vm, uint64_t now_us)
{
    memcpy(to->vm_uuid, vm->info.vm_uuid, sizeof to->vm_uuid);
    memcpy(to->vm_name, vm->info.vm_name, sizeof to->vm_name);
    to->pool = vm->info.pool;
    to->priority = vm->info.priority;
    to->paused = vm->info.paused;
    to->quarantined = vm_is_quarantined(vm);
    to->weight = vm->policy.weight;
    metrics_of_vm(vm, now_us, &to->metrics);
}

/* Which VMs are shown, so that one that is shown stays. Returns how many; *left_out: how many are not. */
static size_t choose_vms(struct host *host, size_t vms_max, size_t *left_out)
{
    size_t shown = 0;
    size_t used = 0;
    for (size_t i = 0; i < host->vm_count; i++)
        shown += host->vms[i]->exposed;
    for (size_t i = 0; i < host->vm_count; i++) {
        struct vm *vm = host->vms[i];
        used += vm->has_been_used;
        if (vm->has_been_used && !vm->exposed && shown < vms_max) {
            vm->exposed = true;
            shown++;
        }
    }
    *left_out = used - shown;
    return shown;
}

struct exposition *exposition_collect(struct host *host, uint64_t now_us, size_t vms_max)
{
    struct exposition *made = calloc(1, sizeof *made);
    size_t left_out;
    size_t vm_count = choose_vms(host, vms_max, &left_out);
    if (!made)
        return NULL;
    made->gpus = calloc(host->gpu_count + 1, sizeof *made->gpus);
    made->vms = calloc(vm_count + 1, sizeof *made->vms);
    if (!made->gpus || !made->vms) {
        exposition_destroy(made);
        return NULL;
    }
    made->registered_vms = host->vm_count;
    made->left_out_vms = left_out;
    for (size_t i = 0; i < host->gpu_count; i++)
        collect_gpu(&made->gpus[made->gpu_count++], host->gpus[i]);
    for (size_t i = 0; i < host->vm_count; i++) {
        if (host->vms[i]->exposed)
            collect_vm(&made->vms[made->vm_count++], host->vms[i], now_us);
    }
    return made;
}

void exposition_destroy(struct exposition *exposition)
{
    if (!exposition)
        return;
    free(exposition->gpus);
    free(exposition->vms);
    free(exposition);
}

/* ---- Writing ---- */

static const char *const priority_words[] = {"low", "medium", "high"}; /* enum vgpu_priority */

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value. */
static void print_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"')
            fputc('\\', out);
        if (*text == '\n')
            fputs("\\n", out);
        else
            fputc(*text, out);
    }
}

static void print_seconds(FILE *out, uint64_t us)
{
    fprintf(out, "%" PRIu64 ".%06u\n", us / 1000000, (unsigned)(us % 1000000));
}

/* ---- Of the daemon ---- */

static void print_daemon(FILE *out, const struct exposition *exposition)
{
    print_head(out, "vgpu_build_info", "gauge", "The version of vgpud; always 1.");
    fprintf(out, "vgpu_build_info{version=\"%s\"} 1\n", VGPU_VERSION);
    print_head(out, "vgpu_start_time_seconds", "gauge", "When vgpud started, in seconds since 1970.");
    fputs("vgpu_start_time_seconds ", out);
    print_seconds(out, exposition->started_wall_us);
    print_head(out, "vgpu_guest_processes", "gauge", "Guest processes that are served now.");
    fprintf(out, "vgpu_guest_processes %" PRIu64 "\n", exposition->guests);
    print_head(out, "vgpu_registered_vms", "gauge", "VMs that are registered.");
    fprintf(out, "vgpu_registered_vms %" PRIu64 "\n", exposition->registered_vms);
    print_head(
        out, "vgpu_left_out_vms", "gauge",
        "VMs with guest processes since the start that have no metrics of their own here: metrics_max_vms.");
    fprintf(out, "vgpu_left_out_vms %" PRIu64 "\n", exposition->left_out_vms);
}

/* ---- Of GPUs ---- */

struct gpu_metric {
    const char *name, *type, *help;
    uint64_t (*read)(const struct exposition_gpu *gpu);
};

static uint64_t gpu_online(const struct exposition_gpu *gpu)
{
    return gpu->online;
}
static uint64_t gpu_held(const struct exposition_gpu *gpu)
{
    return gpu->held;
}
static uint64_t gpu_waiting(const struct exposition_gpu *gpu)
{
    return gpu->waiting;
}
static uint64_t gpu_places(const struct exposition_gpu *gpu)
{
    return gpu->places;
}
static uint64_t gpu_slices(const struct exposition_gpu *gpu)
{
    return gpu->preemption == GPU_PREEMPTION_SLICES;
}
static uint64_t gpu_handovers(const struct exposition_gpu *gpu)
{
    return gpu->handovers;
}
static uint64_t gpu_preemptions(const struct exposition_gpu *gpu)
{
    return gpu->preemptions;
}

static const struct gpu_metric gpu_metrics[] = {
    {"vgpu_gpu_online", "gauge", "Whether the GPU is online.", gpu_online},
    {"vgpu_gpu_held", "gauge", "Whether a VM holds the GPU now.", gpu_held},
    {"vgpu_gpu_waiting_vms", "gauge", "VMs that wait for the GPU now: the depth of its queue.", gpu_waiting},
    {"vgpu_gpu_places", "gauge", "VMs that may hold the GPU side by side; 1: exclusive.", gpu_places},
    {"vgpu_gpu_time_slices", "gauge",
     "Whether a higher class gets the GPU by hardware time slices; 0: by draining, or not known yet.",
     gpu_slices},
    {"vgpu_gpu_handovers_total", "counter", "Grants to another VM than the one before.", gpu_handovers},
    {"vgpu_gpu_preemptions_total", "counter", "Grants that ended because they were revoked.",
     gpu_preemptions},
};

/* Bounds of the buckets: powers of two microseconds, which the histograms' own buckets end at. */
static const unsigned bucket_bits[] = {6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26};

static void print_buckets(FILE *out, const char *name, const char *labels, const struct histogram *histogram,
                          uint64_t sum_us)
{
    for (size_t i = 0; i < sizeof bucket_bits / sizeof bucket_bits[0]; i++) {
        uint64_t bound_us = UINT64_C(1) << bucket_bits[i];
        fprintf(out, "%s_bucket{%s,le=\"%" PRIu64 ".%06u\"} %" PRIu64 "\n", name, labels, bound_us / 1000000,
                (unsigned)(bound_us % 1000000), histogram_count_below(histogram, bound_us));
    }
    fprintf(out, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n%s_sum{%s} ", name, labels, histogram->total, name,
            labels);
    print_seconds(out, sum_us);
    fprintf(out, "%s_count{%s} %" PRIu64 "\n", name, labels, histogram->total);
}

static void print_gpu_timing(FILE *out, const struct exposition *exposition, bool holds)
{
    const char *name = holds ? "vgpu_gpu_hold_seconds" : "vgpu_gpu_wait_seconds";
    print_head(out, name, "histogram",
               holds ? "How long grants of the GPU lasted, by the class of the VM."
                     : "How long grants of the GPU were waited for, by the class of the VM.");
    for (size_t i = 0; i < exposition->gpu_count; i++) {
        const struct exposition_gpu *gpu = &exposition->gpus[i];
        for (int class = SCHED_LOW; class <= SCHED_HIGH; class ++) {
            char labels[64];
            const struct timing *timing = &gpu->timing[class];
            snprintf(labels, sizeof labels, "gpu=\"%" PRId32 "\",priority=\"%s\"", gpu->gpu_id,
                     priority_words[class]);
            print_buckets(out, name, labels, holds ? &timing->holds : &timing->waits,
                          holds ? timing->held_us : timing->waited_us);
        }
    }
}

static void print_gpus(FILE *out, const struct exposition *exposition)
{
    print_head(out, "vgpu_gpu_info", "gauge", "The GPUs of the host; always 1.");
    for (size_t i = 0; i < exposition->gpu_count; i++) {
        fprintf(out, "vgpu_gpu_info{gpu=\"%" PRId32 "\",uuid=\"", exposition->gpus[i].gpu_id);
        print_escaped(out, exposition->gpus[i].gpu_uuid);
        fputs("\"} 1\n", out);
    }
    for (size_t metric = 0; metric < sizeof gpu_metrics / sizeof gpu_metrics[0]; metric++) {
        print_head(out, gpu_metrics[metric].name, gpu_metrics[metric].type, gpu_metrics[metric].help);
        for (size_t i = 0; i < exposition->gpu_count; i++)
            fprintf(out, "%s{gpu=\"%" PRId32 "\"} %" PRIu64 "\n", gpu_metrics[metric].name,
                    exposition->gpus[i].gpu_id, gpu_metrics[metric].read(&exposition->gpus[i]));
    }
    print_gpu_timing(out, exposition, false);
    print_gpu_timing(out, exposition, true);
}

/* ---- Of VMs ---- */

struct vm_metric {
    const char *name, *type, *help;
    uint64_t (*read)(const struct exposition_vm *vm);
    bool seconds; /* what is read are microseconds */
};

#define VM_READ(name, expression)                                                                            \
    static uint64_t vm_##name(const struct exposition_vm *vm)                                                \
    {                                                                                                        \
        return expression;                                                                                   \
    }
VM_READ(processes, vm->metrics.processes)
VM_READ(waiting, vm->metrics.waiting)
VM_READ(weight, vm->weight)
VM_READ(paused, vm->paused)
VM_READ(quarantined, vm->quarantined)
VM_READ(memory, vm->metrics.device_memory_bytes)
VM_READ(gpu_time, vm->metrics.totals.gpu_time_us)
VM_READ(calls, vm->metrics.totals.calls)
VM_READ(gpu_calls, vm->metrics.totals.gpu_calls)
VM_READ(preemptions, vm->metrics.totals.preemptions)
VM_READ(limited_calls, vm->metrics.limited_calls)
VM_READ(limited, vm->metrics.limited_us)
VM_READ(refused, vm->metrics.refused_allocations)
VM_READ(timeouts, vm->metrics.timeouts)
VM_READ(faults, vm->metrics.totals.faults)

static const struct vm_metric vm_metrics[] = {
    {"vgpu_vm_guest_processes", "gauge", "Guest processes of the VM that are served now.", vm_processes,
     false},
    {"vgpu_vm_waiting_gpus", "gauge", "GPUs that the VM waits for now.", vm_waiting, false},
    {"vgpu_vm_weight", "gauge", "The VM's weight among those of its class.", vm_weight, false},
    {"vgpu_vm_paused", "gauge", "Whether the VM is paused.", vm_paused, false},
    {"vgpu_vm_quarantined", "gauge", "Whether the VM is in quarantine.", vm_quarantined, false},
    {"vgpu_vm_device_memory_bytes", "gauge", "Device memory that the VM has now.", vm_memory, false},
    {"vgpu_vm_gpu_seconds_total", "counter", "Time in which the VM had work on a GPU.", vm_gpu_time, true},
    {"vgpu_vm_calls_total", "counter", "CUDA calls executed.", vm_calls, false},
    {"vgpu_vm_gpu_calls_total", "counter", "CUDA calls that put work on a GPU.", vm_gpu_calls, false},
    {"vgpu_vm_preemptions_total", "counter", "Grants that ended because they were revoked.", vm_preemptions,
     false},
    {"vgpu_vm_limited_calls_total", "counter", "Calls held up by the VM's rate limits.", vm_limited_calls,
     false},
    {"vgpu_vm_limited_seconds_total", "counter", "How long calls were held up by rate limits.", vm_limited,
     true},
    {"vgpu_vm_refused_allocations_total", "counter", "Allocations refused by the device memory limit.",
     vm_refused, false},
    {"vgpu_vm_timeouts_total", "counter", "Guest processes ended by the execution time limit.", vm_timeouts,
     false},
    {"vgpu_vm_faults_total", "counter", "Faults: crashes, broken protocol, illegal addresses, timeouts.",
     vm_faults, false},
};

static void print_quantiles(FILE *out, const char *name, const char *vm_uuid,
                            const struct percentiles *values, uint64_t sum_us, uint64_t count)
{
    const struct {
        const char *quantile;
        uint64_t us;
    } quantiles[] = {{"0.5", values->p50_us}, {"0.95", values->p95_us}, {"0.99", values->p99_us}};
    for (size_t i = 0; values->known && i < sizeof quantiles / sizeof quantiles[0]; i++) {
        fprintf(out, "%s{vm=\"%s\",quantile=\"%s\"} ", name, vm_uuid, quantiles[i].quantile);
        print_seconds(out, quantiles[i].us);
    }
    fprintf(out, "%s_sum{vm=\"%s\"} ", name, vm_uuid);
    print_seconds(out, sum_us);
    fprintf(out, "%s_count{vm=\"%s\"} %" PRIu64 "\n", name, vm_uuid, count);
}

static void print_vm_timing(FILE *out, const struct exposition *exposition)
{
    print_head(out, "vgpu_vm_wait_seconds", "summary",
               "How long the VM's grants were waited for; quantiles since vgpud started.");
    for (size_t i = 0; i < exposition->vm_count; i++) {
        const struct vm_metrics *metrics = &exposition->vms[i].metrics;
        print_quantiles(out, "vgpu_vm_wait_seconds", exposition->vms[i].vm_uuid, &metrics->wait,
                        metrics->totals.wait_us, metrics->totals.grants);
    }
    print_head(out, "vgpu_vm_hold_seconds", "summary",
               "How long the VM's grants lasted, of those that have ended; quantiles since vgpud started.");
    for (size_t i = 0; i < exposition->vm_count; i++) {
        const struct vm_metrics *metrics = &exposition->vms[i].metrics;
        print_quantiles(out, "vgpu_vm_hold_seconds", exposition->vms[i].vm_uuid, &metrics->hold,
                        metrics->holds_ended_us, metrics->holds_ended);
    }
}

static void print_vms(FILE *out, const struct exposition *exposition)
{
    print_head(out, "vgpu_vm_info", "gauge", "What the VM is called and where it belongs; always 1.");
    for (size_t i = 0; i < exposition->vm_count; i++) {
        const struct exposition_vm *vm = &exposition->vms[i];
        fprintf(out, "vgpu_vm_info{vm=\"%s\",name=\"", vm->vm_uuid);
        print_escaped(out, vm->vm_name);
        fprintf(out, "\",pool=\"%c\",priority=\"%s\"} 1\n", vm->pool, priority_words[vm->priority]);
    }
    for (size_t metric = 0; metric < sizeof vm_metrics / sizeof vm_metrics[0]; metric++) {
        const struct vm_metric *of = &vm_metrics[metric];
        print_head(out, of->name, of->type, of->help);
        for (size_t i = 0; i < exposition->vm_count; i++) {
            uint64_t value = of->read(&exposition->vms[i]);
            fprintf(out, "%s{vm=\"%s\"} ", of->name, exposition->vms[i].vm_uuid);
            if (of->seconds)
                print_seconds(out, value);
            else
                fprintf(out, "%" PRIu64 "\n", value);
        }
    }
    print_vm_timing(out, exposition);
}

void exposition_print(FILE *out, const struct exposition *exposition)
{
    print_daemon(out, exposition);
    print_gpus(out, exposition);
    print_vms(out, exposition);
}
