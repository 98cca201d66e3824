/* What cuLinkComplete makes: an ELF file for machine EM_CUDA, as a cubin is, whose sections hold the PTX
 * texts that were linked. Only the simulated driver can load it. */
#ifndef VGPU_SIMGPU_LINKED_H
#define VGPU_SIMGPU_LINKED_H

#include <stdbool.h>

#include "simgpu/image.h"

/* *data is malloc'ed. */
CUresult linked_create(const struct image *image, void **data, size_t *bytes);

/* Whether data (at least 4 bytes) begins as an ELF file. */
bool linked_is_elf(const void *data);

/* Adds the texts. limit as for fatbin_open. A real cubin gives CUDA_ERROR_NO_BINARY_FOR_GPU. */
CUresult linked_open(const void *data, size_t limit, unsigned int capability, struct image *image,
                     char **message);

#endif
