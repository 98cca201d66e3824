/* What of an image is checked before the driver, which is told no length, reads it. */
#include "worker/payload.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/jit.h"

/* An ELF file as small as a cubin can be: strings, a table of symbols, a segment. */
struct small_elf {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    Elf64_Shdr sections[3];
    Elf64_Sym symbols[2];
    char strings[16];
};

static struct small_elf good_elf(void)
{
    struct small_elf elf = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
                   .e_phoff = offsetof(struct small_elf, segment),
                   .e_phnum = 1,
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_shoff = offsetof(struct small_elf, sections),
                   .e_shnum = 3,
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shstrndx = 1},
        .segment = {.p_offset = 0, .p_filesz = sizeof(struct small_elf)},
        .sections = {{.sh_type = SHT_NULL},
                     {.sh_name = 1,
                      .sh_type = SHT_STRTAB,
                      .sh_offset = offsetof(struct small_elf, strings),
                      .sh_size = 16},
                     {.sh_name = 3,
                      .sh_type = SHT_SYMTAB,
                      .sh_offset = offsetof(struct small_elf, symbols),
                      .sh_size = 2 * sizeof(Elf64_Sym),
                      .sh_entsize = sizeof(Elf64_Sym),
                      .sh_link = 1}},
        .symbols = {{.st_name = 0}, {.st_name = 3, .st_shndx = 1}}};
    memcpy(elf.strings + 1, "s", 2);
    memcpy(elf.strings + 3, "kernel", 7);
    return elf;
}

static bool whole(const void *image, uint64_t bytes)
{
    void *copy = malloc(bytes); /* of exactly this size, so that a sanitizer sees a read beyond it */
    memcpy(copy, image, bytes);
    bool result = image_is_whole(copy, bytes);
    free(copy);
    return result;
}

static void an_elf_file_that_is_all_there_passes(void **state)
{
    struct small_elf elf = good_elf();
    assert_true(whole(&elf, sizeof elf));
    for (size_t bytes = 1; bytes < sizeof elf; bytes++)
        assert_false(whole(&elf, bytes));
}

#define SPOIL(change)                                                                                        \
    do {                                                                                                     \
        struct small_elf elf = good_elf();                                                                   \
        change;                                                                                              \
        assert_false(whole(&elf, sizeof elf));                                                               \
    } while (0)

static void an_elf_file_that_lies_does_not(void **state)
{
    SPOIL(elf.header.e_ident[EI_CLASS] = ELFCLASS32);
    SPOIL(elf.header.e_shoff = UINT64_MAX);
    SPOIL(elf.header.e_shoff = sizeof elf);
    SPOIL(elf.header.e_shnum = 0);
    SPOIL(elf.header.e_shnum = 65535);
    SPOIL(elf.header.e_shentsize = 8);
    SPOIL(elf.header.e_shstrndx = 3);
    SPOIL(elf.header.e_shstrndx = SHN_XINDEX);
    SPOIL(elf.header.e_phoff = UINT64_MAX - 8);
    SPOIL(elf.header.e_phnum = 60000);
    SPOIL(elf.segment.p_filesz = UINT64_MAX);
    SPOIL(elf.segment.p_offset = UINT64_MAX);
    SPOIL(elf.sections[1].sh_offset = UINT64_MAX);
    SPOIL(elf.sections[1].sh_size = UINT64_MAX - 64);
    SPOIL(elf.sections[1].sh_size = 0);
    SPOIL(elf.sections[1].sh_name = 16);
    SPOIL(elf.sections[2].sh_link = 3);
    SPOIL(elf.sections[2].sh_link = 1000000);
    SPOIL(elf.sections[2].sh_entsize = 0);
    SPOIL(elf.sections[2].sh_size--);
    SPOIL(elf.symbols[1].st_name = 16);
    SPOIL(elf.symbols[1].st_shndx = 3);
    SPOIL(memset(elf.strings, 'x', sizeof elf.strings));
}

static void put(uint8_t *at, uint64_t value, size_t bytes)
{
    memcpy(at, &value, bytes);
}

/* A fat binary of one entry with `code` bytes. */
static void fill_fatbin(uint8_t *image, uint64_t body, uint32_t entry_header, uint64_t code)
{
    memset(image, 0, 128);
    put(image, 0xba55ed50, 4);
    put(image + 6, 16, 2);
    put(image + 8, body, 8);
    put(image + 20, entry_header, 4);
    put(image + 24, code, 8);
}

