/* "Did you mean": the known word nearest to a mistyped one. */
#ifndef VGPU_BASE_SUGGEST_H
#define VGPU_BASE_SUGGEST_H

#include <stddef.h>

/* The entry of words (count of them, none NULL) that differs least from word, or NULL when none is near
 * enough to be a typing mistake: at most a third of its letters (and at least one) added, dropped, changed
 * or swapped with their neighbour. '-' and '_' count as the same letter. The result is the caller's own
 * pointer out of words. */
const char *suggest_nearest(const char *word, const char *const *words, size_t count);

#endif
