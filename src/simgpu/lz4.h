/* Decompression of one LZ4 block, as "LZ4 Block Format Description" of the LZ4 project has it. */
#ifndef VGPU_SIMGPU_LZ4_H
#define VGPU_SIMGPU_LZ4_H

#include <stdbool.h>
#include <stddef.h>

/* False: in is damaged, or does not give exactly out_bytes. */
bool lz4_decompress(const void *in, size_t in_bytes, void *out, size_t out_bytes);

#endif
