/* Layout of fat binaries: code for several GPUs in one piece, as nvcc embeds it in programs. From the headers
 * that come with NVIDIA's compiler (fatbinary_section.h) and open tools that read its output (LLVM's
 * offloading, cuda-fatbin parsers). */
#ifndef VGPU_CUDA_FAT_BINARY_H
#define VGPU_CUDA_FAT_BINARY_H

#include <stdint.h>

/* What a program hands to the driver: a pointer to a fat binary. Version 2 has further ones, which are to be
 * linked when there is nothing to run in the first. */
#define FATBIN_WRAPPER_MAGIC   0x466243b1u
#define FATBIN_WRAPPER_TO_LINK 2u
struct fatbin_wrapper {
    uint32_t magic;
    uint32_t version;
    const void *data;
    const void *more; /* version 2: const void *[], to link, ending with NULL; else a file's name */
};

#define FATBIN_MAGIC 0xba55ed50u
struct fatbin_header {
    uint32_t magic;
    uint16_t version;
    uint16_t header_bytes;
    uint64_t body_bytes; /* of the entries that follow */
};

enum fatbin_kind { FATBIN_PTX = 1, FATBIN_CUBIN = 2 };

#define FATBIN_COMPRESSED_LZ4  0x2000u
#define FATBIN_COMPRESSED_ZSTD 0x8000u
#define FATBIN_ONE_GPU         0x100000u /* sm_90a: no other */
#define FATBIN_ONE_FAMILY      0x200000u /* sm_100f */

struct fatbin_entry {
    uint16_t kind; /* enum fatbin_kind, or others */
    uint16_t version;
    uint32_t header_bytes;
    uint64_t bytes; /* of what follows the header, padding included */
    uint32_t compressed_bytes;
    uint32_t options_offset;
    uint16_t minor;
    uint16_t major;
    uint32_t architecture; /* 90: sm_90 */
    uint32_t name_offset;
    uint32_t name_bytes;
    uint64_t flags;
    uint64_t reserved;
    uint64_t decompressed_bytes;
};
_Static_assert(sizeof(struct fatbin_entry) == 64, "as in the file");

#endif
