/* What the processes of one simulated machine share: who uses which GPU, how much memory each holds, and how
 * busy it keeps the GPU. One file, VGPU_SIM_STATE_DIR/vgpu-sim-<uid>[-<seed>] (/dev/shm by default, /tmp
 * where that cannot be written), mapped by all.
 *
 * A process has one slot per GPU that it uses. All that is known about it stands in its own slots, so there
 * is nothing to repair when it is killed: its slots are recognised (pid and start time name a process
 * that is no more) and taken back by whoever meets them next. Processes must see each other in /proc. */
#ifndef VGPU_SIMGPU_SHARED_STATE_H
#define VGPU_SIMGPU_SHARED_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vgpu/error.h>

struct shared_state;
struct shared_slot;

struct shared_process {
    int pid;
    uint64_t memory_bytes;
};

/* Maps the file of the machine with that seed ("" for none), creating it when it is not there. The mapping is
 * for the life of the process. */
enum vgpu_status shared_state_open(const char *seed, struct shared_state **state, struct vgpu_error *err);

/* Enters this process as a user of the GPU, holding no memory. NULL: every slot is taken. */
struct shared_slot *shared_state_join(struct shared_state *state, uint64_t gpu_key);
void shared_state_leave(struct shared_state *state, struct shared_slot *slot);

/* Adds bytes to what the process holds, if all processes together then hold at most limit_bytes. */
bool shared_slot_reserve(struct shared_state *state, struct shared_slot *slot, uint64_t bytes,
                         uint64_t limit_bytes);
void shared_slot_release(struct shared_state *state, struct shared_slot *slot, uint64_t bytes);

/* Any thread, nested: the process is busy on the GPU between its first begin and its last end. A GPU runs one
 * process at a time, each for its time slice while others have work, as the hardware does: begin waits for
 * the process's turn, and turn, called again and again by whatever runs long, may wait for the next one. A
 * process that does not call it for a long time after its slice, as it has been stopped, is passed over. */
void shared_slot_busy_begin(struct shared_slot *slot);
void shared_slot_turn(struct shared_slot *slot);
void shared_slot_busy_end(struct shared_slot *slot);

/* The process's time slice on the GPU, 2048 us if never set. */
void shared_slot_set_slice(struct shared_slot *slot, uint64_t slice_us);
/* The process has no turn until it is set back: what it runs stands still. */
void shared_slot_set_paused(struct shared_slot *slot, bool paused);

/* Held by all living processes. */
uint64_t shared_state_used_bytes(struct shared_state *state, uint64_t gpu_key);

/* Percent of the last second in which some process was busy on the GPU. */
unsigned int shared_state_utilization(struct shared_state *state, uint64_t gpu_key);

/* The living processes that use the GPU. At most room are written; returns how many there are. */
size_t shared_state_processes(struct shared_state *state, uint64_t gpu_key, struct shared_process *processes,
                              size_t room);

#endif
