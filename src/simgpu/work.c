#include "simgpu/work.h"

#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "simgpu/capture.h"
#include "simgpu/device_text.h"
#include "simgpu/handle.h"
#include "simgpu/stream.h"

/* A thread that submits waits when so much of a stream has not begun: as the driver's own ring. */
#define QUEUE_LIMIT 1024

/* Threads that wait for some work sleep on one of these, by the work's address. */
#define WAIT_BUCKETS 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done[WAIT_BUCKETS];
static pthread_cond_t room = PTHREAD_COND_INITIALIZER;     /* a queue is shorter */
static pthread_cond_t departed = PTHREAD_COND_INITIALIZER; /* a stream was freed */
static unsigned long long next_stream_id = 1;

void work_init(void)
{
    for (size_t i = 0; i < WAIT_BUCKETS; i++)
        pthread_cond_init(&done[i], NULL);
}

/* --- one piece of work --- */

struct work *work_create(size_t bytes, void (*run)(struct work *work), void (*finish)(struct work *work))
{
    struct work *work = calloc(1, bytes);
    if (!work)
        return NULL;
    work->references = 1;
    work->run = run;
    work->finish = finish;
    return work;
}

/* Under the lock. */
static void release_locked(struct work *work)
{
    if (!work || --work->references)
        return;
    for (size_t i = 0; i < work->need_count; i++)
        release_locked(work->needs[i]);
    free(work->needs);
    free(work);
}

void work_reference(struct work *work)
{
    pthread_mutex_lock(&lock);
    work->references++;
    pthread_mutex_unlock(&lock);
}

void work_release(struct work *work)
{
    pthread_mutex_lock(&lock);
    release_locked(work);
    pthread_mutex_unlock(&lock);
}

/* Under the lock. */
static bool needs_locked(struct work *work, struct work *needed)
{
    if (needed->is_done)
        return true;
    if (work->need_count == work->need_room) {
        size_t size = work->need_room ? work->need_room * 2 : 4;
        struct work **grown = realloc(work->needs, size * sizeof *grown);
        if (!grown)
            return false;
        work->needs = grown;
        work->need_room = size;
    }
    needed->references++;
    work->needs[work->need_count++] = needed;
    return true;
}

bool work_needs(struct work *work, struct work *needed)
{
    pthread_mutex_lock(&lock);
    bool noted = needs_locked(work, needed);
    pthread_mutex_unlock(&lock);
    return noted;
}

static pthread_cond_t *bucket(const struct work *work)
{
    return &done[(uintptr_t)work / 64 % WAIT_BUCKETS];
}

static void wait_locked(struct work *work)
{
    work->references++;
    while (!work->is_done)
        pthread_cond_wait(bucket(work), &lock);
    release_locked(work);
}

bool work_is_done(struct work *work)
{
    pthread_mutex_lock(&lock);
    bool is_done = work->is_done;
    pthread_mutex_unlock(&lock);
    return is_done;
}

void work_place(struct work *mark, struct CUstream_st *stream)
{
    mark->context = stream->context;
    mark->stream = stream;
}

void work_complete(struct work *mark)
{
    pthread_mutex_lock(&lock);
    if (!mark->is_done) {
        mark->is_done = true;
        mark->done_ns = clock_monotonic_ns();
        pthread_cond_broadcast(bucket(mark));
    }
    pthread_mutex_unlock(&lock);
}

/* --- running --- */

/* Under the lock, which is open while the work runs. The work's stream is_running. */
static void perform(struct work *work)
{
    pthread_mutex_unlock(&lock);
    if (work->run && (work->runs_after_error || !context_error(work->context)))
        work->run(work);
    if (work->finish)
        work->finish(work);
    pthread_mutex_lock(&lock);
    work->is_done = true;
    work->done_ns = clock_monotonic_ns();
    pthread_cond_broadcast(bucket(work));
    release_locked(work);
}

static void wait_for_needs(struct work *work)
{
    for (size_t i = 0; i < work->need_count; i++) {
        wait_locked(work->needs[i]);
        release_locked(work->needs[i]);
    }
    work->need_count = 0;
}

/* Under the lock; nobody runs the stream, and it is not empty. */
static void run_head(struct CUstream_st *stream)
{
    struct work *work = stream->head;
    stream->is_running = true;
    wait_for_needs(work);
    stream->head = work->next;
    if (stream->queued-- == QUEUE_LIMIT)
        pthread_cond_broadcast(&room);
    perform(work);
    stream->is_running = false;
}

