#include "worker/payload.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/fat_binary.h"
#include "wire/own_calls.h"

static bool part_is_inside(uint64_t offset, uint64_t bytes, uint64_t whole)
{
    return offset <= whole && bytes <= whole - offset;
}

struct elf {
    const uint8_t *image;
    uint64_t bytes;
    Elf64_Ehdr header;
};

static Elf64_Shdr section_at(const struct elf *elf, unsigned index)
{
    Elf64_Shdr section;
    memcpy(&section, elf->image + elf->header.e_shoff + index * sizeof section, sizeof section);
    return section;
}

/* A name in a table of strings: the table is there, and so is the name's end. */
static bool name_is_inside(const struct elf *elf, const Elf64_Shdr *strings, uint64_t name)
{
    return strings->sh_type == SHT_STRTAB && name < strings->sh_size &&
           elf->image[strings->sh_offset + strings->sh_size - 1] == '\0';
}

static bool symbols_are_whole(const struct elf *elf, const Elf64_Shdr *section)
{
    if (section->sh_entsize != sizeof(Elf64_Sym) || section->sh_size % sizeof(Elf64_Sym) != 0 ||
        section->sh_link >= elf->header.e_shnum)
        return false;
    Elf64_Shdr strings = section_at(elf, section->sh_link);
    for (uint64_t at = 0; at < section->sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        memcpy(&symbol, elf->image + section->sh_offset + at, sizeof symbol);
        if (!name_is_inside(elf, &strings, symbol.st_name) ||
            (symbol.st_shndx >= elf->header.e_shnum && symbol.st_shndx < SHN_LORESERVE))
            return false;
    }
    return true;
}

static bool sections_are_whole(const struct elf *elf)
{
    unsigned count = elf->header.e_shnum;
    if (!part_is_inside(elf->header.e_shoff, (uint64_t)count * sizeof(Elf64_Shdr), elf->bytes))
        return false;
    for (unsigned i = 0; i < count; i++) {
        Elf64_Shdr section = section_at(elf, i);
        if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL &&
            !part_is_inside(section.sh_offset, section.sh_size, elf->bytes))
            return false;
    }
    Elf64_Shdr names = section_at(elf, elf->header.e_shstrndx);
    for (unsigned i = 0; i < count; i++) {
        Elf64_Shdr section = section_at(elf, i);
        if (!name_is_inside(elf, &names, section.sh_name) ||
            (section.sh_type == SHT_SYMTAB && !symbols_are_whole(elf, &section)))
            return false;
    }
    return true;
}

/* Section and segment tables, what they point to, and the names in them. Every size is checked before it is
 * added. The forms for more than 65279 sections, which a cubin never has, are refused. */
static bool elf_is_whole(const uint8_t *image, uint64_t bytes)
{
    struct elf elf = {.image = image, .bytes = bytes};
    const Elf64_Ehdr *header = &elf.header;
    if (bytes < sizeof elf.header)
        return false;
    memcpy(&elf.header, image, sizeof elf.header);
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_shnum == 0 || header->e_shentsize != sizeof(Elf64_Shdr) ||
        header->e_shstrndx >= header->e_shnum ||
        (header->e_phnum > 0 && header->e_phentsize != sizeof(Elf64_Phdr)) ||
        !part_is_inside(header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr), bytes) ||
        !sections_are_whole(&elf))
        return false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, image + header->e_phoff + i * sizeof segment, sizeof segment);
        if (!part_is_inside(segment.p_offset, segment.p_filesz, bytes))
            return false;
    }
    return true;
}

static bool entries_are_whole(const uint8_t *at, uint64_t bytes)
{
    while (bytes > 0) {
        struct fatbin_entry entry;
        if (bytes < sizeof entry)
            return false;
        memcpy(&entry, at, sizeof entry);
        if (entry.header_bytes < sizeof entry || !part_is_inside(entry.header_bytes, entry.bytes, bytes))
            return false;
        at += entry.header_bytes + entry.bytes;
        bytes -= entry.header_bytes + entry.bytes;
    }
    return true;
}

static bool fatbin_is_whole(const uint8_t *image, uint64_t bytes)
{
    struct fatbin_header header;
    if (bytes < sizeof header)
        return false;
    memcpy(&header, image, sizeof header);
    return header.magic == FATBIN_MAGIC && header.header_bytes >= sizeof header &&
           part_is_inside(header.header_bytes, header.body_bytes, bytes) &&
           entries_are_whole(image + header.header_bytes, header.body_bytes);
}

/* Where the parts of a collection are; their sizes stand before them. */
static uint64_t parts_offset(uint32_t count)
{
    return sizeof(struct image_collection) + count * sizeof(uint64_t);
}

static uint64_t part_bytes(const uint8_t *image, uint32_t index)
{
    uint64_t bytes;
    memcpy(&bytes, image + parts_offset(index), sizeof bytes);
    return bytes;
}

static bool collection_is_whole(const uint8_t *image, uint64_t bytes)
{
    struct image_collection collection;
    if (bytes < sizeof collection)
        return false;
    memcpy(&collection, image, sizeof collection);
    if (collection.count > COLLECTION_MAX || parts_offset(collection.count) > bytes)
        return false;
    uint64_t at = parts_offset(collection.count);
    for (uint32_t i = 0; i < collection.count; i++) {
        uint64_t part = part_bytes(image, i);
        if (part % 8 != 0 || !part_is_inside(at, part, bytes) || !fatbin_is_whole(image + at, part))
            return false;
        at += part;
    }
    return true;
}

bool image_is_whole(const uint8_t *image, uint64_t bytes)
{
    uint32_t magic = 0;
    memcpy(&magic, image, bytes < sizeof magic ? bytes : sizeof magic);
    if (magic == FATBIN_MAGIC)
        return fatbin_is_whole(image, bytes);
    if (magic == COLLECTION_MAGIC)
        return collection_is_whole(image, bytes);
    if (memcmp(&magic, ELFMAG, SELFMAG) == 0)
        return elf_is_whole(image, bytes);
    /* A wrapper holds a pointer, and no pointer of a guest's is followed. */
    return magic != FATBIN_WRAPPER_MAGIC && image[bytes - 1] == '\0';
}

const void *image_wrap(struct image_wrapper *wrapper, const uint8_t *image)
{
    static const struct fatbin_header nothing = {
        .magic = FATBIN_MAGIC, .version = 1, .header_bytes = sizeof nothing};
    struct image_collection collection;
    memcpy(&collection.magic, image, sizeof collection.magic);
    wrapper->parts = NULL;
    if (collection.magic != COLLECTION_MAGIC)
        return image;
    memcpy(&collection, image, sizeof collection);
    wrapper->parts = calloc(collection.count + 1, sizeof *wrapper->parts);
    if (wrapper->parts == NULL)
        return NULL;
    uint64_t at = parts_offset(collection.count);
    for (uint32_t i = 0; i < collection.count; i++) {
        wrapper->parts[i] = image + at;
        at += part_bytes(image, i);
    }
    wrapper->fatbin = (struct fatbin_wrapper){.magic = FATBIN_WRAPPER_MAGIC,
                                              .version = FATBIN_WRAPPER_TO_LINK,
                                              .data = &nothing,
                                              .more = wrapper->parts};
    return &wrapper->fatbin;
}

void image_unwrap(struct image_wrapper *wrapper)
{
    free(wrapper->parts);
}
