/* The dashboard on a terminal: what the model holds, drawn with curses. One screen at a time. */
#ifndef VGPU_ADMIN_DASHBOARD_VIEW_H
#define VGPU_ADMIN_DASHBOARD_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/dashboard_model.h"

enum dashboard_focus { FOCUS_VMS, FOCUS_GPUS };

/* What the keys have chosen. */
struct dashboard_choice {
    enum dashboard_focus focus;
    size_t gpu;                       /* index into the model's GPUs */
    char vm_uuid[VGPU_VM_UUID_BYTES]; /* the selected VM; stays with it when the order changes */
    size_t top_row;                   /* first VM row on the screen */
    bool help;
};

/* Takes over the terminal; colours unless the terminal has none or NO_COLOR is set. False with one line in
 * why when curses cannot drive this terminal. */
bool view_open(char *why, size_t why_bytes);

/* Gives the terminal back as it was. */
void view_close(void);

/* Draws everything. `prompt` (NULL: none) stands on the last line in place of the keys, with the cursor
 * behind it; `note` (may be empty) above it. */
void view_draw(const struct dashboard_model *model, struct dashboard_choice *choice, const char *note,
               const char *prompt);

/* The next key, waiting at most so long; ERR when none came. */
int view_key(int milliseconds);

/* VM rows that fit on the screen as last drawn: what a page is. */
size_t view_page(void);

#endif
