/* Reads through NVML all that a guest may be told of a GPU (cuda/nvml_facts.h). One thread at a time. */
#ifndef VGPU_INVENTORY_NVML_READER_H
#define VGPU_INVENTORY_NVML_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vgpu/error.h>

#include "cuda/nvml_facts.h"

struct nvml_reader;

/* What a process has on a GPU, by NVML. */
struct nvml_process {
    uint32_t pid;          /* of the host */
    uint64_t memory_bytes; /* with all that the driver keeps for it; NVML_VALUE_NOT_AVAILABLE: not known */
};

/* nvml_path: a path or bare name; NULL: "libnvidia-ml.so.1". Loads nothing yet; fails only with
 * VGPU_ERR_MEMORY. */
enum vgpu_status nvml_reader_open(const char *nvml_path, struct nvml_reader **reader, struct vgpu_error *err);
void nvml_reader_close(struct nvml_reader *reader); /* NULL is fine */

/* Reads the facts of the GPU with this UUID: those that change all the time, or with `everything` all. A fact
 * that the driver does not give has its result, and nothing else. On error the facts are as they were. */
enum vgpu_status nvml_reader_read(struct nvml_reader *reader, const char *gpu_uuid, bool everything,
                                  struct nvml_facts *facts, struct vgpu_error *err);

/* The processes with a context on the GPU, at most *count of them; *count becomes how many were written. */
enum vgpu_status nvml_reader_processes(struct nvml_reader *reader, const char *gpu_uuid,
                                       struct nvml_process *processes, size_t *count, struct vgpu_error *err);

#endif