/* Under the lock; the stream is empty, nobody runs it. */
static void free_stream(struct CUstream_st *stream)
{
    struct CUstream_st **link = &stream->context->streams;
    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    release_locked(stream->tail);
    pthread_cond_destroy(&stream->wake);
    free(stream);
    pthread_cond_broadcast(&departed);
}

/* Under the lock: a thread that is not the stream's own has run something of it. */
static void leave_stream(struct CUstream_st *stream)
{
    bool is_wanted = stream->head || stream->is_destroyed;
    if (is_wanted && stream->has_thread)
        pthread_cond_signal(&stream->wake);
    else if (stream->is_destroyed && !stream->head)
        free_stream(stream);
}

static void *stream_main(void *argument)
{
    struct CUstream_st *stream = argument;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (stream->is_running || (!stream->head && !stream->is_destroyed))
            pthread_cond_wait(&stream->wake, &lock);
        if (!stream->head)
            break;
        run_head(stream);
    }
    free_stream(stream);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Signals are for the program's own threads. */
static bool start_thread(struct CUstream_st *stream)
{
    sigset_t all, before;
    pthread_t thread;
    pthread_attr_t attributes;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    stream->has_thread = pthread_create(&thread, &attributes, stream_main, stream) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return stream->has_thread;
}

/* --- waiting --- */

static bool needs_are_done(const struct work *work)
{
    for (size_t i = 0; i < work->need_count; i++)
        if (!work->needs[i]->is_done)
            return false;
    return true;
}

/* Under the lock: returns once the work is done, and until then runs what its stream is ready for. The work
 * in front of it keeps the stream there. */
static void help_until_done(struct work *work)
{
    work->references++;
    while (!work->is_done) {
        struct CUstream_st *stream = work->stream;
        struct work *head = stream->head;
        if (head && !stream->is_running && !head->runs_in_stream_thread && needs_are_done(head)) {
            run_head(stream);
            leave_stream(stream);
        } else {
            pthread_cond_wait(bucket(work), &lock);
        }
    }
    release_locked(work);
}

void work_wait(struct work *work)
{
    pthread_mutex_lock(&lock);
    help_until_done(work);
    pthread_mutex_unlock(&lock);
}

/* --- submitting --- */

/* The legacy stream and the blocking streams of its context wait for each other. */
static bool need_other_streams(struct CUstream_st *stream, struct work *work)
{
    struct CUctx_st *context = stream->context;
    bool noted = true;
    if (stream->kind == STREAM_BLOCKING && context->legacy->tail)
        noted = needs_locked(work, context->legacy->tail);
    if (stream->kind == STREAM_LEGACY)
        for (struct CUstream_st *other = context->streams; other && noted; other = other->next)
            if (other->kind == STREAM_BLOCKING && other->tail)
                noted = needs_locked(work, other->tail);
    return noted;
}

static bool can_run_here(const struct CUstream_st *stream, const struct work *work)
{
    return !stream->head && !stream->is_running && !work->runs_in_stream_thread && needs_are_done(work);
}

static void make_tail(struct CUstream_st *stream, struct work *work)
{
    release_locked(stream->tail);
    work->references++;
    stream->tail = work;
}

static void run_here(struct CUstream_st *stream, struct work *work)
{
    make_tail(stream, work);
    wait_for_needs(work);
    stream->is_running = true;
    perform(work);
    stream->is_running = false;
    leave_stream(stream);
}

static void enqueue(struct CUstream_st *stream, struct work *work)
{
    make_tail(stream, work);
    if (stream->head)
        stream->last->next = work;
    else
        stream->head = work;
    stream->last = work;
    stream->queued++;
    pthread_cond_signal(&stream->wake);
}

/* Under the lock. Nothing of the work is left when it fails. */
static CUresult submit_locked(struct CUstream_st *stream, struct work *work, enum work_mode mode)
{
    work->context = stream->context;
    work->stream = stream;
    while (stream->queued >= QUEUE_LIMIT)
        pthread_cond_wait(&room, &lock);
    if (!need_other_streams(stream, work))
        return CUDA_ERROR_OUT_OF_MEMORY;
    if ((mode != WORK_QUEUED || !work->run) && can_run_here(stream, work)) {
        run_here(stream, work);
        return CUDA_SUCCESS;
    }
    if (!stream->has_thread && !start_thread(stream))
        return CUDA_ERROR_OPERATING_SYSTEM;
    if (mode == WORK_WAITED)
        work->references++;
    enqueue(stream, work);
    if (mode == WORK_WAITED) {
        help_until_done(work);
        release_locked(work);
    }
    return CUDA_SUCCESS;
}

