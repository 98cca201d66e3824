/* Waiting for and writing words of memory, one by one and in batches; attributes of streams. */
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "cuda_api.h"
#include "simgpu/arena.h"
#include "simgpu/graph.h"

#define POLL_FIRST_NS 20000
#define POLL_MOST_NS  1000000
#define COUNT_MAX     256

struct batch_work {
    struct work work;
    unsigned int count, flags;
    CUstreamBatchMemOpParams operations[];
};

static uint64_t read_word(CUdeviceptr address, bool is_wide)
{
    if (is_wide)
        return atomic_load((_Atomic uint64_t *)(uintptr_t)address);
    return atomic_load((_Atomic uint32_t *)(uintptr_t)address);
}

static bool is_fulfilled(const CUstreamBatchMemOpParams *operation)
{
    bool is_wide = operation->operation == CU_STREAM_MEM_OP_WAIT_VALUE_64;
    uint64_t word = read_word(operation->waitValue.address, is_wide);
    uint64_t value = is_wide ? operation->waitValue.value64 : operation->waitValue.value;
    switch (operation->waitValue.flags & 3u) {
    case CU_STREAM_WAIT_VALUE_GEQ:
        return is_wide ? (int64_t)(word - value) >= 0 : (int32_t)((uint32_t)word - (uint32_t)value) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
        return word == value;
    case CU_STREAM_WAIT_VALUE_AND:
        return (word & value) != 0;
    default:
        return (is_wide ? ~(word | value) : (uint32_t) ~(word | value)) != 0;
    }
}

/* Whoever writes the word cannot tell, so it is looked at again and again, ever more seldom. */
static void wait_for_word(const CUstreamBatchMemOpParams *operation, struct CUctx_st *context)
{
    struct timespec pause = {0, POLL_FIRST_NS};
    while (!is_fulfilled(operation) && !context_error(context)) {
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < POLL_MOST_NS)
            pause.tv_nsec *= 2;
    }
}

static void run_batch(struct work *work)
{
    const struct batch_work *job = (const struct batch_work *)work;
    for (unsigned int i = 0; i < job->count; i++) {
        const CUstreamBatchMemOpParams *operation = &job->operations[i];
        switch (operation->operation) {
        case CU_STREAM_MEM_OP_WAIT_VALUE_32:
        case CU_STREAM_MEM_OP_WAIT_VALUE_64:
            wait_for_word(operation, work->context);
            break;
        case CU_STREAM_MEM_OP_WRITE_VALUE_32:
            atomic_store((_Atomic uint32_t *)(uintptr_t)operation->writeValue.address,
                         operation->writeValue.value);
            break;
        case CU_STREAM_MEM_OP_WRITE_VALUE_64:
            atomic_store((_Atomic uint64_t *)(uintptr_t)operation->writeValue.address,
                         operation->writeValue.value64);
            break;
        default: /* all memory is ordered here */
            break;
        }
    }
}

static void describe_batch(struct work *work, CUgraphNodeParams *params)
{
    struct batch_work *job = (struct batch_work *)work;
    params->memOp = (CUDA_BATCH_MEM_OP_NODE_PARAMS){
        .ctx = work->context, .count = job->count, .paramArray = job->operations, .flags = job->flags};
}

static bool is_word(CUdeviceptr address, unsigned int bytes)
{
    struct region region;
    return address % bytes == 0 && arena_find(address, bytes, &region);
}

static bool operation_is_good(const CUstreamBatchMemOpParams *operation)
{
    switch (operation->operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        return is_word(operation->waitValue.address,
                       operation->operation == CU_STREAM_MEM_OP_WAIT_VALUE_64 ? 8 : 4) &&
               !(operation->waitValue.flags & ~(3u | CU_STREAM_WAIT_VALUE_FLUSH));
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        return is_word(operation->writeValue.address,
                       operation->operation == CU_STREAM_MEM_OP_WRITE_VALUE_64 ? 8 : 4) &&
               !(operation->writeValue.flags & ~(unsigned int)CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER);
    case CU_STREAM_MEM_OP_BARRIER:
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
        return true;
    default:
        return false;
    }
}

