/* The time slices of this process on the GPU (enum grant_slice in wire/grant.h).
 *
 * A GPU runs the channel groups that have work in turn, each for its time slice, and takes a running kernel
 * off the processors when another's turn comes. A process may set the slices of its own groups. The driver
 * makes some for each context, and driver_ioctl.c sees it do so. Who is to stand still has its channels
 * disabled (channel_pause.h). */
#ifndef VGPU_WORKER_TIME_SLICE_H
#define VGPU_WORKER_TIME_SLICE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/grant.h"

/* From now on a thread of its own keeps the slices as the page's word says, and `tell` is called, by any
 * thread, when it turns out whether the driver lets it: after the first group was made, and again when it
 * stops. The first call may come from within. false with errno set. */
bool time_slice_open(struct grant_page *page, void (*tell)(bool follows));

/* driver_ioctl.c: the driver has made a channel group, a channel in one, or the object by which channels are
 * disabled; has set the slice of a group, as it does when it has made a context; it is about to free an
 * object, which may be one of these. */
void time_slice_group_made(int fd, uint32_t client, uint32_t device, uint32_t object, bool computes);
void time_slice_channel_made(uint32_t client, uint32_t group, uint32_t object);
void time_slice_subdevice_made(int fd, uint32_t client, uint32_t device, uint32_t object);
void time_slice_was_set(uint32_t client, uint32_t object, uint64_t us);
void time_slice_object_gone(uint32_t client, uint32_t object);

#endif
