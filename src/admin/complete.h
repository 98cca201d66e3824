/* What may stand where the cursor is: for the completion of shells, see packaging/completion. */
#ifndef VGPU_ADMIN_COMPLETE_H
#define VGPU_ADMIN_COMPLETE_H

#include <stdio.h>

/* The word after vgpu-admin that asks for it. It is in no list of commands. */
#define COMPLETE_COMMAND "__complete"

/* words: those typed so far, behind the name of the program; the last is the one at the cursor, perhaps
 * empty. Prints one candidate a line: what that word may become, and behind a tab what it means, where that
 * helps. One that ends with '=' wants a value behind it. Prints nothing where it does not know; fails
 * silently, makes no database, and asks hypervisors for a second at most. */
void complete_print(FILE *out, int count, char *const *words);

#endif
