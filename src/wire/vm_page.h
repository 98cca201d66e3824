/* The VM page: one page shared by the daemon and all workers of one VM. In it stand what the VM may use, set
 * by the daemon, and what its processes have used together, counted by the workers.
 *
 * A limit of 0 is none. Limits change at any time: a worker reads each when it needs it, relaxed, and a
 * pair that changes between two reads does no harm. The page outlives each worker and goes with the VM. What
 * workers count in it the daemon takes for information, as it takes the counters of the grant page. */
#ifndef VGPU_WIRE_VM_PAGE_H
#define VGPU_WIRE_VM_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VM_PAGE_BYTES 4096

/* What a VM may use; all 0: no limits. */
struct vm_limits {
    uint64_t memory_quota_bytes; /* device memory of all its processes together */
    uint64_t time_limit_us;      /* GPU time of one piece of work: a kernel, a copy, a graph */
    uint64_t calls_per_second;   /* calls that its processes may make together, on the average */
    uint64_t calls_burst;        /* and at once; 0: a tenth of a second's */
    uint64_t bytes_per_second;   /* bytes that its processes may have copied from and to the host */
    uint64_t bytes_burst;        /* 0: a tenth of a second's */
    uint64_t queue_depth;        /* pieces of work of one process on the GPU, not yet finished */
};

/* The state of a token bucket, one word so that a step is one compare-and-swap: the time (CLOCK_MONOTONIC,
 * nanoseconds) at which the bucket will be full again. In the past: it is full. */
struct vm_bucket {
    _Alignas(64) _Atomic uint64_t full_at_ns; /* workers; the daemon sets 0 when the rate changes */
};

struct vm_page {
    /* struct vm_limits, field by field. Writer: the daemon; readers: workers. Relaxed. */
    _Alignas(64) _Atomic uint64_t memory_quota_bytes;
    _Atomic uint64_t time_limit_us;
    _Atomic uint64_t calls_per_second;
    _Atomic uint64_t calls_burst;
    _Atomic uint64_t bytes_per_second;
    _Atomic uint64_t bytes_burst;
    _Atomic uint64_t queue_depth;

    /* Device memory of all processes. Writers: workers, who reserve here before they allocate; the daemon,
     * who takes back what an ended worker had (its grant page says how much). Relaxed compare-and-swap. */
    _Alignas(64) _Atomic uint64_t memory_used_bytes;

    struct vm_bucket calls_bucket;
    struct vm_bucket bytes_bucket;

    /* Counters for people: workers add, relaxed; the daemon reads, and counts in it what it finds itself. */
    _Alignas(64) _Atomic uint64_t limited_calls; /* calls that waited for the rate of calls or bytes */
    _Atomic uint64_t limited_ns;                 /* how long, all together */
    _Atomic uint64_t refused_allocations;        /* over the memory quota */
    _Atomic uint64_t timeouts;                   /* workers ended by the execution time limit */
    _Atomic uint64_t faults;                     /* contexts lost to an error of the guest's own code */
};
_Static_assert(sizeof(struct vm_page) <= VM_PAGE_BYTES, "the VM page is one page");

static inline uint64_t vm_page_read(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void vm_page_count(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

/* Takes bytes off the quota. False, and nothing taken: they would go over it. */
static inline bool vm_page_reserve_memory(struct vm_page *page, uint64_t bytes)
{
    uint64_t used = vm_page_read(&page->memory_used_bytes);
    do {
        uint64_t quota = vm_page_read(&page->memory_quota_bytes);
        if (bytes > UINT64_MAX - used || (quota != 0 && used + bytes > quota))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&page->memory_used_bytes, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* Gives back what was reserved; never below nothing. */
static inline void vm_page_release_memory(struct vm_page *page, uint64_t bytes)
{
    uint64_t used = vm_page_read(&page->memory_used_bytes);
    while (!atomic_compare_exchange_weak_explicit(&page->memory_used_bytes, &used,
                                                  used > bytes ? used - bytes : 0, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

/* Takes `amount` out of the bucket, which fills at `per_second` and holds `burst` (0: a tenth of a second's).
 * Returns the time until which the taker has to wait, now_ns or before: not at all. Nothing is refused: who
 * takes more than there is waits until it has come. */
static inline uint64_t vm_bucket_take(struct vm_bucket *bucket, uint64_t amount, uint64_t per_second,
                                      uint64_t burst, uint64_t now_ns)
{
    if (per_second == 0)
        return 0;
    const double second_ns = 1e9;
    double depth_ns = burst != 0 ? (double)burst * second_ns / (double)per_second : second_ns / 10;
    double cost = (double)amount * second_ns / (double)per_second;
    uint64_t cost_ns = cost < 1e18 ? (uint64_t)cost : (uint64_t)1e18;
    uint64_t before = vm_page_read(&bucket->full_at_ns), after;
    do {
        uint64_t start = before > now_ns ? before : now_ns;
        after = start < UINT64_MAX - cost_ns ? start + cost_ns : UINT64_MAX;
    } while (!atomic_compare_exchange_weak_explicit(&bucket->full_at_ns, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return (double)after > depth_ns ? after - (uint64_t)depth_ns : 0;
}

#endif
