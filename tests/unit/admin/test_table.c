/* Tables line up, fit a terminal, and are complete when piped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/table.h"
#include "admin/text.h"

static const struct table_column columns[] = {
    {.heading = "ID", .align = TABLE_RIGHT},
    {.heading = "NAME", .narrowest = 6},
    {.heading = "NOTE", .optional = 1},
    {.heading = "POOL"},
};

static struct table *sample(void)
{
    struct table *table = table_create(columns, 4);
    const char *const cells[][4] = {
        {"1", "web-frontend", "first", "A"}, {"20", "仮想", NULL, "B"}, {"3", "", "third", "A"}};
    for (size_t row = 0; row < 3; row++)
        for (size_t i = 0; i < 4; i++)
            table_add(table, cells[row][i]);
    return table;
}

static void assert_table(const struct table *table, size_t width, const char *expected)
{
    char *result = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&result, &length);
    assert_int_equal(table_print(table, out, width, NULL), VGPU_OK);
    fclose(out);
    assert_string_equal(result, expected);
    free(result);
}

static void columns_align_by_display_width_and_no_line_ends_in_spaces(void **state)
{
    struct table *table = sample();
    assert_table(table, 0,
                 "ID  NAME          NOTE   POOL\n"
                 " 1  web-frontend  first  A\n"
                 "20  仮想          -      B\n"
                 " 3  -             third  A\n");
    table_destroy(table);
}

static void a_wide_terminal_shows_what_a_pipe_gets(void **state)
{
    struct table *table = sample();
    assert_table(table, 29,
                 "ID  NAME          NOTE   POOL\n"
                 " 1  web-frontend  first  A\n"
                 "20  仮想          -      B\n"
                 " 3  -             third  A\n");
    table_destroy(table);
}

static void a_narrow_terminal_loses_optional_columns_first(void **state)
{
    struct table *table = sample();
    assert_table(table, 28,
                 "ID  NAME          POOL\n"
                 " 1  web-frontend  A\n"
                 "20  仮想          B\n"
                 " 3  -             A\n");
    table_destroy(table);
}

static void then_long_cells_are_cut(void **state)
{
    struct table *table = sample();
    assert_table(table, 18,
                 "ID  NAME      POOL\n"
                 " 1  web-fro…  A\n"
                 "20  仮想      B\n"
                 " 3  -         A\n");
    table_destroy(table);
}

static void a_column_keeps_its_narrowest_width(void **state)
{
    struct table *table = sample();
    assert_table(table, 5,
                 "ID  NAME    POOL\n"
                 " 1  web-f…  A\n"
                 "20  仮想    B\n"
                 " 3  -       A\n");
    table_destroy(table);
}

static void many_rows(void **state)
{
    static const struct table_column one[] = {{.heading = "N", .align = TABLE_RIGHT}};
    struct table *table = table_create(one, 1);
    for (int i = 0; i < 5000; i++)
        table_addf(table, "%d", i);
    char *result = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&result, &length);
    assert_int_equal(table_print(table, out, 0, NULL), VGPU_OK);
    fclose(out);
    assert_int_equal(length, 5001 * 5);
    assert_non_null(strstr(result, "\n4999\n"));
    free(result);
    table_destroy(table);
}

static void out_of_memory_is_an_error_not_a_shorter_table(void **state)
{
    struct vgpu_error err = {0};
    table_add(NULL, "x");
    assert_int_equal(table_print(NULL, stdout, 0, &err), VGPU_ERR_MEMORY);
    assert_int_equal(err.status, VGPU_ERR_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_align_by_display_width_and_no_line_ends_in_spaces),
        cmocka_unit_test(a_wide_terminal_shows_what_a_pipe_gets),
        cmocka_unit_test(a_narrow_terminal_loses_optional_columns_first),
        cmocka_unit_test(then_long_cells_are_cut),
        cmocka_unit_test(a_column_keeps_its_narrowest_width),
        cmocka_unit_test(many_rows),
        cmocka_unit_test(out_of_memory_is_an_error_not_a_shorter_table),
    };
    text_init();
    return cmocka_run_group_tests_name("admin table", tests, NULL, NULL);
}
