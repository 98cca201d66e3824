/* What the guest knows about a kernel function. */
#ifndef VGPU_GUEST_FUNCTION_H
#define VGPU_GUEST_FUNCTION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "cuda/cuda_types.h"
#include "wire/own_calls.h"

/* Launches of a function that the driver has accepted, and the guest remembers. */
#define LAUNCHES_REMEMBERED 4u

struct function_facts {
    struct reply_function_info info;
    const char *name;    /* NULL until asked for; lives as long as the process */
    bool needs_clusters; /* made for clusters of blocks: launches without any attribute have them too */

    /* What the driver would say to launches: see launch.c. 0: nothing. Any thread. */
    _Atomic uint64_t accepted[LAUNCHES_REMEMBERED];
    _Atomic uint32_t next_accepted;

    /* The next launch, for programs that say it piece by piece: see launch_stateful.c. Not locked. */
    uint32_t block[3];
    uint32_t shared_bytes;
    uint32_t parameter_bytes;
    uint8_t *parameters; /* info.parameter_bytes, in this allocation */

    struct parameter_place places[]; /* info.parameter_count */
};

/* Of a function or of a kernel standing in for one: asked of the worker the first time, then remembered with
 * the handle. NULL with *result set when there is no such function or the worker is gone. */
struct function_facts *function_facts_of(CUfunction function, CUresult *result);

/* Counted up when a function or kernel got another attribute: what was remembered of any before holds no
 * longer, since a kernel's attributes are its function's too. */
uint32_t function_attributes_changed(void);

#endif
