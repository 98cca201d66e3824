#include "simgpu/linked.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define SECTION_TYPE       0x86475055u /* in the range that ELF leaves to applications */
#define SECTION_NAMES_TEXT "\0.vgpu.ptx\0.shstrtab"

bool linked_is_elf(const void *data)
{
    return memcmp(data, ELFMAG, SELFMAG) == 0;
}

/* Layout: header, texts each with its NUL, section names, section headers (null, one per text, names). */
CUresult linked_create(const struct image *image, void **data, size_t *bytes)
{
    size_t text_bytes = 0, sections = image->count + 2;
    for (size_t i = 0; i < image->count; i++)
        text_bytes += image->texts[i].bytes + 1;
    size_t names_at = sizeof(Elf64_Ehdr) + text_bytes;
    size_t table_at = (names_at + sizeof SECTION_NAMES_TEXT + 7) / 8 * 8;
    *bytes = table_at + sections * sizeof(Elf64_Shdr);
    unsigned char *file = calloc(1, *bytes);
    if (!file)
        return CUDA_ERROR_OUT_OF_MEMORY;
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_CUDA,
        .e_version = EV_CURRENT,
        .e_shoff = table_at,
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = (Elf64_Half)sections,
        .e_shstrndx = (Elf64_Half)(sections - 1),
    };
    memcpy(file, &header, sizeof header);
    memcpy(file + names_at, SECTION_NAMES_TEXT, sizeof SECTION_NAMES_TEXT);
    size_t at = sizeof header;
    Elf64_Shdr section = {.sh_name = 1, .sh_type = SECTION_TYPE, .sh_addralign = 1};
    for (size_t i = 0; i < image->count; i++) {
        section.sh_offset = at;
        section.sh_size = image->texts[i].bytes + 1;
        memcpy(file + at, image->texts[i].text, image->texts[i].bytes);
        memcpy(file + table_at + (i + 1) * sizeof section, &section, sizeof section);
        at += section.sh_size;
    }
    section = (Elf64_Shdr){.sh_name = 11,
                           .sh_type = SHT_STRTAB,
                           .sh_addralign = 1,
                           .sh_offset = names_at,
                           .sh_size = sizeof SECTION_NAMES_TEXT};
    memcpy(file + table_at + (sections - 1) * sizeof section, &section, sizeof section);
    *data = file;
    return CUDA_SUCCESS;
}

CUresult linked_open(const void *data, size_t limit, unsigned int capability, struct image *image,
                     char **message)
{
    Elf64_Ehdr header;
    bool found = false;
    if (limit < sizeof header)
        return CUDA_ERROR_INVALID_IMAGE;
    memcpy(&header, data, sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_CUDA ||
        (header.e_shnum && header.e_shentsize != sizeof(Elf64_Shdr)) || header.e_shoff > limit ||
        header.e_shnum * sizeof(Elf64_Shdr) > limit - header.e_shoff) {
        *message = strdup("the image is an ELF file, but not one for a GPU");
        return CUDA_ERROR_INVALID_IMAGE;
    }
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < header.e_shnum && !result; i++) {
        Elf64_Shdr section;
        memcpy(&section, (const char *)data + header.e_shoff + i * sizeof section, sizeof section);
        if (section.sh_type != SECTION_TYPE)
            continue;
        if (section.sh_offset > limit || section.sh_size > limit - section.sh_offset || section.sh_size == 0)
            return CUDA_ERROR_INVALID_IMAGE;
        found = true;
        result = image_append(image, CU_JIT_INPUT_PTX, (const char *)data + section.sh_offset,
                              section.sh_size - 1, NULL, capability, message);
    }
    if (!found) {
        *message =
            strdup("the image is a cubin, machine code of one GPU; the simulated driver runs PTX only: build "
                   "with -gencode arch=compute_NN,code=compute_NN, or load the PTX");
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    return result;
}
