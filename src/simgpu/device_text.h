/* What device code prints. As with the real driver, it is kept until the program waits for its work, and then
 * written: printf to stdout, failed assertions to stderr. Any thread. */
#ifndef VGPU_SIMGPU_DEVICE_TEXT_H
#define VGPU_SIMGPU_DEVICE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

void device_text_keep(const char *text, size_t bytes, bool is_error);

/* The program has waited. */
void device_text_write(void);

#endif
