/* CUDA contexts: what a process has on one device, and which of them a thread works in. */
#ifndef VGPU_SIMGPU_CONTEXT_H
#define VGPU_SIMGPU_CONTEXT_H

#include <pthread.h>
#include <stdatomic.h>

#include "simgpu/driver.h"

struct CUevent_st;
struct CUmod_st;
struct CUstream_st;

struct CUctx_st {
    struct sim_device *device;
    bool is_primary;
    unsigned int flags;
    unsigned long long id;
    atomic_uint attached;   /* cuCtxAttach without its cuCtxDetach */
    uint32_t channel_group; /* 0: none */

    _Atomic CUresult error;      /* of work that went wrong: for good, every later call returns it */
    atomic_bool is_stopping;     /* kernels still running shall end */
    _Atomic unsigned int peers;  /* bit per device whose memory its kernels may reach besides their own */
    _Atomic uint64_t heap_bytes; /* malloc of device code */

    pthread_mutex_t lock; /* for what follows */
    size_t limits[CU_LIMIT_MAX];
    CUfunc_cache cache_config;
    CUsharedconfig shared_config;
    struct CUmod_st *modules;  /* a list through next_in_context */
    struct CUevent_st *events; /* a list through next_in_context */

    /* Under the lock of work.c. */
    struct CUstream_st *legacy;  /* made with the context */
    struct CUstream_st *streams; /* all, the legacy one among them */
};

/* The calling thread's context, ready to be used. Otherwise CUDA_ERROR_NOT_INITIALIZED, _INVALID_CONTEXT
 * (none), _CONTEXT_IS_DESTROYED, _NOT_PERMITTED (in a callback), or the error the context failed with. */
CUresult context_current(struct CUctx_st **context);

/* The context behind a handle (NULL: the current one), failed or not. */
CUresult context_of(CUcontext handle, struct CUctx_st **context);

/* Work of the context went wrong: the first error stays. Any thread. */
void context_fail(struct CUctx_st *context, CUresult error);

/* The error it failed with, or CUDA_SUCCESS. */
CUresult context_error(struct CUctx_st *context);

/* A context on the device. `at`: where context_end() has left one, to have the same handle, or NULL. */
CUresult context_create(struct sim_device *device, unsigned int flags, struct CUctx_st *at,
                        struct CUctx_st **context);
/* Waits for its work and frees all that was made in it, but the memory of the context itself, full of zeros.
 */
void context_end(struct CUctx_st *context);
/* And that too. */
void context_destroy(struct CUctx_st *context);

/* Whether CUctx_flags are some that a context can have. */
bool context_flags_are_valid(unsigned int flags);

/* --- the calling thread's stack --- */

/* The top; NULL: none. It may have been destroyed. */
struct CUctx_st *context_stack_top(void);
/* False: the stack is full. */
bool context_stack_push(struct CUctx_st *context);
/* Takes off the top and returns it; NULL: the stack is empty. */
struct CUctx_st *context_stack_pop(void);

/* While a thread runs a callback of the program, calls that use a context give CUDA_ERROR_NOT_PERMITTED. */
void context_set_in_callback(bool is_in_callback);

#endif
