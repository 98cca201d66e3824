/* Work of a stream that is not the GPU's: functions of the program, and waiting for or writing a word of
 * memory. */
#include <stdatomic.h>
#include <time.h>

#include "cuda_api.h"
#include "simgpu/api.h"
#include "simgpu/arena.h"
#include "simgpu/per_thread.h"
#include "simgpu/stream.h"

/* --- functions of the program --- */

struct callback_work {
    struct work work;
    CUhostFn host_function;
    CUstreamCallback callback;
    CUstream stream; /* as the program named it */
    void *data;
};

static void run_callback(struct work *work)
{
    struct callback_work *job = (struct callback_work *)work;
    context_set_in_callback(true);
    if (job->host_function)
        job->host_function(job->data);
    else
        job->callback(job->stream, context_error(work->context), job->data);
    context_set_in_callback(false);
}

static CUresult submit_callback(CUstream handle, CUhostFn host_function, CUstreamCallback callback,
                                void *data)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(handle, &stream);
    if (!result && !host_function && !callback)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct callback_work *job = (struct callback_work *)work_create(sizeof *job, run_callback, NULL);
    if (!job)
        return CUDA_ERROR_OUT_OF_MEMORY;
    job->work.runs_after_error = callback != NULL; /* it is told of the error; a host function is left out */
    job->work.runs_in_stream_thread = true;
    job->host_function = host_function;
    job->callback = callback;
    job->stream = handle;
    job->data = data;
    return work_submit(stream, &job->work, WORK_QUEUED);
}

CUresult cuLaunchHostFunc(CUstream hStream, CUhostFn fn, void *userData)
{
    return submit_callback(hStream, fn, NULL, userData);
}

CUresult cuLaunchHostFunc_ptsz(CUstream hStream, CUhostFn fn, void *userData)
{
    return submit_callback(per_thread(hStream), fn, NULL, userData);
}

CUresult cuStreamAddCallback(CUstream hStream, CUstreamCallback callback, void *userData, unsigned int flags)
{
    return flags ? CUDA_ERROR_INVALID_VALUE : submit_callback(hStream, NULL, callback, userData);
}

CUresult cuStreamAddCallback_ptsz(CUstream hStream, CUstreamCallback callback, void *userData,
                                  unsigned int flags)
{
    return flags ? CUDA_ERROR_INVALID_VALUE : submit_callback(per_thread(hStream), NULL, callback, userData);
}

/* --- words of memory --- */

#define POLL_FIRST_NS 20000
#define POLL_MOST_NS  1000000

struct value_work {
    struct work work;
    CUdeviceptr address;
    uint64_t value;
    unsigned int bytes; /* 4 or 8 */
    unsigned int condition;
};

static uint64_t read_word(const struct value_work *job)
{
    if (job->bytes == 4)
        return atomic_load((_Atomic uint32_t *)(uintptr_t)job->address);
    return atomic_load((_Atomic uint64_t *)(uintptr_t)job->address);
}

static bool is_fulfilled(const struct value_work *job)
{
    uint64_t word = read_word(job);
    switch (job->condition) {
    case CU_STREAM_WAIT_VALUE_GEQ:
        return job->bytes == 4 ? (int32_t)((uint32_t)word - (uint32_t)job->value) >= 0
                               : (int64_t)(word - job->value) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
        return word == job->value;
    case CU_STREAM_WAIT_VALUE_AND:
        return (word & job->value) != 0;
    default:
        return (job->bytes == 4 ? (uint32_t) ~(word | job->value) : ~(word | job->value)) != 0;
    }
}

/* Whoever writes the word cannot tell, so it is looked at again and again, ever more seldom. */
static void run_wait(struct work *work)
{
    const struct value_work *job = (const struct value_work *)work;
    struct timespec pause = {0, POLL_FIRST_NS};
    while (!is_fulfilled(job) && !context_error(work->context)) {
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < POLL_MOST_NS)
            pause.tv_nsec *= 2;
    }
}

static void run_write(struct work *work)
{
    const struct value_work *job = (const struct value_work *)work;
    if (job->bytes == 4)
        atomic_store((_Atomic uint32_t *)(uintptr_t)job->address, (uint32_t)job->value);
    else
        atomic_store((_Atomic uint64_t *)(uintptr_t)job->address, job->value);
}

static CUresult submit_value(CUstream handle, CUdeviceptr address, uint64_t value, unsigned int bytes,
                             unsigned int condition, void (*run)(struct work *work))
{
    struct CUstream_st *stream;
    struct region region;
    CUresult result = stream_resolve(handle, &stream);
    if (!result && (address % bytes || !arena_find(address, bytes, &region)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct value_work *job = (struct value_work *)work_create(sizeof *job, run, NULL);
    if (!job)
        return CUDA_ERROR_OUT_OF_MEMORY;
    job->address = address;
    job->value = value;
    job->bytes = bytes;
    job->condition = condition;
    return work_submit(stream, &job->work, WORK_QUEUED);
}

static CUresult submit_wait(CUstream stream, CUdeviceptr address, uint64_t value, unsigned int bytes,
                            unsigned int flags)
{
    unsigned int condition = flags & 3u;
    if (flags & ~(3u | CU_STREAM_WAIT_VALUE_FLUSH))
        return CUDA_ERROR_INVALID_VALUE;
    return submit_value(stream, address, value, bytes, condition, run_wait);
}

static CUresult submit_write(CUstream stream, CUdeviceptr address, uint64_t value, unsigned int bytes,
                             unsigned int flags)
{
    if (flags & ~(unsigned int)CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER)
        return CUDA_ERROR_INVALID_VALUE;
    return submit_value(stream, address, value, bytes, 0, run_write);
}

/* One entry point in its forms: the plain name is the older one of the same function. */
#define VALUE_FUNCTION(NAME, SUBMIT, TYPE)                                                                   \
    CUresult NAME(CUstream stream, CUdeviceptr addr, TYPE value, unsigned int flags)                         \
    {                                                                                                        \
        return SUBMIT(stream, addr, value, sizeof value, flags);                                             \
    }                                                                                                        \
    CUresult NAME##_v2(CUstream stream, CUdeviceptr addr, TYPE value, unsigned int flags)                    \
    {                                                                                                        \
        return SUBMIT(stream, addr, value, sizeof value, flags);                                             \
    }

VALUE_FUNCTION(cuStreamWaitValue32, submit_wait, cuuint32_t)
VALUE_FUNCTION(cuStreamWaitValue64, submit_wait, cuuint64_t)
VALUE_FUNCTION(cuStreamWriteValue32, submit_write, cuuint32_t)
VALUE_FUNCTION(cuStreamWriteValue64, submit_write, cuuint64_t)
