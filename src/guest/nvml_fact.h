/* What the exported functions of the guest's libnvidia-ml.so.1 stand on: the last answer of the host
 * (wire/monitor.h), asked anew when it has become old. Any thread.
 *
 * The generated functions see this header and none of NVML's own declarations: an nvmlReturn_t is an int, as
 * the ABI has it. */
#ifndef VGPU_GUEST_NVML_FACT_H
#define VGPU_GUEST_NVML_FACT_H

#include "cuda/nvml_facts.h"

#ifndef VGPU_EXPORT
#define VGPU_EXPORT __attribute__((visibility("default")))
#endif

/* Answers a function that nvml.tbl calls facts: `arguments` as many as it has, `outputs` likewise; `length`
 * is that of its text. */
int fact_answer(const void *device, unsigned function, const unsigned *arguments, void *const *outputs,
                unsigned length);

/* NVML_ERROR_NOT_SUPPORTED; NVML_ERROR_NO_PERMISSION. NVML_ERROR_UNINITIALIZED before nvmlInit. */
int fact_absent(const char *name);
int fact_refused(const char *name);

#endif
