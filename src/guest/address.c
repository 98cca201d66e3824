#include "guest/address.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define USUAL_SOCKET     "/run/vgpu/guest.sock"
#define USUAL_VSOCK_PORT 4756u

static int connect_to(int family, const void *address, socklen_t bytes)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int result;
    do {
        result = connect(fd, address, bytes);
    } while (result != 0 && errno == EINTR);
    if (result == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int connect_unix(const char *path, char *why, size_t why_bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        snprintf(why, why_bytes, "VGPU_SERVER=unix:%s: the path is longer than %zu bytes", path,
                 sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = connect_to(AF_UNIX, &address, sizeof address);
    if (fd < 0 && errno == ENOENT)
        snprintf(why, why_bytes,
                 "no GPU: %s does not exist: this VM is not registered, or vgpud is not running on the host",
                 path);
    else if (fd < 0)
        snprintf(why, why_bytes, "no GPU: cannot connect to %s: %s; is vgpud running on the host?", path,
                 strerror(errno));
    return fd;
}

static int connect_vsock(unsigned cid, unsigned port, char *why, size_t why_bytes)
{
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
    int fd = connect_to(AF_VSOCK, &address, sizeof address);
    if (fd < 0)
        snprintf(why, why_bytes,
                 "no GPU: cannot connect to vsock:%u:%u: %s; is vgpud listening there on the host?", cid,
                 port, strerror(errno));
    return fd;
}

static int connect_tcp(const char *host, const char *port, char *why, size_t why_bytes)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int problem = getaddrinfo(host, port, &hints, &found);
    if (problem != 0) {
        snprintf(why, why_bytes, "VGPU_SERVER=tcp:%s:%s: %s", host, port, gai_strerror(problem));
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = connect_to(at->ai_family, at->ai_addr, at->ai_addrlen);
    freeaddrinfo(found);
    if (fd < 0) {
        snprintf(why, why_bytes, "no GPU: cannot connect to tcp:%s:%s: %s; is vgpud listening there?", host,
                 port, strerror(errno));
        return -1;
    }
    /* A host that vanishes says no goodbye: after a minute of silence it is asked, and after another it
     * counts as gone. */
    const int on = 1, idle_s = 60, interval_s = 15, probes = 4;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    return fd;
}

/* Splits "A:B" at its last colon into first and second; false when there is none or a part is empty. */
static bool split(const char *text, char *first, size_t first_bytes, const char **second)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0' || (size_t)(colon - text) >= first_bytes)
        return false;
    size_t bytes = (size_t)(colon - text);
    if (bytes > 2 && text[0] == '[' && text[bytes - 1] == ']') { /* an IPv6 address */
        text++;
        bytes -= 2;
    }
    memcpy(first, text, bytes);
    first[bytes] = '\0';
    *second = colon + 1;
    return true;
}

static bool number(const char *text, unsigned *value)
{
    char *end;
    errno = 0;
    unsigned long parsed = strtoul(text, &end, 10);
    *value = (unsigned)parsed;
    return end != text && *end == '\0' && errno == 0 && parsed <= 0xFFFFFFFFul && text[0] != '-';
}

static int connect_named(const char *server, bool *is_unix, char *why, size_t why_bytes)
{
    char first[256];
    const char *second;
    unsigned cid, port;
    if (strncmp(server, "unix:", 5) == 0) {
        *is_unix = true;
        return connect_unix(server + 5, why, why_bytes);
    }
    if (strncmp(server, "vsock:", 6) == 0 && split(server + 6, first, sizeof first, &second) &&
        number(first, &cid) && number(second, &port))
        return connect_vsock(cid, port, why, why_bytes);
    if (strncmp(server, "tcp:", 4) == 0 && split(server + 4, first, sizeof first, &second))
        return connect_tcp(first, second, why, why_bytes);
    snprintf(why, why_bytes,
             "VGPU_SERVER='%s' is not understood: use unix:PATH, vsock:CID:PORT or tcp:HOST:PORT", server);
    return -1;
}

bool address_wants_stream(void)
{
    const char *transport = getenv("VGPU_TRANSPORT");
    return transport != NULL && strcmp(transport, "stream") == 0;
}

int address_connect(bool *can_share, char *why, size_t why_bytes)
{
    const char *server = getenv("VGPU_SERVER");
    bool is_unix = false;
    int fd;
    if (server != NULL && server[0] != '\0') {
        fd = connect_named(server, &is_unix, why, why_bytes);
    } else {
        fd = connect_unix(USUAL_SOCKET, why, why_bytes);
        is_unix = fd >= 0;
        if (fd < 0)
            fd = connect_vsock(VMADDR_CID_HOST, USUAL_VSOCK_PORT, why, why_bytes);
        if (fd < 0)
            snprintf(why, why_bytes,
                     "no GPU: VGPU_SERVER is not set, and there is no vgpu at " USUAL_SOCKET " or vsock:2:%u",
                     USUAL_VSOCK_PORT);
    }
    *can_share = is_unix && !address_wants_stream();
    return fd;
}
