#include "worker/texture_objects.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "driver_api.h"

/* Contexts number their objects each for itself. What was made in a context that has ended stays here until a
 * new context at its address gets the same number, or until there are too many. */
struct known {
    CUcontext context;
    unsigned long long object;
    enum texture_object_kind kind;
    struct known *next;
};

#define BUCKETS 1024u

static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;
static struct known *buckets[BUCKETS];
static unsigned known_count;

static struct known **bucket_of(CUcontext context, unsigned long long object)
{
    uint64_t mixed = (object ^ (uintptr_t)context) * 0x9e3779b97f4a7c15ull;
    return &buckets[(mixed >> 32) % BUCKETS];
}

/* Under the lock: the link to an object, whose target is NULL when it is not known. */
static struct known **find(CUcontext context, enum texture_object_kind kind, unsigned long long object)
{
    struct known **link = bucket_of(context, object);
    while (*link != NULL &&
           ((*link)->context != context || (*link)->object != object || (*link)->kind != kind))
        link = &(*link)->next;
    return link;
}

static CUcontext current_context(void)
{
    CUcontext context = NULL;
    return driver.cuCtxGetCurrent(&context) == CUDA_SUCCESS ? context : NULL;
}

bool texture_objects_add(enum texture_object_kind kind, unsigned long long object)
{
    CUcontext context = current_context();
    pthread_mutex_lock(&known_lock);
    struct known **link = find(context, kind, object);
    bool is_known = *link != NULL;
    struct known *made = is_known || known_count >= TEXTURE_OBJECTS_MAX ? NULL : calloc(1, sizeof *made);
    if (made != NULL) {
        made->context = context;
        made->kind = kind;
        made->object = object;
        *link = made;
        known_count++;
    }
    pthread_mutex_unlock(&known_lock);
    return is_known || made != NULL;
}

void texture_objects_remove(enum texture_object_kind kind, unsigned long long object)
{
    CUcontext context = current_context();
    pthread_mutex_lock(&known_lock);
    struct known **link = find(context, kind, object), *gone = *link;
    if (gone != NULL) {
        *link = gone->next;
        known_count--;
        free(gone);
    }
    pthread_mutex_unlock(&known_lock);
}

static CUresult check(enum texture_object_kind kind, unsigned long long object)
{
    CUcontext context = current_context();
    pthread_mutex_lock(&known_lock);
    bool is_known = *find(context, kind, object) != NULL;
    pthread_mutex_unlock(&known_lock);
    return is_known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult texture_object_check(unsigned long long object)
{
    return check(TEXTURE_OBJECT, object);
}

CUresult surface_object_check(unsigned long long object)
{
    return check(SURFACE_OBJECT, object);
}
