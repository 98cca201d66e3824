#include "worker/time_slice.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/log.h"
#include "wire/futex.h"
#include "worker/channel_pause.h"
#include "worker/connection.h"
#include "worker/driver_ioctl.h"
#include "worker/gpu_time.h"

/* Controls of a channel group, from the open kernel modules' ctrl/ctrla06c.h; both take a uint64_t of
 * microseconds. Setting one takes a tenth of a millisecond or two, whether it changes anything or not. */
#define GROUP_GET_TIMESLICE 0xa06c0104u

/* Zero is refused, one is taken for the shortest that the GPU can do. A second is longer than what a request
 * lasts, and short enough that a worker that was forgotten keeps nobody from the GPU for long. */
#define SHORT_US 1u
#define LONG_US  1000000u
#define BRIEF_US 500u

#define TICK_NS 10000000u

/* A context has four; nobody has so many contexts. Groups beyond keep the driver's slice, and the worker says
 * that it cannot follow. */
#define GROUPS_MAX 1024

struct group {
    int fd; /* the driver's own, by which it made the group */
    uint32_t client, device, object;
    bool computes;       /* it runs kernels; others copy */
    uint64_t drivers_us; /* the slice that the driver gave it */
    uint64_t set_us;     /* the one that it has */
};

static struct {
    pthread_mutex_t lock;
    struct group groups[GROUPS_MAX];
    size_t count;
    bool known, follows;    /* whether slices can be set */
    bool paused;            /* its kernels stand still */
    bool cannot_pause;      /* the driver has refused it */
    enum grant_slice slice; /* what all groups should have */
    struct grant_page *page;
    void (*tell)(bool follows);
} slices = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .slice = GRANT_SLICE_SHORT, /* until the first grant: most often that of the grant, too, and then its
                                 * first work does not run with a longer one while slices are being set */
};

/* Under the lock. */
static void found_out(bool follows)
{
    if (slices.known && slices.follows == follows)
        return;
    slices.known = true;
    slices.follows = follows;
    if (slices.tell != NULL)
        slices.tell(follows);
}

static unsigned computing(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < slices.count; i++)
        count += slices.groups[i].computes;
    return count;
}

/* Under the lock. The groups of a context that was freed with what stood above it are not ours any more. */
static void forget_freed(void)
{
    for (size_t i = 0; i < slices.count; i++) {
        const struct group *group = &slices.groups[i];
        uint64_t us;
        if (driver_control(group->fd, group->client, group->object, GROUP_GET_TIMESLICE, &us, sizeof us) !=
            0) {
            channel_pause_object_gone(group->client, group->object);
            slices.groups[i--] = slices.groups[--slices.count];
        }
    }
}

/* Under the lock. Several contexts of this process beside each other: with the shortest slices they would
 * only change places, and with the longest keep each other waiting. */
static enum grant_slice bearable(enum grant_slice slice)
{
    if (computing() > 1)
        forget_freed();
    if (computing() < 2)
        return slice;
    return slice == GRANT_SLICE_SHORT  ? GRANT_SLICE_BRIEF
           : slice == GRANT_SLICE_LONG ? GRANT_SLICE_EQUAL
                                       : slice;
}

static uint64_t slice_us(const struct group *group, enum grant_slice slice)
{
    switch (slice) {
    case GRANT_SLICE_SHORT:
        return SHORT_US;
    case GRANT_SLICE_BRIEF:
    case GRANT_SLICE_PAUSED: /* where the driver does not disable channels */
        return BRIEF_US;
    case GRANT_SLICE_LONG:
        return LONG_US;
    case GRANT_SLICE_EQUAL:
        break;
    }
    return group->drivers_us;
}

/* Under the lock. */
static bool group_set(struct group *group, uint64_t us)
{
    uint32_t status =
        driver_control(group->fd, group->client, group->object, DRIVER_SET_TIMESLICE, &us, sizeof us);
    if (status == 0)
        group->set_us = us;
    else
        log_debug("the time slice of a channel group cannot be set: %#x", status);
    return status == 0;
}

static unsigned long long us_since(uint64_t start_ns)
{
    return (clock_monotonic_ns() - start_ns) / 1000;
}

/* Under the lock: has the kernels stand still. What is made from now on is not: it has nothing to run yet. */
static bool stand_still(void)
{
    if (!slices.paused && !slices.cannot_pause && channel_pause_is_possible()) {
        uint64_t start_ns = clock_monotonic_ns();
        slices.paused = channel_pause_set(true);
        slices.cannot_pause = !slices.paused;
        if (slices.paused)
            log_debug("what this process runs stands still; that took %llu us", us_since(start_ns));
        else
            log_warning("what this process runs cannot be put away; it shares the gaps with others");
    }
    return slices.paused;
}

