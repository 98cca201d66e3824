/* --watch: a command printed again and again, until Ctrl-C. */
#ifndef VGPU_ADMIN_WATCH_H
#define VGPU_ADMIN_WATCH_H

#include <stdint.h>
#include <stdio.h>
#include <vgpu/error.h>

#include "admin/terminal.h"

/* Prints one block to out, for a terminal of this size; or prints nothing and fills in err. */
typedef enum vgpu_status watch_print(void *context, FILE *out, const struct terminal *terminal,
                                     struct vgpu_error *err);

/* Calls print every interval_ms. On a terminal each block takes the place of the one before, on a screen of
 * its own that is gone afterwards; elsewhere one block follows another, with an empty line between unless
 * lines are documents. Ends with VGPU_OK at SIGINT, SIGTERM or SIGHUP, with what print returned if that
 * failed the first time, and with VGPU_ERR_IO where out cannot be written. A later failure is shown, and
 * tried again. */
enum vgpu_status watch_run(FILE *out, FILE *errors, int64_t interval_ms, bool documents, watch_print *print,
                           void *context, struct vgpu_error *err);

#endif
