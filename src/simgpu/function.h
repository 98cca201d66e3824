/* Functions: a kernel of a module, with what a program has set on it. */
#ifndef VGPU_SIMGPU_FUNCTION_H
#define VGPU_SIMGPU_FUNCTION_H

#include "simgpu/context.h"
#include "simgpu/ptx.h"

struct CUkern_st;
struct CUmod_st;

struct function_settings {
    unsigned int max_registers; /* CU_JIT_MAX_REGISTERS of the load; 0: no limit */
    int dynamic_shared_bytes;   /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES; -1: never set */
    int carveout;               /* percent; -1: the driver's choice */
    int cluster[3];
    int non_portable_cluster;
    int cluster_policy;
};

struct CUfunc_st {
    struct CUmod_st *module;
    const struct ptx_kernel *kernel;
    struct CUkern_st *origin; /* the library's kernel, whose settings then count; NULL: of a plain module */
    struct function_settings settings;
    /* The next launch, of programs that say it piece by piece (launch_stateful.c). Not locked. */
    struct {
        uint32_t block[3];
        uint32_t shared_bytes;
        uint32_t parameter_bytes;
        unsigned char *parameters; /* as many bytes as the kernel has; NULL: nothing was said yet */
    } next;
};

/* What a new function starts with. */
struct function_settings function_default_settings(unsigned int max_registers);

/* Registers per thread. */
unsigned int function_registers(struct CUfunc_st *function);

/* The function that a launch or a question means: a CUfunction, or the CUkernel of a library, whose instance
 * in the context is loaded when it is not there yet. CUDA_ERROR_INVALID_HANDLE: neither, or of another
 * context. */
CUresult function_resolve(struct CUctx_st *context, CUfunction handle, struct CUfunc_st **function);

/* Makes `next` ready to be filled. */
CUresult function_next_launch(struct CUfunc_st *function);

/* Most dynamic shared memory that the function may be launched with now. */
uint32_t function_dynamic_shared_limit(struct CUfunc_st *function);

/* On whatever holds the settings: a function, or a kernel on one device. Any thread. */
CUresult function_get_attribute(const struct ptx_kernel *kernel, const struct sim_device *device,
                                const struct function_settings *settings, CUfunction_attribute attribute,
                                int *value);
CUresult function_set_attribute(const struct ptx_kernel *kernel, const struct sim_device *device,
                                struct function_settings *settings, CUfunction_attribute attribute,
                                int value);
CUresult function_param_info(const struct ptx_kernel *kernel, size_t index, size_t *offset, size_t *bytes);

#endif