static void go_on(void)
{
    uint64_t start_ns = clock_monotonic_ns();
    if (!slices.paused)
        return;
    if (!channel_pause_set(false))
        connection_end("the driver does not let this program's work go on");
    log_debug("what this process runs goes on; that took %llu us", us_since(start_ns));
    slices.paused = false;
}

/* Under the lock: gives all groups the slice that they should have. Who refuses is forgotten, as long as
 * others obey. */
static void set_all(void)
{
    enum grant_slice slice = bearable(slices.slice);
    size_t had = slices.count;
    if (slice == GRANT_SLICE_PAUSED && slices.count > 0 && stand_still())
        return;
    for (size_t i = 0; i < slices.count; i++) {
        struct group *group = &slices.groups[i];
        uint64_t us = slice_us(group, slice);
        if (group->set_us != us && !group_set(group, us))
            slices.groups[i--] = slices.groups[--slices.count];
    }
    if (had > 0 && slices.count == 0)
        found_out(false);
    go_on();
}

void time_slice_group_made(int fd, uint32_t client, uint32_t device, uint32_t object, bool computes)
{
    uint64_t us = 0;
    pthread_mutex_lock(&slices.lock);
    bool could = !slices.known || slices.follows;
    if (could && slices.count < GROUPS_MAX &&
        driver_control(fd, client, object, GROUP_GET_TIMESLICE, &us, sizeof us) == 0) {
        slices.groups[slices.count++] = (struct group){.fd = fd,
                                                       .client = client,
                                                       .device = device,
                                                       .object = object,
                                                       .computes = computes,
                                                       .drivers_us = us,
                                                       .set_us = us};
        size_t had = slices.count;
        set_all();
        could = slices.count == had;
    } else {
        could = false;
    }
    found_out(could);
    pthread_mutex_unlock(&slices.lock);
}

void time_slice_channel_made(uint32_t client, uint32_t group, uint32_t object)
{
    pthread_mutex_lock(&slices.lock);
    for (size_t i = 0; i < slices.count; i++) {
        const struct group *made = &slices.groups[i];
        if (made->client == client && made->object == group && made->computes)
            channel_pause_channel_made(client, made->device, group, object);
    }
    pthread_mutex_unlock(&slices.lock);
}

void time_slice_subdevice_made(int fd, uint32_t client, uint32_t device, uint32_t object)
{
    pthread_mutex_lock(&slices.lock);
    channel_pause_subdevice_made(fd, client, device, object);
    pthread_mutex_unlock(&slices.lock);
}

void time_slice_object_gone(uint32_t client, uint32_t object)
{
    pthread_mutex_lock(&slices.lock);
    channel_pause_object_gone(client, object);
    for (size_t i = 0; i < slices.count; i++) {
        const struct group *group = &slices.groups[i];
        /* A client's own end ends all that it has. */
        if (group->client == client && (group->object == object || object == client))
            slices.groups[i--] = slices.groups[--slices.count];
    }
    set_all();
    pthread_mutex_unlock(&slices.lock);
}

void time_slice_was_set(uint32_t client, uint32_t object, uint64_t us)
{
    pthread_mutex_lock(&slices.lock);
    for (size_t i = 0; i < slices.count; i++) {
        struct group *group = &slices.groups[i];
        if (group->client == client && group->object == object) {
            group->drivers_us = group->set_us = us;
        }
    }
    set_all();
    pthread_mutex_unlock(&slices.lock);
}

/* Without a grant nothing runs, and the last slice stays: it is likely the next one's as well. Only who was
 * paused as its work got done is not left so: calls that need no grant may use its channels. */
static enum grant_slice slice_of(uint32_t word)
{
    if (grant_word_state(word) != GRANT_NONE)
        return grant_word_slice(word);
    return slices.slice == GRANT_SLICE_PAUSED ? GRANT_SLICE_SHORT : slices.slice;
}

static void *follow(void *unused)
{
    for (;;) {
        uint32_t word = atomic_load_explicit(&slices.page->word, memory_order_acquire);
        enum grant_slice slice = slice_of(word);
        if (slice != slices.slice) {
            pthread_mutex_lock(&slices.lock);
            slices.slice = slice;
            set_all();
            pthread_mutex_unlock(&slices.lock);
        }
        /* What the other thread waits for is counted meanwhile. */
        bool waits = grant_word_state(word) == GRANT_CONTENDED || grant_word_state(word) == GRANT_REVOKED;
        if (waits)
            gpu_time_tick();
        futex_wait(&slices.page->word, word, waits ? TICK_NS : 0);
    }
    return unused;
}

bool time_slice_open(struct grant_page *page, void (*tell)(bool follows))
{
    pthread_t thread;
    pthread_mutex_lock(&slices.lock);
    slices.page = page;
    slices.tell = tell;
    if (slices.known)
        tell(slices.follows);
    pthread_mutex_unlock(&slices.lock);
    errno = pthread_create(&thread, NULL, follow, NULL);
    return errno == 0;
}
