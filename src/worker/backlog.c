#include "worker/backlog.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "driver_api.h"
#include "wire/frame.h"
#include "wire/futex.h"
#include "worker/call.h"
#include "worker/callback.h"
#include "worker/capture.h"
#include "worker/connection.h"
#include "worker/handle_map.h"
#include "worker/lane.h"

/* Pieces of work of one lane that are not finished; who has more waits. */
#define MARKS_MAX 256u

/* How long the work of a lane that is not finished may take, about: while others wait for the GPU, and while
 * somebody may come. How much work that is the lane finds out: it begins with little, and has more on the GPU
 * for as long as that is finished sooner. */
#define QUEUED_NS       5000000ull
#define QUEUED_ALONE_NS 100000000ull
#define WINDOW_FIRST    32u
#define WINDOW_MIN      4u
#define WINDOW_MAX      4096u
#define WINDOW_SLOW     256u /* up to this one, looks are close to each other */

/* So many marks of one lane are looked at again before another is made. */
#define MARKS_KEPT 8u

/* But not for ever: what runs may itself be waiting for what the lane is to submit next. */
#define PATIENCE_NS       100000000ull
#define PATIENCE_ALONE_NS 1000000000ull

/* Where the names of the events begin, behind all others of HANDLE_STAGING. */
#define NAMES_FROM (1u << 20)

#define POLL_US       20u
#define POLL_ALONE_US 500u

/* A time limit is looked after so often in its course, and at the least and the most so often. */
#define LOOKS_PER_LIMIT 16u
#define LOOK_MIN_US     500u
#define LOOK_MAX_US     100000u

struct mark {
    CUevent event;
    void *stream;
    bool timed;           /* a piece of work, not a wait for something else, and no other with it */
    uint32_t pieces;      /* of work since the mark before */
    uint64_t recorded_ns; /* when it was submitted */
    uint64_t running_ns;  /* since when it is seen running; 0: it has not been */
};

