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
    {.heading = "ID", .align = TABLE_RIGHT}, {.heading = "NAME", .narrowest = 6},
    {.heading = "NOTE", .optional = 1},      {.heading = "POOL"},
    {.heading = "LAST SEEN", .wide = true},
};

static const struct table_layout layout = {columns, 5};

static struct table *sample(void)
{
    struct table *table = table_create(&layout);
    const char *const cells[][5] = {{"1", "web-frontend", "first", "A", "now"},
                                    {"20", "仮想", NULL, "B", NULL},
                                    {"3", "", "third", "A", "then"}};
    for (size_t row = 0; row < 3; row++)
        for (size_t i = 0; i < 5; i++)
            table_add(table, cells[row][i]);
    return table;
}

static void assert_view(const struct table *table, const struct table_view *view, const char *expected)
{
    char *result = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&result, &length);
    assert_int_equal(table_print(table, out, view, NULL), VGPU_OK);
    fclose(out);
    assert_string_equal(result, expected);
    free(result);
}

static void assert_table(const struct table *table, size_t width, const char *expected)
{
    assert_view(table, &(struct table_view){.width = width}, expected);
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
    static const struct table_layout numbers = {one, 1};
    struct table *table = table_create(&numbers);
    for (int i = 0; i < 5000; i++)
        table_addf(table, "%d", i);
    char *result = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&result, &length);
    assert_int_equal(table_print(table, out, &(struct table_view){0}, NULL), VGPU_OK);
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
    assert_int_equal(table_print(NULL, stdout, &(struct table_view){0}, &err), VGPU_ERR_MEMORY);
    assert_int_equal(err.status, VGPU_ERR_MEMORY);
}

static void columns_can_be_chosen_by_name(void **state)
{
    struct table *table = sample();
    assert_view(table, &(struct table_view){.columns = "Last-Seen,id"},
                "LAST SEEN  ID\n"
                "now         1\n"
                "-          20\n"
                "then        3\n");
    assert_view(table, &(struct table_view){.columns = "name", .no_header = true, .width = 8},
                "web-fro…\n"
                "仮想\n"
                "-\n");
    table_destroy(table);
}

static void a_column_that_is_unknown_or_named_twice_is_refused(void **state)
{
    struct vgpu_error err = {0};
    assert_int_equal(table_check_columns(&layout, "id,name,last-seen", &err), VGPU_OK);
    assert_int_equal(table_check_columns(&layout, "id,nam", &err), VGPU_ERR_USAGE);
    assert_string_equal(err.message,
                        "there is no column 'nam'; choose among id, name, note, pool, last-seen");
    assert_int_equal(table_check_columns(&layout, "id,", &err), VGPU_ERR_USAGE);
    assert_int_equal(table_check_columns(&layout, "", &err), VGPU_ERR_USAGE);
    assert_int_equal(table_check_columns(&layout, "id,name,ID", &err), VGPU_ERR_USAGE);
    assert_string_equal(err.message, "the column 'ID' stands twice; name it once");
}

static void wide_shows_every_column_and_cuts_none(void **state)
{
    struct table *table = sample();
    assert_view(table, &(struct table_view){.wide = true, .width = 10},
                "ID  NAME          NOTE   POOL  LAST SEEN\n"
                " 1  web-frontend  first  A     now\n"
                "20  仮想          -      B     -\n"
                " 3  -             third  A     then\n");
    table_destroy(table);
}

static void colours_take_no_room(void **state)
{
    struct table *table = table_create(&(struct table_layout){columns, 2});
    table_add(table, "1");
    table_add_styled(table, TEXT_GOOD, "a");
    assert_view(table, &(struct table_view){.colour = true, .width = 80},
                "\033[1mID\033[0m  \033[1mNAME\033[0m\n"
                " 1  \033[32ma\033[0m\n");
    assert_view(table, &(struct table_view){.width = 80}, "ID  NAME\n 1  a\n");
    table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_align_by_display_width_and_no_line_ends_in_spaces),
        cmocka_unit_test(a_wide_terminal_shows_what_a_pipe_gets),
        cmocka_unit_test(a_narrow_terminal_loses_optional_columns_first),
        cmocka_unit_test(then_long_cells_are_cut),
        cmocka_unit_test(a_column_keeps_its_narrowest_width),
        cmocka_unit_test(columns_can_be_chosen_by_name),
        cmocka_unit_test(a_column_that_is_unknown_or_named_twice_is_refused),
        cmocka_unit_test(wide_shows_every_column_and_cuts_none),
        cmocka_unit_test(colours_take_no_room),
        cmocka_unit_test(many_rows),
        cmocka_unit_test(out_of_memory_is_an_error_not_a_shorter_table),
    };
    text_init();
    return cmocka_run_group_tests_name("admin table", tests, NULL, NULL);
}
