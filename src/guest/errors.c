/* cuGetErrorName and cuGetErrorString. Names are part of the ABI; texts are asked of the host's driver, so
 * that they are its own, and have a plain substitute when there is no worker to ask. */
#include "cuda/error_names.h"
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/init.h"
#include "wire/own_calls.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define CODES 1024

VGPU_EXPORT CUresult cuGetErrorName(CUresult error, const char **pStr)
{
    if (pStr == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    *pStr = cuda_error_name(error);
    return *pStr != NULL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

VGPU_EXPORT CUresult cuGetErrorString(CUresult error, const char **pStr)
{
    static _Atomic(char *) texts[CODES]; /* each allocated once and kept */
    if (pStr == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    *pStr = cuda_error_name(error);
    if (*pStr == NULL || (unsigned)error >= CODES)
        return CUDA_ERROR_INVALID_VALUE;
    char *known = atomic_load(&texts[error]);
    if (known == NULL && library_state() == CUDA_SUCCESS) {
        struct request_error_string request = {.error = (int32_t)error};
        char text[512] = "";
        CUresult result =
            call_wait(CALL_error_string, &request, sizeof request, NULL, 0, text, sizeof text - 1);
        char *copy = result == CUDA_SUCCESS && text[0] != '\0' ? strdup(text) : NULL;
        if (copy != NULL && !atomic_compare_exchange_strong(&texts[error], &known, copy))
            free(copy);
        else if (copy != NULL)
            known = copy;
    }
    if (known != NULL)
        *pStr = known;
    return CUDA_SUCCESS;
}
