#include "daemon/arrivals.h"

#include "daemon/refusal.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

struct arrival {
    STAILQ_ENTRY(arrival) next;
    int fd;
};

bool arrivals_may_start(const struct arrivals *arrivals, const struct vm *vm)
{
    return vm->starting_count == 0 ||
           (vm->starting_count < STARTING_PER_VM_MAX && arrivals->service->starting_count < STARTING_MAX);
}

/* The VM's first; -1: it has none. */
static int take_first(struct arrivals *arrivals, struct vm *vm)
{
    struct arrival *arrival = STAILQ_FIRST(&vm->arrivals);
    if (!arrival)
        return -1;
    int fd = arrival->fd;
    STAILQ_REMOVE_HEAD(&vm->arrivals, next);
    free(arrival);
    arrivals->count--;
    if (--vm->arrival_count == 0)
        TAILQ_REMOVE(&arrivals->vms, vm, in_arrivals);
    return fd;
}

static bool has_hung_up(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* One of the VM; it is then the last in turn. */
static void serve_one(struct arrivals *arrivals, struct vm *vm)
{
    int fd = take_first(arrivals, vm);
    if (vm->arrival_count > 0) {
        TAILQ_REMOVE(&arrivals->vms, vm, in_arrivals);
        TAILQ_INSERT_TAIL(&arrivals->vms, vm, in_arrivals);
    }
    if (has_hung_up(fd))
        close(fd);
    else
        arrivals->serve(arrivals->context, vm, fd);
}

static void timer_due(uv_timer_t *timer)
{
    struct arrivals *arrivals = timer->data;
    bool served = true;
    while (served) {
        struct vm *vm;
        served = false;
        TAILQ_FOREACH(vm, &arrivals->vms, in_arrivals)
        {
            if (arrivals_may_start(arrivals, vm)) {
                serve_one(arrivals, vm);
                served = true;
                break; /* the list has changed */
            }
        }
    }
}

void arrivals_open(struct arrivals *arrivals, uv_loop_t *loop)
{
    TAILQ_INIT(&arrivals->vms);
    uv_timer_init(loop, &arrivals->timer);
    arrivals->timer.data = arrivals;
    arrivals->open = true;
}

void arrivals_add(struct arrivals *arrivals, struct vm *vm, int fd)
{
    struct arrival *arrival = calloc(1, sizeof *arrival);
    if (!arrival) {
        close(fd);
        return;
    }
    arrival->fd = fd;
    STAILQ_INSERT_TAIL(&vm->arrivals, arrival, next);
    arrivals->count++;
    if (vm->arrival_count++ == 0)
        TAILQ_INSERT_TAIL(&arrivals->vms, vm, in_arrivals);
    arrivals_wake(arrivals);
}

void arrivals_wake(struct arrivals *arrivals)
{
    if (arrivals->open && arrivals->count > 0)
        uv_timer_start(&arrivals->timer, timer_due, 0, 0);
}

void arrivals_refuse(struct arrivals *arrivals, struct vm *vm, enum handshake_status status, const char *text)
{
    int fd;
    while ((fd = take_first(arrivals, vm)) >= 0)
        refusal_send(arrivals->timer.loop, fd, status, text);
}

void arrivals_close(struct arrivals *arrivals, const struct host *host, const char *text)
{
    if (!arrivals->open)
        return;
    arrivals->open = false;
    for (size_t i = 0; i < host->vm_count; i++)
        arrivals_refuse(arrivals, host->vms[i], HANDSHAKE_BUSY, text);
    uv_close((uv_handle_t *)&arrivals->timer, NULL);
}
