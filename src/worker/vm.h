/* The VM that this worker's guest belongs to, and what it may use (wire/vm_page.h). Any thread. */
#ifndef VGPU_WORKER_VM_H
#define VGPU_WORKER_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/vm_exports.h"
#include "wire/vm_page.h"

/* Never NULL. Until vm_bind() it is a page of this process alone, without limits. */
extern struct vm_page *vm_page;
extern struct vm_exports *vm_exports;

/* Maps the VM's page; takes fd. Before lanes exist: a worker that was started for nobody in particular learns
 * late whose it is. False with errno set. */
bool vm_bind(int fd);

/* Around every allocation of device memory: reserve what is asked for first, and return
 * CUDA_ERROR_OUT_OF_MEMORY where it says no; when the driver has answered, settle with what it has given,
 * which may be more, or 0. Release what is freed. All count what this process has in its grant page as well.
 */
bool vm_reserve_memory(uint64_t bytes);
void vm_settle_memory(uint64_t reserved_bytes, uint64_t given_bytes);
void vm_release_memory(uint64_t bytes);

/* How many calls a lane may make before it pays for them. */
uint32_t vm_calls_on_credit(void);

/* Takes what a lane has used out of the VM's token buckets, and waits until it has come in. Not while the
 * lane is inside the gate. */
void vm_pay(uint64_t calls, uint64_t bytes);

/* The guest's own code has cost it its contexts: counts once a process. */
void vm_note_result(CUresult result);

#endif
