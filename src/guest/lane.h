/* The guest's end of a lane: records out, answers in, over shared memory or a stream socket. Functions
 * are for the thread that the lane belongs to, unless they say otherwise. */
#ifndef VGPU_GUEST_LANE_H
#define VGPU_GUEST_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "guest/thread.h"

/* Room for a record of `bytes` (a multiple of 8, at most RECORD_MAX_BYTES), waiting while the ring is full.
 * Opens the lane at the thread's first call. */
CUresult lane_reserve(struct guest_thread *thread, uint32_t bytes, struct record_header **record);

/* Sends the record that lane_reserve() gave. */
CUresult lane_commit(struct guest_thread *thread, const struct record_header *record);

/* Waits for the answer to the last record sent. *reply stays valid until the thread's next record. */
CUresult lane_wait_answer(struct guest_thread *thread, const struct reply_header **reply);

/* The first error of a forgotten call not yet told, or CUDA_SUCCESS; telling it takes it away. */
CUresult lane_take_error(struct guest_thread *thread);

/* Waits until *word, which the worker counts up, has reached at least `target`. */
CUresult lane_wait_counter(_Atomic uint32_t *word, uint32_t target);

/* Waits until the worker has filled `filled` staging slots or has answered. */
CUresult lane_wait_slot(struct guest_thread *thread, uint32_t filled);

/* The program would rather be woken than have its threads look for their answers. Any thread; for good. */
void lane_prefer_sleep(void);

/* The thread ends. */
void lane_close(struct guest_thread *thread);

#endif
