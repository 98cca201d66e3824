/* The digest that the runtime library checks, against the vectors of RFC 1319, and its keyed form. */
#include "guest/md2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_digest(const uint8_t digest[MD2_BYTES], const char *expected)
{
    char text[2 * MD2_BYTES + 1];
    for (unsigned i = 0; i < MD2_BYTES; i++)
        snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, expected);
}

static void digests_as_in_the_rfc(void **state)
{
    static const struct {
        const char *text, *digest;
    } vectors[] = {
        {"", "8350e5a3e24c153df2275c9f80692773"},
        {"a", "32ec01ec4a6dac72c0ab96fb34c0b5d1"},
        {"message digest", "ab4f496bfb2a530b219ff33031fe06b0"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "d5976f79d83d3a0dc9806c3c66f3efd8"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct md2 md2;
        uint8_t digest[MD2_BYTES];
        md2_begin(&md2);
        md2_add(&md2, vectors[i].text, strlen(vectors[i].text));
        md2_end(&md2, digest);
        assert_digest(digest, vectors[i].digest);
    }
}

/* HMAC is the digest of the masked key and the digest of the otherwise masked key and the text. */
static void keyed_is_the_digest_twice(void **state)
{
    uint8_t key[MD2_BYTES], mask[MD2_BYTES], inner[MD2_BYTES], outer[MD2_BYTES], keyed[MD2_BYTES];
    struct md2 md2;
    for (unsigned i = 0; i < MD2_BYTES; i++) {
        key[i] = (uint8_t)(i * 7 + 1);
        mask[i] = key[i] ^ 0x36;
    }
    md2_begin(&md2);
    md2_add(&md2, mask, sizeof mask);
    md2_add(&md2, "what is said", 12);
    md2_end(&md2, inner);
    for (unsigned i = 0; i < MD2_BYTES; i++)
        mask[i] = key[i] ^ 0x5c;
    md2_begin(&md2);
    md2_add(&md2, mask, sizeof mask);
    md2_add(&md2, inner, sizeof inner);
    md2_end(&md2, outer);
    struct md2_keyed with_key;
    md2_keyed_begin(&with_key, key);
    md2_keyed_add(&with_key, "what", 4);
    md2_keyed_add(&with_key, " is said", 8);
    md2_keyed_end(&with_key, keyed);
    assert_memory_equal(keyed, outer, sizeof outer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_as_in_the_rfc),
        cmocka_unit_test(keyed_is_the_digest_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
