/* Tables for people: columns aligned by display width, headings in capitals, two spaces between.
 *
 * On a terminal a table fits the width: optional columns go first, then the columns that may shrink are
 * cut with '…'. Anywhere else every cell is printed in full. */
#ifndef VGPU_ADMIN_TABLE_H
#define VGPU_ADMIN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <vgpu/error.h>

#include "admin/text.h"

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
    const char *heading; /* its name for --columns is this in small letters, "GPU NAME" is gpu-name */
    size_t narrowest;    /* columns it may be shrunk to; 0: never shrunk */
    enum table_align align;
    int optional; /* 0: always shown; the highest is left out first when the terminal is narrow */
    bool wide;    /* only shown by -o wide, or when it is asked for by name */
};

#define TABLE_MAX_COLUMNS 24

struct table_layout {
    const struct table_column *columns;
    size_t column_count; /* at most TABLE_MAX_COLUMNS */
};

/* How it is to be printed. */
struct table_view {
    size_t width;        /* columns of the terminal, 0 when out is none */
    const char *columns; /* names with commas between: these and no others, in this order; NULL: as usual */
    bool wide;           /* every column, none cut */
    bool no_header;
    bool colour;
};

/* VGPU_ERR_USAGE: a name is unknown (the message lists those there are) or stands twice. */
enum vgpu_status table_check_columns(const struct table_layout *layout, const char *columns,
                                     struct vgpu_error *err);

#define TABLE_NAME_BYTES 32
/* The name of a column for --columns. Returns name. */
const char *table_column_name(char name[TABLE_NAME_BYTES], const struct table_column *column);

struct table;

/* layout is kept, not copied. NULL when out of memory: the functions below accept that, and table_print()
 * reports it. */
struct table *table_create(const struct table_layout *layout);
void table_destroy(struct table *table);

/* Adds the next cell, row by row, left to right. An absent value is NULL or "" and shown as '-'. */
void table_add(struct table *table, const char *text);
/* For numbers and short words, below 128 bytes. */
void table_addf(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As table_add, in a colour where there are colours. */
void table_add_styled(struct table *table, enum text_style style, const char *text);

/* VGPU_ERR_USAGE: view->columns names a column that is not in this table. */
enum vgpu_status table_print(const struct table *table, FILE *out, const struct table_view *view,
                             struct vgpu_error *err);

#endif
