/* A simulated host: GPUs that run the load's kernels, and a policy that says whose. */
#ifndef BENCH_SCHEDULER_MACHINE_H
#define BENCH_SCHEDULER_MACHINE_H

#include "base/histogram.h"
#include "load.h"

enum policy {
    POLICY_ROUND_ROBIN, /* as the driver: everybody who has work for a time slice each */
    POLICY_STRICT,      /* the highest class, first come first served; kernels are not interrupted */
    POLICY_DRAIN,       /* our scheduler, on hardware without time slices to set */
    POLICY_SLICES,      /* our scheduler */
};

/* Of one run, by class. */
struct outcome {
    struct histogram latency_us[SCHED_CLASS_COUNT]; /* from the making of a request to its end */
    uint64_t work_ns[SCHED_CLASS_COUNT];            /* kernels' time */
    uint64_t requests[SCHED_CLASS_COUNT];
    uint64_t switch_ns; /* lost by the GPUs in going from one VM to another */
    uint64_t decisions; /* of our scheduler */
};

/* What a GPU loses, measured on an H200 (docs/scheduling.md). */
#define SLICE_NS    2048000ull /* the driver's own */
#define SWITCH_NS   165000ull  /* from one VM's channels to another's that both have work */
#define HANDOVER_NS 20000ull   /* from a VM that has drained to the next */

void machine_run(const struct load *load, enum policy policy, struct outcome *outcome);

#endif
