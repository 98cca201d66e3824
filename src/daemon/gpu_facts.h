/* What NVML says of the GPUs, for whoever asks: read in a thread, when somebody asks and what is known is
 * older than a tenth of a second. Nobody asks, nothing is read. */
#ifndef VGPU_DAEMON_GPU_FACTS_H
#define VGPU_DAEMON_GPU_FACTS_H

#include "inventory/nvml_reader.h"

#include <sys/queue.h>
#include <uv.h>
#include <vgpu/error.h>

struct gpu_facts;

/* Somebody who waits for an answer. */
struct facts_request {
    LIST_ENTRY(facts_request) in_gpu;
    /* facts: NULL where NVML does not answer. Both arrays live until the callback returns. */
    void (*ready)(struct facts_request *request, const struct nvml_facts *facts,
                  const struct nvml_process *processes, size_t process_count);
    bool waits;
};

/* nvml_path as for nvml_reader_open(). */
enum vgpu_status gpu_facts_open(uv_loop_t *loop, const char *nvml_path, struct gpu_facts **facts,
                                struct vgpu_error *err);
/* Nobody waits any more. What is being read is waited for by the loop. NULL is fine. */
void gpu_facts_close(struct gpu_facts *facts);

/* ready and nothing else of the request is set. It is called, at once or later, unless the request is taken
 * back. */
void gpu_facts_ask(struct gpu_facts *facts, const char *gpu_uuid, struct facts_request *request);
void gpu_facts_take_back(struct facts_request *request);

#endif
