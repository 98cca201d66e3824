#include "guest/lane.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "guest/connection.h"
#include "guest/reader.h"
#include "guest/stream.h"
#include "guest/window.h"

/* How long a waiting thread looks before it sleeps. The real driver looks until the GPU is done; to be woken
 * costs 50 to 200 us in a virtual machine, which only a long wait should pay. Less where cores are few, and
 * the worker may need this one, and for a program that has asked the driver to sleep where it waits. */
#define SPIN_NS            50000000u
#define SPIN_SOME_CORES_NS 200000u
#define SPIN_FEW_CORES_NS  10000u
#define MANY_CORES         8
#define FEW_CORES          4
#define SLEEP_NS           100000000u /* then it looks whether the worker still lives */

static _Atomic bool sleeping_preferred;

void lane_prefer_sleep(void)
{
    atomic_store_explicit(&sleeping_preferred, true, memory_order_relaxed);
}

static uint64_t spin_ns(void)
{
    static _Atomic uint64_t chosen;
    uint64_t value = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (value == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        value = cores >= MANY_CORES ? SPIN_NS : cores >= FEW_CORES ? SPIN_SOME_CORES_NS : SPIN_FEW_CORES_NS;
        atomic_store_explicit(&chosen, value, memory_order_relaxed);
    }
    if (value > SPIN_SOME_CORES_NS && atomic_load_explicit(&sleeping_preferred, memory_order_relaxed))
        return SPIN_SOME_CORES_NS;
    return value;
}

/* One step of looking; false when it is time to sleep. *since is 0 before the first. The clock is read
 * once in 64 steps; the core is offered to others from the first reading on. */
static bool spin_step(uint64_t *since, unsigned *steps)
{
    lane_pause();
    if ((++*steps & 63u) != 0)
        return true;
    uint64_t now = clock_monotonic_ns();
    if (*since == 0)
        *since = now;
    else
        sched_yield();
    return now - *since < spin_ns();
}

/* Over the connection to the worker; *fd is to map the lane from, at *offset. */
static CUresult ask_for_descriptor(const struct frame_header *request, int *fd)
{
    struct frame_header answer;
    connection_lock();
    int problem = connection_send(request, NULL, 0) != 0 ||
                  connection_receive_descriptor(FRAME_LANE_OPEN, &answer, fd) != 0;
    connection_unlock();
    return problem ? connection_state() : CUDA_SUCCESS;
}

static bool window_place_known(struct guest_thread *thread)
{
    return atomic_load(&thread->window_known);
}

static CUresult ask_for_window_place(const struct frame_header *request, struct guest_thread *thread)
{
    atomic_store(&thread->window_known, false);
    reader_join(thread);
    CUresult result =
        connection_send(request, NULL, 0) == 0 ? reader_wait(thread, window_place_known) : connection_state();
    if (result != CUDA_SUCCESS)
        reader_leave(thread);
    return result;
}

