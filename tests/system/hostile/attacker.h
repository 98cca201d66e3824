/* A guest that speaks the wire protocol by itself, and so can say in it what the guest library never would.
 */
#ifndef TEST_ATTACKER_H
#define TEST_ATTACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calls_generated.h"
#include "cuda/cuda_types.h"
#include "wire/frame.h"
#include "wire/handle.h"
#include "wire/handshake.h"
#include "wire/lane.h"
#include "wire/own_calls.h"

/* What call() returns when there is no answer: the worker has ended, or none came in time. */
#define NO_ANSWER (-1)

struct attacker {
    const char
        *path; /* of the VM's socket; or "tcp:PORT:FILE", and what is shared is a window in that file */
    int fd;
    uint8_t *window; /* all of it; NULL: there is none */
    uint64_t window_bytes;
    bool shared; /* memory is shared; else all goes over the socket */
    uint64_t arena_base;
    struct process_shared *process;
    uint64_t tickets; /* forgotten calls sent */
    uint32_t next_lane;
    int patience_ms; /* how long to wait for an answer; 0: PATIENCE_MS */
};

#define PATIENCE_MS 120000

struct attack_lane {
    struct attacker *attacker;
    uint32_t id;
    struct lane_shared *shared; /* NULL over the socket */
    uint64_t head;
    uint32_t answers;
    uint8_t reply[REPLY_MAX_BYTES]; /* body of the last answer */
    uint32_t reply_bytes;
};

/* Ends the program when `good` is false: the attack could not be made, or had an effect that it must not
 * have. */
#define MUST(good) must((good), #good, __FILE__, __LINE__)
void must(bool good, const char *what, const char *file, int line);

/* Connects; greets as a good guest does; both. False when refused or cut off. */
bool attacker_connect(struct attacker *attacker);
bool attacker_greet(struct attacker *attacker, bool shared, uint64_t arena_base, uint64_t arena_bytes);
void attacker_start(struct attacker *attacker, bool shared);
void attacker_stop(struct attacker *attacker);

/* The worker does not serve any more. */
bool attacker_is_cut_off(struct attacker *attacker);
/* Waits for that. */
bool attacker_awaits_end(struct attacker *attacker);

bool send_bytes(const struct attacker *attacker, const void *data, size_t bytes);
bool send_frame_of(const struct attacker *attacker, uint32_t type, uint32_t lane, uint32_t bytes);

struct attack_lane *lane_start(struct attacker *attacker);
void lane_stop(struct attack_lane *lane);

/* Publishes a record as it is; false when the worker is gone. */
bool send_record(struct attack_lane *lane, const struct record_header *header, const void *body);

/* A call with an answer, and one without. The request and its tail are one buffer. */
int call(struct attack_lane *lane, unsigned number, const void *body, size_t bytes);
bool forget(struct attack_lane *lane, unsigned number, const void *body, size_t bytes);
/* Waits for the answer to a record that was sent with RECORD_WANTS_REPLY. */
int await_answer(struct attack_lane *lane);

/* A context of its own, current on the lane, with a little device memory. */
#define CONTEXT_NAME handle_value(HANDLE_CONTEXT, 0, 0)
#define STREAM_NAME  handle_value(HANDLE_STREAM, 0, 0)
uint64_t prepare(struct attack_lane *lane);

/* An address of the worker's own memory (heap or stack), found out as no guest could; 0 when it cannot be. */
uint64_t worker_address(const struct attacker *attacker);

#endif
