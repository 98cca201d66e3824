/* Memory pools and allocation in stream order. A pool keeps nothing: what is freed goes back to the device at
 * once, so that what it has reserved is what is in use. */
#include "simgpu/pool.h"

#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/capture.h"
#include "simgpu/handle.h"
#include "simgpu/memory.h"
#include "simgpu/shared_memory.h"
#include "simgpu/stream.h"

struct CUmemPoolHandle_st {
    struct sim_device *device;
    CUmemPoolProps properties;
    bool is_default;
    bool is_imported;

    /* Under pool_lock. */
    uint64_t release_threshold;
    uint64_t used_high, reserved_high;
    int reuse[3];                  /* CU_MEMPOOL_ATTR_REUSE_*, in their order */
    unsigned int writers, readers; /* bit per device */
    struct CUmemPoolHandle_st *next;
};

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUmemPoolHandle_st *pools; /* also those destroyed: memory out of them may still live */
static struct CUmemPoolHandle_st *default_pools[MACHINE_GPUS_MAX];
static struct CUmemPoolHandle_st *current_pools[MACHINE_GPUS_MAX];

/* Under pool_lock. */
static struct CUmemPoolHandle_st *create(struct sim_device *device, const CUmemPoolProps *properties)
{
    struct CUmemPoolHandle_st *pool = calloc(1, sizeof *pool);
    if (!pool || !handle_add(pool, HANDLE_POOL)) {
        free(pool);
        return NULL;
    }
    pool->device = device;
    pool->properties = *properties;
    pool->reuse[0] = pool->reuse[1] = pool->reuse[2] = 1;
    pool->readers = pool->writers = 1u << device->ordinal;
    pool->next = pools;
    pools = pool;
    return pool;
}

/* Under pool_lock. */
static struct CUmemPoolHandle_st *default_pool(struct sim_device *device)
{
    const CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                       .location = {CU_MEM_LOCATION_TYPE_DEVICE, device->ordinal}};
    struct CUmemPoolHandle_st **pool = &default_pools[device->ordinal];
    if (!*pool && (*pool = create(device, &properties)))
        (*pool)->is_default = true;
    return *pool;
}

static bool is_pool(CUmemoryPool pool)
{
    return handle_is(pool, HANDLE_POOL);
}

bool pool_is_accessible(struct CUmemPoolHandle_st *pool, const struct sim_device *device)
{
    pthread_mutex_lock(&pool_lock);
    bool accessible = pool->writers >> device->ordinal & 1;
    pthread_mutex_unlock(&pool_lock);
    return accessible;
}

bool pool_is_exportable(struct CUmemPoolHandle_st *pool)
{
    return is_pool(pool) && !pool->is_imported &&
           (pool->properties.handleTypes & CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
}

bool pool_is_imported(struct CUmemPoolHandle_st *pool)
{
    return is_pool(pool) && pool->is_imported;
}

/* --- a device's pools --- */

static CUresult find_device(CUdevice dev, const void *out, struct sim_device **device)
{
    CUresult result = driver_check();
    if (result)
        return result;
    *device = driver_device(dev);
    if (!*device)
        return CUDA_ERROR_INVALID_DEVICE;
    return out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool_out, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find_device(dev, pool_out, &device);
    if (result)
        return result;
    pthread_mutex_lock(&pool_lock);
    *pool_out = default_pool(device);
    pthread_mutex_unlock(&pool_lock);
    return *pool_out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find_device(dev, pool, &device);
    if (result)
        return result;
    pthread_mutex_lock(&pool_lock);
    *pool = current_pools[dev] ? current_pools[dev] : default_pool(device);
    pthread_mutex_unlock(&pool_lock);
    return *pool ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuDeviceSetMemPool(CUdevice dev, CUmemoryPool pool)
{
    struct sim_device *device;
    CUresult result = find_device(dev, pool, &device);
    if (!result && (!is_pool(pool) || pool->device != device))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&pool_lock);
    current_pools[dev] = pool;
    pthread_mutex_unlock(&pool_lock);
    return CUDA_SUCCESS;
}

/* Only memory of devices, and there one type. */
static CUresult check_location(const CUmemLocation *location, CUmemAllocationType type)
{
    CUresult result = driver_check();
    if (result)
        return result;
    if (!location || (type != CU_MEM_ALLOCATION_TYPE_PINNED && type != CU_MEM_ALLOCATION_TYPE_MANAGED))
        return CUDA_ERROR_INVALID_VALUE;
    if (location->type != CU_MEM_LOCATION_TYPE_DEVICE || type == CU_MEM_ALLOCATION_TYPE_MANAGED)
        return CUDA_ERROR_NOT_SUPPORTED;
    return CUDA_SUCCESS;
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool *pool_out, CUmemLocation *location, CUmemAllocationType type)
{
    CUresult result = check_location(location, type);
    return result ? result : cuDeviceGetDefaultMemPool(pool_out, location->id);
}

CUresult cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type)
{
    CUresult result = check_location(location, type);
    return result ? result : cuDeviceGetMemPool(pool, location->id);
}

