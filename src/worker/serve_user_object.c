/* User objects: a destructor of the program's that runs when graphs and program have let go.
 *
 * The driver frees an object with its last reference, whoever had it. The worker counts the program's own
 * references, keeps one of its own as long as there are any, and takes the name away with the last: so no
 * name stands for an object that is gone. */
#include "worker/serve.h"

#include <pthread.h>
#include <stdlib.h>

#include "driver_api.h"
#include "wire/graph_calls.h"
#include "worker/callback.h"
#include "worker/graph.h"
#include "worker/handle_map.h"

struct counted {
    uint64_t name;
    uint64_t references; /* the program's own */
    struct counted *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct counted *objects;

/* Under the lock. */
static struct counted **find(uint64_t name)
{
    struct counted **link = &objects;
    while (*link != NULL && (*link)->name != name)
        link = &(*link)->next;
    return link;
}

/* Under the lock: the program has let go `count` references, which the driver has taken. */
static void drop(struct counted **link, CUuserObject object, uint32_t count)
{
    struct counted *counted = *link;
    counted->references -= count;
    if (counted->references > 0)
        return;
    void *found;
    *link = counted->next;
    if (handle_withdraw(HANDLE_USER_OBJECT, counted->name, &found))
        handle_withdrawn_end(counted->name, HANDLE_GONE);
    free(counted);
    driver.cuUserObjectRelease(object, 1);
}

CUresult serve_user_object_create(struct call *call)
{
    const struct request_user_object_create *request = call->request;
    if (driver.cuUserObjectCreate == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = handle_check_name(HANDLE_USER_OBJECT, request->object);
    if (result != CUDA_SUCCESS)
        return result;
    if (request->references == 0 || request->references >= INT32_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    struct host_function *function = host_function_make(request->destroy, request->data, NULL, 0);
    struct counted *counted = calloc(1, sizeof *counted);
    CUuserObject object = NULL;
    result = function != NULL && counted != NULL ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS)
        result = driver.cuUserObjectCreate(&object, function, host_function_destroy, request->references + 1,
                                           request->flags);
    if (result != CUDA_SUCCESS) {
        host_function_free(function);
        free(counted);
        return result;
    }
    struct reply_user_object_create reply = {.object =
                                                 call_name(HANDLE_USER_OBJECT, request->object, object, 0)};
    *counted = (struct counted){.name = reply.object, .references = request->references};
    pthread_mutex_lock(&lock);
    counted->next = objects;
    objects = counted;
    pthread_mutex_unlock(&lock);
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

CUresult serve_cuUserObjectRetain(struct call *call)
{
    const struct request_cuUserObjectRetain *request = call->request;
    void *object;
    pthread_mutex_lock(&lock);
    struct counted *counted = *find(request->object);
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    if (counted != NULL && counted->references + request->count < INT32_MAX &&
        handle_look(HANDLE_USER_OBJECT, request->object, &object))
        result = driver.cuUserObjectRetain(object, request->count);
    if (result == CUDA_SUCCESS)
        counted->references += request->count;
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult serve_cuUserObjectRelease(struct call *call)
{
    const struct request_cuUserObjectRelease *request = call->request;
    void *object;
    pthread_mutex_lock(&lock);
    struct counted **link = find(request->object);
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    if (*link != NULL && request->count <= (*link)->references &&
        handle_look(HANDLE_USER_OBJECT, request->object, &object))
        result = driver.cuUserObjectRelease(object, request->count);
    if (result == CUDA_SUCCESS)
        drop(link, object, request->count);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult serve_cuGraphRetainUserObject(struct call *call)
{
    const struct request_cuGraphRetainUserObject *request = call->request;
    void *graph, *object;
    bool moves = (request->flags & CU_GRAPH_USER_OBJECT_MOVE) != 0;
    pthread_mutex_lock(&lock);
    graph_lock();
    struct counted **link = find(request->object);
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    if (*link != NULL && (!moves || request->count <= (*link)->references) && request->graph != 0 &&
        handle_look(HANDLE_GRAPH, request->graph, &graph) &&
        handle_look(HANDLE_USER_OBJECT, request->object, &object))
        result = driver.cuGraphRetainUserObject(graph, object, request->count, request->flags);
    graph_unlock();
    if (result == CUDA_SUCCESS && moves)
        drop(link, object, request->count);
    pthread_mutex_unlock(&lock);
    return result;
}
