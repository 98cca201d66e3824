/* Events: a place in a stream that can be asked about and waited for. */
#ifndef VGPU_SIMGPU_EVENT_H
#define VGPU_SIMGPU_EVENT_H

#include "simgpu/context.h"
#include "simgpu/work.h"

struct CUevent_st {
    struct CUctx_st *context;
    unsigned int flags;
    struct CUevent_st *next_in_context; /* under the context's lock */
    struct CUevent_st *previous_in_context;
    pthread_mutex_t lock;
    struct event_capture *capture; /* it was last recorded in a capture; under capture.c's lock */
    struct work *recorded;         /* held; the mark last put into a stream. NULL: never recorded */
    struct event_shared *shared;   /* of one that other processes can have; NULL: of this process alone */
    int descriptor;                /* of shared */
};

/* The descriptor by which other processes have the event; CUDA_ERROR_INVALID_HANDLE: it is none for them. */
CUresult event_descriptor(CUevent event, int *descriptor);

/* Another process's event. Takes over the descriptor. */
CUresult event_import(struct CUctx_st *context, int descriptor, CUevent *event);

/* Frees all events of a context that is going. */
void event_destroy_all(struct CUctx_st *context);

/* The mark the event stands for, held for the caller; NULL: never recorded. */
struct work *event_recorded(struct CUevent_st *event);
/* From now on it stands for this mark. */
void event_set_recorded(struct CUevent_st *event, struct work *mark);

#endif
