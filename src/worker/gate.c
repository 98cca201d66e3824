#include "worker/gate.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "driver_api.h"
#include "wire/futex.h"
#include "wire/lane.h"
#include "worker/callback.h"
#include "worker/drain.h"
#include "worker/gpu_time.h"
#include "worker/handle_map.h"
#include "worker/meeting.h"
#include "worker/time_slice.h"
#include "worker/vm.h"

/* How long a holder that others wait for may pause between two pieces of work before it counts as done: a
 * round trip of its program, not more. */
#define LINGER_NS 50000u

struct grant_page *gate_page;

static struct {
    int control;
    pthread_mutex_t lock; /* over passes, want_sent, and the order of messages on the control socket */
    struct gate_pass *passes;
    bool want_sent;              /* since the last NONE */
    bool may_look;               /* there are processors enough to wait without sleeping */
    atomic_bool watching_seldom; /* the watching thread sleeps for long, as nothing is submitted */
    _Atomic uint64_t woken_ns; /* until then, since its last look, nothing was submitted; 0: it looks often */
    pthread_mutex_t contexts;  /* no context ends while it is held */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .contexts = PTHREAD_MUTEX_INITIALIZER};

static uint32_t word_now(void)
{
    return atomic_load_explicit(&gate_page->word, memory_order_acquire);
}

static bool word_open(uint32_t word)
{
    enum grant_state state = grant_word_state(word);
    return state == GRANT_HELD || state == GRANT_CONTENDED;
}

