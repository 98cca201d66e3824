/* Listening sockets: what it takes to make each kind. All are non-blocking and close on exec. */
#ifndef VGPU_DAEMON_SOCKET_H
#define VGPU_DAEMON_SOCKET_H

#include <stdint.h>
#include <sys/types.h>
#include <vgpu/error.h>

/* Who may open a socket file. */
struct socket_access {
    mode_t mode;
    uid_t uid; /* (uid_t)-1: the daemon's own */
    gid_t gid; /* (gid_t)-1: the daemon's own */
};

/* Reads "user", "user:group" or ":group" (names or numbers) into access; "" leaves it as it is. */
enum vgpu_status socket_access_owner(struct socket_access *access, const char *owner, struct vgpu_error *err);

/* Makes the socket file; one that a dead daemon left behind is taken over (the caller holds the run
 * directory's lock, so no living one can be at it). VGPU_ERR_USAGE: the path is longer than a socket's can
 * be. */
enum vgpu_status socket_listen_unix(const char *path, const struct socket_access *access, int *fd,
                                    struct vgpu_error *err);

/* For any CID that reaches this host. */
enum vgpu_status socket_listen_vsock(uint32_t port, int *fd, struct vgpu_error *err);

/* address: "127.0.0.1:7000", "[::1]:7000"; no names, so that nothing is looked up. setting: whose value it
 * is, for messages. */
enum vgpu_status socket_listen_tcp(const char *setting, const char *address, int *fd, struct vgpu_error *err);

#endif
