/* Filling in a struct vgpu_error. Errors travel as values and are reported once, by whoever talks to
 * the user. */
#ifndef VGPU_BASE_ERROR_H
#define VGPU_BASE_ERROR_H

#include <vgpu/error.h>

/* Writes status and message into err (which may be NULL) and returns status, so that a function can
 * end with `return error_set(err, VGPU_ERR_IO, "cannot ...");`. A message that does not fit is cut at a
 * character boundary. */
enum vgpu_status error_set(struct vgpu_error *err, enum vgpu_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and the text of errno at the end. errno is read before anything else. */
enum vgpu_status error_set_errno(struct vgpu_error *err, enum vgpu_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
