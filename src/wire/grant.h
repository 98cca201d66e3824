/* The grant page: one page shared by the daemon and one worker, and the messages beside it.
 *
 * A worker may put work on the GPU only while its page says so. Looking costs a lane one relaxed load; all
 * else is off the path of a call.
 *
 *                     daemon                      daemon
 *      ┌──────┐  grants   ┌──────┐ others wait ┌───────────┐
 *      │ NONE ├──────────►│ HELD ├────────────►│ CONTENDED │
 *      └──▲───┘           └──┬───┘◄────────────┴────┬──────┘
 *         │                  │       they left      │ daemon: quantum over, or a higher class waits
 *         │ worker: drained  ▼ daemon               ▼ worker: nothing left to run
 *         └────────────────┤ REVOKED ├◄─────────────┘
 *
 * Every change is a compare-and-swap of the whole word. The generation counts the grants of this page, and
 * the daemon raises it with each. After the worker has set NONE it sends CONTROL_RELEASED with the
 * generation, and only then may the daemon grant anew.
 *
 * With the grant comes a slice: how the GPU is to treat this worker beside those of other VMs (enum
 * grant_slice). The daemon may change it at any time before NONE, whatever the state, also while the worker
 * drains; the worker's watching thread follows as soon as it can. A worker that cannot set time slices leaves
 * it alone, and the daemon, which has not heard CONTROL_SLICES from it, puts no other VM beside it.
 *
 * A worker that waits may be told that its grant is near, while another one drains: NONE becomes NONE with
 * GRANT_NEAR, which changes nothing but that its lanes may look for the grant instead of sleeping. It may not
 * come true.
 *
 * A message can cross a change of the page on its way, so each names the generation it speaks of and counts
 * only while that is still the page's:
 *
 * - WANT crosses a grant: two lanes asked for the same NONE; the second finds it answered, and is dropped.
 * - WANT overtakes RELEASED: a lane saw NONE before the other lane's RELEASED was sent; it is kept, and
 *   answered after the RELEASED.
 * - A revoke crosses a release: the daemon's compare-and-swap finds NONE; the RELEASED is on its way.
 * - RELEASED comes twice: the second names a generation that is not held any more, and is dropped.
 *
 * A worker that gives back early may go by way of REVOKED, to keep its lanes out while it looks whether it is
 * idle: to the daemon that is the same as NONE, the RELEASED is to come. A page that says what no arrow leads
 * to is a broken worker: the daemon kills it.
 *
 * The daemon gives a grant to a VM: each worker of that VM that wants it finds it in its own page, and one
 * that wants it later, while the VM still holds it unrevoked, gets it at once. The VM has given back when
 * all its workers have. The grant of a worker that ends, however it ends, is over when its process
 * has been reaped: then the driver has stopped its work.
 *
 * A worker that finds the control socket closed has lost its daemon: it tells its guest so if it can
 * and exits at once, without waiting for work in flight. */
#ifndef VGPU_WIRE_GRANT_H
#define VGPU_WIRE_GRANT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define GRANT_PAGE_BYTES 4096

enum grant_state {
    GRANT_NONE = 0,      /* must not submit */
    GRANT_HELD = 1,      /* may submit for as long as it likes: nobody else wants the GPU */
    GRANT_CONTENDED = 2, /* may submit, gives back as soon as it has nothing left to run */
    GRANT_REVOKED = 3,   /* must not submit; drains and gives back */
};

/* A GPU runs who has work in turn, each for the length of its slice; who has none leaves its turn to the
 * others. So a long slice beside a short one is a GPU of one's own, and the short one runs in its gaps. Two
 * short ones with work at once would only switch and get nowhere. */
enum grant_slice {
    GRANT_SLICE_EQUAL = 0,  /* the driver's own length: alone, or side by side with VMs of equal right */
    GRANT_SLICE_SHORT = 1,  /* the shortest that there is: whoever else has work goes first */
    GRANT_SLICE_LONG = 2,   /* longer than any request: goes first, and is not put off */
    GRANT_SLICE_BRIEF = 3,  /* in place of a short one, where several processes of a VM take turns */
    GRANT_SLICE_PAUSED = 4, /* none: what runs is put away, and goes on with the next slice that is another.
                             * A worker whose driver cannot do that takes a brief one */
};

/* In the place of the slice, of GRANT_NONE. */
#define GRANT_NEAR GRANT_SLICE_SHORT

#define GRANT_STATE_BITS      2u
#define GRANT_STATE_MASK      3u
#define GRANT_SLICE_BITS      3u
#define GRANT_SLICE_MASK      7u
#define GRANT_GENERATION_MASK (UINT32_MAX >> (GRANT_STATE_BITS + GRANT_SLICE_BITS))

