/* The daemon's moves on a worker's grant page (wire/grant.h has the picture). Each is one compare-and-swap
 * and a wake-up. What the page says is never trusted: the daemon keeps the generation itself. */
#ifndef VGPU_DAEMON_GRANT_PAGE_H
#define VGPU_DAEMON_GRANT_PAGE_H

#include "wire/grant.h"

#include <stdbool.h>
#include <vgpu/error.h>

/* A page that says NONE of generation 0. *memfd is the caller's to close; its size is sealed, so that a
 * worker cannot pull the page away from under the daemon. */
enum vgpu_status grant_page_create(struct grant_page **page, int *memfd, struct vgpu_error *err);
void grant_page_destroy(struct grant_page *page); /* NULL is fine */

enum grant_move { /* what came of it */
                  GRANT_MOVED,
                  GRANT_GIVEN_BACK, /* the worker has set NONE, or REVOKED, already: its CONTROL_RELEASED is
                                       to come. grant_page_tell() has set the slice nevertheless */
                  GRANT_BROKEN, /* the page says what no arrow leads to: the worker is not to be trusted */
};

/* NONE of *generation to HELD or CONTENDED of the next one, which *generation becomes. */
enum grant_move grant_page_grant(struct grant_page *page, uint32_t *generation, bool contended,
                                 enum grant_slice slice);
/* Between HELD and CONTENDED, and to this slice; who is REVOKED already changes the slice alone. */
enum grant_move grant_page_tell(struct grant_page *page, uint32_t generation, bool contended,
                                enum grant_slice slice);
/* HELD or CONTENDED to REVOKED. */
enum grant_move grant_page_revoke(struct grant_page *page, uint32_t generation);
/* NONE: its grant is near. Any other state stays. Wakes the waiting in any case. */
void grant_page_announce(struct grant_page *page, uint32_t generation);
/* Whether the page says NONE of this generation. */
bool grant_page_is_given_back(const struct grant_page *page, uint32_t generation);

#endif
