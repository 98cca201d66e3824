#include "simgpu/fatbin.h"

#include <limits.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "cuda/fat_binary.h"

bool fatbin_is_one(const void *data)
{
    uint32_t magic;
    memcpy(&magic, data, sizeof magic);
    return magic == FATBIN_WRAPPER_MAGIC || magic == FATBIN_MAGIC;
}

static CUresult say(char **message, CUresult result, const char *text)
{
    *message = strdup(text);
    return result;
}

/* True when all of the packed bytes are there and give exactly `bytes`. */
static bool decompress(const struct fatbin_entry *entry, const unsigned char *payload, char *text,
                       size_t bytes)
{
    if (entry->flags & FATBIN_COMPRESSED_ZSTD)
        return ZSTD_decompress(text, bytes, payload, entry->compressed_bytes) == bytes;
    return entry->compressed_bytes <= INT_MAX &&
           LZ4_decompress_safe((const char *)payload, text, (int)entry->compressed_bytes, (int)bytes) ==
               (int)bytes;
}

/* The payload of an entry as text with a NUL behind it. */
static CUresult unpack(const struct fatbin_entry *entry, const unsigned char *payload, char **text,
                       size_t *bytes, char **message)
{
    bool is_packed = entry->flags & (FATBIN_COMPRESSED_LZ4 | FATBIN_COMPRESSED_ZSTD);
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
    struct fatbin_entry entry;
    const unsigned char *payload; /* NULL: none */
    bool has_cubin;
    bool has_newer_ptx;
};

/* Walks the entries and notes the newest PTX for the device. False: the headers lead outside. */
static bool choose(const unsigned char *at, uint64_t bytes, unsigned int capability, struct choice *choice)
{
    while (bytes >= sizeof(struct fatbin_entry)) {
        struct fatbin_entry entry;
        memcpy(&entry, at, sizeof entry);
        if (entry.header_bytes < sizeof entry || entry.header_bytes > bytes ||
            entry.bytes > bytes - entry.header_bytes)
            return false;
        if (entry.kind == FATBIN_CUBIN)
            choice->has_cubin = true;
        else if (entry.kind == FATBIN_PTX && entry.architecture > capability)
            choice->has_newer_ptx = true;
        else if (entry.kind == FATBIN_PTX &&
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

/* Looks through one fat binary, of at most `limit` bytes, for what the device can run. */
static CUresult read_fatbin(const void *data, size_t limit, unsigned int capability, struct choice *choice,
                            char **message)
{
    struct fatbin_header header;
    if (!data || limit < sizeof header)
        return say(message, CUDA_ERROR_INVALID_IMAGE, "fatbin: there is no header");
    memcpy(&header, data, sizeof header);
    if (header.magic != FATBIN_MAGIC || header.header_bytes < sizeof header ||
        header.body_bytes > limit - header.header_bytes)
        return say(message, CUDA_ERROR_INVALID_IMAGE, "fatbin: the header is damaged or the file is cut off");
    if (!choose((const unsigned char *)data + header.header_bytes, header.body_bytes, capability, choice))
        return say(message, CUDA_ERROR_INVALID_IMAGE, "fatbin: an entry leads outside the file");
    return CUDA_SUCCESS;
}

static CUresult append_choice(const struct choice *choice, unsigned int capability, struct image *image,
                              char **message)
{
    char *text;
    size_t bytes;
    if (!choice->payload)
        return say(message, CUDA_ERROR_NO_BINARY_FOR_GPU, why_nothing_fits(choice));
    CUresult result = unpack(&choice->entry, choice->payload, &text, &bytes, message);
    if (!result) {
        result = image_append(image, CU_JIT_INPUT_PTX, text, bytes, NULL, capability, message);
        free(text);
    }
    return result;
}

/* All of the parts together make the image. One without PTX adds nothing: there may be none at all in it, or
 * the device runtime, which nvcc adds as machine code and which is seldom used. What is missed then, the
 * linker says.
 */
static CUresult open_parts(const void *const *parts, unsigned int capability, struct image *image,
                           char **message)
{
    CUresult result = CUDA_SUCCESS;
    struct choice without = {0};
    for (size_t i = 0; parts[i] && !result; i++) {
        struct choice choice = {0};
        result = read_fatbin(parts[i], SIZE_MAX, capability, &choice, message);
        if (!result && choice.payload)
            result = append_choice(&choice, capability, image, message);
        else
            without = choice;
    }
    if (!result && image->count == 0)
        result = say(message, CUDA_ERROR_NO_BINARY_FOR_GPU, why_nothing_fits(&without));
    return result;
}

CUresult fatbin_open(const void *data, size_t limit, unsigned int capability, struct image *image,
                     char **message)
{
    struct fatbin_wrapper wrapper = {0};
    struct choice choice = {0};
    uint32_t magic;
    memcpy(&magic, data, sizeof magic);
    if (magic == FATBIN_WRAPPER_MAGIC) {
        if (limit < sizeof wrapper)
            return say(message, CUDA_ERROR_INVALID_IMAGE, "fatbin: the wrapper is cut off");
        memcpy(&wrapper, data, sizeof wrapper);
        data = wrapper.data;
        limit = SIZE_MAX;
    }
    CUresult result = read_fatbin(data, limit, capability, &choice, message);
    if (result)
        return result;
    if (!choice.payload && wrapper.version == FATBIN_WRAPPER_TO_LINK && wrapper.more)
        return open_parts(wrapper.more, capability, image, message);
    return append_choice(&choice, capability, image, message);
}