CUresult cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool pool)
{
    CUresult result = check_location(location, type);
    return result ? result : cuDeviceSetMemPool(location->id, pool);
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *poolProps)
{
    CUresult result = driver_check();
    if (!result && (!pool || !poolProps || poolProps->allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
                    (poolProps->handleTypes & ~(unsigned int)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = check_location(&poolProps->location, poolProps->allocType);
    if (result)
        return result;
    struct sim_device *device = driver_device(poolProps->location.id);
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&pool_lock);
    *pool = create(device, poolProps);
    pthread_mutex_unlock(&pool_lock);
    return *pool ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* What was allocated from it lives on. */
CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
    CUresult result = driver_check();
    if (!result && (!is_pool(pool) || pool->is_default))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&pool_lock);
    handle_remove(pool);
    if (current_pools[pool->device->ordinal] == pool)
        current_pools[pool->device->ordinal] = NULL;
    pthread_mutex_unlock(&pool_lock);
    return CUDA_SUCCESS;
}

/* There is never anything to trim. */
CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t minBytesToKeep)
{
    CUresult result = driver_check();
    return !result && !is_pool(pool) ? CUDA_ERROR_INVALID_VALUE : result;
}

/* --- attributes --- */

/* Under pool_lock. */
static CUresult get_attribute(struct CUmemPoolHandle_st *pool, CUmemPool_attribute attr, void *value)
{
    switch (attr) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        *(int *)value = pool->reuse[attr - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES];
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        *(cuuint64_t *)value = pool->release_threshold;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
        *(cuuint64_t *)value = arena_pool_bytes(pool);
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
        *(cuuint64_t *)value = pool->reserved_high;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        *(cuuint64_t *)value = pool->used_high;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* Under pool_lock. */
static CUresult set_attribute(struct CUmemPoolHandle_st *pool, CUmemPool_attribute attr, const void *value)
{
    switch (attr) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        pool->reuse[attr - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES] = *(const int *)value != 0;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        pool->release_threshold = *(const cuuint64_t *)value;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        if (*(const cuuint64_t *)value != 0)
            return CUDA_ERROR_INVALID_VALUE;
        *(attr == CU_MEMPOOL_ATTR_USED_MEM_HIGH ? &pool->used_high : &pool->reserved_high) =
            arena_pool_bytes(pool);
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
    CUresult result = driver_check();
    if (!result && (!is_pool(pool) || !value))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&pool_lock);
    result = get_attribute(pool, attr, value);
    pthread_mutex_unlock(&pool_lock);
    return result;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
    CUresult result = driver_check();
    if (!result && (!is_pool(pool) || !value))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&pool_lock);
    result = set_attribute(pool, attr, value);
    pthread_mutex_unlock(&pool_lock);
    return result;
}

/* --- access --- */

CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *map, size_t count)
{
    CUresult result = driver_check();
    if (!result && (!is_pool(pool) || !map))
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; !result && i < count; i++) {
        bool whole = map[i].flags == CU_MEM_ACCESS_FLAGS_PROT_NONE ||
                     map[i].flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        if (map[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE || !whole)
            result = CUDA_ERROR_INVALID_VALUE;
        else if (!driver_device(map[i].location.id))
            result = CUDA_ERROR_INVALID_DEVICE;
        else if (map[i].location.id == pool->device->ordinal && map[i].flags == CU_MEM_ACCESS_FLAGS_PROT_NONE)
            result = CUDA_ERROR_INVALID_VALUE; /* its own device always has access */
    }
    if (result)
        return result;
    pthread_mutex_lock(&pool_lock);
    for (size_t i = 0; i < count; i++) {
        unsigned int bit = 1u << map[i].location.id;
        bool given = map[i].flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        pool->readers = given ? pool->readers | bit : pool->readers & ~bit;
        pool->writers = pool->readers;
    }
    pthread_mutex_unlock(&pool_lock);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool memPool, CUmemLocation *location)
{
    CUresult result = driver_check();
    if (!result &&
        (!flags || !is_pool(memPool) || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result && !driver_device(location->id))
        result = CUDA_ERROR_INVALID_DEVICE;
    if (result)
        return result;
    *flags = pool_is_accessible(memPool, driver_device(location->id)) ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
                                                                      : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return CUDA_SUCCESS;
}

/* --- to other processes: a descriptor that says of which device the pool is --- */

#define POOL_FILE_BYTES 4096

CUresult cuMemPoolExportToShareableHandle(void *handle_out, CUmemoryPool pool,
                                          CUmemAllocationHandleType handleType, unsigned long long flags)
{
    CUresult result = driver_check();
    if (!result && (!handle_out || flags || handleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
                    !pool_is_exportable(pool)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    int fd = shared_memory_create(pool->device, POOL_FILE_BYTES);
    memcpy(handle_out, &fd, sizeof fd);
    return fd >= 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}

CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *pool_out, void *handle,
                                            CUmemAllocationHandleType handleType, unsigned long long flags)
{
    struct sim_device *device;
    uint64_t bytes;
    CUresult result = driver_check();
    if (!result &&
        (!pool_out || flags || handleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
         !shared_memory_identify((int)(intptr_t)handle, &device, &bytes) || bytes != POOL_FILE_BYTES))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    const CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                       .handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                       .location = {CU_MEM_LOCATION_TYPE_DEVICE, device->ordinal}};
    pthread_mutex_lock(&pool_lock);
    *pool_out = create(device, &properties);
    if (*pool_out)
        (*pool_out)->is_imported = true;
    pthread_mutex_unlock(&pool_lock);
    return *pool_out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* --- memory of graphs: there is none --- */

CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attr, void *value)
{
    struct sim_device *found;
    CUresult result = find_device(device, value, &found);
    if (!result && attr > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *(cuuint64_t *)value = 0;
    return result;
}

CUresult cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attr, void *value)
{
    struct sim_device *found;
    CUresult result = find_device(device, value, &found);
    bool is_high = attr == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH || attr == CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH;
    return !result && (!is_high || *(cuuint64_t *)value != 0) ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuDeviceGraphMemTrim(CUdevice device)
{
    struct sim_device *found;
    return find_device(device, &found, &found);
}

/* --- in stream order --- */

struct free_work {
    struct work work;
    CUdeviceptr address;
};

static void run_free(struct work *work)
{
    struct region removed;
    arena_remove(((struct free_work *)work)->address, &removed);
}

/* --- in graphs: the memory is there as long as the node, whatever the graph does with it --- */

struct alloc_work {
    struct work work;
    CUmemPoolProps properties;
    size_t bytes;
    CUdeviceptr address;
};

static void finish_alloc(struct work *work)
{
    struct region removed;
    arena_remove(((struct alloc_work *)work)->address, &removed);
}

static void describe_alloc(struct work *work, CUgraphNodeParams *params)
{
    const struct alloc_work *job = (const struct alloc_work *)work;
    params->alloc = (CUDA_MEM_ALLOC_NODE_PARAMS){
        .poolProps = job->properties, .bytesize = job->bytes, .dptr = job->address};
}

CUresult alloc_work_make(CUDA_MEM_ALLOC_NODE_PARAMS *params, struct work **work)
{
    struct CUctx_st *context;
    struct region region = {.kind = REGION_DEVICE};
    CUresult result = context_current(&context);
    if (!result && (params->poolProps.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
                    params->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = memory_allocate(context, params->bytesize, &region, &params->dptr);
    if (result)
        return result;
    struct alloc_work *job = (struct alloc_work *)work_create(sizeof *job, NULL, finish_alloc);
    if (!job) {
        arena_remove(params->dptr, &region);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    job->work.is_node = true;
    job->work.node_type = CU_GRAPH_NODE_TYPE_MEM_ALLOC;
    job->work.describe = describe_alloc;
    job->properties = params->poolProps;
    job->bytes = params->bytesize;
    job->address = params->dptr;
    *work = &job->work;
    return CUDA_SUCCESS;
}

static void describe_free(struct work *work, CUgraphNodeParams *params)
{
    params->free.dptr = ((const struct free_work *)work)->address;
}

CUresult free_work_make(CUdeviceptr address, struct work **work)
{
    struct region region;
    CUresult result = memory_find_freeable(address, &region);
    if (result)
        return result;
    struct free_work *job = (struct free_work *)work_create(sizeof *job, NULL, NULL);
    if (!job)
        return CUDA_ERROR_OUT_OF_MEMORY;
    job->work.is_node = true;
    job->work.node_type = CU_GRAPH_NODE_TYPE_MEM_FREE;
    job->work.describe = describe_free;
    job->address = address;
    *work = &job->work;
    return CUDA_SUCCESS;
}

static CUresult allocate_captured(struct CUstream_st *stream, size_t bytes, CUdeviceptr *dptr)
{
    CUDA_MEM_ALLOC_NODE_PARAMS params = {.bytesize = bytes};
    struct work *work;
    params.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    params.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    params.poolProps.location.id = stream->context->device->ordinal;
    CUresult result = dptr ? alloc_work_make(&params, &work) : CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = work_submit(stream, work, WORK_QUEUED);
    if (!result)
        *dptr = params.dptr;
    return result;
}

/* --- */

static void note_high(struct CUmemPoolHandle_st *pool)
{
    uint64_t used = arena_pool_bytes(pool);
    pthread_mutex_lock(&pool_lock);
    pool->used_high = used > pool->used_high ? used : pool->used_high;
    pool->reserved_high = used > pool->reserved_high ? used : pool->reserved_high;
    pthread_mutex_unlock(&pool_lock);
}

/* Memory that a free further up in the stream will give back counts as there: wait for it rather than fail.
 */
CUresult cuMemAllocFromPoolAsync(CUdeviceptr *dptr, size_t bytesize, CUmemoryPool pool, CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && (!is_pool(pool) || pool->is_imported))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    if (capture_is_in(stream))
        return allocate_captured(stream, bytesize, dptr);
    if (pool->properties.maxSize && bytesize > pool->properties.maxSize)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct region region = {.kind = REGION_DEVICE, .pool = pool};
    result = memory_allocate(stream->context, bytesize, &region, dptr);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
        /* Also where that free has run since: then nothing is waited for. */
        stream_wait(stream);
        result = memory_allocate(stream->context, bytesize, &region, dptr);
    }
    if (!result)
        note_high(pool);
    return result;
}

CUresult cuMemAllocAsync(CUdeviceptr *dptr, size_t bytesize, CUstream hStream)
{
    struct CUstream_st *stream;
    CUmemoryPool pool;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result)
        result = cuDeviceGetMemPool(&pool, stream->context->device->ordinal);
    return result ? result : cuMemAllocFromPoolAsync(dptr, bytesize, pool, hStream);
}

CUresult cuMemFreeAsync(CUdeviceptr dptr, CUstream hStream)
{
    struct CUstream_st *stream;
    struct region region;
    CUresult result = stream_resolve(hStream, &stream);
    if (result)
        return result;
    if (!dptr)
        return CUDA_ERROR_INVALID_VALUE;
    result = memory_find_freeable(dptr, &region);
    if (result)
        return result;
    struct work *work;
    if (capture_is_in(stream)) {
        result = free_work_make(dptr, &work);
        return result ? result : work_submit(stream, work, WORK_QUEUED);
    }
    work = work_create(sizeof(struct free_work), run_free, NULL);
    if (!work)
        return CUDA_ERROR_OUT_OF_MEMORY;
    ((struct free_work *)work)->address = dptr;
    return work_submit(stream, work, WORK_QUEUED);
}
