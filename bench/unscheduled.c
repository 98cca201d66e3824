/* The worker without a scheduler, to be measured beside the one with it: no gate before a call, no bound on
 * what is in flight, no thread that watches either. In the place of worker/gate.c and worker/backlog.c. The
 * daemon is never asked for the GPU, so every worker may use it at all times: for one VM alone. */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/backlog.h"
#include "worker/gate.h"

struct grant_page *gate_page;

static pthread_mutex_t contexts = PTHREAD_MUTEX_INITIALIZER;

bool gate_open(int grant_fd, int control_fd)
{
    void *page = mmap(NULL, GRANT_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, grant_fd, 0);
    if (page == MAP_FAILED)
        return false;
    close(grant_fd);
    gate_page = page;
    return true;
}

void gate_join(struct gate_pass *pass)
{
}

void gate_leave(struct gate_pass *pass)
{
}

void gate_something_comes(void)
{
}

void gate_enter(struct gate_pass *pass)
{
}

void gate_exit(struct gate_pass *pass)
{
}

bool gate_goes_first(void)
{
    return false;
}

uint64_t gate_gpu_clock_ns(void)
{
    return clock_monotonic_ns();
}

void gate_ask_gpu_clock(void)
{
}

void gate_set_beside_us(uint64_t beside_us)
{
}

bool gate_is_held(void)
{
    return true;
}

void gate_await(void)
{
}

void gate_contexts_lock(void)
{
    pthread_mutex_lock(&contexts);
}

void gate_contexts_unlock(void)
{
    pthread_mutex_unlock(&contexts);
}

void gate_count_call(struct gate_pass *pass, bool work)
{
}

void gate_flush_counts(struct gate_pass *pass)
{
}

void gate_count_memory(int64_t bytes)
{
}

void gate_note_guest(uint32_t pid)
{
}

void backlog_before(struct lane *lane)
{
}

void backlog_after(struct lane *lane, CUresult result, uint32_t call, uint32_t pieces)
{
}

void backlog_end(struct lane *lane)
{
}
