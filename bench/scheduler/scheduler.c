/* The scheduler of src/sched by itself: what a decision costs, and what VMs get from it, beside what they
 * would get from the driver's round robin and from strict priorities, on the same load.
 *
 *     bench-scheduler [--vms=10000] [--gpus=64] [--seconds=60] [--seed=1] [--log=STATE_DIR]
 *
 * --log takes the load from the log of grants of a host. */
#include "load.h"
#include "machine.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- What a decision costs ---- */

#define EVENTS 1000000u

static uint64_t decisions;

static void count(void *context, struct sched_vm *vm)
{
    decisions++;
}

/* Of this process, whatever else the machine does. */
static uint64_t processor_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* VMs ask, give back early, and use up their quanta, at random. */
static void cost_of_decisions(size_t vm_count, size_t gpu_count)
{
    static const struct sched_actions actions = {.grant = count, .tell = count, .revoke = count};
    const struct sched_config config = {.quantum_us = 20000, .ageing_us = 2000000, .aged_percent = 10};
    struct sched sched;
    struct sched_vm *vms = calloc(vm_count, sizeof *vms);
    struct sched_gpu *gpus = calloc(gpu_count, sizeof *gpus);
    unsigned random = 1;
    if (!vms || !gpus)
        exit(1);
    sched_init(&sched, &config, &actions, NULL);
    for (size_t i = 0; i < gpu_count; i++)
        sched_gpu_add(&sched, &gpus[i]);
    for (size_t i = 0; i < vm_count; i++) {
        sched_vm_add(&sched, &gpus[i % gpu_count], &vms[i], (enum sched_class)(i / gpu_count % 3));
        sched_vm_set_preemptible(&sched, &vms[i], true, 0);
        sched_vm_want(&sched, &vms[i], 0);
    }
    decisions = 0;
    uint64_t now_us = 1;
    uint64_t start_ns = processor_ns();
    for (unsigned event = 0; event < EVENTS; event++) {
        struct sched_gpu *gpu = &gpus[(size_t)rand_r(&random) % gpu_count];
        struct sched_vm *holder = gpu->holders;
        while (holder && holder->next_holder && rand_r(&random) % 2)
            holder = holder->next_holder;
        now_us += 20;
        if (holder) {
            sched_vm_released(&sched, holder, now_us);
            sched_vm_want(&sched, holder, now_us);
        }
        sched_advance(&sched, now_us);
    }
    double seconds = (double)(processor_ns() - start_ns) / 1e9;
    printf("%8zu VMs on %2zu GPUs: %9.0f events/s, %9.0f decisions/s, %4.0f ns a decision, %zu bytes a VM\n",
           vm_count, gpu_count, 3 * EVENTS / seconds, (double)decisions / seconds,
           seconds * 1e9 / (double)decisions, sizeof *vms + gpu_count * sizeof *gpus / vm_count);
    free(vms);
    free(gpus);
}

/* ---- What VMs get ---- */

static void row(const char *policy, const struct outcome *outcome, const struct load *load)
{
    static const char *const classes[] = {"low", "medium", "high"};
    double capacity_ns = (double)load->end_ns * (double)load->gpu_count;
    for (int class = SCHED_HIGH; class >= SCHED_LOW; class --) {
        uint64_t p50_us = 0, p99_us = 0;
        histogram_percentile(&outcome->latency_us[class], 50, &p50_us);
        histogram_percentile(&outcome->latency_us[class], 99, &p99_us);
        printf("%-22s %-7s %10llu %12.2f %12.2f %12.1f\n", class == SCHED_HIGH ? policy : "", classes[class],
               (unsigned long long)outcome->requests[class], (double)p50_us / 1e3, (double)p99_us / 1e3,
               100 * (double)outcome->work_ns[class] / capacity_ns);
    }
    printf("%-22s %-7s %10s %12s %12s %12.1f\n", "", "lost", "", "", "",
           100 * (double)outcome->switch_ns / capacity_ns);
}

static void compare(const struct load *load)
{
    static const char *const names[] = {"round robin", "strict priority", "ours, draining",
                                        "ours, time slices"};
    static struct outcome outcome;
    printf("\n%zu VMs on %zu GPUs, %.0f s\n", load->vm_count, load->gpu_count, (double)load->end_ns / 1e9);
    printf("%-22s %-7s %10s %12s %12s %12s\n", "policy", "class", "requests", "p50 ms", "p99 ms",
           "% of GPUs");
    for (int policy = POLICY_ROUND_ROBIN; policy <= POLICY_SLICES; policy++) {
        machine_run(load, (enum policy)policy, &outcome);
        row(names[policy], &outcome, load);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"vms", required_argument, NULL, 'v'},     {"gpus", required_argument, NULL, 'g'},
        {"seconds", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'r'},
        {"log", required_argument, NULL, 'l'},     {0}};
    unsigned long vms = 10000, gpus = 64, seconds = 60, seed = 1;
    const char *log = NULL;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 0;
        if (option == '?' || (option != 'l' && number == 0))
            return 2;
        *(option == 'v'   ? &vms
          : option == 'g' ? &gpus
          : option == 's' ? &seconds
                          : &seed) = option == 'l' ? seed : number;
        if (option == 'l')
            log = optarg;
    }
    struct load *load =
        log ? load_from_log(log) : load_generate(vms, gpus, seconds * 1000000000ull, (unsigned)seed);
    if (!load)
        return 1;
    if (!log) {
        cost_of_decisions(10, 1);
        cost_of_decisions(1000, 64);
        cost_of_decisions(10000, 64);
        cost_of_decisions(100000, 64);
    }
    compare(load);
    load_destroy(load);
    return 0;
}
