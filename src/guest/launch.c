/* Launching kernels. A launch that cannot be refused, by what the guest knows of the function, the device and
 * the launches before, is sent and forgotten; any other waits for the driver's verdict. */
#include "guest/launch.h"
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/capture.h"
#include "guest/export.h"
#include "guest/function.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "guest/lock.h"
#include "guest/managed_variables.h"
#include "guest/unsupported.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
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

/* Every dimension of the grid is a whole number of the cluster's. */
static bool divides(const struct request_launch *launch, uint32_t x, uint32_t y, uint32_t z)
{
    return x > 0 && y > 0 && z > 0 && launch->grid[0] % x == 0 && launch->grid[1] % y == 0 &&
           launch->grid[2] % z == 0;
}

/* Of one dimension of the clusters that the function itself is made for. */
static uint32_t own_cluster(const struct function_facts *facts, CUfunction_attribute dimension)
{
    struct function_attribute required = facts->info.attributes[dimension];
    return required.result == CUDA_SUCCESS && required.value > 0 ? (uint32_t)required.value : 1;
}

/* Bytes of an attribute's value that say whether a launch is accepted; -1 where that depends on more than
 * numbers, or is not known. */
static int attribute_bytes(CUlaunchAttributeID id)
{
    switch (id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
        return 0;
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
        return 2;
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    case CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING:
        return 4;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
        return 12;
    default:
        return -1;
    }
}

static uint64_t mix(uint64_t key, const void *data, size_t bytes)
{
    const uint8_t *byte = data;
    for (size_t i = 0; i < bytes; i++)
        /* All of these bytes were set: the initialiser fills arrays within a structure, too. */
        // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult)
        key = (key ^ byte[i]) * 0x100000001b3ull;
    return key;
}

/* What makes a launch acceptable, as one number: the same for launches that the driver treats alike. 0 for a
 * launch of which that cannot be told. */
