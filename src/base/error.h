/* Filling in a struct vgpu_error. Errors travel as values and are reported once, by whoever talks to
 * the user. */
#ifndef VGPU_BASE_ERROR_H
#define VGPU_BASE_ERROR_H

#include <vgpu/error.h>

/* Writes status and message into err (which may be NULL) and gives status back, so that a function can
 * end with `return error_set(err, VGPU_ERR_IO, "cannot ...");`. A message that does not fit is cut at a
 * character boundary. A macro, so that compilers and analysers see which value comes back; status is
 * evaluated twice. errno stays as it was. */
#define error_set(err, status, ...) (error_record((err), (status), __VA_ARGS__), error_status(status))

/* As error_set, with ": " and the text of errno at the end. errno is read before anything else. */
#define error_set_errno(err, status, ...)                                                                    \
    (error_record_errno((err), (status), __VA_ARGS__), error_status(status))

/* What the macros call. */
static inline enum vgpu_status error_status(enum vgpu_status status)
{
    return status;
}
void error_record(struct vgpu_error *err, enum vgpu_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void error_record_errno(struct vgpu_error *err, enum vgpu_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
