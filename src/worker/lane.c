#include "worker/lane.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "driver_api.h"
#include "worker/backlog.h"
#include "worker/call.h"
#include "worker/callback.h"
#include "worker/connection.h"
#include "worker/device_memory.h"
#include "worker/device_text.h"
#include "worker/drain.h"
#include "worker/handle_map.h"
#include "worker/held_memory.h"
#include "worker/payload.h"
#include "worker/staging.h"
#include "worker/turn.h"
#include "worker/vm.h"

static uint64_t spin_ns = 50000;

/* A VM that goes before others shall not notice them, nor that its lane has slept: to be woken up takes up to
 * two tenths of a millisecond. */
static const uint64_t spin_first_ns = 20000000;

/* How often an idle lane looks whether a staged copy, queued behind other work, has finished. */
#define COPY_POLL_NS 100000u

void lane_set_spin_us(uint64_t spin_us)
{
    spin_ns = spin_us * 1000;
}

/* Bytes published and not yet taken. The guest's word is read only when what it said last is used up: while
 * it runs ahead, the two sides do not pass its cache line to and fro for every record. */
static uint64_t bytes_waiting(struct lane *lane)
{
    if (lane->known_head == lane->position)
        lane->known_head = lane_published(lane->shared);
    return lane->known_head - lane->position;
}

/* Has the lines of the next record fetched while the driver is busy with this one. */
static void prefetch_next(const struct lane *lane)
{
    if (lane->known_head == lane->position)
        return;
    for (uint32_t line = 0; line < 4; line++)
        __builtin_prefetch(lane->shared->ring + (lane->position + line * 64) % LANE_RING_BYTES);
}

/* Looks often between two pauses, which take longer than the looks: what comes is seen at once. Each look
 * touches the place of the next record too, so that its line is on its way together with the news that it is
 * there. */
static bool record_is_there(struct lane *lane)
{
    const volatile uint8_t *next = lane->shared->ring + lane->position % LANE_RING_BYTES;
    for (int looks = 0; looks < 8; looks++) {
        (void)*next;
        if (bytes_waiting(lane) != 0)
            return true;
    }
    return false;
}

/* Waits for records: looks a while, then sleeps. False when the lane is over. */
static bool wait_for_records(struct lane *lane)
{
    uint64_t since = 0;
    for (unsigned steps = 1;; steps++) {
        if (record_is_there(lane))
            return true;
        if (atomic_load_explicit(&lane->closing, memory_order_acquire))
            return bytes_waiting(lane) != 0;
        if (lane->staging_done != lane->staging_queued) {
            staging_poll(lane, false);
            handle_found_end();
        }
        lane_pause();
        if (steps % 64 != 0)
            continue;
        uint64_t now = clock_monotonic_ns();
        if (since == 0) {
            since = now;
            gate_flush_counts(&lane->pass);
        } else {
            sched_yield();
        }
        if (now - since < (gate_goes_first() ? spin_first_ns : spin_ns))
            continue;
        bool copies_running = lane->staging_done != lane->staging_queued;
        lane_sleep(lane->shared, lane->position, &lane->closing, copies_running ? COPY_POLL_NS : 0);
        gate_something_comes();
        since = copies_running ? since : 0;
    }
}

/* Copies the next record out of the ring. The guest may change it at any time: its length is read once, and
 * the header used afterwards is the copy's. False when it cannot be one: the guest is broken or hostile. */
