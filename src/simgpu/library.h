/* Libraries: code that is loaded once for the process and becomes a module in each context that uses it. */
#ifndef VGPU_SIMGPU_LIBRARY_H
#define VGPU_SIMGPU_LIBRARY_H

#include "simgpu/module.h"

struct CUlib_st;
struct CUkern_st;

/* The function that the kernel is in the context; loads the library there when it is not yet. */
CUresult library_instance_function(struct CUctx_st *context, struct CUkern_st *kernel,
                                   struct CUfunc_st **function);

/* What the program has set on the kernel for a device. Guarded as function.h does it. */
struct function_settings *library_kernel_settings(struct CUkern_st *kernel, const struct sim_device *device);

/* A context that is going frees this instance itself. */
void library_forget_instance(struct CUlib_st *library, struct CUmod_st *module);

#endif
