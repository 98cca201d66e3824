/* Payloads that come behind a request or were uploaded before it, and what must hold before the driver sees
 * them. */
#ifndef VGPU_WORKER_PAYLOAD_H
#define VGPU_WORKER_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/call.h"

/* `bytes` of payload: what was uploaded, or the rest of the variable part after before_bytes. NULL when that
 * is not its length. */
const uint8_t *payload_find(const struct call *call, uint64_t before_bytes, uint64_t bytes, bool uploaded);

/* The payload has been used. */
void payload_done(struct call *call, bool uploaded);

/* What the lane holds of an upload is not wanted any more. */
void payload_drop(struct lane *lane);

/* The driver's loaders are given no length: they trust the image's own headers. True when those stay within
 * `bytes`: text ends with NUL, a fat binary or an ELF file is all there. */
bool image_is_whole(const uint8_t *image, uint64_t bytes);

#endif
