#include "worker/callback.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "driver_api.h"
#include "wire/graph_calls.h"
#include "worker/gate.h"
#include "worker/handle_map.h"
#include "worker/lane.h"
#include "worker/serve.h"

/* Of all kinds, at a time: a guest could queue them without end. */
#define FUNCTIONS_MAX (1u << 20)

struct host_function {
    uint64_t function, data;
    uint64_t stream_name; /* of a stream's callback: as the program named it */
    CUstream stream;
    bool is_node; /* called again and again */
};

/* One call of a program's function that is due or under way. */
struct due {
    struct reply_callback_next what;
    CUstream stream; /* stands still meanwhile; NULL: not known */
    bool is_node, waits, done;
    struct due *next; /* in the queue, and then among those under way */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t is_due = PTHREAD_COND_INITIALIZER;
static pthread_cond_t is_done = PTHREAD_COND_INITIALIZER;
static struct due *first, **last = &first; /* to be called */
static struct due *under_way; /* the guest has been told, or it has returned and waits for the grant */
static uint64_t numbered, continued;
static _Atomic uint32_t functions;
static _Atomic bool ever;

/* --- the functions --- */

struct host_function *host_function_make(uint64_t function, uint64_t data, CUstream stream,
                                         uint64_t stream_name)
{
    if (atomic_fetch_add(&functions, 1) >= FUNCTIONS_MAX) {
        atomic_fetch_sub(&functions, 1);
        return NULL;
    }
    struct host_function *made = calloc(1, sizeof *made);
    if (made == NULL) {
        atomic_fetch_sub(&functions, 1);
        return NULL;
    }
    atomic_store(&ever, true);
    *made = (struct host_function){
        .function = function, .data = data, .stream = stream, .stream_name = stream_name};
    return made;
}

void host_function_free(struct host_function *function)
{
    if (function == NULL)
        return;
    atomic_fetch_sub(&functions, 1);
    free(function);
}

void host_function_keep(struct host_function *function)
{
    function->is_node = true;
}

bool host_function_tell(const void *object, uint64_t *guest_function, uint64_t *guest_data)
{
    const struct host_function *function = object;
    if (function == NULL)
        return false;
    *guest_function = function->function;
    *guest_data = function->data;
    return true;
}

/* --- calling --- */

/* Under the lock. */
static void put(struct due *due)
{
    due->what.number = ++numbered;
    due->next = NULL;
    *last = due;
    last = &due->next;
    pthread_cond_signal(&is_due);
}

/* Under the lock. */
static void forget(struct due *due)
{
    for (struct due **link = &under_way; *link != NULL; link = &(*link)->next) {
        if (*link == due) {
            *link = due->next;
            return;
        }
    }
}

/* Has the guest call it, and returns when the stream may go on: the function has returned, and this worker
 * has not given the GPU back meanwhile. */
static void call_guest(const struct reply_callback_next *what, CUstream stream)
{
    struct due due = {.what = *what, .stream = stream, .waits = true};
    pthread_mutex_lock(&lock);
    put(&due);
    while (!due.done)
        pthread_cond_wait(&is_done, &lock);
    while (!gate_is_held()) {
        pthread_mutex_unlock(&lock);
        gate_await();
        pthread_mutex_lock(&lock);
    }
    forget(&due);
    continued++;
    pthread_mutex_unlock(&lock);
}

void host_function_run(void *object)
{
    struct host_function *function = object;
    struct reply_callback_next what = {
        .function = function->function, .data = function->data, .kind = CALLBACK_HOST_FUNCTION};
    bool is_node = function->is_node;
    call_guest(&what, is_node ? NULL : function->stream);
    if (!is_node)
        host_function_free(function);
}

void host_function_run_callback(CUstream stream, CUresult status, void *object)
{
    struct host_function *function = object;
    struct reply_callback_next what = {.function = function->function,
                                       .data = function->data,
                                       .stream = function->stream_name,
                                       .kind = CALLBACK_STREAM,
                                       .status = status};
    call_guest(&what, stream);
    host_function_free(function);
}

void host_function_destroy(void *object)
{
    struct host_function *function = object;
    struct due *due = calloc(1, sizeof *due);
    if (due != NULL) {
        due->what = (struct reply_callback_next){
            .function = function->function, .data = function->data, .kind = CALLBACK_DESTRUCTOR};
        pthread_mutex_lock(&lock);
        put(due);
        pthread_mutex_unlock(&lock);
    }
    host_function_free(function);
}

/* --- the guest's thread --- */

/* Under the lock: what the guest says has returned. */
static void finish(uint64_t number)
{
    for (struct due *due = under_way; due != NULL && number != 0; due = due->next) {
        if (due->what.number == number) {
            due->done = true;
            pthread_cond_broadcast(&is_done);
            return;
        }
    }
}

/* Under the lock: the next one, told to the guest. */
static void take(struct reply_callback_next *reply)
{
    struct due *due = first;
    first = due->next;
    if (first == NULL)
        last = &first;
    *reply = due->what;
    if (!due->waits) {
        free(due);
        return;
    }
    due->next = under_way;
    under_way = due;
}

CUresult serve_callback_next(struct call *call)
{
    const struct request_callback_next *request = call->request;
    struct reply_callback_next reply = {0};
    pthread_mutex_lock(&lock);
    finish(request->done);
    while (first == NULL && !atomic_load(&call->lane->closing))
        pthread_cond_wait(&is_due, &lock);
    if (first != NULL)
        take(&reply);
    pthread_mutex_unlock(&lock);
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

void callback_wake(void)
{
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&is_due);
    pthread_mutex_unlock(&lock);
}

/* --- for the grant --- */

bool callback_holds(CUstream stream)
{
    bool holds = false;
    pthread_mutex_lock(&lock);
    for (const struct due *due = under_way; due != NULL && !holds; due = due->next)
        holds = due->stream == stream;
    for (const struct due *due = first; due != NULL && !holds; due = due->next)
        holds = due->waits && due->stream == stream;
    pthread_mutex_unlock(&lock);
    return holds;
}

bool callback_may_run(void)
{
    return atomic_load(&ever);
}

uint64_t callback_continued(void)
{
    pthread_mutex_lock(&lock);
    uint64_t count = continued;
    pthread_mutex_unlock(&lock);
    return count;
}

uint64_t callback_continued_locked(void)
{
    return continued;
}

void callback_lock(void)
{
    pthread_mutex_lock(&lock);
}

void callback_unlock(void)
{
    pthread_mutex_unlock(&lock);
}