static bool take_record(struct lane *lane, struct record_header **record)
{
    for (;;) {
        uint64_t available = bytes_waiting(lane);
        uint32_t at = (uint32_t)(lane->position % LANE_RING_BYTES);
        uint32_t to_end = LANE_RING_BYTES - at;
        const volatile struct record_header *shared = (const struct record_header *)(lane->shared->ring + at);
        uint32_t bytes = shared->bytes;
        bool padding = shared->call == 0;
        if (bytes % 8 != 0 || bytes == 0 || bytes > to_end || bytes > available)
            return false;
        if (padding) {
            lane->position += bytes;
            atomic_store_explicit(&lane->shared->tail, lane->position, memory_order_release);
            if (bytes_waiting(lane) == 0 && !wait_for_records(lane))
                return false;
            continue;
        }
        if (bytes < sizeof **record || bytes > RECORD_MAX_BYTES)
            return false;
        memcpy(lane->record, lane->shared->ring + at, bytes);
        lane->position += bytes;
        atomic_store_explicit(&lane->shared->tail, lane->position, memory_order_release);
        prefetch_next(lane);
        *record = (struct record_header *)lane->record;
        (*record)->bytes = bytes;
        return (*record)->call > CALL_INVALID && (*record)->call < CALL_COUNT &&
               (*record)->body_bytes <= bytes - sizeof **record;
    }
}

static CUresult execute(struct lane *lane, const struct record_header *record, struct call *call)
{
    const struct call_entry *entry = &call_table[record->call];
    const uint8_t *body = (const uint8_t *)(record + 1);
    if (record->body_bytes < entry->request_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    call->request = body;
    call->tail = body + entry->request_bytes;
    call->tail_bytes = record->body_bytes - entry->request_bytes;
    bool work = (entry->flags & CALL_WORK) != 0;
    bool ends_context = (entry->flags & CALL_ENDS_CONTEXT) != 0;
    if (work)
        gate_enter(&lane->pass);
    bool waits = record->call == CALL_cuStreamWaitEvent;
    uint32_t marked = work || waits ? backlog_wanted(&lane->unmarked) : 0;
    if (marked > 0 && work)
        backlog_before(lane);
    if (ends_context)
        gate_contexts_lock();
    CUresult result = entry->serve(call);
    if (ends_context)
        gate_contexts_unlock();
    if (entry->flags & (CALL_ENDS_CONTEXT | CALL_FREES))
        device_memory_changed();
    if (ends_context)
        held_memory_contexts_ended();
    if (entry->flags & CALL_WAIT)
        held_memory_waited();
    if (marked > 0)
        backlog_after(lane, result, record->call, marked);
    if (work && handle_own_stream_used)
        drain_own_stream_used();
    if (work)
        gate_exit(&lane->pass);
    handle_found_end();
    gate_count_call(&lane->pass, work);
    return result;
}

static void answer(struct lane *lane, CUresult result, const struct call *call, uint8_t *buffer)
{
    struct reply_header header = {.result = (int32_t)result,
                                  .size = call->reply_bytes | (device_text_waits() ? REPLY_TEXT_WAITS : 0)};
    memcpy(buffer, &header, sizeof header);
    if (lane->kind == LANE_STREAM) {
        if (lane->stream_error != CUDA_SUCCESS)
            connection_error(lane->id, lane->stream_error);
        lane->stream_error = CUDA_SUCCESS;
        connection_reply(lane->id, buffer, (uint32_t)sizeof header + call->reply_bytes);
    } else if (lane_answer(lane->shared, ++lane->answers)) {
        if (lane->kind == LANE_WINDOW)
            connection_wake(lane->id);
        else
            lane_wake_guest(lane->shared);
    }
}

static void note_error(struct lane *lane, CUresult result)
{
    uint32_t none = 0;
    if (lane->kind == LANE_STREAM)
        lane->stream_error = lane->stream_error == CUDA_SUCCESS ? result : lane->stream_error;
    else
        atomic_compare_exchange_strong(&lane->shared->forgotten_error, &none, (uint32_t)result);
}

static void serve_record(struct lane *lane, const struct record_header *record)
{
    uint8_t *buffer = lane->kind == LANE_STREAM ? lane->stream_reply : lane->shared->reply;
    struct call call = {.lane = lane,
                        .reply = buffer + sizeof(struct reply_header),
                        .reply_room = REPLY_MAX_BYTES - sizeof(struct reply_header)};
    turn_wait(record->ticket);
    CUresult result = execute(lane, record, &call);
    if (result != CUDA_SUCCESS)
        vm_note_result(result);
    if (record->flags & RECORD_WANTS_REPLY) {
        answer(lane, result, &call, buffer);
        return;
    }
    turn_done(record->ticket);
    if (result != CUDA_SUCCESS)
        note_error(lane, result);
}

static void destroy(struct lane *lane)
{
    munmap(lane->shared, lane->memory.bytes);
    shared_memory_free(&lane->memory);
    free(lane->record);
    free(lane->stream_reply);
    payload_drop(lane);
    free(lane);
}

static void *lane_main(void *argument)
{
    struct lane *lane = argument;
    gate_join(&lane->pass);
    handle_thread_begin();
    while (wait_for_records(lane)) {
        struct record_header *record;
        if (!take_record(lane, &record)) {
            if (atomic_load(&lane->closing))
                break;
            vm_page_count(&vm_page->faults, 1);
            connection_end("the program sent something that is no CUDA call; its worker has stopped");
        }
        serve_record(lane, record);
    }
    staging_end(lane);
    backlog_end(lane);
    drain_lane_ends();
    gate_flush_counts(&lane->pass);
    gate_leave(&lane->pass);
    handle_thread_end();
    connection_forget_lane(lane);
    destroy(lane);
    return NULL;
}

static bool map_shared(struct lane *lane)
{
    const uint64_t page = 4096;
    struct shared_memory *memory = &lane->memory;
    if (!shared_memory_make("vgpu-lane", (LANE_SEGMENT_BYTES + page - 1) & ~(page - 1), memory))
        return false;
    void *mapped =
        mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, (off_t)memory->offset);
    if (mapped != MAP_FAILED) {
        lane->shared = mapped;
        return true;
    }
    shared_memory_passed(memory);
    shared_memory_free(memory);
    return false;
}

