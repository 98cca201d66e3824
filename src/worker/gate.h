/* The worker's side of the grant (wire/grant.h): lanes pass through the gate with work for the GPU, and a
 * thread of its own drains and gives back when the daemon asks. */
#ifndef VGPU_WORKER_GATE_H
#define VGPU_WORKER_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/grant.h"

/* Per lane. The lane sets it around a call that submits; the draining thread waits for it to clear. Store and
 * load are plain: membarrier(2) orders them on the rare side. */
struct gate_pass {
    _Atomic uint32_t inside;
    _Atomic uint64_t submitted; /* calls that went through; written by the lane alone */
    uint32_t calls, gpu_calls;  /* not yet added to the page, nor paid for; the lane's alone */
    uint32_t calls_kept;        /* how many these may become */
    uint64_t bytes;             /* copied from and to the host, not yet paid for */
    struct gate_pass *next;
    bool linked;
};

/* Maps the page and starts the thread. false with errno set. */
bool gate_open(int grant_fd, int control_fd);

/* A lane begins and ends to exist. */
void gate_join(struct gate_pass *pass);
void gate_leave(struct gate_pass *pass);

/* A lane has slept, and now there is something to do: what is used of the GPU is looked at often again. */
void gate_something_comes(void);

/* Waits until this worker may submit; then the lane is inside, until gate_exit(). */
void gate_enter(struct gate_pass *pass);
void gate_exit(struct gate_pass *pass);

/* What the page says now, relaxed; any thread. */
extern struct grant_page *gate_page; /* after gate_open() */
static inline bool gate_says(enum grant_state state)
{
    return grant_word_state(atomic_load_explicit(&gate_page->word, memory_order_relaxed)) == state;
}
static inline bool gate_is_contended(void) /* held, and others wait */
{
    return gate_says(GRANT_CONTENDED);
}
bool gate_goes_first(void); /* before VMs of lower classes, on a host with cores to spare */
static inline bool gate_is_revoked(void)
{
    return gate_says(GRANT_REVOKED);
}

/* A clock that goes on while this process's work may run: CLOCK_MONOTONIC without the time that the work of
 * VMs which go first has taken. Nanoseconds. */
uint64_t gate_gpu_clock_ns(void);

/* Asks the daemon how far that clock has fallen behind; waits for the answer, a second at most. Not a lane.
 */
void gate_ask_gpu_clock(void);
/* Its answer (CONTROL_BESIDE). */
void gate_set_beside_us(uint64_t beside_us);

/* Whether this worker may have work running: the grant has not been given back, though it may be revoked. */
bool gate_is_held(void);

/* Asks for the grant, when it is not held, and sleeps until something has changed. */
void gate_await(void);

/* Around a call that ends a context, so that the draining thread does not hold it meanwhile. */
void gate_contexts_lock(void);
void gate_contexts_unlock(void);

/* A call was executed; `work`: it passed the gate. The page's counters, for people, follow some calls behind;
 * gate_flush_counts() brings them up to date when the lane has nothing to do. Both wait where the VM's rate
 * is limited (worker/vm.h). */
void gate_count_call(struct gate_pass *pass, bool work);
void gate_flush_counts(struct gate_pass *pass);
/* The call being executed copies so many bytes between the host and the GPU: really, or the VM would wait for
 * what a guest made up. */
static inline void gate_count_bytes(struct gate_pass *pass, uint64_t bytes)
{
    pass->bytes += bytes;
}
void gate_count_memory(int64_t bytes);

/* The process id that the guest gives itself. */
void gate_note_guest(uint32_t pid);

#endif
