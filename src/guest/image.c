#include "guest/image.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda/fat_binary.h"
#include "wire/own_calls.h"

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

static bool add_piece(struct image *image, const void *data, uint64_t bytes)
{
    if (bytes > IMAGE_MAX_BYTES - image->bytes)
        return false;
    if (image->count == image->room) {
        unsigned room = image->room * 2 + 8;
        struct image_piece *larger = realloc(image->pieces, room * sizeof *larger);
        if (larger == NULL)
            return false;
        image->pieces = larger;
        image->room = room;
    }
    image->pieces[image->count++] = (struct image_piece){data, bytes};
    image->bytes += bytes;
    return true;
}

/* --- fat binaries --- */

/* Machine code runs on GPUs of the same major capability from its own on, PTX on all from its own on. */
static bool can_run(const struct fatbin_entry *entry, unsigned capability)
{
    bool same_major = entry->architecture / 10 == capability / 10;
    if (entry->kind != FATBIN_PTX && entry->kind != FATBIN_CUBIN)
        return true; /* who knows */
    if (entry->flags & FATBIN_ONE_GPU)
        return entry->architecture == capability;
    if (entry->kind == FATBIN_CUBIN || (entry->flags & FATBIN_ONE_FAMILY))
        return same_major && entry->architecture <= capability;
    return entry->architecture <= capability;
}

/* Calls visit for each entry until it returns false. False when the entries lead outside or visit said so. */
static bool each_entry(const struct fatbin_header *header,
                       bool (*visit)(const struct fatbin_entry *entry, const void *at, void *user),
                       void *user)
{
    const uint8_t *at = (const uint8_t *)header + header->header_bytes;
    uint64_t left = header->body_bytes;
    while (left >= sizeof(struct fatbin_entry)) {
        struct fatbin_entry entry;
        memcpy(&entry, at, sizeof entry);
        if (entry.header_bytes < sizeof entry || entry.header_bytes > left ||
            entry.bytes > left - entry.header_bytes || !visit(&entry, at, user))
            return false;
        at += entry.header_bytes + entry.bytes;
        left -= entry.header_bytes + entry.bytes;
    }
    return true;
}

struct choice {
    struct image *image;
    unsigned capability;
    bool may_compile;
    bool has_exact; /* machine code for this very GPU */
    unsigned runnable;
};

static bool look(const struct fatbin_entry *entry, const void *at, void *user)
{
    struct choice *choice = user;
    bool runs = can_run(entry, choice->capability);
    choice->runnable += runs;
    choice->has_exact |= runs && entry->kind == FATBIN_CUBIN && entry->architecture == choice->capability;
    return true;
}

static bool take(const struct fatbin_entry *entry, const void *at, void *user)
{
    struct choice *choice = user;
    bool needless = entry->kind == FATBIN_PTX && choice->has_exact && !choice->may_compile;
    if (choice->runnable > 0 && (needless || !can_run(entry, choice->capability))) {
        choice->image->lacks_ptx |= needless && can_run(entry, choice->capability);
        return true;
    }
    return add_piece(choice->image, at, entry->header_bytes + entry->bytes);
}

/* Whether there is anything in it for this GPU; *good is false when it is no fat binary. */
static bool has_runnable(const struct fatbin_header *header, struct choice *choice, bool *good)
{
    choice->has_exact = false;
    choice->runnable = 0;
    *good = header != NULL && header->magic == FATBIN_MAGIC && header->header_bytes >= sizeof *header &&
            header->body_bytes <= IMAGE_MAX_BYTES && each_entry(header, look, choice);
    return *good && choice->runnable > 0;
}

/* Adds one fat binary, with its header in `space`. */
static bool add_fatbin(const struct fatbin_header *header, struct choice *choice, struct fatbin_header *space)
{
    struct image *image = choice->image;
    bool good;
    has_runnable(header, choice, &good);
    *space = (struct fatbin_header){
        .magic = FATBIN_MAGIC, .version = header->version, .header_bytes = sizeof *space};
    if (!good || !add_piece(image, space, sizeof *space))
        return false;
    uint64_t before = image->bytes;
    good = each_entry(header, take, choice);
    space->body_bytes = image->bytes - before;
    return good;
}

/* Several that are to be linked: a struct image_collection, then each with a size that is a multiple of 8. */
static bool add_collection(const void *const *parts, struct choice *choice)
{
    static const uint64_t padding;
    struct image *image = choice->image;
    unsigned count = 0;
    while (parts[count] != NULL)
        if (++count > COLLECTION_MAX)
            return false;
    size_t sizes_bytes = count * sizeof(uint64_t),
           header_bytes = sizeof(struct image_collection) + sizes_bytes;
    uint8_t *space = calloc(1, header_bytes + count * sizeof(struct fatbin_header));
    image->headers = space;
    if (space == NULL || !add_piece(image, space, header_bytes))
        return false;
    *(struct image_collection *)(void *)space =
        (struct image_collection){.magic = COLLECTION_MAGIC, .count = count};
    uint64_t *sizes = (uint64_t *)(void *)(space + sizeof(struct image_collection));
    struct fatbin_header *headers = (struct fatbin_header *)(void *)(space + header_bytes);
    for (unsigned i = 0; i < count; i++) {
        uint64_t before = image->bytes;
        if (!add_fatbin(parts[i], choice, &headers[i]))
            return false;
        if (image->bytes % 8 != 0 && !add_piece(image, &padding, 8 - image->bytes % 8))
            return false;
        sizes[i] = image->bytes - before;
    }
    return true;
}

static bool open_wrapper(const struct fatbin_wrapper *wrapper, struct choice *choice)
{
    bool good;
    if (!has_runnable(wrapper->data, choice, &good) && good && wrapper->version == FATBIN_WRAPPER_TO_LINK &&
        wrapper->more != NULL)
        return add_collection(wrapper->more, choice);
    choice->image->headers = calloc(1, sizeof(struct fatbin_header));
    return good && choice->image->headers != NULL &&
           add_fatbin(wrapper->data, choice, choice->image->headers);
}

/* --- any kind --- */

bool image_open(const void *code, unsigned capability, bool may_compile, struct image *image)
{
    struct choice choice = {.image = image, .capability = capability, .may_compile = may_compile};
    uint32_t magic = 0;
    memset(image, 0, sizeof *image);
    if (code == NULL)
        return false;
    /* Shorter than any header: text. */
    if (((const char *)code)[0] != '\0' && ((const char *)code)[1] != '\0' && ((const char *)code)[2] != '\0')
        memcpy(&magic, code, sizeof magic);
    if (magic == FATBIN_WRAPPER_MAGIC) {
        struct fatbin_wrapper wrapper;
        memcpy(&wrapper, code, sizeof wrapper);
        return open_wrapper(&wrapper, &choice);
    }
    if (magic == FATBIN_MAGIC) {
        struct fatbin_wrapper wrapper = {.data = code};
        return open_wrapper(&wrapper, &choice);
    }
    uint64_t bytes = memcmp(&magic, ELFMAG, SELFMAG) == 0 ? elf_bytes(code) : strlen(code) + 1;
    return bytes > 0 && add_piece(image, code, bytes);
}

void image_close(struct image *image)
{
    free(image->pieces);
    free(image->headers);
    memset(image, 0, sizeof *image);
}

void image_copy(const struct image *image, void *to)
{
    uint8_t *at = to;
    for (unsigned i = 0; i < image->count; i++) {
        memcpy(at, image->pieces[i].data, image->pieces[i].bytes);
        at += image->pieces[i].bytes;
    }
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
