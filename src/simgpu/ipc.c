/* Memory and events of other processes of the same simulated machine. A handle says which process has it as
 * which descriptor; that process must still be there. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda_api.h"
#include "simgpu/event.h"
#include "simgpu/event_shared.h"
#include "simgpu/memory.h"
#include "simgpu/pool.h"
#include "simgpu/shared_memory.h"
#include "simgpu/stream.h"

struct place {
    char mark[8];
    int pid;
    int descriptor;
    uint64_t bytes;
    char reserved[40];
};
_Static_assert(sizeof(struct place) == CU_IPC_HANDLE_SIZE, "a place fits into CUDA's handles");

static const char memory_mark[8] = "sim-mem", event_mark[8] = "sim-evt", pointer_mark[8] = "sim-ptr";

static void fill_place(void *handle, const char *mark, int descriptor, uint64_t bytes)
{
    struct place place = {.pid = getpid(), .descriptor = descriptor, .bytes = bytes};
    memcpy(place.mark, mark, sizeof place.mark);
    memcpy(handle, &place, sizeof place);
}

/* The descriptor that the handle names, the caller's to close; -1: there is none. */
static int open_place(const void *handle, const char *mark, struct place *place)
{
    memcpy(place, handle, sizeof *place);
    if (memcmp(place->mark, mark, sizeof place->mark) != 0)
        return -1;
    return shared_memory_open_of(place->pid, place->descriptor);
}

/* --- memory --- */

struct opened {
    int pid, descriptor;
    CUdeviceptr address;
    unsigned int uses;
    struct opened *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct opened *opened_list;

CUresult cuIpcGetMemHandle(CUipcMemHandle *pHandle, CUdeviceptr dptr)
{
    struct CUctx_st *context;
    struct region region;
    CUresult result = context_current(&context);
    if (!result && (!pHandle || !arena_find(dptr, 1, &region) || region.kind != REGION_DEVICE ||
                    region.is_mapped || region.is_module || region.pool || region.is_imported))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    stream_wait_all(region.context);
    int descriptor = arena_share(dptr);
    if (descriptor < 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    fill_place(pHandle, memory_mark, descriptor, region.bytes);
    return CUDA_SUCCESS;
}

/* Maps it as memory of this process; takes over the descriptor. */
static CUresult map_import(struct CUctx_st *context, int descriptor, struct region *region,
                           CUdeviceptr *address)
{
    struct sim_device *device;
    uint64_t bytes;
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    if (shared_memory_identify(descriptor, &device, &bytes) && region->bytes <= bytes) {
        region->kind = REGION_DEVICE;
        region->device = device;
        region->context = context;
        region->is_imported = true;
        result = arena_allocate(region);
        if (!result && !shared_memory_map(descriptor, region->base, bytes, 0)) {
            arena_remove(region->base, region);
            result = CUDA_ERROR_OUT_OF_MEMORY;
        }
        *address = region->base;
    }
    close(descriptor);
    return result;
}

/* Under the lock. */
static struct opened **find_opened(int pid, int descriptor)
{
    struct opened **link = &opened_list;
    while (*link && ((*link)->pid != pid || (*link)->descriptor != descriptor))
        link = &(*link)->next;
    return link;
}

/* Under the lock. */
static CUresult open_memory(struct CUctx_st *context, const CUipcMemHandle *handle, CUdeviceptr *address)
{
    struct place place;
    int descriptor = open_place(handle, memory_mark, &place);
    struct opened *made = calloc(1, sizeof *made);
    struct region region = {.bytes = place.bytes};
    if (descriptor < 0 || !made) {
        free(made);
        if (descriptor >= 0)
            close(descriptor);
        return descriptor < 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_OUT_OF_MEMORY;
    }
    CUresult result = map_import(context, descriptor, &region, address);
    if (result) {
        free(made);
        return result;
    }
    *made = (struct opened){place.pid, place.descriptor, *address, 1, opened_list};
    opened_list = made;
    return CUDA_SUCCESS;
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *pdptr, CUipcMemHandle handle, unsigned int Flags)
{
    struct CUctx_st *context;
    struct place place;
    CUresult result = context_current(&context);
    if (!result && (!pdptr || Flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    memcpy(&place, &handle, sizeof place);
    if (place.pid == getpid())
        return CUDA_ERROR_INVALID_CONTEXT; /* the exporter has it already */
    pthread_mutex_lock(&lock);
    struct opened *known = *find_opened(place.pid, place.descriptor);
    if (known) {
        known->uses++;
        *pdptr = known->address;
    } else {
        result = open_memory(context, &handle, pdptr);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *pdptr, CUipcMemHandle handle, unsigned int Flags)
{
    return cuIpcOpenMemHandle_v2(pdptr, handle, Flags);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr dptr)
{
    struct CUctx_st *context;
    struct region removed;
    CUresult result = context_current(&context);
    if (result)
        return result;
    stream_wait_all(context);
    pthread_mutex_lock(&lock);
    struct opened **link = &opened_list;
    while (*link && (*link)->address != dptr)
        link = &(*link)->next;
    struct opened *found = *link;
    if (!found) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else if (--found->uses == 0) {
        arena_remove(dptr, &removed);
        *link = found->next;
        free(found);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* --- events --- */

CUresult cuIpcGetEventHandle(CUipcEventHandle *pHandle, CUevent event)
{
    struct CUctx_st *context;
    int descriptor;
    CUresult result = context_current(&context);
    if (!result && !pHandle)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = event_descriptor(event, &descriptor);
    if (!result)
        fill_place(pHandle, event_mark, descriptor, 0);
    return result;
}

CUresult cuIpcOpenEventHandle(CUevent *phEvent, CUipcEventHandle handle)
{
    struct CUctx_st *context;
    struct place place;
    CUresult result = context_current(&context);
    if (!result && !phEvent)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    int descriptor = open_place(&handle, event_mark, &place);
    return descriptor >= 0 ? event_import(context, descriptor, phEvent) : CUDA_ERROR_INVALID_VALUE;
}

/* --- memory out of pools --- */

CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData *shareData_out, CUdeviceptr ptr)
{
    struct region region;
    CUresult result = driver_check();
    if (!result && (!shareData_out || !arena_find(ptr, 1, &region) || !region.pool || region.is_imported ||
                    !pool_is_exportable(region.pool)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    stream_wait_all(region.context);
    int descriptor = arena_share(ptr);
    if (descriptor < 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    fill_place(shareData_out, pointer_mark, descriptor, region.bytes);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolImportPointer(CUdeviceptr *ptr_out, CUmemoryPool pool, CUmemPoolPtrExportData *shareData)
{
    struct CUctx_st *context;
    struct place place;
    CUresult result = context_current(&context);
    if (!result && (!ptr_out || !shareData || !pool_is_imported(pool)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    int descriptor = open_place(shareData, pointer_mark, &place);
    struct region region = {.bytes = place.bytes, .pool = pool};
    return descriptor >= 0 ? map_import(context, descriptor, &region, ptr_out) : CUDA_ERROR_INVALID_VALUE;
}
