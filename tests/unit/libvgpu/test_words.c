/* What people write: what is taken, what is refused, and that a refusal is one line that shows the word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include <cmocka.h>

#define REAL_UUID "6F9619FF-8B86-D011-B42D-00CF4FC964FF"

static struct vgpu_error err;

static void assert_says(enum vgpu_status status, const char *words)
{
    assert_int_equal(status, VGPU_ERR_USAGE);
    if (strstr(err.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    for (const char *c = err.message; *c != '\0'; c++)
        assert_true((unsigned char)*c >= ' ' && (unsigned char)*c < 0x7F);
}

static void a_vm_identifier_is_a_word(void **state)
{
    static const char *const good[] = {"abc123",
                                       "a",
                                       "VM_1.x-y",
                                       "_x",
                                       "0",
                                       "6f9619ff8b86d011b42d00cf4fc964ff",
                                       "6F9619FF-8B86-D011-B42D-00CF4FC964F"};
    char vm_uuid[VGPU_VM_UUID_BYTES];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(vgpu_parse_vm_uuid(good[i], vm_uuid, &err), VGPU_OK);
        assert_string_equal(vm_uuid, good[i]);
    }
    static const char *const bad[] = {"-x",       ".",         "..",   ".x",   "a/b", "a b",
                                      "a\nb",     "a\033[31m", "../x", "a\\b", "a*b", "\xff\xfe",
                                      "\xc3\xa4", "a'b",       "a;b",  "a:b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_says(vgpu_parse_vm_uuid(bad[i], vm_uuid, &err), "cannot be a VM's identifier");
    assert_says(vgpu_parse_vm_uuid("", vm_uuid, &err), "empty");
}

static void a_vm_identifier_has_a_length(void **state)
{
    char vm_uuid[VGPU_VM_UUID_BYTES];
    char text[300];
    memset(text, 'x', sizeof text);
    text[64] = '\0';
    assert_int_equal(vgpu_parse_vm_uuid(text, vm_uuid, &err), VGPU_OK);
    assert_int_equal(strlen(vm_uuid), 64);
    text[64] = 'x';
    text[65] = '\0';
    assert_says(vgpu_parse_vm_uuid(text, vm_uuid, &err), "at most 64");
    text[65] = 'x';
    text[299] = '\0';
    assert_says(vgpu_parse_vm_uuid(text, vm_uuid, &err), "...");
}

static void a_real_uuid_is_kept_in_lower_case(void **state)
{
    char vm_uuid[VGPU_VM_UUID_BYTES];
    assert_int_equal(vgpu_parse_vm_uuid(REAL_UUID, vm_uuid, &err), VGPU_OK);
    assert_string_equal(vm_uuid, "6f9619ff-8b86-d011-b42d-00cf4fc964ff");
    assert_int_equal(vgpu_parse_vm_uuid("ABC", vm_uuid, &err), VGPU_OK);
    assert_string_equal(vm_uuid, "ABC");
}

static void a_vm_name_is_text_of_64_characters(void **state)
{
    char name[VGPU_VM_NAME_BYTES];
    static const char *const good[] = {"VM-1", "Büro 3", "日本語", "😀", "a b", " x", "e\xcc\x81"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(vgpu_parse_vm_name(good[i], name, &err), VGPU_OK);
        assert_string_equal(name, good[i]);
    }
    static const char *const control[] = {"a\nb",      "a\tb",           "\033[31m",     "a\x7f",
                                          "a\xc2\x85", "a\xe2\x80\xaex", "a\xe2\x80\xa8"};
    for (size_t i = 0; i < sizeof control / sizeof control[0]; i++)
        assert_says(vgpu_parse_vm_name(control[i], name, &err), "control character");
    static const char *const broken[] = {"\xff",
                                         "a\xc3",
                                         "\xc0\xaf",
                                         "\xed\xa0\x80",
                                         "\xf4\x90\x80\x80",
                                         "\x80",
                                         "\xe2\x82",
                                         "\xf8\x88\x80\x80\x80"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_says(vgpu_parse_vm_name(broken[i], name, &err), "not UTF-8");
    assert_says(vgpu_parse_vm_name("", name, &err), "empty");
    assert_says(vgpu_parse_vm_name("   ", name, &err), "empty");

    char longest[64 * 4 + 8] = "";
    for (int i = 0; i < 64; i++)
        snprintf(longest + i * 4, sizeof longest - (size_t)i * 4, "😀");
    assert_int_equal(vgpu_parse_vm_name(longest, name, &err), VGPU_OK);
    assert_string_equal(name, longest);
    snprintf(longest + 64 * 4, sizeof longest - 64 * 4, "x");
    assert_says(vgpu_parse_vm_name(longest, name, &err), "at most 64");
}

static void numbers_are_digits_alone(void **state)
{
    int32_t number = -7;
    assert_int_equal(vgpu_parse_vm_id("1", &number, &err), VGPU_OK);
    assert_int_equal(number, 1);
    assert_int_equal(vgpu_parse_vm_id("2147483647", &number, &err), VGPU_OK);
    assert_int_equal(number, 2147483647);
    assert_int_equal(vgpu_parse_gpu_id("0", &number, &err), VGPU_OK);
    assert_int_equal(number, 0);
    static const char *const bad[] = {"",   "-1", "+1",  "1.5",        "0x1",
                                      " 1", "1 ", "one", "2147483648", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_says(vgpu_parse_vm_id(bad[i], &number, &err), "no vm-id");
        assert_says(vgpu_parse_gpu_id(bad[i], &number, &err), "no gpu-id");
    }
    assert_says(vgpu_parse_vm_id("0", &number, &err), "no vm-id");
    assert_int_equal(number, 0); /* untouched by refusals */
}

