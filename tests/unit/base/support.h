/* What the tests of src/base share: a folder of one's own with files in it. */
#ifndef TESTS_UNIT_BASE_SUPPORT_H
#define TESTS_UNIT_BASE_SUPPORT_H

#include <limits.h>

/* Makes a new empty folder and works in it from now on; returns its path (static storage). */
const char *scratch_enter(void);

/* Leaves it and removes it with all that is in it. */
void scratch_leave(void);

/* Writes text into the file `name` in the scratch folder, making folders on the way. */
void scratch_write(const char *name, const char *text);

#endif
