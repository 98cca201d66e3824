#include "admin/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

const char *format_memory(char buffer[FORMAT_BYTES], uint64_t megabytes)
{
    if (megabytes < 1024)
        snprintf(buffer, FORMAT_BYTES, "%" PRIu64 "MB", megabytes);
    else
        snprintf(buffer, FORMAT_BYTES, "%" PRIu64 "GB", megabytes / 1024 + (megabytes % 1024 >= 512));
    return buffer;
}

const char *format_duration(char buffer[FORMAT_BYTES], uint64_t microseconds)
{
    uint64_t seconds = microseconds / 1000000;
    if (microseconds < 1000)
        snprintf(buffer, FORMAT_BYTES, "%" PRIu64 " µs", microseconds);
    else if (seconds < 1)
        snprintf(buffer, FORMAT_BYTES, "%" PRIu64 " ms", microseconds / 1000);
    else if (seconds < 60)
        snprintf(buffer, FORMAT_BYTES, "%" PRIu64 ".%" PRIu64 " s", seconds, microseconds / 100000 % 10);
    else if (seconds < 3600)
        snprintf(buffer, FORMAT_BYTES, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
    else if (seconds < 86400)
        snprintf(buffer, FORMAT_BYTES, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
    else
        snprintf(buffer, FORMAT_BYTES, "%" PRIu64 " d %" PRIu64 " h", seconds / 86400, seconds / 3600 % 24);
    return buffer;
}

static const char *format_local(char buffer[FORMAT_BYTES], const char *format, uint64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm local;
    size_t used = 0;
    if (localtime_r(&seconds, &local) != NULL)
        used = strftime(buffer, FORMAT_BYTES - 4, format, &local);
    snprintf(buffer + used, FORMAT_BYTES - used, ".%03" PRIu64, wall_us / 1000 % 1000);
    return buffer;
}

const char *format_time(char buffer[FORMAT_BYTES], uint64_t wall_us)
{
    return format_local(buffer, "%Y-%m-%d %H:%M:%S", wall_us);
}

const char *format_clock(char buffer[FORMAT_BYTES], uint64_t wall_us)
{
    return format_local(buffer, "%H:%M:%S", wall_us);
}
