/* Launching kernels. A launch that cannot be refused, by what the guest knows of the function and the device,
 * is sent and forgotten; any other waits for the driver's verdict. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/function.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "guest/unsupported.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A dimension of a grid or block, and the attribute that holds its limit. */
static bool within(unsigned value, const struct reply_device_info *device, CUdevice_attribute limit)
{
    return value > 0 && value <= (unsigned)device->attributes[limit].value;
}

static bool stream_known(uint64_t stream)
{
    return stream <= (uintptr_t)CU_STREAM_PER_THREAD || handle_alive(HANDLE_STREAM, stream);
}

/* Nothing the driver checks at a launch can fail. */
static bool cannot_be_refused(const struct request_launch *launch, const struct function_facts *facts)
{
    const struct reply_device_info *device = device_facts();
    uint64_t threads = (uint64_t)launch->block[0] * launch->block[1] * launch->block[2];
    return launch->attribute_count == 0 && !launch->cooperative &&
           within(launch->grid[0], device, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X) &&
           within(launch->grid[1], device, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y) &&
           within(launch->grid[2], device, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z) &&
           within(launch->block[0], device, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X) &&
           within(launch->block[1], device, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y) &&
           within(launch->block[2], device, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z) &&
           threads <= facts->info.max_threads_per_block &&
           launch->shared_bytes <= facts->info.max_dynamic_shared_bytes && stream_known(launch->stream);
}

/* What a launch passes besides its request. */
struct launch_extras {
    void **parameters;  /* one pointer a parameter, or NULL */
    const void *packed; /* parameters as one buffer, or NULL */
    size_t packed_bytes;
    const CUlaunchAttribute *attributes; /* request.attribute_count of them */
};

/* Reads the `extra` list. False when it is malformed. */
static bool read_extra(void **extra, struct launch_extras *extras)
{
    const size_t *bytes = NULL;
    for (int i = 0; extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
        if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            extras->packed = extra[i + 1];
        else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE)
            bytes = extra[i + 1];
        else
            return false;
    }
    if (extras->packed == NULL || bytes == NULL)
        return false;
    extras->packed_bytes = *bytes;
    return extras->packed_bytes <= PARAMETER_BYTES_MAX;
}

static void write_parameters(uint8_t *to, const struct function_facts *facts,
                             const struct launch_extras *extras, uint32_t bytes)
{
    if (extras->packed != NULL) {
        memcpy(to, extras->packed, bytes);
        return;
    }
    for (uint32_t i = 0; i < facts->info.parameter_count; i++)
        memcpy(to + facts->places[i].offset, extras->parameters[i], facts->places[i].bytes);
}

/* attributes cannot be told from the request alone, so a launch with any is never forgotten. */
static CUresult send_launch(CUfunction f, struct request_launch *launch, void **kernelParams, void **extra,
                            const CUlaunchAttribute *attributes)
{
    CUresult result;
    const struct function_facts *facts = function_facts_of(f, &result);
    if (facts == NULL)
        return result;
    struct launch_extras extras = {.parameters = kernelParams, .attributes = attributes};
    if (extra != NULL && (kernelParams != NULL || !read_extra(extra, &extras)))
        return CUDA_ERROR_INVALID_VALUE;
    if (extras.packed == NULL && !facts->info.parameters_known)
        return not_supported("cuLaunchKernel with kernelParams on a driver before CUDA 12.4");
    if (extras.packed == NULL && kernelParams == NULL && facts->info.parameter_count > 0)
        return CUDA_ERROR_INVALID_VALUE;
    launch->function = (uintptr_t)f;
    launch->parameter_bytes =
        extras.packed != NULL ? (uint32_t)extras.packed_bytes : facts->info.parameter_bytes;
    uint32_t padded = (launch->parameter_bytes + 7) & ~7u;
    size_t attribute_bytes = launch->attribute_count * sizeof *attributes;
    struct message message;
    result = message_begin(&message, CALL_launch, sizeof *launch + padded + attribute_bytes);
    if (result != CUDA_SUCCESS)
        return result;
    uint8_t *body = message.body;
    memcpy(body, launch, sizeof *launch);
    write_parameters(body + sizeof *launch, facts, &extras, launch->parameter_bytes);
    if (attribute_bytes > 0)
        memcpy(body + sizeof *launch + padded, attributes, attribute_bytes);
    if (cannot_be_refused(launch, facts) &&
        (extras.packed == NULL || extras.packed_bytes == facts->info.parameter_bytes))
        return message_forget(&message);
    return message_wait(&message, NULL, 0);
}

VGPU_EXPORT CUresult cuLaunchKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY,
                                    unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY,
                                    unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream,
                                    void **kernelParams, void **extra)
{
    struct request_launch launch = {.stream = (uintptr_t)hStream,
                                    .grid = {gridDimX, gridDimY, gridDimZ},
                                    .block = {blockDimX, blockDimY, blockDimZ},
                                    .shared_bytes = sharedMemBytes};
    return send_launch(f, &launch, kernelParams, extra, NULL);
}

VGPU_EXPORT CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY,
                                               unsigned int gridDimZ, unsigned int blockDimX,
                                               unsigned int blockDimY, unsigned int blockDimZ,
                                               unsigned int sharedMemBytes, CUstream hStream,
                                               void **kernelParams)
{
    struct request_launch launch = {.stream = (uintptr_t)hStream,
                                    .grid = {gridDimX, gridDimY, gridDimZ},
                                    .block = {blockDimX, blockDimY, blockDimZ},
                                    .shared_bytes = sharedMemBytes,
                                    .cooperative = 1};
    return send_launch(f, &launch, kernelParams, NULL, NULL);
}

VGPU_EXPORT CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **kernelParams,
                                      void **extra)
{
    if (config == NULL || (config->numAttrs > 0 && config->attrs == NULL) ||
        config->numAttrs > LAUNCH_ATTRIBUTES_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_launch launch = {.stream = (uintptr_t)config->hStream,
                                    .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
                                    .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
                                    .shared_bytes = config->sharedMemBytes,
                                    .attribute_count = config->numAttrs};
    return send_launch(f, &launch, kernelParams, extra, config->attrs);
}

VGPU_EXPORT CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction f, void **kernelParams,
                                           void **extra)
{
    if (config == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUlaunchConfig own = *config;
    own.hStream = per_thread(own.hStream);
    return cuLaunchKernelEx(&own, f, kernelParams, extra);
}
