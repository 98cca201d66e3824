#include "guest/thread.h"

#include <stdlib.h>

#include "guest/lane.h"

/* From libc itself (glibc 2.18), where pthread_key_create would need libpthread on older systems. */
extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso_handle);
extern void *__dso_handle;

static __thread struct guest_thread *current __attribute__((tls_model("initial-exec")));

static void thread_end(void *object)
{
    struct guest_thread *thread = object;
    if (current != thread)
        return; /* forgotten after a fork, and freed */
    current = NULL;
    lane_close(thread);
    free(thread->kept);
    free(thread->capture_nodes);
    free(thread);
}

struct guest_thread *thread_self(void)
{
    if (current != NULL)
        return current;
    struct guest_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    __cxa_thread_atexit_impl(thread_end, thread, &__dso_handle);
    current = thread;
    return thread;
}

void thread_forget(void)
{
    struct guest_thread *thread = current;
    current = NULL;
    if (thread == NULL)
        return;
    free(thread->stream_record);
    free(thread->stream_reply);
    free(thread->kept);
    free(thread->capture_nodes);
    free(thread); /* its lane is not mapped here (MADV_DONTFORK); other threads' blocks are the parent's */
}
