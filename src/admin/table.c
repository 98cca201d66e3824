#include "admin/table.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

#define GAP 2 /* spaces between columns */

struct cell {
    size_t text; /* where it begins in the table's texts */
    enum text_style style;
};

struct table {
    const struct table_layout *layout;
    struct cell *cells; /* row by row; owned */
    size_t cell_count;
    size_t cell_room;
    char *texts; /* of all cells, each with its NUL; owned */
    size_t texts_bytes;
    size_t texts_room;
    bool failed; /* a cell could not be stored */
};

/* The columns that are printed, left to right. */
struct plan {
    struct {
        size_t column; /* index in the layout */
        size_t width;
    } shown[TABLE_MAX_COLUMNS];
    size_t count;
};

/* ---- Names of columns ---- */

const char *table_column_name(char name[TABLE_NAME_BYTES], const struct table_column *column)
{
    size_t length = 0;
    for (const char *letter = column->heading; *letter != '\0' && length + 1 < TABLE_NAME_BYTES; letter++)
        name[length++] = *letter == ' ' ? '-' : (char)tolower((unsigned char)*letter);
    name[length] = '\0';
    return name;
}

/* The column whose name is the first length bytes of word; the count of columns: there is none. */
static size_t find_column(const struct table_layout *layout, const char *word, size_t length)
{
    char name[TABLE_NAME_BYTES];
    size_t i = 0;
    for (; i < layout->column_count; i++) {
        table_column_name(name, &layout->columns[i]);
        if (strlen(name) == length && strncasecmp(name, word, length) == 0)
            break;
    }
    return i;
}

static enum vgpu_status refuse_column(const struct table_layout *layout, const char *word, size_t length,
                                      struct vgpu_error *err)
{
    char typed[64];
    char quoted[TEXT_QUOTE_BYTES];
    char name[TABLE_NAME_BYTES];
    char known[300] = "";
    snprintf(typed, sizeof typed, "%.*s", (int)(length < sizeof typed ? length : sizeof typed - 1), word);
    for (size_t i = 0; i < layout->column_count; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                 table_column_name(name, &layout->columns[i]));
    }
    return error_set(err, VGPU_ERR_USAGE, "there is no column %s; choose among %s", text_quote(quoted, typed),
                     known);
}

/* plan may be NULL. */
static enum vgpu_status choose_columns(const struct table_layout *layout, const char *columns,
                                       struct plan *plan, struct vgpu_error *err)
{
    bool taken[TABLE_MAX_COLUMNS] = {false};
    size_t count = 0;
    for (const char *word = columns;; word++) {
        size_t length = strcspn(word, ",");
        size_t column = find_column(layout, word, length);
        if (column == layout->column_count)
            return refuse_column(layout, word, length, err);
        if (taken[column])
            return error_set(err, VGPU_ERR_USAGE, "the column '%.*s' stands twice; name it once", (int)length,
                             word);
        taken[column] = true;
        if (plan != NULL)
            plan->shown[count++].column = column;
        word += length;
        if (*word == '\0')
            break;
    }
    if (plan != NULL)
        plan->count = count;
    return VGPU_OK;
}

enum vgpu_status table_check_columns(const struct table_layout *layout, const char *columns,
                                     struct vgpu_error *err)
{
    return choose_columns(layout, columns, NULL, err);
}

/* ---- Filling ---- */

struct table *table_create(const struct table_layout *layout)
{
    struct table *table = calloc(1, sizeof *table);
    if (table != NULL)
        table->layout = layout;
    return table;
}

void table_destroy(struct table *table)
{
    if (table == NULL)
        return;
    free(table->cells);
    free(table->texts);
    free(table);
}

/* Room for one more element beyond count; false when out of memory. */
static bool make_room(void **list, size_t *room, size_t count, size_t more, size_t size)
{
    if (count + more <= *room)
        return true;
    size_t wanted = (count + more) * 2 > 256 ? (count + more) * 2 : 256;
    void *larger = reallocarray(*list, wanted, size);
    if (larger == NULL)
        return false;
    *list = larger;
    *room = wanted;
    return true;
}

void table_add_styled(struct table *table, enum text_style style, const char *text)
{
    if (table == NULL || table->failed)
        return;
    text = text == NULL || *text == '\0' ? "-" : text;
    size_t bytes = strlen(text) + 1;
    void *cells = table->cells;
    void *texts = table->texts;
    table->failed = !make_room(&cells, &table->cell_room, table->cell_count, 1, sizeof *table->cells) ||
                    !make_room(&texts, &table->texts_room, table->texts_bytes, bytes, 1);
    table->cells = cells;
    table->texts = texts;
    if (table->failed)
        return;
    memcpy(table->texts + table->texts_bytes, text, bytes);
    table->cells[table->cell_count++] = (struct cell){.text = table->texts_bytes, .style = style};
    table->texts_bytes += bytes;
}

void table_add(struct table *table, const char *text)
{
    table_add_styled(table, TEXT_PLAIN, text);
}

