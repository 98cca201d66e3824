/* Code as programs hand it over: where it ends, and what of it is sent for which GPU. */
#include "guest/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cuda/fat_binary.h"
#include "wire/own_calls.h"

/* A fat binary of entries with 16 bytes of code each, which say their architecture. */
struct binary {
    _Alignas(8) uint8_t bytes[2048];
};

struct described {
    uint16_t kind;
    unsigned architecture;
    uint64_t flags;
};

static void make_binary(struct binary *binary, const struct described *entries, unsigned count)
{
    struct fatbin_header header = {.magic = FATBIN_MAGIC, .version = 1, .header_bytes = sizeof header};
    uint8_t *at = binary->bytes + sizeof header;
    for (unsigned i = 0; i < count; i++) {
        struct fatbin_entry entry = {.kind = entries[i].kind,
                                     .header_bytes = sizeof entry,
                                     .bytes = 16,
                                     .architecture = entries[i].architecture,
                                     .flags = entries[i].flags};
        memcpy(at, &entry, sizeof entry);
        memset(at + sizeof entry, (int)entries[i].architecture, 16);
        at += sizeof entry + 16;
    }
    header.body_bytes = count * (sizeof(struct fatbin_entry) + 16);
    memcpy(binary->bytes, &header, sizeof header);
}

/* What stands in a fat binary: kind and architecture of each entry, as "p80 c90 ". */
static void assert_entries(const uint8_t *binary, const char *expected)
{
    char found[200] = "";
    struct fatbin_header header;
    memcpy(&header, binary, sizeof header);
    assert_int_equal(header.magic, FATBIN_MAGIC);
    for (uint64_t at = header.header_bytes; at < header.header_bytes + header.body_bytes;) {
        struct fatbin_entry entry;
        memcpy(&entry, binary + at, sizeof entry);
        snprintf(found + strlen(found), 10, "%c%u%s ", entry.kind == FATBIN_PTX ? 'p' : 'c',
                 entry.architecture,
                 entry.flags & FATBIN_ONE_GPU      ? "a"
                 : entry.flags & FATBIN_ONE_FAMILY ? "f"
                                                   : "");
        assert_int_equal(binary[at + entry.header_bytes], entry.architecture);
        at += entry.header_bytes + entry.bytes;
    }
    assert_string_equal(found, expected);
}

static void assert_sent(const void *code, unsigned capability, bool may_compile, const char *expected)
{
    struct image image;
    assert_true(image_open(code, capability, may_compile, &image));
    uint8_t *copy = malloc(image.bytes);
    image_copy(&image, copy);
    assert_entries(copy, expected);
    free(copy);
    image_close(&image);
}

static const struct described many[] = {
    {FATBIN_CUBIN, 75, 0},
    {FATBIN_CUBIN, 80, 0},
    {FATBIN_CUBIN, 86, 0},
    {FATBIN_CUBIN, 90, 0},
    {FATBIN_CUBIN, 90, FATBIN_ONE_GPU},
    {FATBIN_CUBIN, 100, FATBIN_ONE_FAMILY},
    {FATBIN_CUBIN, 100, FATBIN_ONE_GPU},
    {FATBIN_PTX, 80, 0},
    {FATBIN_PTX, 90, FATBIN_ONE_GPU},
    {FATBIN_PTX, 100, FATBIN_ONE_FAMILY},
    {FATBIN_PTX, 120, 0},
};

static void only_what_the_gpu_can_run_is_sent(void **state)
{
    struct binary binary;
    make_binary(&binary, many, sizeof many / sizeof many[0]);
    assert_sent(&binary, 90, false, "c90 c90a ");
    assert_sent(&binary, 90, true, "c90 c90a p80 p90a ");
    assert_sent(&binary, 89, false, "c80 c86 p80 ");
    assert_sent(&binary, 103, false, "c100f p80 p100f ");
    assert_sent(&binary, 100, false, "c100f c100a ");
    assert_sent(&binary, 75, false, "c75 ");
    struct fatbin_wrapper wrapper = {FATBIN_WRAPPER_MAGIC, 1, &binary, NULL};
    assert_sent(&wrapper, 90, false, "c90 c90a ");
}

/* The driver is to say itself that there is nothing to run. */
static void where_nothing_runs_all_is_sent(void **state)
{
    struct binary binary;
    make_binary(&binary, many, 3);
    assert_sent(&binary, 100, false, "c75 c80 c86 ");
}

static void parts_to_link_are_sent_together(void **state)
{
    static const struct described text = {FATBIN_PTX, 80, 0};
    struct binary empty, one, other;
    make_binary(&empty, NULL, 0);
    make_binary(&one, many, sizeof many / sizeof many[0]);
    make_binary(&other, &text, 1);
    const void *const parts[] = {&one, &other, NULL};
    struct fatbin_wrapper wrapper = {FATBIN_WRAPPER_MAGIC, FATBIN_WRAPPER_TO_LINK, &empty, parts};
    struct image image;
    assert_true(image_open(&wrapper, 90, false, &image));
    uint8_t *copy = malloc(image.bytes);
    image_copy(&image, copy);
    struct image_collection collection;
    uint64_t sizes[2];
    memcpy(&collection, copy, sizeof collection);
    memcpy(sizes, copy + sizeof collection, sizeof sizes);
    assert_int_equal(collection.magic, COLLECTION_MAGIC);
    assert_int_equal(collection.count, 2);
    assert_int_equal(sizeof collection + sizeof sizes + sizes[0] + sizes[1], image.bytes);
    assert_entries(copy + sizeof collection + sizeof sizes, "c90 c90a ");
    assert_entries(copy + sizeof collection + sizeof sizes + sizes[0], "p80 ");
    free(copy);
    image_close(&image);
    wrapper.data = &other; /* is enough by itself */
    assert_sent(&wrapper, 90, false, "p80 ");
}

static void text_ends_with_its_nul(void **state)
{
    struct image image;
    const char *const texts[] = {"//ptx", ""};
    for (int i = 0; i < 2; i++) {
        assert_true(image_open(texts[i], 90, false, &image));
        assert_int_equal(image.bytes, strlen(texts[i]) + 1);
        image_close(&image);
    }
}

static void headers_that_make_no_sense_are_refused(void **state)
{
    struct binary binary;
    struct image image;
    struct fatbin_header header;
    assert_false(image_open(NULL, 90, false, &image));
    image_close(&image);
    make_binary(&binary, many, 2);
    memcpy(&header, binary.bytes, sizeof header);
    header.body_bytes = UINT64_MAX;
    memcpy(binary.bytes, &header, sizeof header);
    assert_false(image_open(&binary, 90, false, &image));
    image_close(&image);
    make_binary(&binary, many, 2);
    memset(binary.bytes + sizeof header + 8, 0xff, 8); /* an entry's size */
    assert_false(image_open(&binary, 90, false, &image));
    image_close(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_the_gpu_can_run_is_sent),
        cmocka_unit_test(where_nothing_runs_all_is_sent),
        cmocka_unit_test(parts_to_link_are_sent_together),
        cmocka_unit_test(text_ends_with_its_nul),
        cmocka_unit_test(headers_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
