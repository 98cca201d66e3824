/* What the VMs of the simulated host want: for each a list of requests, made up or taken from a log of
 * grants. Times are nanoseconds from the start. */
#ifndef BENCH_SCHEDULER_LOAD_H
#define BENCH_SCHEDULER_LOAD_H

#include "sched/sched.h"

#include <stddef.h>
#include <stdint.h>

/* Kernels one behind the other; whoever made it waits for the last. */
struct request {
    uint64_t arrival_ns; /* it is made then, or when the one before is done, whichever is later */
    uint32_t kernels;
    uint64_t kernel_ns;
};

struct load_vm {
    enum sched_class class;
    size_t gpu;
    struct request *requests;
    size_t count, room;
};

struct load {
    struct load_vm *vms;
    size_t vm_count, gpu_count;
    uint64_t end_ns;
};

/* A hundredth high, each with a request of 2 ms every 16 ms or so; a tenth medium, 5 ms now and then; of the
 * low ones some that never stop, with kernels of 1, 20 or 200 ms, the others with 10 ms now and then. The
 * same seed gives the same load. */
struct load *load_generate(size_t vm_count, size_t gpu_count, uint64_t end_ns, unsigned seed);

/* The grants that the daemon has logged in this state directory: each one a request, of kernels of 1 ms, as
 * long as it was held. NULL after saying why. */
struct load *load_from_log(const char *state_dir);

void load_destroy(struct load *load);

#endif
