/* A lane: the ordered channel of one guest thread to its worker, in memory that both map.
 *
 * The worker creates the segment, seals its size and passes it over the guest's connection. Calls go
 * through a ring of bytes (records never wrap: a padding record fills the end); the one answer a thread can
 * be waiting for stands in a buffer of its own. Either side spins a little on the other's word and then
 * sleeps on it, after saying so in a flag; whoever changes the word looks at the flag afterwards. Both are
 * sequentially consistent, so at least one of the two sees the other: no wake-up is lost. On one kernel the
 * word slept on is a futex; through a window (wire/window.h) the guest sleeps on the connection, and a
 * message over that wakes either side.
 *
 * Everything here may be changed by a hostile guest at any time. The worker reads each word once, copies a
 * record before it looks inside, and keeps its own positions in private memory.
 *
 * Over a stream socket the worker has the same structure in private memory, and its reader thread
 * plays the guest's part. */
#ifndef VGPU_WIRE_LANE_H
#define VGPU_WIRE_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/futex.h"
#include "wire/record.h"

#define LANE_RING_BYTES    (1u << 20)
#define LANE_SEGMENT_BYTES sizeof(struct lane_shared)

#define STAGING_SLOTS      8u
#define STAGING_SLOT_BYTES (512u << 10)
#define STAGING_BYTES      (STAGING_SLOTS * STAGING_SLOT_BYTES)

struct lane_shared {
    /* Bytes of records ever published. Writer: guest. Pairs with lane_published(). */
    _Alignas(64) _Atomic uint64_t head;
    /* The worker sleeps on doorbell. Writer of worker_asleep: worker; of doorbell: guest. */
    _Alignas(64) _Atomic uint32_t worker_asleep;
    _Atomic uint32_t doorbell;

    /* Bytes of records ever taken out. Writer: worker, release: the guest may overwrite them. */
    _Alignas(64) _Atomic uint64_t tail;
    /* First error of a forgotten call that no call has returned yet (CUresult). Writers: worker sets it
     * from 0, guest takes it back to 0. */
    _Atomic uint32_t forgotten_error;

    /* The guest sleeps on replied. Writer: guest. */
    _Alignas(64) _Atomic uint32_t guest_asleep;

    /* Slots of the staging area, counted up for ever; slot n is at n % STAGING_SLOTS. */
    _Alignas(64) _Atomic uint32_t staging_done;  /* to the device: copies finished. Writer: worker */
    _Atomic uint32_t staging_filled;             /* from the device: slots filled. Writer: worker */
    _Alignas(64) _Atomic uint32_t staging_taken; /* from the device: slots emptied. Writer: guest */

    /* Answers ever given; the reply buffer is the guest's from then until its next call. Writer: worker. A
     * small reply stands in the same cache line, and so comes with the news that it is there. */
    _Alignas(64) _Atomic uint32_t replied;
    uint32_t reserved;
    uint8_t reply[REPLY_MAX_BYTES];
    _Alignas(64) uint8_t ring[LANE_RING_BYTES];
};

/* The page that all lanes of a process share; written by the worker before it ends. */
#define PROCESS_PAGE_BYTES 4096u
struct process_shared {
    _Atomic uint32_t ended; /* not 0: no call will be answered any more, and this CUresult is what each
                             * returns; text says why. Release */
    char text[240];
};

static inline void lane_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Guest: makes everything up to `head` visible. True: the worker sleeps, and is to be woken, once: each time
 * that its flag is taken back here, its doorbell is rung afterwards. */
__attribute__((warn_unused_result)) static inline bool lane_publish(struct lane_shared *lane, uint64_t head)
{
    atomic_store_explicit(&lane->head, head, memory_order_seq_cst);
    return atomic_load_explicit(&lane->worker_asleep, memory_order_seq_cst) &&
           atomic_exchange_explicit(&lane->worker_asleep, 0, memory_order_seq_cst);
}

/* Wakes the worker; on its kernel. */
static inline void lane_ring(struct lane_shared *lane)
{
    atomic_fetch_add_explicit(&lane->doorbell, 1, memory_order_seq_cst);
    futex_wake_all(&lane->doorbell);
}

/* Worker: what has been published. */
static inline uint64_t lane_published(struct lane_shared *lane)
{
    return atomic_load_explicit(&lane->head, memory_order_acquire);
}

/* Worker: sleeps until something beyond `position` is published, or timeout_ns (0: for ever). Who sets *over
 * and then rings the doorbell wakes it too: what is read of the doorbell first is either what it was before,
 * and then the sleep does not begin, or what *over was set before. */
static inline void lane_sleep(struct lane_shared *lane, uint64_t position, const _Atomic(bool) *over,
                              uint64_t timeout_ns)
{
    uint32_t rung = atomic_load_explicit(&lane->doorbell, memory_order_acquire);
    atomic_store_explicit(&lane->worker_asleep, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&lane->head, memory_order_seq_cst) == position &&
        !atomic_load_explicit(over, memory_order_relaxed))
        futex_wait(&lane->doorbell, rung, timeout_ns);
    atomic_store_explicit(&lane->worker_asleep, 0, memory_order_relaxed);
}

/* Worker: the answer stands in lane->reply. True: the guest sleeps, and is to be woken. The flag stays the
 * guest's: one that is seen late may already be that of its next sleep, which this wake-up does not end. */
__attribute__((warn_unused_result)) static inline bool lane_answer(struct lane_shared *lane, uint32_t count)
{
    atomic_store_explicit(&lane->replied, count, memory_order_seq_cst);
    return atomic_load_explicit(&lane->guest_asleep, memory_order_seq_cst);
}

/* Wakes the guest; on its kernel. */
static inline void lane_wake_guest(struct lane_shared *lane)
{
    futex_wake_all(&lane->replied);
}

/* Guest: has answer number `count` come? */
static inline bool lane_answered(struct lane_shared *lane, uint32_t count)
{
    return atomic_load_explicit(&lane->replied, memory_order_acquire) == count;
}

/* Guest, on the worker's kernel: sleeps until answer number `count` has come, or timeout_ns. */
static inline void lane_await(struct lane_shared *lane, uint32_t count, uint64_t timeout_ns)
{
    atomic_store_explicit(&lane->guest_asleep, 1, memory_order_seq_cst);
    uint32_t seen = atomic_load_explicit(&lane->replied, memory_order_seq_cst);
    if (seen != count)
        futex_wait(&lane->replied, seen, timeout_ns);
    atomic_store_explicit(&lane->guest_asleep, 0, memory_order_relaxed);
}

/* Where a record of `bytes` goes in the ring when the last one ended at `head`: either there, or at the
 * ring's start, with a padding record in between. Returns the position and sets *padding. */
static inline uint64_t ring_place(uint64_t head, uint32_t bytes, uint32_t *padding)
{
    uint32_t to_end = LANE_RING_BYTES - (uint32_t)(head % LANE_RING_BYTES);
    *padding = bytes > to_end ? to_end : 0;
    return head + *padding;
}

/* Padding is at least 8 bytes and may be shorter than a header: only bytes and call are written. */
static inline void ring_pad(struct lane_shared *lane, uint64_t head, uint32_t padding)
{
    struct record_header *header = (struct record_header *)(lane->ring + head % LANE_RING_BYTES);
    header->bytes = padding;
    header->call = 0;
    header->flags = 0;
}

#endif