static uint64_t launch_key(const struct request_launch *launch, const struct function_facts *facts,
                           const CUlaunchAttribute *attributes)
{
    uint32_t changed = function_attributes_changed();
    uint64_t key = mix(0xcbf29ce484222325ull, launch->block, sizeof launch->block);
    key = mix(key, &launch->shared_bytes, sizeof launch->shared_bytes);
    key = mix(key, &changed, sizeof changed);
    bool cooperative = launch->cooperative;
    if (!divides(launch, own_cluster(facts, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH),
                 own_cluster(facts, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT),
                 own_cluster(facts, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH)))
        return 0;
    for (uint32_t i = 0; i < launch->attribute_count; i++) {
        const CUlaunchAttributeValue *value = &attributes[i].value;
        int bytes = attribute_bytes(attributes[i].id);
        bool cluster_shape = attributes[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION ||
                             attributes[i].id == CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION;
        if (bytes < 0 || (cluster_shape &&
                          !divides(launch, value->clusterDim.x, value->clusterDim.y, value->clusterDim.z)))
            return 0;
        cooperative |= attributes[i].id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
        key = mix(key, &attributes[i].id, sizeof attributes[i].id);
        key = mix(key, value, (size_t)bytes);
    }
    if (cooperative) /* all of the grid must fit at once */
        key = mix(mix(key, launch->grid, sizeof launch->grid), "cooperative", 1);
    return key | 1;
}

static bool was_accepted(struct function_facts *facts, uint64_t key)
{
    for (uint32_t i = 0; i < LAUNCHES_REMEMBERED; i++)
        if (atomic_load_explicit(&facts->accepted[i], memory_order_relaxed) == key)
            return key != 0;
    return false;
}

static void remember_accepted(struct function_facts *facts, uint64_t key)
{
    if (key == 0 || was_accepted(facts, key))
        return;
    uint32_t place = atomic_fetch_add_explicit(&facts->next_accepted, 1, memory_order_relaxed);
    atomic_store_explicit(&facts->accepted[place % LAUNCHES_REMEMBERED], key, memory_order_relaxed);
}

/* The checks that need nothing but the device's and the function's limits. */
static bool within_limits(const struct request_launch *launch, const struct function_facts *facts)
{
    const struct reply_device_info *device = device_facts();
    uint64_t threads = (uint64_t)launch->block[0] * launch->block[1] * launch->block[2];
    return within(launch->grid[0], device, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X) &&
           within(launch->grid[1], device, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y) &&
           within(launch->grid[2], device, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z) &&
           within(launch->block[0], device, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X) &&
           within(launch->block[1], device, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y) &&
           within(launch->block[2], device, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z) &&
           threads <= facts->info.max_threads_per_block && stream_known(launch->stream);
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

/* Nothing the driver checks at a launch can fail: of a plain launch the guest knows it all; one with
 * attributes or clusters was accepted before, with all that matters the same. *key: to remember it by. */
static bool cannot_be_refused(const struct request_launch *launch, struct function_facts *facts,
                              const CUlaunchAttribute *attributes, uint64_t *key)
{
    *key = 0;
    if (!within_limits(launch, facts))
        return false;
    if (launch->attribute_count == 0 && !launch->cooperative && !facts->needs_clusters &&
        launch->shared_bytes <= facts->info.max_dynamic_shared_bytes)
        return true;
    *key = launch_key(launch, facts, attributes);
    return was_accepted(facts, *key);
}

CUresult launch_pack(CUfunction f, void **kernelParams, void **extra, uint8_t *to, uint32_t *bytes)
{
    CUresult result;
    const struct function_facts *facts = function_facts_of(f, &result);
    if (facts == NULL)
        return result;
    struct launch_extras extras = {.parameters = kernelParams};
    if (extra != NULL && (kernelParams != NULL || !read_extra(extra, &extras)))
        return CUDA_ERROR_INVALID_VALUE;
    if (!facts->info.parameters_known)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (extras.packed == NULL && kernelParams == NULL && facts->info.parameter_count > 0)
        return CUDA_ERROR_INVALID_VALUE;
    *bytes = extras.packed != NULL ? (uint32_t)extras.packed_bytes : facts->info.parameter_bytes;
    if (*bytes > PARAMETER_BYTES_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    write_parameters(to, facts, &extras, *bytes);
    return CUDA_SUCCESS;
}

static CUresult send_launch(CUfunction f, struct request_launch *launch, void **kernelParams, void **extra,
                            const CUlaunchAttribute *attributes)
{
    CUresult result;
    struct function_facts *facts = function_facts_of(f, &result);
    if (facts == NULL)
        return result;
    if (managed_variables_exist())
        managed_variables_send();
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
    uint64_t key;
    if (cannot_be_refused(launch, facts, attributes, &key) &&
        (extras.packed == NULL || extras.packed_bytes == facts->info.parameter_bytes))
        return message_forget(&message);
    result = message_wait(&message, NULL, 0);
    if (result == CUDA_SUCCESS)
        remember_accepted(facts, key);
    return result;
}

/* CUDA_LAUNCH_BLOCKING=1, which the driver itself reads elsewhere: a launch returns when its kernel has run,
 * with the kernel's error, and no two kernels run at once. */
static bool launches_block(void)
{
    enum { UNKNOWN, NO, YES };
    static _Atomic int known;
    int value = atomic_load_explicit(&known, memory_order_relaxed);
    if (value == UNKNOWN) {
        const char *text = getenv("CUDA_LAUNCH_BLOCKING");
        value = text != NULL && strtol(text, NULL, 10) != 0 ? YES : NO;
        atomic_store_explicit(&known, value, memory_order_relaxed);
    }
    return value == YES;
}

static CUresult launch_kernel(CUfunction f, struct request_launch *launch, void **kernelParams, void **extra,
                              const CUlaunchAttribute *attributes)
{
    static struct lock one_at_a_time;
    CUstream stream = (CUstream)(uintptr_t)launch->stream;
    if (!launches_block() || capture_is_in(stream))
        return send_launch(f, launch, kernelParams, extra, attributes);
    lock_take(&one_at_a_time);
    CUresult result = send_launch(f, launch, kernelParams, extra, attributes);
    if (result == CUDA_SUCCESS)
        result = cuStreamSynchronize(stream);
    lock_give(&one_at_a_time);
    return result;
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
    return launch_kernel(f, &launch, kernelParams, extra, NULL);
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
    return launch_kernel(f, &launch, kernelParams, NULL, NULL);
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
    return launch_kernel(f, &launch, kernelParams, extra, config->attrs);
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

/* One device, so one launch: the grids of one launch need not wait for another's. */
VGPU_EXPORT CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *launchParamsList,
                                                          unsigned int numDevices, unsigned int flags)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    const CUDA_LAUNCH_PARAMS *launch = launchParamsList;
    if (launch == NULL || numDevices != 1 ||
        (flags & ~(unsigned)(CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_PRE_LAUNCH_SYNC |
                             CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_POST_LAUNCH_SYNC)) != 0)
        return CUDA_ERROR_INVALID_VALUE;
    return cuLaunchCooperativeKernel(launch->function, launch->gridDimX, launch->gridDimY, launch->gridDimZ,
                                     launch->blockDimX, launch->blockDimY, launch->blockDimZ,
                                     launch->sharedMemBytes, launch->hStream, launch->kernelParams);
}