/* Memory is shared. */
static CUresult lane_open_mapped(struct guest_thread *thread, const struct frame_header *request)
{
    int fd = -1;
    bool in_window = window_is_open();
    CUresult result = in_window ? ask_for_window_place(request, thread) : ask_for_descriptor(request, &fd);
    if (result != CUDA_SUCCESS)
        return result;
    uint64_t offset = thread->window_block * WINDOW_BLOCK_BYTES;
    if (in_window)
        fd = window_descriptor(&offset);
    void *memory = mmap(NULL, LANE_SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (fd >= 0)
        close(fd);
    if (memory == MAP_FAILED) {
        const struct frame_header close_it = {.type = FRAME_LANE_CLOSE, .lane = thread->lane_id};
        if (in_window)
            reader_leave(thread);
        connection_send(&close_it, NULL, 0);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    madvise(memory, LANE_SEGMENT_BYTES, MADV_DONTFORK);
    thread->lane = memory;
    thread->lane_open = true;
    return CUDA_SUCCESS;
}

static CUresult lane_open(struct guest_thread *thread)
{
    CUresult state = thread->in_callback ? CUDA_ERROR_NOT_PERMITTED : connection_state();
    if (state != CUDA_SUCCESS)
        return state;
    thread->lane_id = connection_lane_number();
    struct frame_header header = {.type = FRAME_LANE_OPEN, .lane = thread->lane_id};
    if (!connection_shares_memory()) {
        state = stream_lane_open(thread);
        if (state == CUDA_SUCCESS && connection_send(&header, NULL, 0) != 0)
            state = connection_state();
        thread->lane_open = state == CUDA_SUCCESS;
        return state;
    }
    return lane_open_mapped(thread, &header);
}

/* Waits until `bytes` more fit behind `head`. */
static CUresult wait_for_room(struct guest_thread *thread, uint64_t head, uint32_t bytes)
{
    for (unsigned rounds = 0;; rounds++) {
        thread->tail_seen = atomic_load_explicit(&thread->lane->tail, memory_order_acquire);
        if (head + bytes - thread->tail_seen <= LANE_RING_BYTES)
            return CUDA_SUCCESS;
        if (rounds < 200) {
            sched_yield();
            continue;
        }
        usleep(50);
        if (rounds % 1000 == 0 && connection_check() != CUDA_SUCCESS)
            return connection_state();
    }
}

CUresult lane_reserve(struct guest_thread *thread, uint32_t bytes, struct record_header **record)
{
    CUresult state = thread->lane_open ? connection_state() : lane_open(thread);
    if (state != CUDA_SUCCESS)
        return state;
    if (thread->lane == NULL) {
        *record = (struct record_header *)thread->stream_record;
        return CUDA_SUCCESS;
    }
    uint32_t padding;
    uint64_t place = ring_place(thread->head, bytes, &padding);
    if (place + bytes - thread->tail_seen > LANE_RING_BYTES) {
        state = wait_for_room(thread, place, bytes);
        if (state != CUDA_SUCCESS)
            return state;
    }
    if (padding > 0)
        ring_pad(thread->lane, thread->head, padding);
    thread->head = place;
    *record = (struct record_header *)(thread->lane->ring + place % LANE_RING_BYTES);
    return CUDA_SUCCESS;
}

static void wake_worker(struct guest_thread *thread)
{
    const struct frame_header wake = {.type = FRAME_WAKE, .lane = thread->lane_id};
    if (window_is_open())
        connection_send(&wake, NULL, 0);
    else
        lane_ring(thread->lane);
}

CUresult lane_commit(struct guest_thread *thread, const struct record_header *record)
{
    if (record->flags & RECORD_WANTS_REPLY)
        thread->answers++;
    if (thread->lane == NULL) {
        struct frame_header header = {.type = FRAME_RECORD, .lane = thread->lane_id, .bytes = record->bytes};
        return connection_send(&header, record, record->bytes) == 0 ? CUDA_SUCCESS : connection_state();
    }
    thread->head += record->bytes;
    if (lane_publish(thread->lane, thread->head))
        wake_worker(thread);
    return CUDA_SUCCESS;
}

/* Looks often between two pauses, which take longer than the looks: what comes is seen at once. */
static bool answer_is_there(struct lane_shared *lane, uint32_t count)
{
    for (int looks = 0; looks < 8; looks++)
        if (lane_answered(lane, count))
            return true;
    return false;
}

static bool has_answer(struct guest_thread *thread)
{
    return lane_answered(thread->lane, thread->answers);
}

/* Sleeps until the answer has come, or a while: the worker's state is what is returned. */
static CUresult sleep_for_answer(struct guest_thread *thread)
{
    if (!window_is_open()) {
        lane_await(thread->lane, thread->answers, SLEEP_NS);
        return has_answer(thread) ? CUDA_SUCCESS : connection_check();
    }
    atomic_store_explicit(&thread->lane->guest_asleep, 1, memory_order_seq_cst);
    CUresult result = reader_wait(thread, has_answer);
    atomic_store_explicit(&thread->lane->guest_asleep, 0, memory_order_relaxed);
    return result;
}

CUresult lane_wait_answer(struct guest_thread *thread, const struct reply_header **reply)
{
    if (thread->lane == NULL) {
        *reply = (const struct reply_header *)thread->stream_reply;
        return stream_wait_answer(thread);
    }
    struct lane_shared *lane = thread->lane;
    uint64_t since = 0;
    unsigned steps = 0;
    bool spinning = true;
    while (!answer_is_there(lane, thread->answers)) {
        if (spinning) {
            spinning = spin_step(&since, &steps);
            continue;
        }
        if (sleep_for_answer(thread) != CUDA_SUCCESS && !has_answer(thread))
            return connection_state();
    }
    *reply = (const struct reply_header *)lane->reply;
    return CUDA_SUCCESS;
}

/* Waits until *word, counted up by the worker, has reached target, or (lane != NULL) an answer has come. */
static CUresult wait_counter(_Atomic uint32_t *word, uint32_t target, struct guest_thread *thread)
{
    uint64_t since = 0;
    unsigned steps = 0;
    bool spinning = true;
    for (unsigned rounds = 0; (int32_t)(atomic_load_explicit(word, memory_order_acquire) - target) < 0;) {
        if (thread != NULL && lane_answered(thread->lane, thread->answers))
            return CUDA_SUCCESS;
        if (spinning) {
            spinning = spin_step(&since, &steps);
            continue;
        }
        usleep(50);
        if (++rounds % 1000 == 0 && connection_check() != CUDA_SUCCESS)
            return connection_state();
    }
    return CUDA_SUCCESS;
}

CUresult lane_wait_counter(_Atomic uint32_t *word, uint32_t target)
{
    return wait_counter(word, target, NULL);
}

CUresult lane_wait_slot(struct guest_thread *thread, uint32_t filled)
{
    return wait_counter(&thread->lane->staging_filled, filled, thread);
}

CUresult lane_take_error(struct guest_thread *thread)
{
    _Atomic uint32_t *word = thread->lane != NULL ? &thread->lane->forgotten_error : &thread->stream_error;
    if (!thread->lane_open || atomic_load_explicit(word, memory_order_relaxed) == 0)
        return CUDA_SUCCESS;
    return (CUresult)atomic_exchange_explicit(word, 0, memory_order_acquire);
}

void lane_close(struct guest_thread *thread)
{
    if (!thread->lane_open)
        return;
    struct frame_header header = {.type = FRAME_LANE_CLOSE, .lane = thread->lane_id};
    if (connection_state() == CUDA_SUCCESS)
        connection_send(&header, NULL, 0);
    if (thread->lane == NULL)
        stream_lane_close(thread);
    else if (window_is_open())
        reader_leave(thread);
    if (thread->lane != NULL)
        munmap(thread->lane, LANE_SEGMENT_BYTES);
    thread->lane_open = false;
}
