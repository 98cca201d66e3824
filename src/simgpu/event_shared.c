#include "simgpu/event_shared.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "simgpu/shared_memory.h"

#define SHARED_BYTES  4096
#define LOOK_AGAIN_US 50

/* In memory of all processes that have the event. Writers: each, with its marks; sequentially consistent. */
struct event_shared {
    _Atomic uint64_t recorded;
    _Atomic uint64_t reached;
    _Atomic int recorder; /* pid of who recorded last: one that has died will not reach its mark */
};

struct event_shared *event_shared_open(int fd)
{
    struct sim_device *device;
    uint64_t bytes;
    if (!shared_memory_identify(fd, &device, &bytes) || bytes != SHARED_BYTES)
        return NULL;
    void *at = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

struct event_shared *event_shared_create(const struct sim_device *device, int *fd)
{
    *fd = shared_memory_create(device, SHARED_BYTES);
    struct event_shared *shared = *fd >= 0 ? event_shared_open(*fd) : NULL;
    if (!shared && *fd >= 0)
        close(*fd);
    return shared;
}

void event_shared_close(struct event_shared *shared, int fd)
{
    if (!shared)
        return;
    munmap(shared, SHARED_BYTES);
    close(fd);
}

/* Work of an event that is destroyed meanwhile: it has a mapping of its own. */
struct shared_work {
    struct work work;
    struct event_shared *shared;
    uint64_t number;
};

static void run_mark(struct work *work)
{
    struct shared_work *mark = (struct shared_work *)work;
    uint64_t reached = atomic_load(&mark->shared->reached);
    while (reached < mark->number &&
           !atomic_compare_exchange_weak(&mark->shared->reached, &reached, mark->number)) {
    }
}

static bool is_reached(struct event_shared *shared, uint64_t number)
{
    if (atomic_load(&shared->reached) >= number)
        return true;
    return kill(atomic_load(&shared->recorder), 0) != 0 && errno == ESRCH;
}

static void run_wait(struct work *work)
{
    struct shared_work *wait = (struct shared_work *)work;
    while (!is_reached(wait->shared, wait->number) && !atomic_load(&work->context->is_stopping))
        usleep(LOOK_AGAIN_US);
}

static void finish(struct work *work)
{
    munmap(((struct shared_work *)work)->shared, SHARED_BYTES);
}

static struct shared_work *create_work(struct event_shared *shared, void (*run)(struct work *work))
{
    void *own = mremap(shared, 0, SHARED_BYTES, MREMAP_MAYMOVE); /* a second mapping of the same page */
    if (own == MAP_FAILED)
        return NULL;
    struct shared_work *work = (struct shared_work *)work_create(sizeof *work, run, finish);
    if (!work) {
        munmap(own, SHARED_BYTES);
        return NULL;
    }
    work->shared = own;
    return work;
}

struct work *event_shared_mark(struct event_shared *shared)
{
    struct shared_work *mark = create_work(shared, run_mark);
    if (!mark)
        return NULL;
    mark->work.runs_after_error = true;
    atomic_store(&shared->recorder, getpid());
    mark->number = atomic_fetch_add(&shared->recorded, 1) + 1;
    return &mark->work;
}

bool event_shared_is_done(struct event_shared *shared)
{
    return is_reached(shared, atomic_load(&shared->recorded));
}

void event_shared_wait(struct event_shared *shared)
{
    uint64_t number = atomic_load(&shared->recorded);
    while (!is_reached(shared, number))
        usleep(LOOK_AGAIN_US);
}

CUresult event_shared_wait_in(struct event_shared *shared, struct CUstream_st *stream)
{
    uint64_t number = atomic_load(&shared->recorded);
    if (is_reached(shared, number))
        return CUDA_SUCCESS;
    struct shared_work *wait = create_work(shared, run_wait);
    if (!wait)
        return CUDA_ERROR_OUT_OF_MEMORY;
    wait->number = number;
    return work_submit(stream, &wait->work, WORK_QUEUED);
}
