/* The dashboard's table of VMs: a heading, and as many rows as have room, the selected one among them. */
#ifndef VGPU_ADMIN_DASHBOARD_VMS_H
#define VGPU_ADMIN_DASHBOARD_VMS_H

#include <stddef.h>

#include "admin/dashboard_view.h"

/* Draws it from `line` to `last`; moves choice's top_row and row with the selected VM. Returns the rows there
 * are room for. */
size_t vms_draw(const struct dashboard_model *model, struct dashboard_choice *choice, int line, int last);

#endif
