#include "guest/captured_copy.h"

#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/connection.h"
#include "guest/copy.h"
#include "guest/lock.h"

/* One copy of one graph, or left over from a graph that is gone. */
struct through {
    void *host;
    void *shared;
    size_t bytes;
    struct through *next; /* in the list of those left over */
};

static struct lock leftover_lock;
static struct through *leftover;

/* Called where CUDA must not be: the memory is kept for the next one. */
static void leave(void *data)
{
    struct through *through = data;
    lock_take(&leftover_lock);
    through->next = leftover;
    leftover = through;
    lock_give(&leftover_lock);
}

static void copy_in(void *data)
{
    const struct through *through = data;
    memcpy(through->shared, through->host, through->bytes);
}

static void copy_out(void *data)
{
    const struct through *through = data;
    memcpy(through->host, through->shared, through->bytes);
}

/* One that is left over and of the right size, after freeing those that are not. */
static struct through *take_leftover(size_t bytes)
{
    struct through *found = NULL, *next;
    lock_take(&leftover_lock);
    struct through *list = leftover;
    leftover = NULL;
    lock_give(&leftover_lock);
    for (struct through *through = list; through != NULL; through = next) {
        next = through->next;
        if (found == NULL && through->bytes == bytes) {
            found = through;
        } else {
            cuMemFreeHost(through->shared);
            free(through);
        }
    }
    return found;
}

static CUresult get(size_t bytes, struct through **through)
{
    *through = take_leftover(bytes);
    if (*through != NULL)
        return CUDA_SUCCESS;
    *through = calloc(1, sizeof **through);
    if (*through == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    (*through)->bytes = bytes;
    CUresult result = cuMemHostAlloc(&(*through)->shared, bytes, CU_MEMHOSTALLOC_PORTABLE);
    if (result != CUDA_SUCCESS)
        free(*through);
    return result;
}

/* The graph has it from now on. */
static CUresult give_to_graph(struct through *through, CUstream stream)
{
    CUstreamCaptureStatus status;
    CUgraph graph = NULL;
    CUuserObject object;
    CUresult result = cuStreamGetCaptureInfo_v2(stream, &status, NULL, &graph, NULL, NULL);
    if (result == CUDA_SUCCESS)
        result = cuUserObjectCreate(&object, through, leave, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC);
    if (result != CUDA_SUCCESS) {
        leave(through);
        return result;
    }
    result = cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE);
    if (result != CUDA_SUCCESS)
        cuUserObjectRelease(object, 1);
    return result;
}

CUresult captured_copy(CUdeviceptr device, void *host, size_t bytes, CUstream stream, bool to_device)
{
    if (!connection_shares_memory())
        return CUDA_ERROR_NOT_SUPPORTED;
    struct through *through = NULL;
    /* What the library does here, the program has not asked for: it must not end the capture. */
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUresult result = cuThreadExchangeStreamCaptureMode(&mode);
    if (result == CUDA_SUCCESS) {
        result = get(bytes, &through);
        if (result == CUDA_SUCCESS)
            result = give_to_graph(through, stream);
        cuThreadExchangeStreamCaptureMode(&mode);
    }
    if (result != CUDA_SUCCESS)
        return result;
    through->host = host;
    if (!to_device)
        result = copy_from_device(through->shared, device, bytes, stream, false);
    if (result == CUDA_SUCCESS)
        result = cuLaunchHostFunc(stream, to_device ? copy_in : copy_out, through);
    if (result == CUDA_SUCCESS && to_device)
        result = copy_to_device(device, through->shared, bytes, stream, false);
    return result;
}
