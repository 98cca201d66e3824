/* The dashboard's GPUs: three lines each where they all fit, else one line each. */
#ifndef VGPU_ADMIN_DASHBOARD_GPUS_H
#define VGPU_ADMIN_DASHBOARD_GPUS_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/dashboard_view.h"

/* Which GPUs are on a screen of the present size, and how. */
struct gpu_layout {
    size_t first, shown;
    int lines; /* of one GPU: 1 or 3 */
};
struct gpu_layout gpus_lay_out(const struct dashboard_model *model, const struct dashboard_choice *choice);

/* Draws them from `line` on; returns the line behind. */
int gpus_draw(const struct dashboard_model *model, const struct dashboard_choice *choice,
              const struct gpu_layout *layout, int line);

#endif
