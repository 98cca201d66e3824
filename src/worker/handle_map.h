/* What the guest's handles stand for. The guest chooses the names; the worker keeps, for each, the driver's
 * object. A name the worker does not know is an error, so nothing a guest says reaches the driver as a
 * pointer. Any thread.
 *
 * An object is not taken away from under a call of another lane: before the driver destroys it, its name and
 * the names of all that goes with it are withdrawn, so that nobody finds them any more, and the calls that
 * had found them are waited for. */
#ifndef VGPU_WORKER_HANDLE_MAP_H
#define VGPU_WORKER_HANDLE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/handle.h"

/* Names in use at a time, of all kinds. */
#define HANDLES_MAX (1u << 20)

/* A thread that serves calls: what it finds stays until handle_found_end(), which ends each call. */
void handle_thread_begin(void);
void handle_thread_end(void);
void handle_found_end(void);

/* The object of a name. NULL and CUDA's fixed stream handles stand for themselves; a kernel may stand where a
 * function is wanted, as in the driver API. False when there is no such object of this kind. */
bool handle_find(enum handle_kind kind, uint64_t handle, void **object);

/* The stream that this thread's call found last: the driver's object, or CUDA's fixed handle. False when the
 * call has found none since handle_found_end(). */
bool handle_found_stream(void **object);

/* Likewise for names that are only withdrawn under a lock which the caller holds (worker/graph.h): any number
 * of them in one call. */
bool handle_look(enum handle_kind kind, uint64_t handle, void **object);

/* The parent that a name was given with; 0: none, or no such name. */
uint64_t handle_parent(uint64_t handle);

/* The thread has looked up its own default stream, which no other thread can name. */
extern __thread bool handle_own_stream_used;

/* What the driver returns for a bad handle of this kind. */
CUresult handle_error(enum handle_kind kind);

/* Whether a new object could have this name: CUDA_ERROR_INVALID_VALUE for one that is in use or none of this
 * kind, CUDA_ERROR_OUT_OF_MEMORY when there are HANDLES_MAX. */
CUresult handle_check_name(enum handle_kind kind, uint64_t wanted);

/* What takes an object with it when it goes; 0: nothing. */
struct handle_owners {
    uint64_t parent;  /* the module, library, kernel or function that it was got from */
    uint64_t context; /* that it was made in */
};

/* Names an object. An object that has a name already keeps it. Returns the object's name, or 0 when `wanted`
 * cannot be used. */
uint64_t handle_name(enum handle_kind kind, uint64_t wanted, void *object, struct handle_owners owners);

/* The name an object has already, or 0. */
uint64_t handle_known(enum handle_kind kind, const void *object);

/* Withdraws a name and those that go with it, and waits until no other lane's call uses any of them. True
 * with the object as from handle_find(); then the caller says what became of it, with the same handle. */
bool handle_withdraw(enum handle_kind kind, uint64_t handle, void **object);

enum handle_fate {
    HANDLE_STAYS,   /* with all that it owns */
    HANDLE_EMPTIED, /* it stays, what it owns is gone: a primary context */
    HANDLE_GONE,
};
void handle_withdrawn_end(uint64_t handle, enum handle_fate fate);

/* Calls visit for every object of a kind, with the map locked: visit makes no call of this map. */
void handle_each(enum handle_kind kind, void (*visit)(void *object, void *user), void *user);

#endif
