/* Kinds of value that no key of the table has for now: sizes, flags, lists. */
#include "base/settings_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct setting_description size_key = {"size", SETTING_TYPE_SIZE, "0", 0, INT64_MAX, NULL, ""};
static const struct setting_description flag_key = {"flag", SETTING_TYPE_FLAG, "no", 0, 0, NULL, ""};
static const struct setting_description list_key = {"list", SETTING_TYPE_LIST, "", 0, 40, NULL, ""};

static int64_t number(const struct setting_description *key, const char *text)
{
    struct setting_value value = {0};
    struct vgpu_error err = {0};
    if (setting_value_read(&value, key, text, NULL, &err) != VGPU_OK)
        fail_msg("%s", err.message);
    int64_t result = value.number;
    setting_value_fini(&value);
    return result;
}

static void refused(const struct setting_description *key, const char *text, const char *message)
{
    struct setting_value value = {0};
    struct vgpu_error err = {0};
    assert_int_equal(setting_value_read(&value, key, text, NULL, &err), VGPU_ERR_USAGE);
    assert_string_equal(err.message, message);
    assert_null(value.written);
}

static void sizes(void **state)
{
    assert_int_equal(number(&size_key, "0"), 0);
    assert_int_equal(number(&size_key, "4096"), 4096);
    assert_int_equal(number(&size_key, "1.5K"), 1536);
    assert_int_equal(number(&size_key, "2 GiB"), INT64_C(2) << 30);
    refused(&size_key, "2 gigs", "'2 gigs' is not a size; write for example 512M or 2G");
    refused(&size_key, "99999999T", "'99999999T' is too large a size");
}

static void flags(void **state)
{
    assert_int_equal(number(&flag_key, "Yes"), 1);
    assert_int_equal(number(&flag_key, "off"), 0);
    assert_int_equal(number(&flag_key, "1"), 1);
    refused(&flag_key, "maybe", "'maybe' is neither yes nor no");
}

static void lists(void **state)
{
    struct setting_value value = {0};
    assert_int_equal(setting_value_read(&value, &list_key, "a , b c,d", NULL, NULL), VGPU_OK);
    assert_string_equal(value.items[0], "a");
    assert_string_equal(value.items[1], "b c");
    assert_string_equal(value.items[2], "d");
    assert_null(value.items[3]);
    setting_value_fini(&value);
    assert_int_equal(setting_value_read(&value, &list_key, "", NULL, NULL), VGPU_OK);
    assert_null(value.items[0]);
    setting_value_fini(&value);
    refused(&list_key, "a,,b", "'a,,b' has an empty entry between its commas");
    refused(&list_key, "0123456789012345678901234567890123456789x",
            "the value is too long: 41 bytes, at most 40");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(flags),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