static struct lane *allocate(uint32_t id, uint32_t number, enum lane_kind kind)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return NULL;
    lane->id = id;
    lane->number = number;
    lane->kind = kind;
    lane->record = malloc(RECORD_MAX_BYTES);
    lane->stream_reply = kind == LANE_STREAM ? malloc(REPLY_MAX_BYTES) : NULL;
    if (lane->record != NULL && (kind != LANE_STREAM || lane->stream_reply != NULL) && map_shared(lane))
        return lane;
    free(lane->record);
    free(lane->stream_reply);
    free(lane);
    errno = ENOMEM;
    return NULL;
}

struct lane *lane_create(uint32_t id, uint32_t number, enum lane_kind kind, struct shared_memory *memory)
{
    struct lane *lane = allocate(id, number, kind);
    if (lane == NULL)
        return NULL;
    *memory = lane->memory; /* the thread may free the lane at any time */
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int problem = pthread_create(&lane->thread, &attributes, lane_main, lane);
    pthread_attr_destroy(&attributes);
    if (problem == 0)
        return lane;
    shared_memory_passed(memory);
    destroy(lane);
    errno = problem;
    return NULL;
}

void lane_end(struct lane *lane)
{
    atomic_store_explicit(&lane->closing, true, memory_order_release);
    lane_ring(lane->shared); /* lane_sleep() pairs with it */
    callback_wake();
}

bool lane_put(struct lane *lane, const struct record_header *header, const uint8_t *record)
{
    uint32_t padding;
    uint64_t place = ring_place(lane->head, header->bytes, &padding);
    for (unsigned rounds = 1;
         place + header->bytes - atomic_load_explicit(&lane->shared->tail, memory_order_acquire) >
         LANE_RING_BYTES;
         rounds++) {
        if (rounds % 256 == 0 && connection_is_gone())
            return false;
        usleep(50);
    }
    if (padding > 0)
        ring_pad(lane->shared, lane->head, padding);
    memcpy(lane->shared->ring + place % LANE_RING_BYTES, record, header->bytes);
    lane->head = place + header->bytes;
    if (lane_publish(lane->shared, lane->head))
        lane_ring(lane->shared);
    return true;
}
