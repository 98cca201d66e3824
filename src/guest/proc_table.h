/* What cuGetProcAddress looks up; generated from the call table. */
#ifndef VGPU_GUEST_PROC_TABLE_H
#define VGPU_GUEST_PROC_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct proc_entry {
    const char *name; /* without a version's suffix */
    int since;        /* CUDA version, as 12020 */
    bool per_thread;  /* of the per-thread default stream */
    const void *address;
};

/* Sorted by name, then by version. */
extern const struct proc_entry proc_table[];
extern const size_t proc_table_count;

#endif
