/* What the guest library says on stderr: as little as it can. */
#ifndef VGPU_GUEST_DIAGNOSTICS_H
#define VGPU_GUEST_DIAGNOSTICS_H

#include <stdbool.h>

/* VGPU_DEBUG is set: say more. */
bool diagnostics_wanted(void);

/* One line "vgpu: ..." on stderr, in one write. */
void diagnostics_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
