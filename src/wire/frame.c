#include "wire/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int frame_read(int fd, void *buffer, size_t bytes)
{
    uint8_t *at = buffer;
    while (bytes > 0) {
        ssize_t got = recv(fd, at, bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = ECONNRESET;
        if (got <= 0)
            return -1;
        at += got;
        bytes -= (size_t)got;
    }
    return 0;
}

static int read_ahead(struct frame_reader *reader)
{
    ssize_t got;
    do {
        got = recv(reader->fd, reader->bytes, sizeof reader->bytes, 0);
    } while (got < 0 && errno == EINTR);
    if (got == 0)
        errno = ECONNRESET;
    if (got <= 0)
        return -1;
    reader->begin = 0;
    reader->end = (uint32_t)got;
    return 0;
}

int frame_reader_take(struct frame_reader *reader, void *buffer, size_t bytes)
{
    uint8_t *at = buffer;
    while (bytes > 0) {
        size_t here = reader->end - reader->begin;
        if (here == 0 && bytes >= sizeof reader->bytes)
            return frame_read(reader->fd, at, bytes);
        if (here == 0 && read_ahead(reader) != 0)
            return -1;
        here = reader->end - reader->begin;
        size_t part = here < bytes ? here : bytes;
        memcpy(at, reader->bytes + reader->begin, part);
        reader->begin += (uint32_t)part;
        at += part;
        bytes -= part;
    }
    return 0;
}

/* Sends both parts of `parts` completely; consumes them. */
static int write_parts(int fd, struct iovec parts[2], struct msghdr *message)
{
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t sent = sendmsg(fd, message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -1;
        for (int i = 0; i < 2; i++) {
            size_t part = (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;
            parts[i].iov_base = (uint8_t *)parts[i].iov_base + part;
            parts[i].iov_len -= part;
            sent -= (ssize_t)part;
        }
        message->msg_control = NULL; /* the descriptor went with the first byte */
        message->msg_controllen = 0;
    }
    return 0;
}

int frame_write(int fd, const struct frame_header *header, const void *body, size_t body_bytes)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)header, sizeof *header},
                             {(void *)(uintptr_t)body, body_bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    return write_parts(fd, parts, &message);
}

union descriptor_space {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

int frame_write_descriptor(int fd, const struct frame_header *header, int passed_fd)
{
    union descriptor_space space;
    memset(&space, 0, sizeof space);
    struct iovec parts[2] = {{(void *)(uintptr_t)header, sizeof *header}, {NULL, 0}};
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = space.bytes, .msg_controllen = sizeof space.bytes};
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(control), &passed_fd, sizeof passed_fd);
    return write_parts(fd, parts, &message);
}

int frame_read_descriptor(int fd, struct frame_header *header, int *passed_fd)
{
    union descriptor_space space;
    struct iovec part = {header, sizeof *header};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = space.bytes, .msg_controllen = sizeof space.bytes};
    *passed_fd = -1;
    ssize_t got;
    do {
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got == 0)
        errno = ECONNRESET;
    if (got <= 0)
        return -1;
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    if (control != NULL && control->cmsg_type == SCM_RIGHTS && control->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(passed_fd, CMSG_DATA(control), sizeof *passed_fd);
    if ((size_t)got < sizeof *header &&
        frame_read(fd, (uint8_t *)header + got, sizeof *header - (size_t)got) != 0) {
        if (*passed_fd >= 0)
            close(*passed_fd);
        *passed_fd = -1;
        return -1;
    }
    return 0;
}
