/* Payloads that come behind a request or were uploaded before it, and what must hold before the driver sees
 * them. */
#ifndef VGPU_WORKER_PAYLOAD_H
#define VGPU_WORKER_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/fat_binary.h"
#include "worker/call.h"

/* `bytes` of payload: what was uploaded, or the rest of the variable part after before_bytes. NULL when that
 * is not its length. */
const uint8_t *payload_find(const struct call *call, uint64_t before_bytes, uint64_t bytes, bool uploaded);

/* The payload has been used. */
void payload_done(struct call *call, bool uploaded);

/* What the lane holds of an upload is not wanted any more. */
void payload_drop(struct lane *lane);

/* The driver's loaders are given no length: they trust the image's own headers. True when those stay within
 * `bytes`: text ends with NUL, a fat binary, several, or an ELF file is all there. */
bool image_is_whole(const uint8_t *image, uint64_t bytes);

/* What the driver is given for an image that is whole: the image, or for several fat binaries that are to be
 * linked a wrapper around them. NULL without memory. image_unwrap() when the driver has returned. */
struct image_wrapper {
    struct fatbin_wrapper fatbin;
    const void **parts;
};
const void *image_wrap(struct image_wrapper *wrapper, const uint8_t *image);
void image_unwrap(struct image_wrapper *wrapper);

#endif
