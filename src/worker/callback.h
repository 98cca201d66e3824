/* Functions of the program that streams and graphs call: the driver calls ours, which has the guest call the
 * program's, in a thread of its own that asks for the next one (CALL_callback_next), and waits until that has
 * returned. Any thread. */
#ifndef VGPU_WORKER_CALLBACK_H
#define VGPU_WORKER_CALLBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

/* What the driver is given as the function's data. */
struct host_function;

/* stream: that it is launched in, and its name for the guest; NULL and 0 for a node of a graph. NULL: no
 * memory, or too many. */
struct host_function *host_function_make(uint64_t function, uint64_t data, CUstream stream,
                                         uint64_t stream_name);
void host_function_free(struct host_function *function); /* NULL is allowed */

/* It is a graph's now, and stays until the process ends: executable graphs keep what graphs have lost. */
void host_function_keep(struct host_function *function);

/* What the driver calls, for cuLaunchHostFunc and host nodes, and for cuStreamAddCallback. A function
 * launched in a stream is freed once it has been called. */
void host_function_run(void *function);
void host_function_run_callback(CUstream stream, CUresult status, void *function);

/* What the driver calls when a user object has lost its last reference. Nobody waits for the program's
 * destructor. Frees the function. */
void host_function_destroy(void *function);

/* Which of the program's it is; false: not one of ours. */
bool host_function_tell(const void *function, uint64_t *guest_function, uint64_t *guest_data);

/* The guest's thread has gone, or goes: whoever serves it looks again. */
void callback_wake(void);

/* --- for the grant: a stream that waits for the guest has nothing running --- */

/* The stream stands at a function of the program's that has not returned. */
bool callback_holds(CUstream stream);

/* Functions launched or graphs with such nodes may be under way. */
bool callback_may_run(void);

/* Functions that have returned so far, so that their streams went on. */
uint64_t callback_continued(void);

/* While locked, no stream goes on. */
void callback_lock(void);
void callback_unlock(void);
uint64_t callback_continued_locked(void);

#endif
