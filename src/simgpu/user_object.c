/* User objects: something of the program's that graphs keep alive. */
#include <pthread.h>
#include <stdlib.h>

#include "cuda_api.h"
#include "simgpu/graph.h"
#include "simgpu/handle.h"

struct CUuserObject_st {
    uint64_t references; /* under the lock */
    void *data;
    CUhostFn destroy;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void hold(struct CUuserObject_st *object, unsigned int count)
{
    pthread_mutex_lock(&lock);
    object->references += count;
    pthread_mutex_unlock(&lock);
}

static void drop(struct CUuserObject_st *object, unsigned int count)
{
    pthread_mutex_lock(&lock);
    object->references -= count < object->references ? count : object->references;
    bool is_last = object->references == 0;
    pthread_mutex_unlock(&lock);
    if (!is_last)
        return;
    handle_remove(object);
    context_set_in_callback(true);
    object->destroy(object->data);
    context_set_in_callback(false);
    free(object);
}

CUresult cuUserObjectCreate(CUuserObject *object_out, void *ptr, CUhostFn destroy,
                            unsigned int initialRefcount, unsigned int flags)
{
    CUresult result = driver_check();
    if (!result &&
        (!object_out || !destroy || !initialRefcount || flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct CUuserObject_st *object = calloc(1, sizeof *object);
    if (!object || !handle_add(object, HANDLE_USER_OBJECT)) {
        free(object);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *object = (struct CUuserObject_st){initialRefcount, ptr, destroy};
    *object_out = object;
    return CUDA_SUCCESS;
}

static CUresult check(CUuserObject object, unsigned int count)
{
    CUresult result = driver_check();
    return !result && (!handle_is(object, HANDLE_USER_OBJECT) || !count) ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuUserObjectRetain(CUuserObject object, unsigned int count)
{
    CUresult result = check(object, count);
    if (!result)
        hold(object, count);
    return result;
}

CUresult cuUserObjectRelease(CUuserObject object, unsigned int count)
{
    CUresult result = check(object, count);
    if (!result)
        drop(object, count);
    return result;
}

/* --- held by graphs --- */

static struct graph_user_object *find(struct CUgraph_st *graph, const struct CUuserObject_st *object)
{
    for (size_t i = 0; i < graph->object_count; i++)
        if (graph->objects[i].object == object)
            return &graph->objects[i];
    return NULL;
}

static bool add(struct CUgraph_st *graph, struct CUuserObject_st *object, unsigned int count)
{
    struct graph_user_object *held = find(graph, object);
    if (held) {
        held->count += count;
        return true;
    }
    struct graph_user_object *objects =
        realloc(graph->objects, (graph->object_count + 1) * sizeof *graph->objects);
    if (!objects)
        return false;
    graph->objects = objects;
    graph->objects[graph->object_count++] = (struct graph_user_object){object, count};
    return true;
}

CUresult cuGraphRetainUserObject(CUgraph graph, CUuserObject object, unsigned int count, unsigned int flags)
{
    CUresult result = check(object, count);
    if (!result && (!handle_is(graph, HANDLE_GRAPH) || (flags & ~(unsigned int)CU_GRAPH_USER_OBJECT_MOVE)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result && !add(graph, object, count))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (!result && !(flags & CU_GRAPH_USER_OBJECT_MOVE))
        hold(object, count);
    return result;
}

CUresult cuGraphReleaseUserObject(CUgraph graph, CUuserObject object, unsigned int count)
{
    CUresult result = check(object, count);
    if (!result && !handle_is(graph, HANDLE_GRAPH))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct graph_user_object *held = find(graph, object);
    if (!held || held->count < count)
        return CUDA_ERROR_INVALID_VALUE;
    held->count -= count;
    if (held->count == 0)
        *held = graph->objects[--graph->object_count];
    drop(object, count);
    return CUDA_SUCCESS;
}

void graph_hold_objects(struct CUgraph_st *copy, const struct CUgraph_st *graph)
{
    for (size_t i = 0; i < graph->object_count; i++)
        if (add(copy, graph->objects[i].object, 1))
            hold(graph->objects[i].object, 1);
}

void graph_drop_objects(struct CUgraph_st *graph)
{
    for (size_t i = 0; i < graph->object_count; i++)
        drop(graph->objects[i].object, graph->objects[i].count);
    free(graph->objects);
}
