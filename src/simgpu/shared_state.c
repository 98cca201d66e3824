#include "simgpu/shared_state.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "wire/futex.h"

#define STATE_MAGIC     0x4d495356u /* "VSIM" */
#define STATE_VERSION   3u
#define STATE_SLOTS     1024
#define STATE_GPUS      64
#define BUSY_BUCKETS    32
#define BUSY_BUCKET_NS  31250000ull /* 32 of them make a second */
#define BUSY_BUCKET_NOW (BUSY_BUCKETS - 1)

struct shared_slot {
    /* 0: free. Written last when a slot is taken and first when it is given up, release; readers acquire. */
    _Atomic int pid;
    uint64_t start_time; /* with pid, names the process. Written under the lock, before pid */
    uint64_t gpu_key;    /* likewise */

    /* Writer: its process, or under the lock whoever takes the slot back. */
    _Atomic uint64_t memory_bytes;

    /* Writer: its process, under busy_lock of that process; relaxed. A reader that crosses an update
     * misjudges one bucket. */
    _Atomic uint64_t busy_since_ns;             /* 0: not busy */
    _Atomic uint64_t busy_bucket[BUSY_BUCKETS]; /* bucket number << 32 | nanoseconds busy in it */

    _Atomic uint32_t runnable; /* 1: it has work for the GPU. Writer: its process */
    _Atomic uint64_t slice_us; /* how long its turn lasts while others have work */
    _Atomic uint32_t paused;   /* 1: it gets no turn */
};

/* Whose turn it is on one GPU. */
struct shared_turn {
    _Atomic uint64_t gpu_key;  /* 0: nobody has used the entry. Set once, under the lock */
    _Atomic uint32_t owner;    /* slot + 1; 0: nobody. Compare-and-swap by any process; a futex word */
    _Atomic uint64_t since_ns; /* since when; the owner's process, after it has become it */
};

struct shared_state {
    uint32_t magic;
    uint32_t version;
    uint64_t bytes;
    pthread_mutex_t lock;        /* robust, process-shared: who takes a slot and who may have memory */
    _Atomic uint32_t slots_used; /* slots from this one on were never taken */
    struct shared_slot slots[STATE_SLOTS];
    struct shared_turn turns[STATE_GPUS];
};

/* Of this process. */
static pthread_mutex_t busy_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int busy_depth[STATE_SLOTS];
static _Atomic(struct shared_state *) busy_state; /* to find a slot's index */

/* --- processes --- */

/* Start time of a living process in clock ticks since boot (field 22 of /proc/PID/stat); 0: it is no more. */
static uint64_t process_start_time(int pid)
{
    char path[40], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return 0;
    text[length] = 0;
    char *field = strrchr(text, ')'); /* the program's name may hold anything */
    char run_state;
    unsigned long long start;
    if (!field ||
        sscanf(field + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &run_state, &start) != 2)
        return 0;
    return run_state == 'Z' || run_state == 'X' ? 0 : (uint64_t)start;
}

static bool slot_is_alive(const struct shared_slot *slot, int pid)
{
    return pid != 0 && process_start_time(pid) == slot->start_time;
}

/* --- lock --- */

/* The holder may have been killed: slots are whole at every moment, so there is nothing to repair. */
static void state_lock(struct shared_state *state)
{
    if (pthread_mutex_lock(&state->lock) == EOWNERDEAD)
        pthread_mutex_consistent(&state->lock);
}

static void state_unlock(struct shared_state *state)
{
    pthread_mutex_unlock(&state->lock);
}

/* Under the lock. */
static void take_back_dead(struct shared_state *state)
{
    uint32_t used = atomic_load(&state->slots_used);
    for (uint32_t i = 0; i < used; i++) {
        struct shared_slot *slot = &state->slots[i];
        int pid = atomic_load_explicit(&slot->pid, memory_order_acquire);
        if (pid && !slot_is_alive(slot, pid))
            atomic_store_explicit(&slot->pid, 0, memory_order_release);
    }
}

/* --- the file --- */

