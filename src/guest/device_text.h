/* What device code has printed, on its way to this process's stdout and stderr. */
#ifndef VGPU_GUEST_DEVICE_TEXT_H
#define VGPU_GUEST_DEVICE_TEXT_H

#include "guest/thread.h"

/* The thread's answer said that text waits: fetches and prints it. The answer stays where it is. */
void device_text_take(struct guest_thread *thread);

#endif