void table_addf(struct table *table, const char *format, ...)
{
    char text[128]; /* numbers and short words; what is longer is added as text */
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof text)
        table_add(table, text);
    else if (table != NULL)
        table->failed = true;
}

/* ---- Printing ---- */

static size_t line_width(const struct plan *plan)
{
    size_t width = 0;
    for (size_t i = 0; i < plan->count; i++)
        width += plan->shown[i].width + (i > 0 ? GAP : 0);
    return width;
}

/* Leaves out the most optional column. False when there is none. */
static bool drop_column(const struct table_layout *layout, struct plan *plan)
{
    size_t best = plan->count;
    int most = 0;
    for (size_t i = 0; i < plan->count; i++) {
        int optional = layout->columns[plan->shown[i].column].optional;
        if (optional > most) {
            most = optional;
            best = i;
        }
    }
    if (best == plan->count)
        return false;
    plan->count--;
    memmove(&plan->shown[best], &plan->shown[best + 1], (plan->count - best) * sizeof plan->shown[0]);
    return true;
}

/* Takes one column of width off the widest that may still shrink. False when there is none. */
static bool shrink_column(const struct table_layout *layout, struct plan *plan)
{
    size_t best = plan->count;
    for (size_t i = 0; i < plan->count; i++) {
        size_t narrowest = layout->columns[plan->shown[i].column].narrowest;
        if (narrowest == 0 || plan->shown[i].width <= narrowest)
            continue;
        if (best == plan->count || plan->shown[i].width > plan->shown[best].width)
            best = i;
    }
    if (best == plan->count)
        return false;
    plan->shown[best].width--;
    return true;
}

static void measure(const struct table *table, const struct table_view *view, struct plan *plan)
{
    const struct table_layout *layout = table->layout;
    for (size_t i = 0; i < plan->count; i++) {
        size_t column = plan->shown[i].column;
        size_t width = view->no_header ? 0 : text_width(layout->columns[column].heading);
        for (size_t cell = column; cell < table->cell_count; cell += layout->column_count) {
            size_t cell_width = text_width(table->texts + table->cells[cell].text);
            width = cell_width > width ? cell_width : width;
        }
        plan->shown[i].width = width;
    }
    if (view->width == 0 || view->wide)
        return;
    while (view->columns == NULL && line_width(plan) > view->width && drop_column(layout, plan))
        ;
    while (line_width(plan) > view->width && shrink_column(layout, plan))
        ;
}

static enum vgpu_status make_plan(const struct table *table, const struct table_view *view, struct plan *plan,
                                  struct vgpu_error *err)
{
    const struct table_layout *layout = table->layout;
    enum vgpu_status status = VGPU_OK;
    *plan = (struct plan){.count = 0};
    if (view->columns != NULL)
        status = choose_columns(layout, view->columns, plan, err);
    else
        for (size_t i = 0; i < layout->column_count; i++)
            if (view->wide || !layout->columns[i].wide)
                plan->shown[plan->count++].column = i;
    if (status == VGPU_OK)
        measure(table, view, plan);
    return status;
}

static void print_spaces(FILE *out, size_t count)
{
    while (count-- > 0)
        putc(' ', out);
}

/* cells: those of one row; NULL: the headings. Nothing is written behind the last cell, so that no line ends
 * in spaces. */
static void print_row(const struct table *table, const struct plan *plan, const struct cell *cells,
                      bool colour, FILE *out)
{
    size_t pending = 0; /* spaces owed before the next visible character */
    for (size_t i = 0; i < plan->count; i++) {
        const struct table_column *column = &table->layout->columns[plan->shown[i].column];
        const struct cell *cell = cells != NULL ? &cells[plan->shown[i].column] : NULL;
        const char *text = cell != NULL ? table->texts + cell->text : column->heading;
        enum text_style style = cell != NULL ? cell->style : TEXT_HEADING;
        size_t width = text_width(text);
        size_t padding = width < plan->shown[i].width ? plan->shown[i].width - width : 0;
        if (column->align == TABLE_RIGHT)
            pending += padding;
        print_spaces(out, pending);
        text_style_begin(out, colour, style);
        text_put(out, text, plan->shown[i].width);
        text_style_end(out, colour, style);
        pending = GAP + (column->align == TABLE_LEFT ? padding : 0);
    }
    fputc('\n', out);
}

enum vgpu_status table_print(const struct table *table, FILE *out, const struct table_view *view,
                             struct vgpu_error *err)
{
    struct plan plan;
    if (table == NULL || table->failed)
        return error_set(err, VGPU_ERR_MEMORY,
                         "out of memory while building the table; close other programs and try again");
    enum vgpu_status status = make_plan(table, view, &plan, err);
    if (status != VGPU_OK)
        return status;
    size_t columns = table->layout->column_count;
    if (!view->no_header)
        print_row(table, &plan, NULL, view->colour, out);
    for (size_t i = 0; i + columns <= table->cell_count; i += columns)
        print_row(table, &plan, &table->cells[i], view->colour, out);
    return VGPU_OK;
}
