/* A call as the worker serves it. */
#ifndef VGPU_WORKER_CALL_H
#define VGPU_WORKER_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calls_generated.h"
#include "cuda/cuda_types.h"
#include "wire/handle.h"

struct lane;

/* The request has been copied out of shared memory: the guest cannot change it any more. */
struct call {
    struct lane *lane;
    const void *request; /* at least call_entry.request_bytes; 8-aligned */
    const uint8_t *tail; /* the variable part */
    uint32_t tail_bytes;
    void *reply; /* room for call->reply_room bytes. The guest may see, and spoil, what is
                  * written there: never read it back */
    uint32_t reply_room;
    uint32_t reply_bytes; /* used; sent with failures too */
};

enum call_flags {
    CALL_WORK = 1, /* puts work on the GPU: needs the grant */
    CALL_WAIT = 2, /* waits for the GPU */
    CALL_ENDS_CONTEXT = 4,
    CALL_FREES = 8, /* memory may be gone afterwards */
};

struct call_entry {
    const char *name;
    CUresult (*serve)(struct call *call);
    uint32_t request_bytes;
    uint32_t flags; /* enum call_flags */
};

/* Indexed by enum call_number; generated. */
extern const struct call_entry call_table[CALL_COUNT];

/* The variable part as a string, or NULL when no NUL ends it. */
const char *call_string(const struct call *call);

/* Names an object that the driver has made for the guest; parent: the module, library, kernel or function
 * that it was got from, or 0. An object without a name could never be found again, nor what it does be waited
 * for: a guest that chooses a name which is none (handle_check_name() was there to say so) loses its worker.
 */
uint64_t call_name(enum handle_kind kind, uint64_t wanted, void *object, uint64_t parent);

/* Appends to the reply. False when it does not fit. */
bool call_reply_append(struct call *call, const void *data, size_t bytes);

/* Appends a string and its NUL, cut to what fits. */
void call_reply_text(struct call *call, const char *text);

#endif
