#include "daemon/doorstep.h"

#include "wire/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000

struct visitor {
    LIST_ENTRY(visitor) in_list;
    struct doorstep *doorstep;
    uv_poll_t poll;
    uv_timer_t limit;
    unsigned open_handles;
    int fd;
    char vm_uuid[VGPU_VM_UUID_BYTES];
};

enum first_byte { NOTHING_YET, IS_GUEST, IS_MONITOR, HAS_GONE };

static enum first_byte look(int fd)
{
    uint8_t byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 1)
        return byte == (MONITOR_MAGIC & 0xff) ? IS_MONITOR : IS_GUEST;
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? NOTHING_YET : HAS_GONE;
}

static void handle_closed(uv_handle_t *handle)
{
    struct visitor *visitor = handle->data;
    if (--visitor->open_handles == 0)
        free(visitor);
}

/* Does not close fd. */
static void visitor_end(struct visitor *visitor)
{
    LIST_REMOVE(visitor, in_list);
    uv_close((uv_handle_t *)&visitor->poll, handle_closed);
    uv_close((uv_handle_t *)&visitor->limit, handle_closed);
}

static void limit_reached(uv_timer_t *timer)
{
    struct visitor *visitor = timer->data;
    visitor_end(visitor);
    close(visitor->fd);
}

static void readable(uv_poll_t *poll, int status, int events)
{
    struct visitor *visitor = poll->data;
    enum first_byte first = look(visitor->fd);
    if (first == NOTHING_YET)
        return;
    visitor_end(visitor);
    int flags = fcntl(visitor->fd, F_GETFL);
    if (first == HAS_GONE || flags < 0 || fcntl(visitor->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        close(visitor->fd);
    else
        visitor->doorstep->known(visitor->doorstep->context, visitor->vm_uuid, visitor->fd,
                                 first == IS_MONITOR);
}

static bool is_crowded(const struct doorstep *doorstep, const char *vm_uuid)
{
    const struct visitor *visitor;
    unsigned count = 0;
    LIST_FOREACH(visitor, &doorstep->list, in_list)
    {
        count += strcmp(visitor->vm_uuid, vm_uuid) == 0;
    }
    return count >= doorstep->per_vm_max;
}

bool doorstep_add(struct doorstep *doorstep, const char *vm_uuid, int fd)
{
    enum first_byte first = look(fd);
    if (first == HAS_GONE) {
        close(fd);
        return true;
    }
    if (first != NOTHING_YET) {
        doorstep->known(doorstep->context, vm_uuid, fd, first == IS_MONITOR);
        return true;
    }
    struct visitor *visitor = is_crowded(doorstep, vm_uuid) ? NULL : calloc(1, sizeof *visitor);
    if (!visitor || uv_poll_init(doorstep->loop, &visitor->poll, fd) < 0) {
        free(visitor);
        return false;
    }
    uv_timer_init(doorstep->loop, &visitor->limit);
    visitor->open_handles = 2;
    visitor->poll.data = visitor->limit.data = visitor;
    visitor->doorstep = doorstep;
    visitor->fd = fd;
    snprintf(visitor->vm_uuid, sizeof visitor->vm_uuid, "%s", vm_uuid);
    LIST_INSERT_HEAD(&doorstep->list, visitor, in_list);
    uv_poll_start(&visitor->poll, UV_READABLE | UV_DISCONNECT, readable);
    uv_timer_start(&visitor->limit, limit_reached, PATIENCE_MS, 0);
    return true;
}

void doorstep_clear(struct doorstep *doorstep, const char *vm_uuid)
{
    struct visitor *visitor;
    struct visitor *next;
    for (visitor = LIST_FIRST(&doorstep->list); visitor; visitor = next) {
        next = LIST_NEXT(visitor, in_list);
        if (vm_uuid && strcmp(visitor->vm_uuid, vm_uuid) != 0)
            continue;
        visitor_end(visitor);
        close(visitor->fd);
    }
}
