#include "guest/diagnostics.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda/cuda_types.h"
#include "guest/unsupported.h"

bool diagnostics_wanted(void)
{
    const char *value = getenv("VGPU_DEBUG");
    return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
}

void diagnostics_say(const char *format, ...)
{
    int saved_errno = errno;
    char line[512] = "vgpu: ";
    size_t used = strlen(line);
    va_list args;
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it was started a line before
    int body = vsnprintf(line + used, sizeof line - used - 1, format, args);
    va_end(args);
    if (body > 0)
        used += (size_t)body < sizeof line - used - 1 ? (size_t)body : sizeof line - used - 2;
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* nowhere else to say it */
    errno = saved_errno;
}

/* Names already said, so that each is said once. A race costs a second line, no more. */
CUresult not_supported(const char *symbol)
{
    static _Atomic(const char *) said[1024];
    if (!diagnostics_wanted())
        return CUDA_ERROR_NOT_SUPPORTED;
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        const char *seen = atomic_load(&said[i]);
        if (seen == symbol)
            break;
        if (seen == NULL) {
            atomic_store(&said[i], symbol);
            diagnostics_say("%s is not supported yet", symbol);
            break;
        }
    }
    return CUDA_ERROR_NOT_SUPPORTED;
}
