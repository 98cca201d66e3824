/* Which handles are alive. A program may hand in any value for a handle; only one that is known here is
 * followed. Any thread. Destroying an object while another thread uses it is an error of the program, as with
 * the real driver. */
#ifndef VGPU_SIMGPU_HANDLE_H
#define VGPU_SIMGPU_HANDLE_H

#include <stdbool.h>

enum handle_kind {
    HANDLE_NONE = 0,
    HANDLE_CONTEXT,
    HANDLE_MODULE,
    HANDLE_FUNCTION,
    HANDLE_LIBRARY,
    HANDLE_KERNEL,
    HANDLE_STREAM,
    HANDLE_EVENT,
    HANDLE_LINK,
    HANDLE_ARRAY,
    HANDLE_MIPMAPPED_ARRAY,
    HANDLE_POOL,
    HANDLE_GRAPH,
    HANDLE_GRAPH_NODE,
    HANDLE_GRAPH_EXEC,
    HANDLE_USER_OBJECT,
    HANDLE_ALLOCATION,
};

/* False: out of host memory. */
bool handle_add(const void *object, enum handle_kind kind);
void handle_remove(const void *object);

/* Whether it is a living object of that kind. object may be anything. */
bool handle_is(const void *object, enum handle_kind kind);

#endif
