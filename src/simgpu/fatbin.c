#include "simgpu/fatbin.h"

#include <limits.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define WRAPPER_MAGIC 0x466243b1u
#define FATBIN_MAGIC  0xba55ed50u

enum { ENTRY_PTX = 1, ENTRY_CUBIN = 2 };

#define ENTRY_COMPRESSED_LZ4  0x2000u
#define ENTRY_COMPRESSED_ZSTD 0x8000u

/* What the host compiler's stub holds: __fatBinC_Wrapper_t of fatbinary_section.h. */
struct wrapper {
    uint32_t magic;
    uint32_t version;
    const void *data;
    void *files;
};

struct fatbin_header {
    uint32_t magic;
    uint16_t version;
    uint16_t header_bytes;
    uint64_t bytes; /* of the entries that follow */
};

struct entry_header {
    uint16_t kind;
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
_Static_assert(sizeof(struct entry_header) == 64, "as in the file");

bool fatbin_is_one(const void *data)
{
    uint32_t magic;
    memcpy(&magic, data, sizeof magic);
    return magic == WRAPPER_MAGIC || magic == FATBIN_MAGIC;
}

static CUresult say(char **message, CUresult result, const char *text)
{
    *message = strdup(text);
    return result;
}

/* True when all of the packed bytes are there and give exactly `bytes`. */
static bool decompress(const struct entry_header *entry, const unsigned char *payload, char *text,
                       size_t bytes)
{
    if (entry->flags & ENTRY_COMPRESSED_ZSTD)
        return ZSTD_decompress(text, bytes, payload, entry->compressed_bytes) == bytes;
    return entry->compressed_bytes <= INT_MAX &&
           LZ4_decompress_safe((const char *)payload, text, (int)entry->compressed_bytes, (int)bytes) ==
               (int)bytes;
}

/* The payload of an entry as text with a NUL behind it. */
static CUresult unpack(const struct entry_header *entry, const unsigned char *payload, char **text,
                       size_t *bytes, char **message)
{
    bool is_packed = entry->flags & (ENTRY_COMPRESSED_LZ4 | ENTRY_COMPRESSED_ZSTD);
    *bytes = is_packed ? entry->decompressed_bytes : entry->bytes;
    if (*bytes > 1u << 30 || entry->compressed_bytes > entry->bytes)
        return say(message, CUDA_ERROR_INVALID_IMAGE, "fatbin: sizes in an entry do not fit together");
    *text = calloc(1, *bytes + 1);
    if (!*text)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!is_packed) {
        memcpy(*text, payload, *bytes);
    } else if (!decompress(entry, payload, *text, *bytes)) {
        free(*text);
        return say(message, CUDA_ERROR_INVALID_IMAGE, "fatbin: the compressed PTX is damaged");
    }
    return CUDA_SUCCESS;
}

struct choice {
    struct entry_header entry;
    const unsigned char *payload; /* NULL: none */
    bool has_cubin;
    bool has_newer_ptx;
};

/* Walks the entries and notes the newest PTX for the device. False: the headers lead outside. */
static bool choose(const unsigned char *at, uint64_t bytes, unsigned int capability, struct choice *choice)
{
    while (bytes >= sizeof(struct entry_header)) {
        struct entry_header entry;
        memcpy(&entry, at, sizeof entry);
        if (entry.header_bytes < sizeof entry || entry.header_bytes > bytes ||
            entry.bytes > bytes - entry.header_bytes)
            return false;
        if (entry.kind == ENTRY_CUBIN)
            choice->has_cubin = true;
        else if (entry.kind == ENTRY_PTX && entry.architecture > capability)
            choice->has_newer_ptx = true;
        else if (entry.kind == ENTRY_PTX &&
                 (!choice->payload || entry.architecture > choice->entry.architecture)) {
            choice->entry = entry;
            choice->payload = at + entry.header_bytes;
        }
        at += entry.header_bytes + entry.bytes;
        bytes -= entry.header_bytes + entry.bytes;
    }
    return true;
}

static const char *why_nothing_fits(const struct choice *choice)
{
    if (choice->has_newer_ptx)
        return "fatbin: its PTX is for newer GPUs only; build with an older -arch=compute_NN";
    if (choice->has_cubin)
        return "fatbin: it holds machine code only and the simulated driver runs PTX; build with "
               "-gencode arch=compute_NN,code=compute_NN";
    return "fatbin: it is empty";
}

CUresult fatbin_open(const void *data, size_t limit, unsigned int capability, struct image *image,
                     char **message)
{
    struct fatbin_header header;
    struct wrapper wrapper;
    uint32_t magic;
    memcpy(&magic, data, sizeof magic);
    if (magic == WRAPPER_MAGIC) {
        if (limit < sizeof wrapper)
            return say(message, CUDA_ERROR_INVALID_IMAGE, "fatbin: the wrapper is cut off");
        memcpy(&wrapper, data, sizeof wrapper);
        data = wrapper.data;
        limit = SIZE_MAX;
    }
    if (!data || limit < sizeof header)
        return say(message, CUDA_ERROR_INVALID_IMAGE, "fatbin: there is no header");
    memcpy(&header, data, sizeof header);
    if (header.magic != FATBIN_MAGIC || header.header_bytes < sizeof header ||
        header.bytes > limit - header.header_bytes)
        return say(message, CUDA_ERROR_INVALID_IMAGE, "fatbin: the header is damaged or the file is cut off");
    struct choice choice = {0};
    if (!choose((const unsigned char *)data + header.header_bytes, header.bytes, capability, &choice))
        return say(message, CUDA_ERROR_INVALID_IMAGE, "fatbin: an entry leads outside the file");
    if (!choice.payload)
        return say(message, CUDA_ERROR_NO_BINARY_FOR_GPU, why_nothing_fits(&choice));
    char *text;
    size_t bytes;
    CUresult result = unpack(&choice.entry, choice.payload, &text, &bytes, message);
    if (!result) {
        result = image_append(image, CU_JIT_INPUT_PTX, text, bytes, NULL, capability, message);
        free(text);
    }
    return result;
}
