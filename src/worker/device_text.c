#include "worker/device_text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "wire/own_calls.h"
#include "wire/record.h"
#include "worker/serve.h"

/* A guest that never waits again does not fetch: what comes beyond this is lost, as what comes beyond the
 * driver's own buffer. */
#define TEXT_MAX_BYTES (16u << 20)

struct text {
    char *bytes;
    size_t used, room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct text output, error;

/* Something is in output or error. Written under the lock; readers need no order: whoever waited for the work
 * that printed has been answered by the thread that caught the text. */
static _Atomic bool waits;

/* Under the lock. */
static void append(struct text *text, const char *bytes, size_t count)
{
    if (count > TEXT_MAX_BYTES - text->used)
        count = TEXT_MAX_BYTES - text->used;
    if (text->used + count > text->room) {
        size_t room = (text->used + count) * 2;
        char *larger = realloc(text->bytes, room);
        if (larger == NULL)
            return;
        text->bytes = larger;
        text->room = room;
    }
    memcpy(text->bytes + text->used, bytes, count);
    text->used += count;
    atomic_store_explicit(&waits, text->used > 0, memory_order_relaxed);
}

/* As a FILE writes: all is taken, whatever becomes of it. */
static ssize_t take_text(void *text, const char *bytes, size_t count)
{
    pthread_mutex_lock(&lock);
    append(text, bytes, count);
    pthread_mutex_unlock(&lock);
    return (ssize_t)count;
}

static FILE *open_catcher(struct text *text)
{
    FILE *file = fopencookie(text, "w", (cookie_io_functions_t){.write = take_text});
    if (file != NULL)
        setvbuf(file, NULL, _IONBF, 0);
    return file;
}

bool device_text_open(void)
{
    FILE *caught_output = open_catcher(&output), *caught_error = open_catcher(&error);
    if (caught_output == NULL || caught_error == NULL)
        return false;
    stdout = caught_output;
    stderr = caught_error;
    return true;
}

bool device_text_waits(void)
{
    return atomic_load_explicit(&waits, memory_order_relaxed);
}

/* Under the lock: the first `count` bytes go into the reply. */
static void give(struct call *call, struct text *text, size_t count)
{
    call_reply_append(call, text->bytes, count);
    memmove(text->bytes, text->bytes + count, text->used - count);
    text->used -= count;
}

CUresult serve_device_text(struct call *call)
{
    struct reply_device_text reply;
    uint32_t room = call->reply_room - (uint32_t)sizeof reply;
    pthread_mutex_lock(&lock);
    reply.output_bytes = output.used < room ? (uint32_t)output.used : room;
    room -= reply.output_bytes;
    reply.error_bytes = error.used < room ? (uint32_t)error.used : room;
    call_reply_append(call, &reply, sizeof reply);
    if (reply.output_bytes > 0)
        give(call, &output, reply.output_bytes);
    if (reply.error_bytes > 0)
        give(call, &error, reply.error_bytes);
    atomic_store_explicit(&waits, output.used + error.used > 0, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}