/* In order of submission. The lane adds; lane and watcher take out what is finished, under the lock. */
struct backlog {
    pthread_mutex_t lock;
    struct lane *lane;
    CUcontext context; /* that the events are of; NULL: there are none */
    struct mark unfinished[MARKS_MAX];
    uint32_t count;
    uint32_t pieces;          /* of all unfinished marks */
    uint32_t window;          /* how many there may be */
    CUevent spare[MARKS_MAX]; /* events not in use */
    uint32_t spare_count;
    struct backlog *next;
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct backlog *all_backlogs;
static _Atomic uint32_t finished_marks;   /* of all lanes, since the start */
static _Atomic uint32_t unfinished_total; /* marks of all lanes */
static _Atomic uint32_t watcher_asleep;   /* futex word: 1 while it sleeps for want of marks */
static pthread_once_t watcher_once = PTHREAD_ONCE_INIT;

/* As a lane's staging events (staging.c), these have a name of their own, so that whoever ends their context
 * waits for who uses them, and they are not found afterwards. */
static uint64_t events_name(const struct backlog *backlog)
{
    return handle_value(HANDLE_STAGING, NAMES_FROM + backlog->lane->number, 0);
}

static bool events_live(const struct backlog *backlog)
{
    void *found;
    return backlog->context != NULL && handle_find(HANDLE_STAGING, events_name(backlog), &found);
}

static void set_count(struct backlog *backlog, uint32_t count)
{
    atomic_fetch_add(&unfinished_total, count - backlog->count);
    backlog->count = count;
}

/* Under the lock: the context has gone, and the events with it. */
static void forget_all(struct backlog *backlog)
{
    set_count(backlog, 0);
    backlog->pieces = 0;
    backlog->spare_count = 0;
    backlog->context = NULL;
}

/* Under the lock, by any thread: takes out what is finished. An error ends all work of a context. */
static void reap(struct backlog *backlog)
{
    uint32_t kept = 0;
    if (backlog->count == 0)
        return;
    if (!events_live(backlog)) {
        forget_all(backlog);
        return;
    }
    CUcontext none;
    if (driver.cuCtxPushCurrent_v2(backlog->context) != CUDA_SUCCESS)
        return;
    CUstreamCaptureMode mode = capture_step_aside();
    for (uint32_t i = 0; i < backlog->count; i++) {
        struct mark *mark = &backlog->unfinished[i];
        if (driver.cuEventQuery(mark->event) == CUDA_ERROR_NOT_READY) {
            backlog->unfinished[kept++] = *mark;
        } else {
            backlog->spare[backlog->spare_count++] = mark->event;
            backlog->pieces -= mark->pieces;
            atomic_fetch_add(&finished_marks, 1);
        }
    }
    capture_step_back(mode);
    set_count(backlog, kept);
    driver.cuCtxPopCurrent_v2(&none);
}

/* --- the execution time limit --- */

/* Under the lock. A mark whose stream has nothing unfinished before it is running, or waits, if it is a wait.
 * Of those that run the oldest counts: what it keeps from running has its turn later. */
static struct mark *oldest_running(struct backlog *backlog)
{
    for (uint32_t i = 0; i < backlog->count; i++) {
        struct mark *mark = &backlog->unfinished[i];
        bool first = true;
        for (uint32_t before = 0; before < i && first; before++)
            first = backlog->unfinished[before].stream != mark->stream;
        if (first && callback_may_run() && callback_holds(mark->stream))
            mark->running_ns = 0; /* it stands at a function of the program's */
        else if (first && mark->timed)
            return mark;
    }
    return NULL;
}

/* Another VM's work has the GPU, or may have: a lane's work that does not end is not to blame. */
static bool counts_against(struct backlog *backlog, uint64_t limit_ns)
{
    struct mark *mark = oldest_running(backlog);
    uint64_t now_ns = gate_gpu_clock_ns();
    if (mark == NULL)
        return false;
    if (mark->running_ns == 0)
        mark->running_ns = now_ns;
    /* The clock stands still while others run, and may be put back when that becomes known. */
    return now_ns > mark->running_ns && now_ns - mark->running_ns > limit_ns;
}

__attribute__((noreturn)) static void time_out(uint64_t limit_us)
{
    char text[200];
    vm_page_count(&vm_page->timeouts, 1);
    snprintf(
        text, sizeof text,
        "work on the GPU has run for longer than this VM's execution time limit of %llu ms; the program's "
        "contexts are gone, and a new process may start again",
        (unsigned long long)limit_us / 1000);
    connection_end_with(CUDA_ERROR_LAUNCH_TIMEOUT, text);
}

static void *watch(void *unused)
{
    handle_thread_begin();
    for (;;) {
        uint64_t limit_us = vm_page_read(&vm_page->time_limit_us);
        atomic_store(&watcher_asleep, 1);
        if (limit_us == 0 || atomic_load(&unfinished_total) == 0) {
            futex_wait(&watcher_asleep, 1, 0);
            continue;
        }
        atomic_store(&watcher_asleep, 0);
        gate_ask_gpu_clock();
        bool over = false;
        pthread_mutex_lock(&list_lock);
        for (struct backlog *backlog = all_backlogs; backlog != NULL && !over; backlog = backlog->next) {
            pthread_mutex_lock(&backlog->lock);
            reap(backlog);
            over = counts_against(backlog, limit_us * 1000);
            handle_found_end();
            pthread_mutex_unlock(&backlog->lock);
        }
        pthread_mutex_unlock(&list_lock);
        if (over)
            time_out(limit_us);
        uint64_t look_us = limit_us / LOOKS_PER_LIMIT;
        usleep(look_us < LOOK_MIN_US   ? LOOK_MIN_US
               : look_us > LOOK_MAX_US ? LOOK_MAX_US
                                       : (useconds_t)look_us);
    }
    return unused;
}

static void start_watcher(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch, NULL) != 0)
        log_warning("the execution time limit is not looked after: no thread could be started");
}