CUresult batch_work_make(const CUDA_BATCH_MEM_OP_NODE_PARAMS *params, struct work **work)
{
    if (params->flags || params->count > COUNT_MAX || (params->count && !params->paramArray))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < params->count; i++)
        if (!operation_is_good(&params->paramArray[i]))
            return CUDA_ERROR_INVALID_VALUE;
    struct batch_work *job = (struct batch_work *)work_create(
        sizeof *job + params->count * sizeof job->operations[0], run_batch, NULL);
    if (!job)
        return CUDA_ERROR_OUT_OF_MEMORY;
    job->work.is_node = true;
    job->work.node_type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP;
    job->work.describe = describe_batch;
    job->count = params->count;
    job->flags = params->flags;
    memcpy(job->operations, params->paramArray, params->count * sizeof job->operations[0]);
    *work = &job->work;
    return CUDA_SUCCESS;
}

CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned int count, CUstreamBatchMemOpParams *paramArray,
                               unsigned int flags)
{
    CUDA_BATCH_MEM_OP_NODE_PARAMS params = {.count = count, .paramArray = paramArray, .flags = flags};
    struct CUstream_st *resolved;
    struct work *work;
    CUresult result = stream_resolve(stream, &resolved);
    if (!result)
        result = batch_work_make(&params, &work);
    return result ? result : work_submit(resolved, work, WORK_QUEUED);
}

#define VALUE_FUNCTION(NAME, OPERATION, FIELD, VALUE, TYPE)                                                  \
    CUresult NAME(CUstream stream, CUdeviceptr addr, TYPE value, unsigned int flags)                         \
    {                                                                                                        \
        CUstreamBatchMemOpParams operation = {.operation = CU_STREAM_MEM_OP_##OPERATION};                    \
        operation.FIELD.address = addr;                                                                      \
        operation.FIELD.VALUE = value;                                                                       \
        operation.FIELD.flags = flags;                                                                       \
        return cuStreamBatchMemOp_v2(stream, 1, &operation, 0);                                              \
    }

VALUE_FUNCTION(cuStreamWaitValue32_v2, WAIT_VALUE_32, waitValue, value, cuuint32_t)
VALUE_FUNCTION(cuStreamWaitValue64_v2, WAIT_VALUE_64, waitValue, value64, cuuint64_t)
VALUE_FUNCTION(cuStreamWriteValue32_v2, WRITE_VALUE_32, writeValue, value, cuuint32_t)
VALUE_FUNCTION(cuStreamWriteValue64_v2, WRITE_VALUE_64, writeValue, value64, cuuint64_t)

/* --- attributes of streams: kept, for what they are worth on a slower GPU --- */

CUresult cuStreamGetAttribute(CUstream hStream, CUstreamAttrID attr, CUstreamAttrValue *value_out)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && !value_out)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    memset(value_out, 0, sizeof *value_out);
    switch (attr) {
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
        value_out->accessPolicyWindow = stream->window;
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
        /* As driver 580 says of a stream whose policy nobody has set. */
        value_out->syncPolicy = stream->sync_policy ? stream->sync_policy : (CUsynchronizationPolicy)-1;
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
        value_out->priority = stream->priority;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuStreamSetAttribute(CUstream hStream, CUstreamAttrID attr, const CUstreamAttrValue *value)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && !value)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    switch (attr) {
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
        stream->window = value->accessPolicyWindow;
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
        stream->sync_policy = value->syncPolicy;
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
        stream->priority = value->priority;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuStreamCopyAttributes(CUstream dst, CUstream src)
{
    struct CUstream_st *to, *from;
    CUresult result = stream_resolve(dst, &to);
    if (!result)
        result = stream_resolve(src, &from);
    if (result)
        return result;
    to->window = from->window;
    to->sync_policy = from->sync_policy;
    return CUDA_SUCCESS;
}
