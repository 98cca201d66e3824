/* Control messages (wire/grant.h) that bring descriptors. */
#ifndef VGPU_WIRE_CONTROL_H
#define VGPU_WIRE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/grant.h"

/* At most so many with one message. */
#define CONTROL_FDS_MAX 4

/* Sends the message with copies of these descriptors; never blocks. False with errno set. */
bool control_send_fds(int control, const struct control_message *message, const int *fds, size_t fd_count);

/* Waits for a message. What fds it brought are the caller's to close. 1 for a message, 0 when the other side
 * has closed, -1 with errno set. */
int control_receive_fds(int control, struct control_message *message, int fds[CONTROL_FDS_MAX],
                        size_t *fd_count);

#endif
