#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Cuts a UTF-8 string that snprintf may have ended inside a character. */
static void trim_partial_character(char *text)
{
    size_t length = strlen(text);
    size_t start = length;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (length - (start - 1) < want)
        text[start - 1] = '\0';
}

void error_record(struct vgpu_error *err, enum vgpu_status status, const char *format, ...)
{
    if (err == NULL)
        return;
    int saved = errno;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    trim_partial_character(err->message);
    err->status = status;
    errno = saved;
}

void error_record_errno(struct vgpu_error *err, enum vgpu_status status, const char *format, ...)
{
    int saved = errno;
    if (err == NULL)
        return;
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->message)
        snprintf(err->message + used, sizeof err->message - (size_t)used, ": %s", strerror(saved));
    trim_partial_character(err->message);
    err->status = status;
    errno = saved;
}
