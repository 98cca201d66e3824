#include "guest/stream.h"

#include <stdlib.h>

#include "guest/connection.h"
#include "guest/lock.h"

static struct lock list_lock;           /* over the list and reader_present */
static struct guest_thread *first_lane; /* threads with a lane */
static bool reader_present;

CUresult stream_lane_open(struct guest_thread *thread)
{
    thread->stream_record = malloc(RECORD_MAX_BYTES);
    thread->stream_reply = malloc(REPLY_MAX_BYTES);
    if (thread->stream_record == NULL || thread->stream_reply == NULL) {
        free(thread->stream_record);
        free(thread->stream_reply);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    lock_take(&list_lock);
    thread->next = first_lane;
    first_lane = thread;
    lock_give(&list_lock);
    return CUDA_SUCCESS;
}

void stream_lane_close(struct guest_thread *thread)
{
    lock_take(&list_lock);
    for (struct guest_thread **link = &first_lane; *link != NULL; link = &(*link)->next) {
        if (*link == thread) {
            *link = thread->next;
            break;
        }
    }
    lock_give(&list_lock);
    free(thread->stream_record);
    free(thread->stream_reply);
}

static struct guest_thread *find_lane(uint32_t lane)
{
    struct guest_thread *thread = first_lane;
    while (thread != NULL && thread->lane_id != lane)
        thread = thread->next;
    return thread;
}

static void wake(struct guest_thread *thread)
{
    atomic_fetch_add(&thread->stream_wake, 1);
    futex_wake_all(&thread->stream_wake);
}

/* Under list_lock. */
static void wake_all(void)
{
    for (struct guest_thread *thread = first_lane; thread != NULL; thread = thread->next)
        wake(thread);
}

/* Reads one frame and gives it to whom it is for. The threads of unanswered lanes cannot end, so a target
 * found stays. */
static int read_frame(void)
{
    struct frame_header header;
    if (connection_read(&header, sizeof header) != 0)
        return -1;
    lock_take(&list_lock);
    struct guest_thread *target = find_lane(header.lane);
    if (header.type == FRAME_ERROR && target != NULL) {
        uint32_t none = 0;
        atomic_compare_exchange_strong(&target->stream_error, &none, header.value);
    }
    lock_give(&list_lock);
    if (header.type == FRAME_ERROR)
        return 0;
    if (header.type == FRAME_ENDED) {
        char text[256] = "";
        if (header.bytes < sizeof text && connection_read(text, header.bytes) == 0)
            connection_lost_with((CUresult)header.value, text);
        return -1;
    }
    if (header.type != FRAME_REPLY || target == NULL || header.bytes > REPLY_MAX_BYTES)
        return header.bytes == 0 ? 0 : -1;
    if (connection_read(target->stream_reply, header.bytes) != 0)
        return -1;
    atomic_fetch_add(&target->stream_answered, 1);
    wake(target);
    return 0;
}

CUresult stream_wait_answer(struct guest_thread *thread)
{
    lock_take(&list_lock);
    while (atomic_load(&thread->stream_answered) != thread->answers && connection_state() == CUDA_SUCCESS) {
        uint32_t seen = atomic_load(&thread->stream_wake);
        bool read_myself = !reader_present;
        reader_present = true;
        lock_give(&list_lock);
        int problem = 0;
        if (read_myself)
            problem = read_frame();
        else
            futex_wait(&thread->stream_wake, seen, 0);
        if (problem != 0)
            connection_lost(NULL);
        lock_take(&list_lock);
        if (read_myself)
            reader_present = false;
    }
    wake_all(); /* whoever still waits: somebody must read now */
    lock_give(&list_lock);
    return atomic_load(&thread->stream_answered) == thread->answers ? CUDA_SUCCESS : connection_state();
}