/* GRANT_NONE has no slice: GRANT_SLICE_EQUAL stands in its place, or GRANT_NEAR. */
static inline uint32_t grant_word_sliced(uint32_t generation, enum grant_slice slice, enum grant_state state)
{
    return generation << (GRANT_STATE_BITS + GRANT_SLICE_BITS) | (uint32_t)slice << GRANT_STATE_BITS |
           (uint32_t)state;
}
static inline uint32_t grant_word(uint32_t generation, enum grant_state state)
{
    return grant_word_sliced(generation, GRANT_SLICE_EQUAL, state);
}
static inline enum grant_state grant_word_state(uint32_t word)
{
    return (enum grant_state)(word & GRANT_STATE_MASK);
}
static inline enum grant_slice grant_word_slice(uint32_t word)
{
    return (enum grant_slice)(word >> GRANT_STATE_BITS & GRANT_SLICE_MASK);
}
static inline uint32_t grant_word_generation(uint32_t word)
{
    return word >> (GRANT_STATE_BITS + GRANT_SLICE_BITS);
}
static inline bool grant_word_is_near(uint32_t word)
{
    return grant_word_state(word) == GRANT_NONE && grant_word_slice(word) == GRANT_NEAR;
}
/* The same grant in another state. */
static inline uint32_t grant_word_in_state(uint32_t word, enum grant_state state)
{
    return (word & ~GRANT_STATE_MASK) | (uint32_t)state;
}

struct grant_page {
    /* grant_word(). Writers: daemon and worker, by compare-and-swap along the arrows above; release on write,
     * acquire on the read that opens the gate. Also a futex word: every change wakes all waiters (a shared
     * futex, not FUTEX_PRIVATE_FLAG). */
    _Alignas(64) _Atomic uint32_t word;

    /* Counters, written by the worker alone, relaxed; the daemon only reads. */
    _Alignas(64) _Atomic uint64_t calls;  /* calls executed */
    _Atomic uint64_t gpu_calls;           /* of these, calls that put work on the GPU */
    _Atomic uint64_t device_memory_bytes; /* device memory the guest process holds */
    _Atomic uint32_t guest_pid;           /* in the guest's own numbering, as it says; 0: not known yet */
    _Atomic uint64_t gpu_time_us;         /* how long it has had work on the GPU; up to date with each
                                           * CONTROL_RELEASED, else some work behind */
};
_Static_assert(sizeof(struct grant_page) <= GRANT_PAGE_BYTES, "the grant page is one page");

/* What daemon and worker say on the control socket (AF_UNIX, SOCK_SEQPACKET), one struct a packet. Both are
 * the same build of the same project and trust each other's layout; the daemon still ignores a
 * message that makes no sense in its state. */
enum control_type {
    CONTROL_READY = 1, /* worker: the driver is loaded, the guest has been welcomed; value: 1 if it shares
                        * memory through the VM's window */
    CONTROL_WANT,      /* worker: a call waits for the grant. Sent once until granted. generation: that of the
                        * word that said NONE */
    CONTROL_RELEASED,  /* worker: drained, the page says NONE. generation: the grant given back;
                        * value: enum release_reason */
    CONTROL_END,       /* daemon: tell the guest `text` and exit (VM removed, GPU gone, shutdown). Who has not
                        * within a few seconds is killed */
    CONTROL_FAILED,    /* worker: cannot serve; text says why. The worker then exits, and the daemon tells the
                        * guest, if there is one */
    CONTROL_SLICES,    /* worker: whether it can follow enum grant_slice (value 1) or not (0, as before the
                        * first). Sent as soon as that is known, before the first WANT at best */
    CONTROL_SERVE,  /* daemon, once: serve this guest. text: its vm_uuid; value: where the VM has a window, a
                     * number that no other guest process of the VM has, not 0. With the message come the
                     * descriptors of enum serve_fd */
    CONTROL_BESIDE, /* worker: asks how long work that goes before its own, or beside it, has kept the GPU
                     * from it since some time in the past; daemon: value says so, in microseconds */
    CONTROL_TAKEN,  /* worker: has read CONTROL_SERVE, and nothing yet of what the guest says */
    CONTROL_WARM,   /* worker, started with --warm: the driver is loaded and a context made */
};

enum release_reason {
    RELEASE_IDLE = 1, /* given back early: nothing left to run */
    RELEASE_REVOKED,  /* the daemon took it back */
    RELEASE_EXIT,     /* never sent: the daemon's own word for a worker that ended holding it */
};

struct control_message {
    uint32_t type;
    uint32_t generation;
    uint64_t value;
    char text[240];
};

/* What a worker is started with: `vgpu-worker --driver=LIBCUDA_PATH_OR_NAME --gpu=GPU_UUID [--warm] --vm=`,
 * with CUDA_VISIBLE_DEVICES=GPU_UUID in its environment and these descriptors. Which VM it belongs to is said
 * later, by CONTROL_SERVE; the blanks behind `--vm=` are the room in which the worker then writes it, for
 * whoever looks at the list of processes. With --warm it makes the device's primary context before that. */
#define WORKER_VM_ARGUMENT "--vm="

enum worker_fd {
    WORKER_FD_GUEST = 3,   /* free at the start; from CONTROL_SERVE on the guest's connection, as accepted */
    WORKER_FD_CONTROL = 4, /* its end of the control socket */
    WORKER_FD_GRANT = 5,   /* memfd of one grant page */
};

/* The order of the descriptors that CONTROL_SERVE brings. */
enum serve_fd {
    SERVE_FD_GUEST, /* becomes WORKER_FD_GUEST */
    SERVE_FD_VM,    /* memfd of the VM's page (wire/vm_page.h) */
    SERVE_FDS,      /* so many at least; if the VM has a window (wire/window.h), also: */
    SERVE_FD_WINDOW = SERVE_FDS,
    SERVE_FD_WINDOW_TABLE,
    SERVE_FDS_WINDOW
};

#endif
