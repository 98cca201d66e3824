#include "worker/time_slice.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#include "base/log.h"
#include "wire/futex.h"
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
    uint32_t client, object;
    uint64_t drivers_us; /* the slice that the driver gave it */
    enum grant_slice slice;
};

static struct {
    pthread_mutex_t lock;
    struct group groups[GROUPS_MAX];
    size_t count;
    bool known, follows;    /* whether slices can be set */
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

static uint64_t slice_us(const struct group *group, enum grant_slice slice)
{
    switch (slice) {
    case GRANT_SLICE_SHORT:
        return SHORT_US;
    case GRANT_SLICE_BRIEF:
        return BRIEF_US;
    case GRANT_SLICE_LONG:
        return LONG_US;
    case GRANT_SLICE_EQUAL:
        break;
    }
    return group->drivers_us;
}

/* Under the lock. */
static bool group_set(struct group *group, enum grant_slice slice)
{
    uint64_t us = slice_us(group, slice);
    uint32_t status =
        driver_control(group->fd, group->client, group->object, DRIVER_SET_TIMESLICE, &us, sizeof us);
    if (status == 0)
        group->slice = slice;
    else
        log_debug("the time slice of a channel group cannot be set: %#x", status);
    return status == 0;
}

void time_slice_group_made(int fd, uint32_t client, uint32_t object)
{
    struct group group = {.fd = fd, .client = client, .object = object};
    uint64_t us = 0;
    pthread_mutex_lock(&slices.lock);
    bool could = !slices.known || slices.follows;
    if (could && slices.count < GROUPS_MAX &&
        driver_control(fd, client, object, GROUP_GET_TIMESLICE, &us, sizeof us) == 0) {
        group.drivers_us = us;
        could = group_set(&group, slices.slice);
        if (could)
            slices.groups[slices.count++] = group;
    } else {
        could = false;
    }
    found_out(could);
    pthread_mutex_unlock(&slices.lock);
}

void time_slice_object_gone(uint32_t client, uint32_t object)
{
    pthread_mutex_lock(&slices.lock);
    for (size_t i = 0; i < slices.count; i++) {
        const struct group *group = &slices.groups[i];
        /* A client's own end ends all that it has. */
        if (group->client == client && (group->object == object || object == client))
            slices.groups[i--] = slices.groups[--slices.count];
    }
    pthread_mutex_unlock(&slices.lock);
}

/* The groups of a context that was freed with what stood above it are not ours any more: who refuses is
 * forgotten, as long as others obey. */
static void set_all(enum grant_slice slice)
{
    pthread_mutex_lock(&slices.lock);
    slices.slice = slice;
    size_t had = slices.count;
    for (size_t i = 0; i < slices.count; i++) {
        struct group *group = &slices.groups[i];
        if (group->slice != slice && !group_set(group, slice))
            slices.groups[i--] = slices.groups[--slices.count];
    }
    if (had > 0 && slices.count == 0)
        found_out(false);
    pthread_mutex_unlock(&slices.lock);
}

void time_slice_was_set(uint32_t client, uint32_t object, uint64_t us)
{
    pthread_mutex_lock(&slices.lock);
    for (size_t i = 0; i < slices.count; i++) {
        struct group *group = &slices.groups[i];
        if (group->client == client && group->object == object) {
            group->drivers_us = us;
            group_set(group, group->slice);
        }
    }
    pthread_mutex_unlock(&slices.lock);
}

/* Without a grant nothing runs, and the last slice stays: it is likely the next one's as well. */
static void *follow(void *unused)
{
    for (;;) {
        uint32_t word = atomic_load_explicit(&slices.page->word, memory_order_acquire);
        enum grant_slice slice = grant_word_slice(word);
        if (grant_word_state(word) != GRANT_NONE && slice != slices.slice)
            set_all(slice);
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
