#include "simgpu/device_text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *bytes;
    size_t used, room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct text output, error;
static atomic_bool is_empty = true; /* of both; written under the lock */

void device_text_keep(const char *text, size_t bytes, bool is_error)
{
    struct text *kept = is_error ? &error : &output;
    pthread_mutex_lock(&lock);
    if (kept->used + bytes > kept->room) {
        char *larger = realloc(kept->bytes, (kept->used + bytes) * 2);
        if (!larger)
            bytes = 0; /* lost, as what comes beyond a GPU's buffer */
        else
            kept->bytes = larger, kept->room = (kept->used + bytes) * 2;
    }
    if (bytes > 0)
        memcpy(kept->bytes + kept->used, text, bytes);
    kept->used += bytes;
    atomic_store(&is_empty, false);
    pthread_mutex_unlock(&lock);
}

static void write_out(struct text *kept, FILE *stream)
{
    if (kept->used > 0)
        fwrite(kept->bytes, 1, kept->used, stream);
    fflush(stream);
    kept->used = 0;
}

void device_text_write(void)
{
    if (atomic_load(&is_empty))
        return;
    pthread_mutex_lock(&lock);
    write_out(&output, stdout);
    write_out(&error, stderr);
    atomic_store(&is_empty, true);
    pthread_mutex_unlock(&lock);
}
