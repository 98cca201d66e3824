/* By this table cuFFT finds the kernels of a module that it has loaded. */
#include "guest/export_table.h"

#include <stdlib.h>

#include "cuda_api.h"

typedef void (*visitor)(void *user, CUfunction function);

/* Calls visit for each function of the module. Returns how many there were. */
static int each_function(CUcontext context, CUmodule module, visitor visit, void *user)
{
    unsigned count = 0;
    (void)context; /* the module's own, which is current */
    if (cuModuleGetFunctionCount(&count, module) != CUDA_SUCCESS)
        return 0;
    CUfunction *functions = calloc(count + 1u, sizeof(CUfunction));
    if (functions == NULL || cuModuleEnumerateFunctions(functions, count, module) != CUDA_SUCCESS)
        count = 0;
    for (unsigned i = 0; i < count; i++)
        visit(user, functions[i]);
    free(functions);
    return (int)count;
}

EXPORT_UNKNOWN_FUNCTIONS(module_functions, 99);

static const struct export_function module_functions_functions[] = {
    EXPORT_FUNCTION(7, each_function),
};
static const void *module_functions_slots[99];

struct export_table export_table_module_functions = {
    .id = {"\x6e\x16\x3f\xbe\xb9\x58\x44\x4d\x83\x5c\xe1\x82\xaf\xf1\x99\x1e"},
    .slots = module_functions_slots,
    .count = 99,
    .functions = module_functions_functions,
    .function_count = sizeof module_functions_functions / sizeof module_functions_functions[0],
    .unknown = export_unknown_module_functions,
};