CUresult work_submit(struct CUstream_st *stream, struct work *work, enum work_mode mode)
{
    bool captured;
    CUresult result = capture_work(stream, work, &captured);
    if (captured)
        return result;
    pthread_mutex_lock(&lock);
    if (!result)
        result = submit_locked(stream, work, mode);
    pthread_mutex_unlock(&lock);
    if (mode == WORK_WAITED)
        device_text_write();
    if (result) {
        if (work->finish)
            work->finish(work);
        work_release(work);
    }
    return result;
}

/* --- streams as a whole --- */

struct CUstream_st *stream_create(struct CUctx_st *context, enum stream_kind kind, unsigned int flags,
                                  int priority)
{
    struct CUstream_st *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->context = context;
    stream->kind = kind;
    stream->flags = flags;
    stream->priority = priority;
    pthread_cond_init(&stream->wake, NULL);
    if (!handle_add(stream, HANDLE_STREAM)) {
        pthread_cond_destroy(&stream->wake);
        free(stream);
        return NULL;
    }
    pthread_mutex_lock(&lock);
    stream->id = next_stream_id++;
    stream->next = context->streams;
    context->streams = stream;
    pthread_mutex_unlock(&lock);
    return stream;
}

static void destroy_locked(struct CUstream_st *stream)
{
    stream->is_destroyed = true;
    handle_remove(stream);
    if (stream->has_thread)
        pthread_cond_signal(&stream->wake);
    else if (!stream->is_running)
        free_stream(stream);
}

void stream_destroy(struct CUstream_st *stream)
{
    pthread_mutex_lock(&lock);
    destroy_locked(stream);
    pthread_mutex_unlock(&lock);
}

static bool is_idle(const struct CUstream_st *stream)
{
    return !stream->tail || stream->tail->is_done;
}

bool stream_is_idle(struct CUstream_st *stream)
{
    pthread_mutex_lock(&lock);
    bool idle = is_idle(stream);
    if (stream->kind == STREAM_LEGACY)
        for (struct CUstream_st *other = stream->context->streams; other && idle; other = other->next)
            idle = other->kind == STREAM_NON_BLOCKING || is_idle(other);
    pthread_mutex_unlock(&lock);
    return idle;
}

/* Waits for what has been submitted to the stream by now, or to all of the context's streams. */
static void wait_for_tails(struct CUctx_st *context, struct CUstream_st *only)
{
    struct work gathered = {0};
    pthread_mutex_lock(&lock);
    struct CUstream_st *stream = context->streams;
    while (stream) {
        bool concerns =
            !only || stream == only || (only->kind == STREAM_LEGACY && stream->kind == STREAM_BLOCKING);
        if (concerns && stream->tail && !needs_locked(&gathered, stream->tail)) {
            help_until_done(stream->tail); /* no memory to note it; the list may have changed meanwhile */
            stream = context->streams;
        } else {
            stream = stream->next;
        }
    }
    for (size_t i = 0; i < gathered.need_count; i++) {
        help_until_done(gathered.needs[i]);
        release_locked(gathered.needs[i]);
    }
    free(gathered.needs);
    pthread_mutex_unlock(&lock);
}

void stream_wait(struct CUstream_st *stream)
{
    wait_for_tails(stream->context, stream);
    device_text_write();
}

void stream_wait_all(struct CUctx_st *context)
{
    wait_for_tails(context, NULL);
    device_text_write();
}

bool stream_need_all(struct CUctx_st *context, struct work *work)
{
    bool noted = true;
    pthread_mutex_lock(&lock);
    for (struct CUstream_st *stream = context->streams; stream && noted; stream = stream->next)
        if (stream->tail)
            noted = needs_locked(work, stream->tail);
    pthread_mutex_unlock(&lock);
    return noted;
}

bool stream_all_need(struct CUctx_st *context, struct work *awaited)
{
    bool noted = true;
    pthread_mutex_lock(&lock);
    for (struct CUstream_st *stream = context->streams; stream && noted; stream = stream->next) {
        struct work *mark = work_create(sizeof *mark, NULL, NULL);
        noted = mark && needs_locked(mark, awaited) && !submit_locked(stream, mark, WORK_QUEUED);
        if (!noted)
            release_locked(mark);
    }
    pthread_mutex_unlock(&lock);
    return noted;
}

void stream_destroy_all(struct CUctx_st *context)
{
    pthread_mutex_lock(&lock);
    for (struct CUstream_st *stream = context->streams, *next; stream; stream = next) {
        next = stream->next;
        if (!stream->is_destroyed)
            destroy_locked(stream);
    }
    while (context->streams)
        pthread_cond_wait(&departed, &lock);
    context->legacy = NULL;
    pthread_mutex_unlock(&lock);
}
