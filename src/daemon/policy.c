#include "daemon/policy.h"

#include "base/limit.h"

static uint64_t value_of(const int64_t *values, enum vgpu_limit limit)
{
    return (uint64_t)values[limit];
}

struct vm_policy policy_of_vm(const struct vgpu_limits *defaults, const struct vgpu_limits *pool,
                              const struct vgpu_limits *vm)
{
    int64_t values[VGPU_LIMIT_COUNT];
    limits_effective(defaults, pool, vm, values, NULL);
    return (struct vm_policy){
        .page =
            {
                .memory_quota_bytes = value_of(values, VGPU_LIMIT_MEMORY),
                .time_limit_us = value_of(values, VGPU_LIMIT_TIME_LIMIT),
                .calls_per_second = value_of(values, VGPU_LIMIT_CALL_RATE),
                .calls_burst = value_of(values, VGPU_LIMIT_CALL_BURST),
                .bytes_per_second = value_of(values, VGPU_LIMIT_BYTE_RATE),
                .bytes_burst = value_of(values, VGPU_LIMIT_BYTE_BURST),
                .queue_depth = value_of(values, VGPU_LIMIT_QUEUE_DEPTH),
            },
        .weight = (uint32_t)values[VGPU_LIMIT_WEIGHT],
        .process_limit = (uint32_t)values[VGPU_LIMIT_PROCESSES],
        .fault_limit = (uint32_t)values[VGPU_LIMIT_MAX_FAULTS],
        .fault_window_us = value_of(values, VGPU_LIMIT_FAULT_WINDOW),
    };
}

struct gpu_policy policy_of_gpu(const struct vgpu_limits *defaults, const struct vgpu_limits *pool)
{
    int64_t values[VGPU_LIMIT_COUNT];
    limits_effective(defaults, pool, NULL, values, NULL);
    return (struct gpu_policy){.places = (uint32_t)values[VGPU_LIMIT_MODE],
                               .ageing_us = value_of(values, VGPU_LIMIT_AGEING)};
}

bool vm_policy_equal(const struct vm_policy *first, const struct vm_policy *second)
{
    const struct vm_limits *one = &first->page;
    const struct vm_limits *other = &second->page;
    return first->weight == second->weight && first->process_limit == second->process_limit &&
           first->fault_limit == second->fault_limit && first->fault_window_us == second->fault_window_us &&
           one->memory_quota_bytes == other->memory_quota_bytes &&
           one->time_limit_us == other->time_limit_us && one->calls_per_second == other->calls_per_second &&
           one->calls_burst == other->calls_burst && one->bytes_per_second == other->bytes_per_second &&
           one->bytes_burst == other->bytes_burst && one->queue_depth == other->queue_depth;
}
