/* The process's view of the simulated machine: whether cuInit was called, and the devices it may see. */
#ifndef VGPU_SIMGPU_DRIVER_H
#define VGPU_SIMGPU_DRIVER_H

#include <pthread.h>

#include "cuda/cuda_types.h"
#include "simgpu/machine.h"
#include "simgpu/shared_state.h"

struct CUctx_st;

struct sim_device {
    CUdevice ordinal;
    const struct machine_gpu *gpu;
    struct gpu_limits limits;

    pthread_mutex_t lock;     /* for what follows */
    struct CUctx_st *primary; /* made at the first retain and kept, alive or not */
    bool primary_is_alive;
    unsigned int primary_refs;
    unsigned int primary_flags;
    struct shared_slot *slot; /* while slot_users is not 0 */
    unsigned int slot_users;  /* contexts alive, and memory apart from them */
};

/* CUDA_SUCCESS, CUDA_ERROR_NOT_INITIALIZED (before cuInit, and after fork), or why cuInit failed. */
CUresult driver_check(void);

/* NULL: no such device. After driver_check. */
struct sim_device *driver_device(CUdevice ordinal);
int driver_device_count(void);

struct shared_state *driver_shared_state(void);

/* A context comes to life on the device, or ends. The first makes the process one of the GPU's users, with
 * what a context itself takes of the memory. */
CUresult driver_device_enter(struct sim_device *device);
void driver_device_leave(struct sim_device *device);

/* Takes device memory from what all processes share. CUDA_ERROR_OUT_OF_MEMORY when it does not fit. Only
 * while a context lives on the device. */
CUresult driver_device_reserve(struct sim_device *device, uint64_t bytes);
void driver_device_release(struct sim_device *device, uint64_t bytes);

/* The same for memory that belongs to no context and may outlive all of them. */
CUresult driver_device_reserve_apart(struct sim_device *device, uint64_t bytes);
void driver_device_release_apart(struct sim_device *device, uint64_t bytes);

/* What CUDA calls the total memory of the device. */
uint64_t driver_device_memory(const struct sim_device *device);

#endif
