/* What an administrator has set for VMs and pools (base/limit.h), as the daemon acts on it. */
#ifndef VGPU_DAEMON_POLICY_H
#define VGPU_DAEMON_POLICY_H

#include "wire/vm_page.h"

#include <vgpu/types.h>

/* Of one VM. */
struct vm_policy {
    struct vm_limits page; /* what its workers see to */
    uint32_t weight;
    uint32_t process_limit;
    uint32_t fault_limit; /* 0: none */
    uint64_t fault_window_us;
};

/* Of one GPU: that of its primary pool. */
struct gpu_policy {
    uint32_t places; /* VMs side by side; 1: exclusive */
    uint64_t ageing_us;
};

/* pool: NULL where nothing is set for it. */
struct vm_policy policy_of_vm(const struct vgpu_limits *defaults, const struct vgpu_limits *pool,
                              const struct vgpu_limits *vm);
struct gpu_policy policy_of_gpu(const struct vgpu_limits *defaults, const struct vgpu_limits *pool);

bool vm_policy_equal(const struct vm_policy *first, const struct vm_policy *second);

#endif
