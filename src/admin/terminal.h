/* What the output goes to. */
#ifndef VGPU_ADMIN_TERMINAL_H
#define VGPU_ADMIN_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct terminal {
    size_t width;  /* columns; 0: it is no terminal */
    size_t height; /* lines; 0: it is no terminal */
    bool colour;   /* it shows colours, and NO_COLOR is not set */
};

struct terminal terminal_measure(FILE *out);

#endif
