#include "admin/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/text.h"
#include "base/error.h"

#define GAP 2 /* spaces between columns */

struct table {
    const struct table_column *columns;
    size_t column_count;
    char **cells; /* row by row; owned */
    size_t cell_count;
    size_t cell_room;
    bool failed; /* a cell could not be stored */
};

/* How one column comes out on this terminal. */
struct layout {
    size_t width;
    bool shown;
};

struct table *table_create(const struct table_column *columns, size_t column_count)
{
    struct table *table = calloc(1, sizeof *table);
    if (table != NULL) {
        table->columns = columns;
        table->column_count = column_count;
    }
    return table;
}

void table_destroy(struct table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

void table_add(struct table *table, const char *text)
{
    if (table == NULL || table->failed)
        return;
    if (table->cell_count == table->cell_room) {
        size_t room = table->cell_room == 0 ? 64 : table->cell_room * 2;
        char **cells = realloc(table->cells, room * sizeof *cells);
        if (cells == NULL) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->cell_room = room;
    }
    char *copy = strdup(text == NULL || *text == '\0' ? "-" : text);
    if (copy == NULL)
        table->failed = true;
    else
        table->cells[table->cell_count++] = copy;
}

void table_addf(struct table *table, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length >= 0) {
        table_add(table, text);
        free(text);
    } else if (table != NULL) {
        table->failed = true;
    }
}

static size_t line_width(const struct layout *layout, size_t column_count)
{
    size_t width = 0;
    for (size_t i = 0; i < column_count; i++)
        if (layout[i].shown)
            width += layout[i].width + (width > 0 ? GAP : 0);
    return width;
}

/* Leaves out the most optional column that is still shown. False when there is none. */
static bool drop_column(const struct table *table, struct layout *layout)
{
    size_t best = table->column_count;
    for (size_t i = 0; i < table->column_count; i++) {
        if (!layout[i].shown || table->columns[i].optional == 0)
            continue;
        if (best == table->column_count || table->columns[i].optional > table->columns[best].optional)
            best = i;
    }
    if (best == table->column_count)
        return false;
    layout[best].shown = false;
    return true;
}

/* Takes one column of width off the widest that may still shrink. False when there is none. */
static bool shrink_column(const struct table *table, struct layout *layout)
{
    size_t best = table->column_count;
    for (size_t i = 0; i < table->column_count; i++) {
        size_t narrowest = table->columns[i].narrowest;
        if (!layout[i].shown || narrowest == 0 || layout[i].width <= narrowest)
            continue;
        if (best == table->column_count || layout[i].width > layout[best].width)
            best = i;
    }
    if (best == table->column_count)
        return false;
    layout[best].width--;
    return true;
}

static void measure(const struct table *table, struct layout *layout, size_t width)
{
    for (size_t i = 0; i < table->column_count; i++)
        layout[i] = (struct layout){.width = text_width(table->columns[i].heading), .shown = true};
    for (size_t i = 0; i < table->cell_count; i++) {
        struct layout *column = &layout[i % table->column_count];
        size_t cell = text_width(table->cells[i]);
        if (cell > column->width)
            column->width = cell;
    }
    if (width == 0)
        return;
    while (line_width(layout, table->column_count) > width && drop_column(table, layout))
        ;
    while (line_width(layout, table->column_count) > width && shrink_column(table, layout))
        ;
}

/* cells: one for each column. Nothing is written behind the last cell, so that no line ends in spaces. */
static void print_row(const struct table *table, const struct layout *layout, const char *const *cells,
                      FILE *out)
{
    size_t pending = 0; /* spaces owed before the next visible character */
    for (size_t i = 0; i < table->column_count; i++) {
        if (!layout[i].shown)
            continue;
        size_t width = text_width(cells[i]);
        size_t padding = width < layout[i].width ? layout[i].width - width : 0;
        if (table->columns[i].align == TABLE_RIGHT)
            pending += padding;
        fprintf(out, "%*s", (int)pending, "");
        text_put(out, cells[i], layout[i].width);
        pending = GAP + (table->columns[i].align == TABLE_LEFT ? padding : 0);
    }
    fputc('\n', out);
}

enum vgpu_status table_print(const struct table *table, FILE *out, size_t width, struct vgpu_error *err)
{
    struct layout *layout = NULL;
    const char **headings = NULL;
    enum vgpu_status status = VGPU_ERR_MEMORY;
    if (table != NULL && !table->failed) {
        layout = calloc(table->column_count, sizeof *layout);
        headings = calloc(table->column_count, sizeof *headings);
    }
    if (layout != NULL && headings != NULL) {
        measure(table, layout, width);
        for (size_t i = 0; i < table->column_count; i++)
            headings[i] = table->columns[i].heading;
        print_row(table, layout, headings, out);
        for (size_t i = 0; i + table->column_count <= table->cell_count; i += table->column_count)
            print_row(table, layout, (const char *const *)table->cells + i, out);
        status = VGPU_OK;
    } else {
        error_set(err, status, "out of memory while building the table; close other programs and try again");
    }
    free(headings);
    free(layout);
    return status;
}