static void wake_watcher(void)
{
    uint32_t asleep = 1;
    if (atomic_compare_exchange_strong(&watcher_asleep, &asleep, 0))
        futex_wake_all(&watcher_asleep);
}

/* --- the lane's side --- */

static struct backlog *backlog_of(struct lane *lane)
{
    if (lane->backlog != NULL)
        return lane->backlog;
    struct backlog *backlog = calloc(1, sizeof *backlog);
    if (backlog == NULL)
        connection_end("the host has no memory to look after this program's work");
    pthread_mutex_init(&backlog->lock, NULL);
    backlog->lane = lane;
    backlog->window = WINDOW_FIRST;
    pthread_mutex_lock(&list_lock);
    backlog->next = all_backlogs;
    all_backlogs = backlog;
    pthread_mutex_unlock(&list_lock);
    return lane->backlog = backlog;
}

static bool is_too_much(struct backlog *backlog)
{
    uint64_t depth = vm_page_read(&vm_page->queue_depth);
    if (depth != 0 && atomic_load(&unfinished_total) >= depth)
        return true;
    pthread_mutex_lock(&backlog->lock);
    bool full = backlog->count >= MARKS_MAX || (backlog->count > 0 && backlog->pieces >= backlog->window);
    pthread_mutex_unlock(&backlog->lock);
    return full;
}

/* What the lane has on the GPU stands at a function of the program's, which may be waiting for what the lane
 * is to submit next. */
static bool is_held_up(struct backlog *backlog)
{
    if (!callback_may_run())
        return false;
    pthread_mutex_lock(&backlog->lock);
    bool held = backlog->count > 0 && callback_holds(backlog->unfinished[0].stream);
    pthread_mutex_unlock(&backlog->lock);
    return held;
}

/* Other lanes' finished work is counted until somebody looks. */
static void reap_all(void)
{
    pthread_mutex_lock(&list_lock);
    for (struct backlog *backlog = all_backlogs; backlog != NULL; backlog = backlog->next) {
        pthread_mutex_lock(&backlog->lock);
        reap(backlog);
        handle_found_end();
        pthread_mutex_unlock(&backlog->lock);
    }
    pthread_mutex_unlock(&list_lock);
}

/* When the oldest unfinished work was submitted; 0: there is none. */
static uint64_t oldest_ns(struct backlog *backlog)
{
    pthread_mutex_lock(&backlog->lock);
    uint64_t recorded_ns = backlog->count > 0 ? backlog->unfinished[0].recorded_ns : 0;
    pthread_mutex_unlock(&backlog->lock);
    return recorded_ns;
}

/* The oldest work was waited for, and took so long from its submission: as long as what is queued takes. */
static void adapt(struct backlog *backlog, uint64_t took_ns)
{
    uint64_t wanted_ns = gate_is_contended() ? QUEUED_NS : QUEUED_ALONE_NS, window = backlog->window;
    if (took_ns > wanted_ns)
        window = window * wanted_ns / took_ns;
    else if (took_ns < wanted_ns / 2)
        window *= 2;
    backlog->window = window < WINDOW_MIN ? WINDOW_MIN : window > WINDOW_MAX ? WINDOW_MAX : (uint32_t)window;
}

void backlog_before(struct lane *lane)
{
    struct backlog *backlog = backlog_of(lane);
    bool waited = false;
    uint64_t start_ns = clock_monotonic_ns(), now_ns = start_ns;
    while (is_too_much(backlog) && !is_held_up(backlog) && !gate_is_revoked() &&
           now_ns - start_ns < (gate_is_contended() ? PATIENCE_NS : PATIENCE_ALONE_NS)) {
        uint64_t oldest = oldest_ns(backlog);
        uint32_t finished = atomic_load(&finished_marks);
        reap_all();
        if (waited && oldest != 0 && oldest_ns(backlog) != oldest)
            adapt(backlog, now_ns - oldest);
        /* While nobody waits, one for one is enough: a long piece in one stream shall not slow down another.
         */
        if (!is_too_much(backlog) || (!gate_is_contended() && atomic_load(&finished_marks) != finished))
            return;
        waited = true;
        usleep(backlog->window <= WINDOW_SLOW || gate_is_contended() ? POLL_US : POLL_ALONE_US);
        now_ns = clock_monotonic_ns();
    }
}

