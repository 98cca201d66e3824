/* Order across the lanes of a process: forgotten calls are executed in the order in which the guest sent them
 * (wire/record.h), whichever lanes they came by. */
#ifndef VGPU_WORKER_TURN_H
#define VGPU_WORKER_TURN_H

#include <stdint.h>

/* Waits until `ticket` forgotten calls have been executed. */
void turn_wait(uint64_t ticket);

/* The forgotten call with this ticket, whose turn it was, has been executed. */
void turn_done(uint64_t ticket);

#endif