static void a_fat_binary_must_hold_its_entries(void **state)
{
    uint8_t image[128];
    fill_fatbin(image, 112, 64, 48);
    assert_true(whole(image, sizeof image));
    for (size_t bytes = 1; bytes < sizeof image; bytes++)
        assert_false(whole(image, bytes));
    fill_fatbin(image, 113, 64, 48);
    assert_false(whole(image, sizeof image));
    fill_fatbin(image, UINT64_MAX, 64, 48);
    assert_false(whole(image, sizeof image));
    fill_fatbin(image, 112, 63, 48);
    assert_false(whole(image, sizeof image));
    fill_fatbin(image, 112, UINT32_MAX, 48);
    assert_false(whole(image, sizeof image));
    fill_fatbin(image, 112, 64, 49);
    assert_false(whole(image, sizeof image));
    fill_fatbin(image, 112, 64, UINT64_MAX - 63);
    assert_false(whole(image, sizeof image));
    fill_fatbin(image, 112, 64, 40); /* a piece of a second entry */
    assert_false(whole(image, sizeof image));
}

/* Two fat binaries of 128 bytes each, behind their sizes. */
static void fill_collection(uint8_t *image, uint32_t count, uint64_t first, uint64_t second)
{
    put(image, COLLECTION_MAGIC, 4);
    put(image + 4, count, 4);
    put(image + 8, first, 8);
    put(image + 16, second, 8);
    fill_fatbin(image + 24, 112, 64, 48);
    fill_fatbin(image + 24 + 128, 112, 64, 48);
}

static void a_collection_must_hold_its_parts(void **state)
{
    uint8_t image[24 + 2 * 128];
    struct image_wrapper wrapper;
    fill_collection(image, 2, 128, 128);
    assert_true(whole(image, sizeof image));
    for (size_t bytes = 1; bytes < sizeof image; bytes++)
        assert_false(whole(image, bytes));
    const struct fatbin_wrapper *wrapped = image_wrap(&wrapper, image);
    assert_int_equal(wrapped->version, FATBIN_WRAPPER_TO_LINK);
    const void *const *parts = wrapped->more;
    assert_ptr_equal(parts[0], image + 24);
    assert_ptr_equal(parts[1], image + 24 + 128);
    assert_null(parts[2]);
    image_unwrap(&wrapper);
    const uint64_t wrong[] = {0, 120, 127, 136, UINT64_MAX, UINT64_MAX - 127};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fill_collection(image, 2, wrong[i], 128);
        assert_false(whole(image, sizeof image));
        fill_collection(image, 2, 128, wrong[i]);
        assert_false(whole(image, sizeof image));
    }
    const uint32_t counts[] = {3, COLLECTION_MAX, COLLECTION_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        fill_collection(image, counts[i], 128, 128);
        assert_false(whole(image, sizeof image));
    }
}

static void text_ends_with_nul(void **state)
{
    assert_true(whole("//ptx", 6));
    assert_false(whole("//ptx", 5));
    assert_true(whole("", 1));
    assert_false(whole("x", 1));
}

static void a_wrapper_is_never_followed(void **state)
{
    uint64_t wrapper[3] = {0x100000000 | 0x466243b1, 0, 0};
    assert_false(whole(wrapper, sizeof wrapper));
}

/* Options whose value the driver would take as an address are not passed on. */
static void jit_options_are_numbers(void **state)
{
    struct jit jit;
    for (uint32_t key = 0; key < 100; key++) {
        struct option_value option = {.key = key, .value = 0x4141414141414141};
        bool address = key == CU_JIT_INFO_LOG_BUFFER || key == CU_JIT_ERROR_LOG_BUFFER ||
                       key == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES ||
                       key == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES || key == CU_JIT_GLOBAL_SYMBOL_NAMES ||
                       key == CU_JIT_GLOBAL_SYMBOL_ADDRESSES || key == CU_JIT_REFERENCED_KERNEL_NAMES ||
                       key == CU_JIT_REFERENCED_VARIABLE_NAMES || key >= CU_JIT_NUM_OPTIONS;
        assert_int_equal(jit_init(&jit, (const uint8_t *)&option, 1, 0, 0), !address);
        jit_fini(&jit);
    }
}

static void jit_logs_are_bounded(void **state)
{
    struct jit jit;
    assert_true(jit_init(&jit, NULL, 0, UINT32_MAX, 10));
    assert_int_equal(jit.count, 4);
    memset(jit.info, 'x', LOG_MAX_BYTES);
    jit.values[jit.info_at] = (void *)(uintptr_t)UINT32_MAX; /* what a driver might say it used */
    assert_int_equal(jit_info_bytes(&jit), LOG_MAX_BYTES);
    assert_int_equal(jit_error_bytes(&jit), 0);
    jit_fini(&jit);
    assert_false(jit_init(&jit, NULL, OPTIONS_MAX + 1, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_elf_file_that_is_all_there_passes),
        cmocka_unit_test(an_elf_file_that_lies_does_not),
        cmocka_unit_test(a_fat_binary_must_hold_its_entries),
        cmocka_unit_test(a_collection_must_hold_its_parts),
        cmocka_unit_test(text_ends_with_nul),
        cmocka_unit_test(a_wrapper_is_never_followed),
        cmocka_unit_test(jit_options_are_numbers),
        cmocka_unit_test(jit_logs_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
