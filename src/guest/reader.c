#include "guest/reader.h"

#include "guest/connection.h"
#include "guest/lock.h"

static struct lock list_lock;           /* over the list and reader_present */
static struct guest_thread *first_lane; /* threads that have joined */
static bool reader_present;

void reader_join(struct guest_thread *thread)
{
    lock_take(&list_lock);
    thread->next = first_lane;
    first_lane = thread;
    lock_give(&list_lock);
}

void reader_leave(struct guest_thread *thread)
{
    lock_take(&list_lock);
    for (struct guest_thread **link = &first_lane; *link != NULL; link = &(*link)->next) {
        if (*link == thread) {
            *link = thread->next;
            break;
        }
    }
    lock_give(&list_lock);
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
    atomic_fetch_add(&thread->reader_wake, 1);
    futex_wake_all(&thread->reader_wake);
}

/* Under list_lock. */
static void wake_all(void)
{
    for (struct guest_thread *thread = first_lane; thread != NULL; thread = thread->next)
        wake(thread);
}

/* What a message without a body says to a lane. Under list_lock. */
static void tell(struct guest_thread *target, const struct frame_header *header)
{
    uint32_t none = 0;
    switch (header->type) {
    case FRAME_ERROR:
        atomic_compare_exchange_strong(&target->stream_error, &none, header->value);
        break;
    case FRAME_LANE_OPEN:
        target->window_block = header->value;
        atomic_store(&target->window_known, true);
        wake(target);
        break;
    case FRAME_WAKE:
        wake(target);
        break;
    default:
        break;
    }
}

/* The target waits for its answer, and so stays. */
static int read_reply(const struct frame_header *header, struct guest_thread *target)
{
    if (target == NULL || target->stream_reply == NULL || header->bytes > REPLY_MAX_BYTES)
        return -1;
    if (connection_read(target->stream_reply, header->bytes) != 0)
        return -1;
    atomic_fetch_add(&target->stream_answered, 1);
    wake(target);
    return 0;
}

/* Reads one frame and gives it to whom it is for. */
static int read_frame(void)
{
    struct frame_header header;
    if (connection_read(&header, sizeof header) != 0)
        return -1;
    lock_take(&list_lock);
    struct guest_thread *target = find_lane(header.lane);
    if (target != NULL && header.bytes == 0)
        tell(target, &header);
    lock_give(&list_lock);
    if (header.type == FRAME_REPLY)
        return read_reply(&header, target);
    if (header.type == FRAME_ENDED) {
        char text[256] = "";
        if (header.bytes < sizeof text && connection_read(text, header.bytes) == 0)
            connection_lost_with((CUresult)header.value, text);
        return -1;
    }
    return header.bytes == 0 ? 0 : -1;
}

CUresult reader_wait(struct guest_thread *thread, bool (*has_come)(struct guest_thread *thread))
{
    lock_take(&list_lock);
    while (!has_come(thread) && connection_state() == CUDA_SUCCESS) {
        uint32_t seen = atomic_load(&thread->reader_wake);
        bool read_myself = !reader_present;
        reader_present = true;
        lock_give(&list_lock);
        int problem = 0;
        if (read_myself)
            problem = read_frame();
        else if (!has_come(thread))
            futex_wait(&thread->reader_wake, seen, 0);
        if (problem != 0)
            connection_lost(NULL);
        lock_take(&list_lock);
        if (read_myself)
            reader_present = false;
    }
    wake_all(); /* whoever still waits: somebody must read now */
    lock_give(&list_lock);
    return has_come(thread) ? CUDA_SUCCESS : connection_state();
}
