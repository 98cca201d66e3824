#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const words[] = {"scan-gpus", "scan-vms", "show-gpu", "status", "quantum", "A"};
#define WORD_COUNT (sizeof words / sizeof words[0])

static void finds_typing_mistakes(void **state)
{
    assert_string_equal(suggest_nearest("sacn-gpus", words, WORD_COUNT), "scan-gpus"); /* swapped */
    assert_string_equal(suggest_nearest("scan-gpu", words, WORD_COUNT), "scan-gpus");  /* dropped */
    assert_string_equal(suggest_nearest("sttatus", words, WORD_COUNT), "status");      /* doubled */
    assert_string_equal(suggest_nearest("quantim", words, WORD_COUNT), "quantum");     /* changed */
    assert_string_equal(suggest_nearest("scan_vms", words, WORD_COUNT), "scan-vms");   /* '_' for '-' */
}

static void is_silent_about_other_words(void **state)
{
    assert_null(suggest_nearest("reboot", words, WORD_COUNT));
    assert_null(suggest_nearest("", words, WORD_COUNT));
    assert_null(suggest_nearest("status", words, 0));
}

static void takes_words_of_any_length(void **state)
{
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_null(suggest_nearest(longest, words, WORD_COUNT));
    const char *const long_words[] = {longest, "aaa"};
    assert_string_equal(suggest_nearest("aa", long_words, 2), "aaa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_typing_mistakes),
        cmocka_unit_test(is_silent_about_other_words),
        cmocka_unit_test(takes_words_of_any_length),
    };
    return cmocka_run_group_tests_name("suggest", tests, NULL, NULL);
}
