#include "worker/turn.h"

#include <sched.h>
#include <stdatomic.h>

#include "wire/futex.h"

/* Spinning covers a call on another lane that is being executed; a longer wait is for one that waits itself.
 */
#define SPINS 2000

static _Atomic uint64_t executed; /* forgotten calls, in order */
static _Atomic uint32_t sleepers; /* lanes that sleep on doorbell */
static _Atomic uint32_t doorbell; /* counted up when a sleeper may have its turn */

void turn_wait(uint64_t ticket)
{
    for (int i = 0; atomic_load_explicit(&executed, memory_order_acquire) < ticket; i++) {
        if (i < SPINS) {
            if (i % 64 == 63)
                sched_yield();
            continue;
        }
        uint32_t rung = atomic_load(&doorbell);
        atomic_fetch_add(&sleepers, 1);
        if (atomic_load(&executed) < ticket)
            futex_wait(&doorbell, rung, 0);
        atomic_fetch_sub(&sleepers, 1);
    }
}

void turn_done(uint64_t ticket)
{
    atomic_store(&executed, ticket + 1);
    if (atomic_load(&sleepers) > 0) {
        atomic_fetch_add(&doorbell, 1);
        futex_wake_all(&doorbell);
    }
}
