/* Code as programs hand it to the driver: PTX text, a cubin, a fat binary or the wrapper that nvcc puts
 * around one. */
#ifndef VGPU_GUEST_IMAGE_H
#define VGPU_GUEST_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct image {
    const void *data;
    uint64_t bytes; /* PTX: with the NUL at its end */
};

/* Finds where the image at `code` begins and ends, from its own headers, as the driver does: the caller of
 * the driver API gives no length. False when its headers make no sense. */
bool image_measure(const void *code, struct image *image);

/* Reads a whole file, with a NUL behind it. NULL when it cannot be read; *bytes without the NUL. The caller
 * frees. */
void *image_read_file(const char *path, uint64_t *bytes);

#endif
