/* How long this process has had work on the GPU (gpu_time_us in the grant page).
 *
 * While others wait for the GPU it is given back as soon as nothing runs, so the time between the grant and
 * that moment counts, as it passes. While nobody waits the watching thread looks every few milliseconds, and
 * what it finds stands for the time since the last look. What a lane submits costs it nothing. The watching
 * thread alone, but for gpu_time_tick(). */
#ifndef VGPU_WORKER_GPU_TIME_H
#define VGPU_WORKER_GPU_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* The grant has just come; nothing runs. */
void gpu_time_begin(void);

/* Counts the time since the last look: whole when it was busy then and is now, half when only one of them. */
void gpu_time_look(bool busy);
bool gpu_time_was_busy(void);

/* From the last look, when nothing ran, until then nothing was submitted. */
void gpu_time_idle_until(uint64_t time_ns);

/* The watching thread is about to wait for the GPU; the other one, while it does, brings the page up to date.
 */
void gpu_time_waits(void);
void gpu_time_tick(void);

/* The GPU was waited for, and has nothing of ours to run any more: what was waited for counts. */
void gpu_time_drained(void);

/* Asks the driver: none of the guest's streams has work. While one captures, what was found last stands. */
bool gpu_time_nothing_runs(void);

#endif
