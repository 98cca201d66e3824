/* A mutex of one word. The guest library uses nothing of libpthread, so that it loads into any program of any
 * glibc since 2.18. */
#ifndef VGPU_GUEST_LOCK_H
#define VGPU_GUEST_LOCK_H

#include <stdatomic.h>

#include "wire/futex.h"

/* 0 free, 1 held, 2 held and somebody sleeps. Zero-initialised is free. */
struct lock {
    _Atomic uint32_t word;
};

static inline void lock_take(struct lock *lock)
{
    uint32_t seen = 0;
    if (atomic_compare_exchange_strong_explicit(&lock->word, &seen, 1, memory_order_acquire,
                                                memory_order_relaxed))
        return;
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        futex_wait(&lock->word, 2, 0);
}

static inline void lock_give(struct lock *lock)
{
    if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
        futex_wake_all(&lock->word);
}

#endif