/* Under the lock. */
static void drop_events(struct backlog *backlog)
{
    void *found;
    if (backlog->context != NULL && handle_withdraw(HANDLE_STAGING, events_name(backlog), &found)) {
        for (uint32_t i = 0; i < backlog->count; i++)
            driver.cuEventDestroy_v2(backlog->unfinished[i].event);
        for (uint32_t i = 0; i < backlog->spare_count; i++)
            driver.cuEventDestroy_v2(backlog->spare[i]);
        handle_withdrawn_end(events_name(backlog), HANDLE_GONE);
    }
    forget_all(backlog);
}

/* Under the lock: the events are of the current context. */
static bool follow_context(struct backlog *backlog)
{
    CUcontext context;
    if (driver.cuCtxGetCurrent(&context) != CUDA_SUCCESS || context == NULL)
        return false;
    if (context == backlog->context && events_live(backlog))
        return true;
    drop_events(backlog);
    struct handle_owners owners = {.context = handle_known(HANDLE_CONTEXT, context)};
    if (handle_name(HANDLE_STAGING, events_name(backlog), backlog, owners) == 0)
        return false;
    backlog->context = context;
    return true;
}

/* The stream stands still until something else has happened, which takes no time of the GPU. */
static bool only_waits(uint32_t call)
{
    return call == CALL_cuStreamWaitEvent || call == CALL_cuStreamWaitValue32_v2 ||
           call == CALL_cuStreamWaitValue64_v2 || call == CALL_stream_batch || call == CALL_host_function;
}

static void add_mark(struct backlog *backlog, void *stream, bool timed, uint32_t pieces)
{
    CUevent event;
    if (backlog->count >= MARKS_MAX || !follow_context(backlog))
        return;
    if (backlog->spare_count > 0)
        event = backlog->spare[--backlog->spare_count];
    else if (driver.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS)
        return;
    if (driver.cuEventRecord(event, stream) != CUDA_SUCCESS) {
        backlog->spare[backlog->spare_count++] = event;
        return;
    }
    backlog->unfinished[backlog->count] = (struct mark){.event = event,
                                                        .stream = stream,
                                                        .timed = timed,
                                                        .pieces = pieces,
                                                        .recorded_ns = clock_monotonic_ns()};
    backlog->pieces += pieces;
    set_count(backlog, backlog->count + 1);
}

void backlog_after(struct lane *lane, CUresult result, uint32_t call, uint32_t pieces)
{
    void *stream;
    struct backlog *backlog = backlog_of(lane);
    if (result != CUDA_SUCCESS || !handle_found_stream(&stream) || capture_has(stream))
        return;
    pthread_mutex_lock(&backlog->lock);
    bool limited = vm_page_read(&vm_page->time_limit_us) != 0;
    if (backlog->count >= (limited ? MARKS_MAX / 2 : MARKS_KEPT))
        reap(backlog);
    add_mark(backlog, stream, limited && !only_waits(call), only_waits(call) ? pieces - 1 : pieces);
    pthread_mutex_unlock(&backlog->lock);
    if (limited) {
        pthread_once(&watcher_once, start_watcher);
        wake_watcher();
    }
}

void backlog_end(struct lane *lane)
{
    struct backlog *backlog = lane->backlog;
    if (backlog == NULL)
        return;
    pthread_mutex_lock(&list_lock);
    for (struct backlog **link = &all_backlogs; *link != NULL; link = &(*link)->next) {
        if (*link == backlog) {
            *link = backlog->next;
            break;
        }
    }
    pthread_mutex_unlock(&list_lock);
    drop_events(backlog);
    pthread_mutex_destroy(&backlog->lock);
    free(backlog);
    lane->backlog = NULL;
}
