#include "worker/host_memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_KEPT (512ull << 20)
#define KEPT_PART  16

/* Of 0 to 1000; what is not said has 0. */
#define OOM_SCORE "800"

/* The value of a line of /proc/meminfo, in bytes; 0 when it has none. */
static uint64_t value_of(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line != NULL ? strtoull(line + strlen(name), NULL, 10) << 10 : 0;
}

bool host_memory_spares(uint64_t bytes)
{
    char text[512];
    int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return true; /* a host without /proc: the kernel must say no by itself */
    text[got] = '\0';
    uint64_t total = value_of(text, "MemTotal:"), available = value_of(text, "MemAvailable:");
    uint64_t kept = total / KEPT_PART > LEAST_KEPT ? total / KEPT_PART : LEAST_KEPT;
    return total == 0 || (bytes <= available && available - bytes >= kept);
}

void host_memory_offer_process(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, OOM_SCORE, strlen(OOM_SCORE));
    close(fd);
}
