/* The configuration as JSON text, and back. docs/json.md describes the text. */
#ifndef VGPU_LIBVGPU_CONFIGURATION_TEXT_H
#define VGPU_LIBVGPU_CONFIGURATION_TEXT_H

#include <vgpu/vgpu.h>

/* From malloc. The same configuration always gives the same text. */
enum vgpu_status configuration_format(const struct vgpu_snapshot *snapshot, char **text,
                                      struct vgpu_error *err);

/* Reads what is configured, and only that, into *snapshot (its lists are the caller's), checked and
 * consistent in itself: every word is allowed, every pool that is named is there, nothing stands twice. A
 * name that is not given is "". VGPU_ERR_CORRUPT, VGPU_ERR_VERSION. */
enum vgpu_status configuration_parse(const char *text, size_t length, struct vgpu_snapshot *snapshot,
                                     struct vgpu_error *err);

#endif
