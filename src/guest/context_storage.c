#include "guest/context_storage.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "cuda_api.h"
#include "guest/lock.h"

struct item {
    CUcontext context;
    void *key;
    void *value;
    context_storage_destructor destructor;
    struct item *next;
};

static struct lock lock;
static struct item *items;

/* Counted up with every change, under the lock: what threads remember holds while it stays. */
static _Atomic uint64_t changes = 1;

/* What this thread has found, by key: several libraries of a process may each have a runtime within them. */
#define FOUND_KEYS 8u
static __thread struct {
    CUcontext context;
    void *key;
    void *value;
    uint64_t changes; /* 0: nothing */
} found[FOUND_KEYS] __attribute__((tls_model("initial-exec")));

static unsigned found_place(const void *key)
{
    uintptr_t bits = (uintptr_t)key;
    return (unsigned)((bits >> 4 ^ bits >> 12) % FOUND_KEYS);
}

/* Under the lock: where the key's item hangs, or where the list ends. */
static struct item **place_of(CUcontext context, const void *key)
{
    struct item **place = &items;
    while (*place != NULL && ((*place)->context != context || (*place)->key != key))
        place = &(*place)->next;
    return place;
}

/* The context meant by an argument. */
static CUresult resolve(CUcontext *context)
{
    if (*context != NULL)
        return CUDA_SUCCESS;
    CUresult result = cuCtxGetCurrent(context);
    return result == CUDA_SUCCESS && *context == NULL ? CUDA_ERROR_INVALID_CONTEXT : result;
}

CUresult context_storage_put(CUcontext context, void *key, void *value, context_storage_destructor destructor)
{
    CUresult result = resolve(&context);
    if (result != CUDA_SUCCESS)
        return result;
    lock_take(&lock);
    struct item **place = place_of(context, key);
    if (*place == NULL)
        *place = calloc(1, sizeof **place);
    if (*place != NULL) {
        (*place)->context = context;
        (*place)->key = key;
        (*place)->value = value;
        (*place)->destructor = destructor;
        atomic_fetch_add(&changes, 1);
    } else {
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    lock_give(&lock);
    return result;
}

CUresult context_storage_delete(CUcontext context, void *key)
{
    CUresult result = resolve(&context);
    if (result != CUDA_SUCCESS)
        return result;
    lock_take(&lock);
    struct item **place = place_of(context, key);
    struct item *item = *place;
    if (item != NULL) {
        *place = item->next;
        atomic_fetch_add(&changes, 1);
    }
    lock_give(&lock);
    free(item);
    return item != NULL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult context_storage_get(void **value, CUcontext context, void *key)
{
    if (value == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = resolve(&context);
    if (result != CUDA_SUCCESS)
        return result;
    unsigned at = found_place(key);
    if (found[at].key == key && found[at].context == context &&
        found[at].changes == atomic_load_explicit(&changes, memory_order_acquire)) {
        *value = found[at].value;
        return CUDA_SUCCESS;
    }
    lock_take(&lock);
    const struct item *item = *place_of(context, key);
    if (item != NULL) {
        *value = item->value;
        found[at].context = context;
        found[at].key = key;
        found[at].value = item->value;
        found[at].changes = atomic_load(&changes);
    }
    lock_give(&lock);
    return item != NULL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* Under the lock: takes one item of the context out of the list. */
static struct item *take_one(CUcontext context)
{
    struct item **place = &items;
    while (*place != NULL && (*place)->context != context)
        place = &(*place)->next;
    struct item *item = *place;
    if (item != NULL) {
        *place = item->next;
        atomic_fetch_add(&changes, 1);
    }
    return item;
}

void context_storage_end(CUcontext context)
{
    for (;;) {
        lock_take(&lock);
        struct item *item = take_one(context);
        lock_give(&lock);
        if (item == NULL)
            return;
        if (item->destructor != NULL)
            item->destructor(item->context, item->key, item->value);
        free(item);
    }
}
