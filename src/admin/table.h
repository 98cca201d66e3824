/* Tables for people: columns aligned by display width, headings in capitals, two spaces between.
 *
 * On a terminal a table fits the width: optional columns go first, then the columns that may shrink are
 * cut with '…'. Anywhere else every cell is printed in full. */
#ifndef VGPU_ADMIN_TABLE_H
#define VGPU_ADMIN_TABLE_H

#include <stddef.h>
#include <stdio.h>
#include <vgpu/error.h>

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
    const char *heading;
    size_t narrowest; /* columns it may be shrunk to; 0: never shrunk */
    enum table_align align;
    int optional; /* 0: always shown; the highest is left out first when the terminal is narrow */
};

struct table;

/* columns is kept, not copied. NULL when out of memory: the functions below accept that, and table_print()
 * reports it. */
struct table *table_create(const struct table_column *columns, size_t column_count);
void table_destroy(struct table *table);

/* Adds the next cell, row by row, left to right. An absent value is NULL or "" and shown as '-'. */
void table_add(struct table *table, const char *text);
void table_addf(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* width: columns of the terminal, 0 when out is none. */
enum vgpu_status table_print(const struct table *table, FILE *out, size_t width, struct vgpu_error *err);

#endif
