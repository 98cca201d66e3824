/* CUDA_VISIBLE_DEVICES where there is one device. */
#include "guest/visible_devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const CUuuid uuid = {"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"};

static void the_device_is_shown(void **state)
{
    const char *const lists[] = {NULL,        "0",        " 0",
                                 "0,1",       "0, 1",     "GPU-01234567-89ab-cdef-0123-456789abcdef",
                                 "GPU-01234", "gpu-0123", "GPU-01,GPU-02"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        assert_true(visible_devices_show(lists[i], &uuid));
}

static void the_device_is_hidden(void **state)
{
    const char *const lists[] = {"",
                                 " ",
                                 "-1",
                                 "1",
                                 "1,0",
                                 "none",
                                 "NoDevFiles",
                                 "0x0",
                                 ",0",
                                 "GPU-1",
                                 "GPU-01234567-89ab-cdef-0123-456789abcdef0"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        assert_false(visible_devices_show(lists[i], &uuid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_is_shown),
        cmocka_unit_test(the_device_is_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
