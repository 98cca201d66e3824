/* Code as programs hand it to the driver: PTX text, a cubin, a fat binary or the wrapper that nvcc puts
 * around one. */
#ifndef VGPU_GUEST_IMAGE_H
#define VGPU_GUEST_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct image_piece {
    const void *data;
    uint64_t bytes;
};

/* What is sent of it: pieces of the program's memory, one after the other, and headers made anew. */
struct image {
    struct image_piece *pieces;
    unsigned count, room;
    uint64_t bytes; /* of all pieces together. PTX: with the NUL at its end */
    bool lacks_ptx; /* PTX that the GPU could run is left out */
    void *headers;
};

/* Of a fat binary only what a GPU of this compute capability (times ten) could run is kept, unless that is
 * nothing. With may_compile PTX is kept even where there is machine code for exactly this GPU. Where the code
 * ends is found from its own headers, as the driver does: the caller of the driver API gives no length. False
 * when its headers make no sense, or without memory. image_close() afterwards in any case. */
bool image_open(const void *code, unsigned capability, bool may_compile, struct image *image);
void image_close(struct image *image);

/* Writes image->bytes bytes. */
void image_copy(const struct image *image, void *to);

/* Reads a whole file, with a NUL behind it. NULL when it cannot be read; *bytes without the NUL. The caller
 * frees. */
void *image_read_file(const char *path, uint64_t *bytes);

#endif