static enum vgpu_status state_path(const char *seed, char *path, size_t room, struct vgpu_error *err)
{
    const char *dir = getenv("VGPU_SIM_STATE_DIR");
    if (!dir || !*dir)
        dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    int length =
        snprintf(path, room, "%s/vgpu-sim-%u%s%s", dir, (unsigned int)geteuid(), *seed ? "-" : "", seed);
    if (length < 0 || (size_t)length >= room)
        return error_set(err, VGPU_ERR_USAGE,
                         "VGPU_SIM_STATE_DIR: '%.60s...' is too long; choose a shorter one", dir);
    return VGPU_OK;
}

static int state_init_lock(struct shared_state *state)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    int failed = pthread_mutex_init(&state->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return failed;
}

static struct shared_state *map_file(int fd)
{
    void *at = mmap(NULL, sizeof(struct shared_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* Makes a complete file beside the path and gives it the name: with link when nobody may have it yet, with
 * rename when what is there is of another version. */
static enum vgpu_status create_file(const char *path, bool replace, struct vgpu_error *err)
{
    char fresh[512];
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.XXXXXX", path) >= sizeof fresh)
        return error_set(err, VGPU_ERR_USAGE,
                         "VGPU_SIM_STATE_DIR: '%.60s...' is too long; choose a shorter one", path);
    int fd = mkostemp(fresh, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot create the simulated machine's file %s", fresh);
    struct shared_state *state = NULL;
    if (ftruncate(fd, sizeof *state) == 0)
        state = map_file(fd);
    enum vgpu_status status = VGPU_OK;
    if (!state || state_init_lock(state)) {
        status = error_set_errno(err, VGPU_ERR_IO, "cannot set up the simulated machine's file %s", fresh);
    } else {
        state->magic = STATE_MAGIC;
        state->version = STATE_VERSION;
        state->bytes = sizeof *state;
        if (replace ? rename(fresh, path) : (link(fresh, path) && errno != EEXIST))
            status = error_set_errno(err, VGPU_ERR_IO, "cannot name the simulated machine's file %s", path);
    }
    if (state)
        munmap(state, sizeof *state);
    close(fd);
    unlink(fresh);
    return status;
}

enum open_outcome { OPENED, ABSENT, UNSUITABLE, FAILED };

static enum open_outcome open_file(const char *path, struct shared_state **state, struct vgpu_error *err)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        if (errno == ENOENT)
            return ABSENT;
        error_set_errno(err, VGPU_ERR_IO, "cannot open the simulated machine's file %s", path);
        return FAILED;
    }
    struct stat status;
    enum open_outcome outcome = UNSUITABLE;
    if (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_uid != geteuid()) {
        error_set(err, VGPU_ERR_PERMISSION,
                  "the simulated machine's file %s is somebody else's; set VGPU_SIM_STATE_DIR", path);
        outcome = FAILED;
    } else if (status.st_size == sizeof **state) {
        *state = map_file(fd);
        if (!*state) {
            error_set_errno(err, VGPU_ERR_IO, "cannot map the simulated machine's file %s", path);
            outcome = FAILED;
        } else if ((*state)->magic == STATE_MAGIC && (*state)->version == STATE_VERSION &&
                   (*state)->bytes == sizeof **state) {
            outcome = OPENED;
        } else {
            munmap(*state, sizeof **state);
        }
    }
    close(fd);
    return outcome;
}

enum vgpu_status shared_state_open(const char *seed, struct shared_state **state, struct vgpu_error *err)
{
    char path[400];
    enum vgpu_status status = state_path(seed, path, sizeof path, err);
    for (int attempt = 0; !status && attempt < 8; attempt++) {
        enum open_outcome outcome = open_file(path, state, err);
        if (outcome == OPENED) {
            atomic_store(&busy_state, *state);
            return VGPU_OK;
        }
        if (outcome == FAILED)
            return VGPU_ERR_IO;
        status = create_file(path, outcome == UNSUITABLE, err);
    }
    return status ? status
                  : error_set(err, VGPU_ERR_IO, "the simulated machine's file %s comes and goes; remove it",
                              path);
}

/* --- turns --- */

#define DEFAULT_SLICE_US 2048u

/* So long after the end of its slice who has not passed the turn on is not going to. */
#define PASSED_OVER_NS 300000000ull

#define TURN_LOOK_NS 2000000u

/* NULL: more GPUs than there is room for; they have no turns. Takes a new entry only under the lock. */
static struct shared_turn *find_turn(struct shared_state *state, uint64_t gpu_key)
{
    for (int i = 0; i < STATE_GPUS; i++) {
        uint64_t none = 0;
        if (atomic_load(&state->turns[i].gpu_key) == gpu_key ||
            atomic_compare_exchange_strong(&state->turns[i].gpu_key, &none, gpu_key))
            return &state->turns[i];
    }
    return NULL;
}

static uint32_t slot_number(const struct shared_slot *slot)
{
    return (uint32_t)(slot - atomic_load(&busy_state)->slots) + 1;
}

/* The next process after this one that has work; its own number when there is no other. */
static uint32_t next_number(const struct shared_slot *slot)
{
    struct shared_state *state = atomic_load(&busy_state);
    uint32_t used = atomic_load(&state->slots_used), own = slot_number(slot);
    for (uint32_t step = 1; step < used; step++) {
        struct shared_slot *other = &state->slots[(own - 1 + step) % used];
        int pid = atomic_load_explicit(&other->pid, memory_order_acquire);
        if (!pid || !atomic_load(&other->runnable) || atomic_load(&other->paused) ||
            other->gpu_key != slot->gpu_key)
            continue;
        if (slot_is_alive(other, pid))
            return slot_number(other);
        atomic_store(&other->runnable, 0);
    }
    return own;
}

static bool is_passed_over(const struct shared_turn *turn, uint32_t owner, uint64_t now_ns)
{
    const struct shared_slot *slot = &atomic_load(&busy_state)->slots[owner - 1];
    int pid = atomic_load_explicit(&slot->pid, memory_order_acquire);
    if (!pid || !atomic_load(&slot->runnable) || atomic_load(&slot->paused) || !slot_is_alive(slot, pid))
        return true;
    return now_ns > atomic_load(&turn->since_ns) + atomic_load(&slot->slice_us) * 1000 + PASSED_OVER_NS;
}

/* Its slice is over and others have work, or it has no turn any more: then `next` may be 0, nobody. */
static bool must_pass_on(const struct shared_turn *turn, const struct shared_slot *slot, uint32_t *next)
{
    if (atomic_load(&slot->paused)) {
        uint32_t other = next_number(slot);
        *next = other == slot_number(slot) ? 0 : other;
        return true;
    }
    if (clock_monotonic_ns() < atomic_load(&turn->since_ns) + atomic_load(&slot->slice_us) * 1000)
        return false;
    *next = next_number(slot);
    return *next != slot_number(slot);
}

static void pass_turn(struct shared_turn *turn, uint32_t from, uint32_t to)
{
    atomic_store(&turn->since_ns, clock_monotonic_ns());
    if (atomic_compare_exchange_strong(&turn->owner, &from, to))
        futex_wake_all(&turn->owner);
}

void shared_slot_turn(struct shared_slot *slot)
{
    struct shared_turn *turn = find_turn(atomic_load(&busy_state), slot->gpu_key);
    uint32_t own = slot_number(slot), next;
    if (!turn)
        return;
    if (atomic_load(&turn->owner) == own && must_pass_on(turn, slot, &next))
        pass_turn(turn, own, next);
    for (;;) {
        uint32_t owner = atomic_load(&turn->owner);
        if (atomic_load(&slot->paused)) {
            futex_wait(&slot->paused, 1, TURN_LOOK_NS);
            continue;
        }
        if (owner == own)
            return;
        if (owner == 0 || is_passed_over(turn, owner, clock_monotonic_ns()))
            pass_turn(turn, owner, own);
        else
            futex_wait(&turn->owner, owner, TURN_LOOK_NS);
    }
}

void shared_slot_set_slice(struct shared_slot *slot, uint64_t slice_us)
{
    atomic_store(&slot->slice_us, slice_us);
}

void shared_slot_set_paused(struct shared_slot *slot, bool paused)
{
    atomic_store(&slot->paused, paused);
    futex_wake_all(&slot->paused);
}

static void leave_turn(struct shared_slot *slot)
{
    struct shared_turn *turn = find_turn(atomic_load(&busy_state), slot->gpu_key);
    uint32_t own = slot_number(slot), next = next_number(slot);
    atomic_store(&slot->runnable, 0);
    if (turn && atomic_load(&turn->owner) == own)
        pass_turn(turn, own, next == own ? 0 : next);
}

/* --- slots --- */

struct shared_slot *shared_state_join(struct shared_state *state, uint64_t gpu_key)
{
    struct shared_slot *found = NULL;
    state_lock(state);
    for (int attempt = 0; !found && attempt < 2; attempt++) {
        if (attempt)
            take_back_dead(state);
        for (uint32_t i = 0; !found && i < STATE_SLOTS; i++)
            if (!atomic_load(&state->slots[i].pid))
                found = &state->slots[i];
    }
    if (found) {
        uint32_t index = (uint32_t)(found - state->slots);
        found->start_time = process_start_time(getpid());
        found->gpu_key = gpu_key;
        atomic_store(&found->memory_bytes, 0);
        atomic_store(&found->busy_since_ns, 0);
        atomic_store(&found->runnable, 0);
        atomic_store(&found->slice_us, DEFAULT_SLICE_US);
        atomic_store(&found->paused, 0);
        find_turn(state, gpu_key);
        for (int i = 0; i < BUSY_BUCKETS; i++)
            atomic_store(&found->busy_bucket[i], 0);
        busy_depth[index] = 0;
        if (atomic_load(&state->slots_used) <= index)
            atomic_store(&state->slots_used, index + 1);
        atomic_store_explicit(&found->pid, getpid(), memory_order_release);
    }
    state_unlock(state);
    return found;
}

void shared_state_leave(struct shared_state *state, struct shared_slot *slot)
{
    state_lock(state);
    atomic_store_explicit(&slot->pid, 0, memory_order_release);
    state_unlock(state);
}

/* Under the lock; not looking whether the processes live. */
static uint64_t sum_memory(struct shared_state *state, uint64_t gpu_key)
{
    uint64_t sum = 0;
    uint32_t used = atomic_load(&state->slots_used);
    for (uint32_t i = 0; i < used; i++)
        if (atomic_load_explicit(&state->slots[i].pid, memory_order_acquire) &&
            state->slots[i].gpu_key == gpu_key)
            sum += atomic_load(&state->slots[i].memory_bytes);
    return sum;
}

bool shared_slot_reserve(struct shared_state *state, struct shared_slot *slot, uint64_t bytes,
                         uint64_t limit_bytes)
{
    bool fits = false;
    state_lock(state);
    for (int attempt = 0; !fits && attempt < 2; attempt++) {
        if (attempt)
            take_back_dead(state);
        uint64_t used = sum_memory(state, slot->gpu_key);
        fits = used <= limit_bytes && bytes <= limit_bytes - used;
    }
    if (fits)
        atomic_fetch_add(&slot->memory_bytes, bytes);
    state_unlock(state);
    return fits;
}

void shared_slot_release(struct shared_state *state, struct shared_slot *slot, uint64_t bytes)
{
    state_lock(state);
    atomic_fetch_sub(&slot->memory_bytes, bytes);
    state_unlock(state);
}

/* --- busy time --- */

static void bucket_add(struct shared_slot *slot, uint64_t number, uint64_t busy_ns)
{
    _Atomic uint64_t *bucket = &slot->busy_bucket[number % BUSY_BUCKETS];
    uint64_t word = atomic_load_explicit(bucket, memory_order_relaxed);
    uint64_t known_ns = word >> 32 == (number & 0xffffffffu) ? word & 0xffffffffu : 0;
    atomic_store_explicit(bucket, (number & 0xffffffffu) << 32 | (known_ns + busy_ns), memory_order_relaxed);
}

static void busy_record(struct shared_slot *slot, uint64_t since_ns, uint64_t until_ns)
{
    if (until_ns - since_ns > BUSY_BUCKETS * BUSY_BUCKET_NS)
        since_ns = until_ns - BUSY_BUCKETS * BUSY_BUCKET_NS;
    while (since_ns < until_ns) {
        uint64_t number = since_ns / BUSY_BUCKET_NS;
        uint64_t end_ns = (number + 1) * BUSY_BUCKET_NS;
        end_ns = end_ns < until_ns ? end_ns : until_ns;
        bucket_add(slot, number, end_ns - since_ns);
        since_ns = end_ns;
    }
}

static unsigned int *slot_depth(const struct shared_slot *slot)
{
    return &busy_depth[slot - atomic_load(&busy_state)->slots];
}

void shared_slot_busy_begin(struct shared_slot *slot)
{
    pthread_mutex_lock(&busy_lock);
    if ((*slot_depth(slot))++ == 0)
        atomic_store_explicit(&slot->busy_since_ns, clock_monotonic_ns(), memory_order_relaxed);
    atomic_store(&slot->runnable, 1);
    pthread_mutex_unlock(&busy_lock);
    shared_slot_turn(slot);
}

void shared_slot_busy_end(struct shared_slot *slot)
{
    pthread_mutex_lock(&busy_lock);
    if (--(*slot_depth(slot)) == 0) {
        uint64_t since_ns = atomic_load_explicit(&slot->busy_since_ns, memory_order_relaxed);
        atomic_store_explicit(&slot->busy_since_ns, 0, memory_order_relaxed);
        busy_record(slot, since_ns, clock_monotonic_ns());
        leave_turn(slot);
    }
    pthread_mutex_unlock(&busy_lock);
}

/* Nanoseconds of the bucket in which the slot's process was busy. */
static uint64_t bucket_busy_ns(const struct shared_slot *slot, uint64_t number, uint64_t now_ns)
{
    uint64_t word = atomic_load_explicit(&slot->busy_bucket[number % BUSY_BUCKETS], memory_order_relaxed);
    uint64_t busy_ns = word >> 32 == (number & 0xffffffffu) ? word & 0xffffffffu : 0;
    uint64_t since_ns = atomic_load_explicit(&slot->busy_since_ns, memory_order_relaxed);
    uint64_t start_ns = number * BUSY_BUCKET_NS, end_ns = start_ns + BUSY_BUCKET_NS;
    if (since_ns && since_ns < end_ns) {
        uint64_t from_ns = since_ns > start_ns ? since_ns : start_ns;
        uint64_t to_ns = now_ns < end_ns ? now_ns : end_ns;
        busy_ns += to_ns > from_ns ? to_ns - from_ns : 0;
    }
    return busy_ns;
}

unsigned int shared_state_utilization(struct shared_state *state, uint64_t gpu_key)
{
    uint64_t now_ns = clock_monotonic_ns(), current = now_ns / BUSY_BUCKET_NS, busy_ns = 0;
    uint64_t sums[BUSY_BUCKETS] = {0};
    state_lock(state);
    take_back_dead(state);
    uint32_t used = atomic_load(&state->slots_used);
    for (uint32_t i = 0; i < used; i++) {
        struct shared_slot *slot = &state->slots[i];
        if (!atomic_load(&slot->pid) || slot->gpu_key != gpu_key)
            continue;
        for (uint64_t back = 0; back < BUSY_BUCKETS; back++)
            sums[back] += bucket_busy_ns(slot, current - back, now_ns);
    }
    state_unlock(state);
    for (int i = 0; i < BUSY_BUCKETS; i++)
        busy_ns += sums[i] < BUSY_BUCKET_NS ? sums[i] : BUSY_BUCKET_NS; /* processes may overlap */
    uint64_t window_ns = BUSY_BUCKET_NOW * BUSY_BUCKET_NS + now_ns % BUSY_BUCKET_NS;
    uint64_t percent = (busy_ns * 100 + window_ns / 2) / window_ns;
    return percent < 100 ? (unsigned int)percent : 100;
}

/* --- questions about all processes --- */

uint64_t shared_state_used_bytes(struct shared_state *state, uint64_t gpu_key)
{
    state_lock(state);
    take_back_dead(state);
    uint64_t used = sum_memory(state, gpu_key);
    state_unlock(state);
    return used;
}

size_t shared_state_processes(struct shared_state *state, uint64_t gpu_key, struct shared_process *processes,
                              size_t room)
{
    size_t count = 0;
    state_lock(state);
    take_back_dead(state);
    uint32_t used = atomic_load(&state->slots_used);
    for (uint32_t i = 0; i < used; i++) {
        struct shared_slot *slot = &state->slots[i];
        int pid = atomic_load(&slot->pid);
        if (!pid || slot->gpu_key != gpu_key)
            continue;
        if (count < room)
            processes[count] = (struct shared_process){pid, atomic_load(&slot->memory_bytes)};
        count++;
    }
    state_unlock(state);
    return count;
}
