#include "wire/control.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union descriptors_space {
    char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
    struct cmsghdr align;
};

bool control_send_fds(int control, const struct control_message *message, const int *fds, size_t fd_count)
{
    union descriptors_space space;
    memset(&space, 0, sizeof space);
    struct iovec part = {(void *)(uintptr_t)message, sizeof *message};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = space.bytes,
                            .msg_controllen = CMSG_SPACE(fd_count * sizeof(int))};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
    ssize_t sent;
    do {
        sent = sendmsg(control, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof *message;
}

static void take_fds(struct msghdr *header, int fds[CONTROL_FDS_MAX], size_t *fd_count)
{
    const struct cmsghdr *rights = CMSG_FIRSTHDR(header);
    *fd_count = 0;
    if (rights == NULL || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
        return;
    *fd_count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (*fd_count > CONTROL_FDS_MAX)
        *fd_count = CONTROL_FDS_MAX; /* there is no room for more */
    memcpy(fds, CMSG_DATA(rights), *fd_count * sizeof(int));
}

int control_receive_fds(int control, struct control_message *message, int fds[CONTROL_FDS_MAX],
                        size_t *fd_count)
{
    union descriptors_space space;
    struct iovec part = {message, sizeof *message};
    for (;;) {
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = space.bytes,
                                .msg_controllen = sizeof space.bytes};
        ssize_t got = recvmsg(control, &header, MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        take_fds(&header, fds, fd_count);
        if (got == (ssize_t)sizeof *message)
            return 1;
        for (size_t i = 0; i < *fd_count; i++)
            close(fds[i]);
    }
}