static void a_pool_is_one_letter(void **state)
{
    char pool = '?';
    assert_int_equal(vgpu_parse_pool("A", &pool, &err), VGPU_OK);
    assert_int_equal(pool, 'A');
    assert_int_equal(vgpu_parse_pool("z", &pool, &err), VGPU_OK);
    assert_int_equal(pool, 'Z');
    static const char *const bad[] = {"", "AB", "1", " A", "A ", "\xc3\x84", "*"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_says(vgpu_parse_pool(bad[i], &pool, &err), "no pool");
}

static void pools_are_letters_with_commas(void **state)
{
    char pools[VGPU_POOLS_BYTES];
    assert_int_equal(vgpu_parse_pools("B", pools, &err), VGPU_OK);
    assert_string_equal(pools, "B");
    assert_int_equal(vgpu_parse_pools("b,A,Z", pools, &err), VGPU_OK);
    assert_string_equal(pools, "BAZ");
    assert_int_equal(vgpu_parse_pools("A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q,R,S,T,U,V,W,X,Y,Z", pools, &err),
                     VGPU_OK);
    static const char *const bad[] = {"", ",", "A,", ",A", "AB", "A,,B", "A B", "A;B", "A,1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_says(vgpu_parse_pools(bad[i], pools, &err), "no list of pools");
    assert_says(vgpu_parse_pools("A,B,a", pools, &err), "twice");
}

static void a_priority_is_one_of_three_words(void **state)
{
    enum vgpu_priority priority = VGPU_PRIORITY_LOW;
    assert_int_equal(vgpu_parse_priority("high", &priority, &err), VGPU_OK);
    assert_int_equal(priority, VGPU_PRIORITY_HIGH);
    assert_int_equal(vgpu_parse_priority("Medium", &priority, &err), VGPU_OK);
    assert_int_equal(priority, VGPU_PRIORITY_MEDIUM);
    assert_int_equal(vgpu_parse_priority("0", &priority, &err), VGPU_OK);
    assert_int_equal(priority, VGPU_PRIORITY_LOW);
    static const char *const bad[] = {"", "urgent", "3", "-1", "hi", "low ", "00"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_says(vgpu_parse_priority(bad[i], &priority, &err), "low, medium or high");
}

static void vm_ids_are_numbers_and_ranges(void **state)
{
    struct vgpu_vm_id_range ranges[VGPU_VM_ID_RANGES];
    size_t count = 0;
    assert_int_equal(vgpu_parse_vm_ids("1-7,9,2147483647", ranges, &count, &err), VGPU_OK);
    assert_int_equal(count, 3);
    assert_int_equal(ranges[0].first, 1);
    assert_int_equal(ranges[0].last, 7);
    assert_int_equal(ranges[1].first, 9);
    assert_int_equal(ranges[1].last, 9);
    assert_int_equal(ranges[2].last, VGPU_VM_ID_MAX);
    static const char *const bad[] = {"",     "0",     "7-1", "1-", "-1",         "1,",          ",1",
                                      "1,,2", "1-2-3", "a",   "1 ", "2147483648", "99999999999", "1-0x2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_says(vgpu_parse_vm_ids(bad[i], ranges, &count, &err), "like 3 or 1-7 or 1-3,8");
    char many[2 * (VGPU_VM_ID_RANGES + 1) + 1] = "";
    for (size_t i = 0; i <= VGPU_VM_ID_RANGES; i++)
        memcpy(many + 2 * i, i < VGPU_VM_ID_RANGES ? "1," : "1", 2);
    assert_says(vgpu_parse_vm_ids(many, ranges, &count, &err), "more than 64");
}

static void a_time_is_a_date_or_how_long_ago(void **state)
{
    int64_t us = 0;
    setenv("TZ", "UTC", 1);
    assert_int_equal(vgpu_parse_time("1970-01-02", &us, &err), VGPU_OK);
    assert_int_equal(us, INT64_C(86400000000));
    assert_int_equal(vgpu_parse_time("2026-01-11 00:00", &us, &err), VGPU_OK);
    assert_int_equal(us, INT64_C(1768089600000000));
    assert_int_equal(vgpu_parse_time("2026-01-11T00:00:01", &us, &err), VGPU_OK);
    assert_int_equal(us, INT64_C(1768089601000000));
    int64_t day_ago_us = 0;
    int64_t hours_ago_us = 0;
    assert_int_equal(vgpu_parse_time("1d", &day_ago_us, &err), VGPU_OK);
    assert_int_equal(vgpu_parse_time("24h", &hours_ago_us, &err), VGPU_OK);
    assert_in_range(hours_ago_us - day_ago_us, 0, 1000000);
    assert_int_equal(vgpu_parse_time("1000000000d", &us, &err), VGPU_OK);
    assert_int_equal(us, 0);
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "5",
                                      "h",
                                      "-1h",
                                      "1.5h",
                                      "1h ",
                                      "1w",
                                      "2026-02-31",
                                      "2026-13-01",
                                      "2026-01-01x",
                                      "01:00",
                                      "2026-01-01 25:00"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_says(vgpu_parse_time(bad[i], &us, &err), "90s, 10m, 2h or 3d");
}

static void every_value_has_its_word(void **state)
{
    assert_string_equal(vgpu_priority_name(VGPU_PRIORITY_LOW), "low");
    assert_string_equal(vgpu_priority_name(VGPU_PRIORITY_HIGH), "high");
    assert_string_equal(vgpu_gpu_status_name(VGPU_GPU_ERROR), "error");
    assert_string_equal(vgpu_status_name(VGPU_OK), "ok");
    assert_string_equal(vgpu_status_name(VGPU_ERR_NOT_FOUND), "not-found");
    assert_string_equal(vgpu_status_name(VGPU_ERR_MEMORY), "memory");
    assert_string_equal(vgpu_status_name(VGPU_ERR_AMBIGUOUS), "ambiguous");
    assert_string_equal(vgpu_status_name((enum vgpu_status)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vm_identifier_is_a_word),
        cmocka_unit_test(a_vm_identifier_has_a_length),
        cmocka_unit_test(a_real_uuid_is_kept_in_lower_case),
        cmocka_unit_test(a_vm_name_is_text_of_64_characters),
        cmocka_unit_test(numbers_are_digits_alone),
        cmocka_unit_test(a_pool_is_one_letter),
        cmocka_unit_test(pools_are_letters_with_commas),
        cmocka_unit_test(a_priority_is_one_of_three_words),
        cmocka_unit_test(vm_ids_are_numbers_and_ranges),
        cmocka_unit_test(a_time_is_a_date_or_how_long_ago),
        cmocka_unit_test(every_value_has_its_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
