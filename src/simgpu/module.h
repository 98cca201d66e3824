/* Modules and their functions: code and variables in one context. */
#ifndef VGPU_SIMGPU_MODULE_H
#define VGPU_SIMGPU_MODULE_H

#include "simgpu/context.h"
#include "simgpu/function.h"
#include "simgpu/image.h"

struct CUlib_st;

struct CUmod_st {
    struct CUctx_st *context;
    struct CUlib_st *library; /* whose instance in the context it is; NULL: loaded by the program */
    struct ptx_module *code;
    struct CUfunc_st *functions; /* as many as code has kernels, in its order */
    struct CUmod_st *next_in_context;
};

/* Compiles an image for the device. The caller ends *log with ptx_log_fini in any case. */
CUresult module_compile(const struct sim_device *device, const struct image *image, struct ptx_module **code,
                        struct ptx_log *log);

/* Makes a module of compiled code, which it then owns, also when it fails. max_registers as in struct
 * function_settings. */
CUresult module_create(struct CUctx_st *context, struct ptx_module *code, unsigned int max_registers,
                       struct CUmod_st **module);

/* Waits for the context's work, then frees the module with its variables. */
void module_unload(struct CUmod_st *module);

/* Unloads all modules of a context that is going, those of libraries too. */
void module_unload_all(struct CUctx_st *context);

/* A variable by name, only a managed one when `managed`; the out pointers may be NULL. */
CUresult module_find_variable(const struct CUmod_st *module, const char *name, bool managed,
                              CUdeviceptr *address, size_t *bytes);

/* NULL: there is none of that name. */
struct CUfunc_st *module_find_function(const struct CUmod_st *module, const char *name);

/* Compute capability times ten. */
unsigned int module_capability(const struct sim_device *device);

#endif
