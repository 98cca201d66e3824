#include "guest/image.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Layouts as published by open tools that read nvcc's output (fatbinary headers of LLVM's offloading and of
 * cuda-fatbin parsers). */
#define WRAPPER_MAGIC 0x466243b1u
#define FATBIN_MAGIC  0xba55ed50u

struct fatbin_wrapper {
    uint32_t magic;
    uint32_t version;
    const void *data;
    const void *file_name;
};

struct fatbin_header {
    uint32_t magic;
    uint16_t version;
    uint16_t header_bytes;
    uint64_t body_bytes;
};

#define IMAGE_MAX_BYTES (2ull << 30)

static uint64_t elf_bytes(const Elf64_Ehdr *elf)
{
    uint64_t end = sizeof *elf;
    uint64_t sections_end = elf->e_shoff + (uint64_t)elf->e_shnum * elf->e_shentsize;
    uint64_t segments_end = elf->e_phoff + (uint64_t)elf->e_phnum * elf->e_phentsize;
    if (elf->e_shentsize != sizeof(Elf64_Shdr) || sections_end > IMAGE_MAX_BYTES ||
        segments_end > IMAGE_MAX_BYTES)
        return 0;
    end = sections_end > end ? sections_end : end;
    end = segments_end > end ? segments_end : end;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)((const uint8_t *)elf + elf->e_shoff);
    for (unsigned i = 0; i < elf->e_shnum; i++) {
        if (sections[i].sh_type == SHT_NOBITS || sections[i].sh_type == SHT_NULL)
            continue;
        uint64_t section_end = sections[i].sh_offset + sections[i].sh_size;
        end = section_end > end ? section_end : end;
    }
    return end;
}

bool image_measure(const void *code, struct image *image)
{
    uint32_t magic;
    if (code == NULL)
        return false;
    if (((const char *)code)[0] != '\0' && ((const char *)code)[1] != '\0' && ((const char *)code)[2] != '\0')
        memcpy(&magic, code, sizeof magic);
    else
        magic = 0; /* shorter than any header: text */
    image->data = code;
    if (magic == WRAPPER_MAGIC) {
        struct fatbin_wrapper wrapper;
        memcpy(&wrapper, code, sizeof wrapper);
        return image_measure(wrapper.data, image);
    }
    if (magic == FATBIN_MAGIC) {
        struct fatbin_header header;
        memcpy(&header, code, sizeof header);
        image->bytes = header.header_bytes + header.body_bytes;
    } else if (memcmp(&magic, ELFMAG, SELFMAG) == 0) {
        image->bytes = elf_bytes(code);
    } else {
        image->bytes = strlen(code) + 1;
    }
    return image->bytes > 0 && image->bytes <= IMAGE_MAX_BYTES;
}

void *image_read_file(const char *path, uint64_t *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    size_t room = 1u << 16, used = 0;
    uint8_t *data = malloc(room);
    while (data != NULL) {
        ssize_t got = read(fd, data + used, room - 1 - used);
        if (got <= 0) {
            if (got < 0) {
                free(data);
                data = NULL;
            }
            break;
        }
        used += (size_t)got;
        if (used == room - 1) {
            uint8_t *larger = room < IMAGE_MAX_BYTES ? realloc(data, room * 2) : NULL;
            if (larger == NULL)
                free(data);
            data = larger;
            room *= 2;
        }
    }
    close(fd);
    if (data == NULL)
        return NULL;
    data[used] = '\0';
    *bytes = used;
    return data;
}
