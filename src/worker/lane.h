/* A lane's worker side: a thread that executes one guest thread's calls in order. */
#ifndef VGPU_WORKER_LANE_H
#define VGPU_WORKER_LANE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/lane.h"
#include "worker/gate.h"
#include "worker/shared_memory.h"

enum lane_kind {
    LANE_SHARED, /* in memory that the guest has mapped too */
    LANE_WINDOW, /* likewise, but the guest is on another kernel: sleepers are woken over the connection */
    LANE_STREAM, /* calls and answers go through the connection */
};

struct lane {
    uint32_t id;
    uint32_t number; /* below FRAME_MAX_LANES, no other lane's */
    enum lane_kind kind;
    struct lane_shared *shared;  /* with the guest, or with the reader thread alone (stream) */
    struct shared_memory memory; /* that it lies in */
    _Atomic bool closing;        /* the guest's thread has ended: finish what is there, then end */
    struct gate_pass pass;
    pthread_t thread;

    /* The lane's thread alone. */
    uint64_t position;   /* bytes of records taken out */
    uint64_t known_head; /* the guest's head when last read */
    uint32_t answers;    /* given so far */
    uint8_t *record;     /* the call being executed: RECORD_MAX_BYTES */
    uint8_t *stream_reply;
    CUresult stream_error; /* first of the forgotten calls since the last answer: told before the next one. A
                            * guest that waits for none need not read, and nobody waits for it to */
    uint8_t *upload;       /* payload sent ahead of its call */
    uint64_t upload_bytes, upload_room;

    /* Staging area (NULL until opened) and its slots on the way to the device. */
    uint8_t *staging;
    CUevent staging_events[STAGING_SLOTS];
    CUcontext staging_context; /* that the events are of; NULL: none are there */
    uint32_t staging_queued;   /* copies given to the driver */
    uint32_t staging_done;     /* of these, finished */

    struct backlog *backlog; /* of its work on the GPU; NULL until some is marked */
    uint32_t unmarked;       /* pieces of work since the last mark */

    /* The reader thread alone (stream): bytes put in. */
    uint64_t head;

    struct lane *next; /* in the connection's list */
};

/* Makes the lane and starts its thread. *memory is what to pass to the guest, unless it is a stream's, and
 * then shared_memory_passed(). NULL with errno set. */
struct lane *lane_create(uint32_t id, uint32_t number, enum lane_kind kind, struct shared_memory *memory);

/* The guest's thread is gone: the lane's thread ends after what was sent, and frees the lane. */
void lane_end(struct lane *lane);

/* Stream: puts a record, already checked for its length, into the ring; waits while it is full. False when
 * the guest has gone meanwhile. */
bool lane_put(struct lane *lane, const struct record_header *header, const uint8_t *record);

/* How long a lane looks for the next call before it sleeps; once, before lanes exist. */
void lane_set_spin_us(uint64_t spin_us);

#endif
