/* Fat binaries: many images of one module in a row, PTX and cubins for several GPUs. The layout is that of
 * files made by NVIDIA's fatbinary tool (CUDA 13.0). */
#ifndef VGPU_SIMGPU_FATBIN_H
#define VGPU_SIMGPU_FATBIN_H

#include <stdbool.h>

#include "simgpu/image.h"

/* Whether data (at least 4 bytes) begins as a fatbin, or as the wrapper that points to one. */
bool fatbin_is_one(const void *data);

/* Adds the newest PTX that a device of that capability can run. limit is the size of data, SIZE_MAX when only
 * its own headers tell it. On an error as image_open. */
CUresult fatbin_open(const void *data, size_t limit, unsigned int capability, struct image *image,
                     char **message);

#endif
