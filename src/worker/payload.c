#include "worker/payload.h"

#include <elf.h>
#include <string.h>

#define FATBIN_MAGIC 0xba55ed50u

/* Section and segment tables, and what they point to, inside the file. Every size is checked before it is
 * added. */
static bool elf_is_whole(const uint8_t *image, uint64_t bytes)
{
    Elf64_Ehdr elf;
    if (bytes < sizeof elf)
        return false;
    memcpy(&elf, image, sizeof elf);
    if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_shoff > bytes || elf.e_phoff > bytes ||
        (elf.e_shnum > 0 && elf.e_shentsize != sizeof(Elf64_Shdr)) ||
        (elf.e_phnum > 0 && elf.e_phentsize != sizeof(Elf64_Phdr)) ||
        (uint64_t)elf.e_shnum * sizeof(Elf64_Shdr) > bytes - elf.e_shoff ||
        (uint64_t)elf.e_phnum * sizeof(Elf64_Phdr) > bytes - elf.e_phoff || elf.e_shstrndx > elf.e_shnum)
        return false;
    for (unsigned i = 0; i < elf.e_shnum; i++) {
        Elf64_Shdr section;
        memcpy(&section, image + elf.e_shoff + i * sizeof section, sizeof section);
        if (section.sh_type == SHT_NOBITS || section.sh_type == SHT_NULL)
            continue;
        if (section.sh_offset > bytes || section.sh_size > bytes - section.sh_offset)
            return false;
    }
    return true;
}

/* The size is in the header: two bytes of the header's own length, eight of the rest's. */
static bool fatbin_is_whole(const uint8_t *image, uint64_t bytes)
{
    uint16_t header_bytes;
    uint64_t body_bytes;
    if (bytes < 16)
        return false;
    memcpy(&header_bytes, image + 6, sizeof header_bytes);
    memcpy(&body_bytes, image + 8, sizeof body_bytes);
    return header_bytes >= 16 && header_bytes <= bytes && body_bytes <= bytes - header_bytes;
}

bool image_is_whole(const uint8_t *image, uint64_t bytes)
{
    uint32_t magic = 0;
    memcpy(&magic, image, bytes < sizeof magic ? bytes : sizeof magic);
    if (magic == FATBIN_MAGIC)
        return fatbin_is_whole(image, bytes);
    if (memcmp(&magic, ELFMAG, SELFMAG) == 0)
        return elf_is_whole(image, bytes);
    /* A wrapper holds a pointer, and no pointer of a guest's is followed. */
    return magic != 0x466243b1u && image[bytes - 1] == '\0';
}
