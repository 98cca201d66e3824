#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void says_what_it_was_told(void **state)
{
    struct vgpu_error err = {0};
    assert_int_equal(error_set(&err, VGPU_ERR_BUSY, "pool %c is %s", 'A', "busy"), VGPU_ERR_BUSY);
    assert_int_equal(err.status, VGPU_ERR_BUSY);
    assert_string_equal(err.message, "pool A is busy");
    assert_int_equal(error_set(NULL, VGPU_ERR_IO, "nobody listens"), VGPU_ERR_IO);
}

static void adds_the_reason_and_keeps_errno(void **state)
{
    struct vgpu_error err = {0};
    errno = ENOSPC;
    assert_int_equal(error_set_errno(&err, VGPU_ERR_IO, "cannot write '%s'", "x"), VGPU_ERR_IO);
    assert_string_equal(err.message, "cannot write 'x': No space left on device");
    assert_int_equal(errno, ENOSPC);
}

/* A name of the user's may be of any length and in any script. */
static void cuts_between_characters(void **state)
{
    static const char *const characters[] = {"a", "é", "本", "😀"};
    for (size_t kind = 0; kind < 4; kind++) {
        size_t width = strlen(characters[kind]);
        for (size_t shift = 0; shift < width; shift++) {
            struct vgpu_error err = {0};
            char text[1024] = "xxxx";
            size_t length = shift;
            while (length + width < sizeof text) {
                memcpy(text + length, characters[kind], width + 1);
                length += width;
            }
            error_set(&err, VGPU_ERR_USAGE, "%s", text);
            size_t kept = strlen(err.message);
            assert_int_equal((kept - shift) % width, 0);
            assert_true(kept >= sizeof err.message - 1 - (width - 1));
            assert_memory_equal(err.message, text, kept);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_was_told),
        cmocka_unit_test(adds_the_reason_and_keeps_errno),
        cmocka_unit_test(cuts_between_characters),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
