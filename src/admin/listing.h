/* Tables as the user's options want them. */
#ifndef VGPU_ADMIN_LISTING_H
#define VGPU_ADMIN_LISTING_H

#include "admin/command.h"
#include "admin/table.h"

/* Prints the table (which may be NULL, as table_create() returns it) and destroys it. */
enum vgpu_status listing_print(const struct command_context *context, struct table *table,
                               struct vgpu_error *err);

#endif