static void say(enum control_type type, uint32_t generation, uint64_t value)
{
    struct control_message message = {.type = type, .generation = generation, .value = value};
    ssize_t sent;
    do {
        sent = send(gate.control, &message, sizeof message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0)
        _exit(0); /* the daemon is gone, and with it the right to use the GPU */
}

/* The grant is near: looks for it, for as long as a drain should last, before it sleeps; on a machine that
 * has few processors it sleeps at once. */
#define NEAR_NS         2000000ull
#define NEAR_PROCESSORS 4

static void look_for_grant(uint32_t near)
{
    uint64_t end_ns = clock_monotonic_ns() + NEAR_NS;
    while (word_now() == near && clock_monotonic_ns() < end_ns) {
        for (int i = 0; i < 20; i++)
            lane_pause();
    }
}

/* Asks for the grant if nobody has, and sleeps until the word changes. */
static void wait_for_grant(void)
{
    pthread_mutex_lock(&gate.lock);
    uint32_t word = word_now();
    if (grant_word_state(word) == GRANT_NONE && !gate.want_sent) {
        gate.want_sent = true;
        say(CONTROL_WANT, grant_word_generation(word), 0);
    }
    pthread_mutex_unlock(&gate.lock);
    if (grant_word_is_near(word) && gate.may_look)
        look_for_grant(word);
    if (!word_open(word))
        futex_wait(&gate_page->word, word, 0);
}

void gate_enter(struct gate_pass *pass)
{
    for (;;) {
        atomic_store_explicit(&pass->inside, 1, memory_order_relaxed);
        meeting_point();
        if (word_open(word_now()))
            return;
        atomic_store_explicit(&pass->inside, 0, memory_order_release);
        wait_for_grant();
    }
}

void gate_something_comes(void)
{
    if (!atomic_load_explicit(&gate.watching_seldom, memory_order_relaxed) ||
        !atomic_exchange(&gate.watching_seldom, false))
        return;
    atomic_store(&gate.woken_ns, clock_monotonic_ns());
    futex_wake_all(&gate_page->word);
}

void gate_exit(struct gate_pass *pass)
{
    atomic_store_explicit(&pass->submitted, atomic_load_explicit(&pass->submitted, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&pass->inside, 0, memory_order_release);
    gate_something_comes();
}

bool gate_is_held(void)
{
    return grant_word_state(word_now()) != GRANT_NONE;
}

void gate_await(void)
{
    wait_for_grant();
}

void gate_join(struct gate_pass *pass)
{
    pthread_mutex_lock(&gate.lock);
    pass->next = gate.passes;
    gate.passes = pass;
    pass->linked = true;
    pthread_mutex_unlock(&gate.lock);
}

void gate_leave(struct gate_pass *pass)
{
    pthread_mutex_lock(&gate.lock);
    for (struct gate_pass **link = &gate.passes; *link != NULL; link = &(*link)->next) {
        if (*link == pass) {
            *link = pass->next;
            break;
        }
    }
    pthread_mutex_unlock(&gate.lock);
}

/* Work that has passed the gate so far. */
static uint64_t submitted(void)
{
    uint64_t sum = 0;
    pthread_mutex_lock(&gate.lock);
    for (struct gate_pass *pass = gate.passes; pass != NULL; pass = pass->next)
        sum += atomic_load_explicit(&pass->submitted, memory_order_relaxed);
    pthread_mutex_unlock(&gate.lock);
    return sum;
}

static bool anybody_inside(void)
{
    bool inside = false;
    pthread_mutex_lock(&gate.lock);
    for (struct gate_pass *pass = gate.passes; pass != NULL && !inside; pass = pass->next)
        inside = atomic_load_explicit(&pass->inside, memory_order_acquire) != 0;
    pthread_mutex_unlock(&gate.lock);
    return inside;
}

void gate_contexts_lock(void)
{
    pthread_mutex_lock(&gate.contexts);
}

void gate_contexts_unlock(void)
{
    pthread_mutex_unlock(&gate.contexts);
}

/* Nothing runs: gives back, unless a stream that stood at a function of the program's has gone on meanwhile.
 */
static bool close_gate(uint32_t revoked, enum release_reason reason, uint64_t continued)
{
    uint32_t generation = grant_word_generation(revoked);
    bool closed = false;
    callback_lock();
    pthread_mutex_lock(&gate.lock);
    if (callback_continued_locked() == continued) {
        closed = true;
        gate.want_sent = false;
        atomic_store_explicit(&gate_page->word, grant_word(generation, GRANT_NONE), memory_order_release);
        say(CONTROL_RELEASED, generation, reason);
    }
    pthread_mutex_unlock(&gate.lock);
    callback_unlock();
    return closed;
}

static uint64_t looked_at; /* submitted() when the watching thread looked last; its alone */

/* What has passed until something came does not count. */
static void skip_idle_time(void)
{
    uint64_t woken_ns = atomic_exchange(&gate.woken_ns, 0);
    if (woken_ns != 0)
        gpu_time_idle_until(woken_ns);
}

/* Before it waits for the GPU: what has passed since its last look was used, if something was submitted. */
static void look_before_waiting(void)
{
    uint64_t now = submitted();
    skip_idle_time();
    gpu_time_look(now != looked_at || gpu_time_was_busy());
    gpu_time_waits();
    looked_at = now;
}

/* The word says REVOKED, so that nobody passes any more: waits for what has passed, and gives back. */
static void give_back(uint32_t revoked, enum release_reason reason)
{
    meeting_lanes();
    while (anybody_inside())
        sched_yield();
    look_before_waiting();
    uint64_t continued;
    do {
        continued = callback_continued();
        drain();
        gpu_time_drained();
    } while (!close_gate(revoked, reason, continued));
    futex_wake_all(&gate_page->word);
}

/* Nobody waits: the GPU is held whether anything runs or not, so what it is used for is found out by looking.
 */
#define LOOK_NS     2000000ull
#define QUIET_LOOKS 25u /* in a row that find nothing: then only now and then, or when a lane wakes up */
#define SELDOM_NS   500000000ull

static void watch_use(uint32_t held)
{
    static unsigned quiet;
    uint64_t now = submitted();
    skip_idle_time();
    bool used = now != looked_at || gpu_time_was_busy();
    looked_at = now;
    gpu_time_look(used && !gpu_time_nothing_runs());
    quiet = used ? 0 : quiet + 1;
    bool seldom = quiet >= QUIET_LOOKS;
    atomic_store(&gate.watching_seldom, seldom);
    seldom = seldom && submitted() == now;
    futex_wait(&gate_page->word, held, seldom ? SELDOM_NS : LOOK_NS);
    if (seldom && !atomic_exchange(&gate.watching_seldom, false))
        quiet = 0; /* a lane has something to do */
}

bool gate_goes_first(void)
{
    uint32_t word = atomic_load_explicit(&gate_page->word, memory_order_relaxed);
    return gate.may_look && word_open(word) && grant_word_slice(word) == GRANT_SLICE_LONG;
}

static struct {
    _Atomic uint64_t lost_ns;
    _Atomic uint32_t answers; /* futex word */
} beside;

uint64_t gate_gpu_clock_ns(void)
{
    return clock_monotonic_ns() - atomic_load(&beside.lost_ns);
}

void gate_set_beside_us(uint64_t beside_us)
{
    atomic_store(&beside.lost_ns, beside_us * 1000);
    atomic_fetch_add(&beside.answers, 1);
    futex_wake_all(&beside.answers);
}

void gate_ask_gpu_clock(void)
{
    uint32_t before = atomic_load(&beside.answers);
    say(CONTROL_BESIDE, 0, 0);
    futex_wait(&beside.answers, before, 1000000000ull);
}

/* Others wait: gives back as soon as nothing is running and nothing new has come for a moment. */
static void give_back_when_idle(uint32_t contended)
{
    look_before_waiting();
    uint64_t before = looked_at;
    drain();
    gpu_time_drained();
    if (word_now() == contended)
        futex_wait(&gate_page->word, contended, LINGER_NS);
    if (word_now() != contended)
        return;
    bool more = anybody_inside() || submitted() != before;
    gpu_time_look(more);
    if (more)
        return;
    uint32_t revoked = grant_word_in_state(contended, GRANT_REVOKED);
    if (atomic_compare_exchange_strong(&gate_page->word, &contended, revoked))
        give_back(revoked, RELEASE_IDLE);
}

static void *watch_grant(void *unused)
{
    drain_thread_begin();
    for (;;) {
        uint32_t word = word_now();
        switch (grant_word_state(word)) {
        case GRANT_REVOKED:
            give_back(word, RELEASE_REVOKED);
            break;
        case GRANT_CONTENDED:
            give_back_when_idle(word);
            break;
        case GRANT_HELD:
            watch_use(word);
            break;
        default:
            futex_wait(&gate_page->word, word, 0);
            gpu_time_begin();
        }
    }
    return unused;
}

static void say_slices(bool follows)
{
    say(CONTROL_SLICES, 0, follows);
}

bool gate_open(int grant_fd, int control_fd)
{
    void *page = mmap(NULL, GRANT_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, grant_fd, 0);
    if (page == MAP_FAILED)
        return false;
    close(grant_fd);
    gate_page = page;
    gate.control = control_fd;
    gate.may_look = sysconf(_SC_NPROCESSORS_ONLN) >= NEAR_PROCESSORS;
    pthread_t thread;
    errno = pthread_create(&thread, NULL, watch_grant, NULL);
    return errno == 0 && time_slice_open(page, say_slices);
}

#define BYTES_KEPT (1u << 20)

void gate_flush_counts(struct gate_pass *pass)
{
    if (pass->calls == 0)
        return;
    uint32_t calls = pass->calls;
    uint64_t bytes = pass->bytes;
    atomic_fetch_add_explicit(&gate_page->calls, calls, memory_order_relaxed);
    atomic_fetch_add_explicit(&gate_page->gpu_calls, pass->gpu_calls, memory_order_relaxed);
    pass->calls = pass->gpu_calls = 0;
    pass->bytes = 0;
    vm_pay(calls, bytes);
    pass->calls_kept = vm_calls_on_credit();
}

void gate_count_call(struct gate_pass *pass, bool work)
{
    pass->gpu_calls += work;
    if (++pass->calls >= pass->calls_kept || pass->bytes >= BYTES_KEPT)
        gate_flush_counts(pass);
}

void gate_note_guest(uint32_t pid)
{
    atomic_store_explicit(&gate_page->guest_pid, pid, memory_order_relaxed);
}

void gate_count_memory(int64_t bytes)
{
    atomic_fetch_add_explicit(&gate_page->device_memory_bytes, (uint64_t)bytes, memory_order_relaxed);
}
