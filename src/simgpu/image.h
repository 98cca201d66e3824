/* Images of code as a program hands them in: PTX text, a fatbin (with or without its wrapper), what
 * cuLinkComplete made. An image is opened into the PTX texts that make up one module. */
#ifndef VGPU_SIMGPU_IMAGE_H
#define VGPU_SIMGPU_IMAGE_H

#include "cuda/cuda_types.h"
#include "simgpu/ptx.h"

struct image {
    struct ptx_input *texts; /* owned, names and texts too */
    size_t count;
};

/* Opens the image for a device of that compute capability (times ten). limit is its size, SIZE_MAX where the
 * program does not say: each kind then tells its own. On an error a line about it, to be freed by the caller,
 * is in *message (or NULL). On success image_fini frees. */
CUresult image_open(const void *data, size_t limit, unsigned int capability, struct image *image,
                    char **message);

/* Likewise for data whose size and kind are known, as cuLinkAddData has them. Appends to image, which is
 * zeros at first. */
CUresult image_append(struct image *image, CUjitInputType type, const void *data, size_t bytes,
                      const char *name, unsigned int capability, char **message);
void image_fini(struct image *image);

/* A copy that lives on its own. */
CUresult image_copy(const struct image *image, struct image *copy);

/* Reads a whole file, with a NUL behind it. CUDA_ERROR_FILE_NOT_FOUND, _INVALID_VALUE or _OUT_OF_MEMORY. */
CUresult image_read_file(const char *path, void **data, size_t *bytes);

#endif
