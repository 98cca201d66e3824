/* Every entry point under the name that cuGetProcAddress is asked for; generated from the call table. */
#ifndef VGPU_SIMGPU_PROC_ADDRESS_H
#define VGPU_SIMGPU_PROC_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

struct proc_entry {
    const char *name;   /* without its version: "cuMemAlloc" */
    int since;          /* CUDA version from which this form is the one meant: 3020 */
    bool is_per_thread; /* for CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM */
    void *address;
};

/* Sorted by name, then by version. */
extern const struct proc_entry proc_entries[];
extern const size_t proc_entry_count;

#endif
