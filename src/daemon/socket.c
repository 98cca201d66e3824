#include "daemon/socket.h"

#include "base/error.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define BACKLOG 256

/* A decimal number below 2^32 - 1, which means "unchanged" to chown(2). */
static int number_read(const char *text, uint32_t *number)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value >= UINT32_MAX)
        return -1;
    *number = (uint32_t)value;
    return 0;
}

enum vgpu_status socket_access_owner(struct socket_access *access, const char *owner, struct vgpu_error *err)
{
    char user[256];
    const char *colon = strchr(owner, ':');
    const char *group = colon ? colon + 1 : "";
    int user_bytes = colon ? (int)(colon - owner) : (int)strlen(owner);
    if (user_bytes >= (int)sizeof user)
        return error_set(err, VGPU_ERR_USAGE, "guest_socket_owner: the user's name is too long");
    snprintf(user, sizeof user, "%.*s", user_bytes, owner);
    if (*user && number_read(user, &access->uid) < 0) {
        const struct passwd *entry = getpwnam(user);
        if (!entry)
            return error_set(err, VGPU_ERR_NOT_FOUND, "guest_socket_owner: there is no user '%s'", user);
        access->uid = entry->pw_uid;
    }
    if (*group && number_read(group, &access->gid) < 0) {
        const struct group *entry = getgrnam(group);
        if (!entry)
            return error_set(err, VGPU_ERR_NOT_FOUND, "guest_socket_owner: there is no group '%s'", group);
        access->gid = entry->gr_gid;
    }
    return VGPU_OK;
}

/* Between bind() and chmod() the file has the permissions of the umask, which leaves others no right to write
 * and so none to connect (daemon_run sets it). */
static enum vgpu_status file_open_to(const char *path, const struct socket_access *access,
                                     struct vgpu_error *err)
{
    if (chown(path, access->uid, access->gid) < 0)
        return error_set_errno(err, VGPU_ERR_PERMISSION, "cannot set the owner of %s", path);
    if (chmod(path, access->mode) < 0)
        return error_set_errno(err, VGPU_ERR_PERMISSION, "cannot set the permissions of %s", path);
    return VGPU_OK;
}

enum vgpu_status socket_listen_unix(const char *path, const struct socket_access *access, int *fd,
                                    struct vgpu_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, VGPU_ERR_IO,
                         "%s: the path of a socket can have %zu bytes at most, this one has %zu; "
                         "use a shorter VGPU_RUN_DIR",
                         path, sizeof address.sun_path - 1, strlen(path));
    memcpy(address.sun_path, path, strlen(path));
    if (lstat(path, &info) == 0) {
        if (!S_ISSOCK(info.st_mode))
            return error_set(err, VGPU_ERR_EXISTS, "%s is in the way and not a socket; move it away", path);
        unlink(path);
    }
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot make a socket for %s", path);
    enum vgpu_status status = VGPU_OK;
    if (bind(made, (struct sockaddr *)&address, sizeof address) < 0)
        status = error_set_errno(err, errno == EACCES ? VGPU_ERR_PERMISSION : VGPU_ERR_IO,
                                 "cannot make the socket %s", path);
    else if (listen(made, BACKLOG) < 0)
        status = error_set_errno(err, VGPU_ERR_IO, "cannot listen on %s", path);
    else
        status = file_open_to(path, access, err);
    if (status != VGPU_OK)
        close(made);
    else
        *fd = made;
    return status;
}

enum vgpu_status socket_listen_vsock(uint32_t port, int *fd, struct vgpu_error *err)
{
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = port, .svm_cid = VMADDR_CID_ANY};
    int made = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return error_set_errno(err, VGPU_ERR_UNAVAILABLE,
                               "listen_vsock_port: this kernel has no vsock (modprobe vhost_vsock)");
    if (bind(made, (struct sockaddr *)&address, sizeof address) < 0 || listen(made, BACKLOG) < 0) {
        error_set_errno(err, VGPU_ERR_IO, "listen_vsock_port: cannot listen on vsock port %u", port);
        close(made);
        return VGPU_ERR_IO;
    }
    *fd = made;
    return VGPU_OK;
}

/* "ADDRESS:PORT" or "[ADDRESS]:PORT" into its two parts. */
static int address_split(const char *text, char host[64], char port[8])
{
    const char *colon = strrchr(text, ':');
    const char *end = colon;
    if (!colon || colon == text || !colon[1] || strlen(colon + 1) >= 8)
        return -1;
    if (text[0] == '[') {
        if (colon[-1] != ']')
            return -1;
        text++;
        end--;
    }
    if (end <= text || end - text >= 64)
        return -1;
    snprintf(host, 64, "%.*s", (int)(end - text), text);
    snprintf(port, 8, "%s", colon + 1);
    return 0;
}

enum vgpu_status socket_listen_tcp(const char *setting, const char *text, int *fd, struct vgpu_error *err)
{
    char host[64];
    char port[8];
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *address;
    if (address_split(text, host, port) < 0 || getaddrinfo(host, port, &hints, &address) != 0)
        return error_set(err, VGPU_ERR_USAGE,
                         "%s: '%s' is not an address and a port; write 127.0.0.1:7000 or [::1]:7000", setting,
                         text);
    enum vgpu_status status = VGPU_OK;
    const int yes = 1;
    int made = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0 || setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(made, address->ai_addr, address->ai_addrlen) < 0 || listen(made, BACKLOG) < 0) {
        status = error_set_errno(err, VGPU_ERR_IO, "%s: cannot listen on %s", setting, text);
        if (made >= 0)
            close(made);
    } else {
        *fd = made;
    }
    freeaddrinfo(address);
    return status;
}
