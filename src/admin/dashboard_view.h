/* The dashboard on a screen: what the model holds, laid out for the size that the terminal has now. */
#ifndef VGPU_ADMIN_DASHBOARD_VIEW_H
#define VGPU_ADMIN_DASHBOARD_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/dashboard_model.h"

enum dashboard_focus { FOCUS_VMS, FOCUS_GPUS };

/* What the keys have chosen. */
struct dashboard_choice {
    enum dashboard_focus focus;
    int32_t gpu_id;                   /* the selected GPU; need not be there any more */
    char vm_uuid[VGPU_VM_UUID_BYTES]; /* the selected VM; stays with it when the order changes; empty: none */
    size_t row;                       /* where that VM stood when it was drawn last */
    size_t top_row;                   /* first VM row on the screen */
    bool help;
};

/* Draws everything on the screen that screen_open() opened. `prompt` (NULL: none) stands at the bottom in
 * place of the keys, on as many lines as it takes, with the cursor behind it; `note` (may be empty) above the
 * keys. */
void view_draw(const struct dashboard_model *model, struct dashboard_choice *choice, const char *note,
               const char *prompt);

/* VM rows that fit on the screen as last drawn: what a page is; at least 1. */
size_t view_page(void);

#endif
