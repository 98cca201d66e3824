#include "simgpu/image.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "simgpu/fatbin.h"
#include "simgpu/linked.h"

static CUresult add_text(struct image *image, const char *text, size_t bytes, const char *name)
{
    struct ptx_input *grown = realloc(image->texts, (image->count + 1) * sizeof *grown);
    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    image->texts = grown;
    char *text_copy = malloc(bytes + 1);
    char *name_copy = name ? strdup(name) : NULL;
    if (!text_copy || (name && !name_copy)) {
        free(text_copy);
        free(name_copy);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memcpy(text_copy, text, bytes);
    text_copy[bytes] = 0;
    image->texts[image->count++] = (struct ptx_input){text_copy, bytes, name_copy};
    return CUDA_SUCCESS;
}

void image_fini(struct image *image)
{
    for (size_t i = 0; i < image->count; i++) {
        free((char *)(uintptr_t)image->texts[i].text);
        free((char *)(uintptr_t)image->texts[i].name);
    }
    free(image->texts);
    memset(image, 0, sizeof *image);
}

CUresult image_copy(const struct image *image, struct image *copy)
{
    CUresult result = CUDA_SUCCESS;
    memset(copy, 0, sizeof *copy);
    for (size_t i = 0; i < image->count && !result; i++)
        result = add_text(copy, image->texts[i].text, image->texts[i].bytes, image->texts[i].name);
    if (result)
        image_fini(copy);
    return result;
}

/* Text that could be PTX: printable up to its end, with a .version directive. */
static bool looks_like_ptx(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (!isprint((unsigned char)text[i]) && !isspace((unsigned char)text[i]) &&
            (unsigned char)text[i] < 0x80)
            return false;
    return memmem(text, bytes, ".version", 8) != NULL;
}

CUresult image_append(struct image *image, CUjitInputType type, const void *data, size_t bytes,
                      const char *name, unsigned int capability, char **message)
{
    *message = NULL;
    switch (type) {
    case CU_JIT_INPUT_PTX:
        return add_text(image, data, strnlen(data, bytes), name);
    case CU_JIT_INPUT_CUBIN:
    case CU_JIT_INPUT_OBJECT:
        if (bytes < 4 || !linked_is_elf(data))
            return CUDA_ERROR_INVALID_IMAGE;
        return linked_open(data, bytes, capability, image, message);
    case CU_JIT_INPUT_FATBINARY:
        if (bytes < 4 || !fatbin_is_one(data))
            return CUDA_ERROR_INVALID_IMAGE;
        return fatbin_open(data, bytes, capability, image, message);
    case CU_JIT_INPUT_LIBRARY:
    case CU_JIT_INPUT_NVVM:
        *message = strdup("the simulated driver links PTX, fatbins and what it linked itself, nothing else");
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult image_open(const void *data, size_t limit, unsigned int capability, struct image *image,
                    char **message)
{
    CUresult result;
    bool has_magic = strnlen(data, limit < 4 ? limit : 4) == 4; /* none of the magics holds a zero */
    memset(image, 0, sizeof *image);
    *message = NULL;
    if (has_magic && linked_is_elf(data)) {
        result = linked_open(data, limit, capability, image, message);
    } else if (has_magic && fatbin_is_one(data)) {
        result = fatbin_open(data, limit, capability, image, message);
    } else {
        size_t bytes = strnlen(data, limit);
        result = looks_like_ptx(data, bytes) ? add_text(image, data, bytes, NULL) : CUDA_ERROR_INVALID_IMAGE;
        if (result == CUDA_ERROR_INVALID_IMAGE)
            *message = strdup("the image is neither PTX nor a fatbin nor a cubin");
    }
    if (result)
        image_fini(image);
    return result;
}

CUresult image_read_file(const char *path, void **data, size_t *bytes)
{
    struct stat status;
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return CUDA_ERROR_FILE_NOT_FOUND;
    *data = NULL;
    if (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size > 1 << 30) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else if ((*data = calloc(1, (size_t)status.st_size + 8))) {
        size_t got = 0;
        ssize_t step = 1;
        while (got < (size_t)status.st_size && step > 0) {
            step = read(fd, (char *)*data + got, (size_t)status.st_size - got);
            got += step > 0 ? (size_t)step : 0;
        }
        *bytes = got;
        result = step < 0 ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
    }
    close(fd);
    if (result)
        free(*data);
    return result;
}
