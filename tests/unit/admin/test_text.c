/* Text: what a user reads lines up and cannot be broken by what a VM is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/text.h"

static char *put(const char *text, size_t max_width)
{
    char *result = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&result, &length);
    assert_non_null(out);
    text_put(out, text, max_width);
    fclose(out);
    return result;
}

static void assert_put(const char *text, size_t max_width, const char *expected)
{
    char *result = put(text, max_width);
    assert_string_equal(result, expected);
    free(result);
}

static void width_counts_columns_not_bytes(void **state)
{
    assert_int_equal(text_width("VM-1"), 4);
    assert_int_equal(text_width("Büro"), 4);
    assert_int_equal(text_width("仮想機"), 6);
    assert_int_equal(text_width("e\u0301"), 1); /* a combining accent takes no column */
    assert_int_equal(text_width(""), 0);
}

static void broken_and_control_characters_become_question_marks(void **state)
{
    assert_put("a\033[2Jb", SIZE_MAX, "a?[2Jb");
    assert_put("a\nb", SIZE_MAX, "a?b");
    assert_put("a\xff\xc3", SIZE_MAX, "a??");
    assert_put("\xc0\xaf", SIZE_MAX, "??");      /* overlong '/' */
    assert_put("\xed\xa0\x80", SIZE_MAX, "???"); /* a surrogate */
    assert_put("a\u202eb", SIZE_MAX, "a?b");     /* would print what follows backwards */
    assert_int_equal(text_width("a\xff\033"), 3);
}

static void a_long_text_is_cut_within_its_width(void **state)
{
    assert_put("abcdef", 6, "abcdef");
    assert_put("abcdef", 5, "abcd…");
    assert_put("仮想機械", 5, "仮想…"); /* two columns each: the cut falls between characters */
    assert_put("仮想機械", 4, "仮…");
    assert_put("abc", 1, "…");
    assert_put("abc", 0, "");
}

static void quote_is_short_and_printable(void **state)
{
    char buffer[TEXT_QUOTE_BYTES];
    char longest[4 * 5000 + 1];
    char *end = longest;
    assert_string_equal(text_quote(buffer, "abc"), "'abc'");
    assert_string_equal(text_quote(buffer, "a\nb\xff"), "'a?b?'");
    assert_string_equal(text_quote(buffer, ""), "''");
    for (size_t i = 0; i < 5000; i++)
        end += snprintf(end, 5, "%s", "\U0001F5A5");
    text_quote(buffer, longest);
    assert_int_equal(strlen(buffer), 2 + 40 * 4 + 3);
}

static void printable_tells_names_from_rubbish(void **state)
{
    assert_true(text_is_printable("VM 1 Büro 仮想"));
    assert_false(text_is_printable("a\tb"));
    assert_false(text_is_printable("a\xff"));
    assert_false(text_is_printable("\xe4\xbb")); /* cut in the middle of a character */
}

static void flow_wraps_between_pieces(void **state)
{
    char *result = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&result, &length);
    struct text_flow flow = {.out = out, .width = 12, .indent = 2};
    text_flow_put(&flow, "Names:");
    text_flow_put(&flow, " aaa,");
    text_flow_put(&flow, " bbb,");
    text_flow_put(&flow, " ccc,");
    text_flow_put(&flow, " a-name-longer-than-the-line,");
    text_flow_put(&flow, " d");
    fclose(out);
    assert_string_equal(result, "Names: aaa,\n  bbb, ccc,\n  a-name-longer-than-the-line,\n  d");
    free(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(width_counts_columns_not_bytes),
        cmocka_unit_test(broken_and_control_characters_become_question_marks),
        cmocka_unit_test(a_long_text_is_cut_within_its_width),
        cmocka_unit_test(quote_is_short_and_printable),
        cmocka_unit_test(printable_tells_names_from_rubbish),
        cmocka_unit_test(flow_wraps_between_pieces),
    };
    text_init();
    return cmocka_run_group_tests_name("admin text", tests, NULL, NULL);
}
