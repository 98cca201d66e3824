/* Digests of contents, against those of another implementation (Python's hashlib). */
#include "base/blake2b.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_digest(const uint8_t *bytes, size_t count, size_t piece, const char *expected)
{
    struct blake2b blake2b;
    uint8_t digest[BLAKE2B_BYTES];
    char text[2 * BLAKE2B_BYTES + 1];
    blake2b_begin(&blake2b);
    for (size_t at = 0; at < count; at += piece)
        blake2b_add(&blake2b, bytes + at, count - at < piece ? count - at : piece);
    blake2b_end(&blake2b, digest);
    for (unsigned i = 0; i < BLAKE2B_BYTES; i++)
        snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, expected);
}

static void digests_as_others_do(void **state)
{
    uint8_t zeros[128] = {0}, many[1000];
    for (unsigned i = 0; i < sizeof many; i++)
        many[i] = (uint8_t)(i % 251);
    assert_digest(zeros, 0, 1, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    assert_digest((const uint8_t *)"abc", 3, 3,
                  "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    assert_digest(zeros, sizeof zeros, 128,
                  "378d0caaaa3855f1b38693c1d6ef004fd118691c95c959d4efa950d6d6fcf7c1");
    for (size_t piece = 1; piece < 300; piece += 7)
        assert_digest(many, sizeof many, piece,
                      "b372d0608f720c8c3dd41e9c8eecb10143b41abe520b616607e754bf79c08331");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_as_others_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
