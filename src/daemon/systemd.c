#include "daemon/systemd.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_FDS_START 3 /* sd_listen_fds(3) */

/* A variable that is a decimal number; 0 when it is not there, not a number, or 0. */
static uint64_t environment_number(const char *name)
{
    const char *text = getenv(name);
    if (!text || *text < '0' || *text > '9')
        return 0;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    return errno || *end ? 0 : value;
}

void systemd_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    size_t length = strlen(path);
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') /* the abstract namespace: a leading NUL, and the length says where it ends */
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
        log_debug("cannot tell the service manager at %s: %s", path, strerror(errno));
    close(fd);
}

uint64_t systemd_watchdog_us(void)
{
    if (getenv("WATCHDOG_PID") && environment_number("WATCHDOG_PID") != (uint64_t)getpid())
        return 0;
    return environment_number("WATCHDOG_USEC");
}

unsigned systemd_listen_fds(int *first)
{
    unsigned count = 0;
    if (environment_number("LISTEN_PID") == (uint64_t)getpid() && environment_number("LISTEN_FDS") < 65536)
        count = (unsigned)environment_number("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (unsigned i = 0; i < count; i++)
        fcntl(LISTEN_FDS_START + (int)i, F_SETFD, FD_CLOEXEC);
    *first = LISTEN_FDS_START;
    return count;
}
