#include "simgpu/channel_group.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RM_FREE    _IOWR('F', 0x29, struct rm_free)
#define RM_CONTROL _IOWR('F', 0x2a, struct rm_control)
#define RM_ALLOC   _IOWR('F', 0x2b, struct rm_alloc)

#define CLASS_CHANNEL_GROUP 0xa06cu
#define CLASS_CHANNEL       0xc86fu
#define CLASS_SUBDEVICE     0x2080u
#define SET_TIMESLICE       0xa06c0103u
#define GET_TIMESLICE       0xa06c0104u
#define DISABLE_CHANNELS    0x2080110bu

#define STATUS_OK             0u
#define STATUS_NO_SUCH_OBJECT 0x57u /* NV_ERR_OBJECT_NOT_FOUND */
#define STATUS_NOT_SUPPORTED  0x56u

/* What a group has from the start, and what the driver gives it when its context is made. */
#define FIRST_SLICE_US   1024u
#define DRIVERS_SLICE_US 2048u

#define CLIENT     0xc1d00001u
#define DEVICE     0x5c000001u
#define SUBDEVICE  0x5c000002u
#define GROUPS_MAX 256u

struct rm_free {
    uint32_t client, parent, object, status;
};
struct rm_control {
    uint32_t client, object, command, flags;
    uint64_t parameters;
    uint32_t bytes, status;
};
struct rm_alloc {
    uint32_t client, parent, object, class;
    uint64_t parameters, rights;
    uint32_t bytes, flags, status, padding;
};

struct disable_channels {
    uint8_t disable;
    uint32_t count;
    uint8_t only_disable_scheduling, rewind;
    _Alignas(8) uint64_t event;
    uint32_t clients[64], channels[64];
};

/* What a group is made from: the real driver's part, and which process of which GPU it is. */
struct group_parameters {
    uint32_t error_object, ecc_object, address_space, engine;
    struct shared_slot *slot;
};
#define ENGINE_GR 1u

static struct {
    pthread_mutex_t lock;
    int fd; /* stands for /dev/nvidiactl; 0: not opened yet */
    uint32_t last;
    bool has_subdevice;
    long pauses_left;
    struct {
        uint32_t object; /* 0: free */
        uint32_t channel;
        uint64_t slice_us;
        struct shared_slot *slot;
    } groups[GROUPS_MAX];
} manager = {.lock = PTHREAD_MUTEX_INITIALIZER, .pauses_left = PAUSES_UNLIMITED};

/* --- the manager's side --- */

/* Under the lock. -1: there is none. */
static int group_index(uint32_t object)
{
    for (unsigned int i = 0; i < GROUPS_MAX; i++)
        if (object && manager.groups[i].object == object)
            return (int)i;
    return -1;
}

static void allocate_channel(struct rm_alloc *call)
{
    int at = group_index(call->parent);
    if (at >= 0)
        manager.groups[at].channel = call->object;
    call->status = at >= 0 ? STATUS_OK : STATUS_NO_SUCH_OBJECT;
}

static void allocate_group(struct rm_alloc *call)
{
    for (unsigned int i = 0; i < GROUPS_MAX; i++) {
        if (manager.groups[i].object)
            continue;
        manager.groups[i].object = call->object;
        manager.groups[i].slice_us = FIRST_SLICE_US;
        manager.groups[i].slot = ((const struct group_parameters *)(uintptr_t)call->parameters)->slot;
        call->status = STATUS_OK;
        return;
    }
    call->status = STATUS_NOT_SUPPORTED;
}

static bool slices_can_be_set(void)
{
    const char *setting = getenv("VGPU_SIM_TIME_SLICES");
    return !setting || strcmp(setting, "0") != 0;
}

/* What runs in the processes whose channels these are stands still. */
static void disable(struct rm_control *call)
{
    const struct disable_channels *list = (const struct disable_channels *)(uintptr_t)call->parameters;
    bool refused = call->bytes != sizeof *list || list->count > 64 || (list->disable && !manager.pauses_left);
    call->status = refused ? STATUS_NOT_SUPPORTED : STATUS_OK;
    for (unsigned int i = 0; !call->status && i < list->count; i++) {
        unsigned int at = 0;
        while (at < GROUPS_MAX &&
               (!manager.groups[at].object || manager.groups[at].channel != list->channels[i]))
            at++;
        if (at < GROUPS_MAX)
            shared_slot_set_paused(manager.groups[at].slot, list->disable);
        else
            call->status = STATUS_NO_SUCH_OBJECT;
    }
    if (!call->status && list->disable && manager.pauses_left != PAUSES_UNLIMITED)
        manager.pauses_left--;
}

static void control(struct rm_control *call)
{
    if (call->command == DISABLE_CHANNELS && call->object == SUBDEVICE) {
        disable(call);
        return;
    }
    int at = group_index(call->object);
    uint64_t *us = (uint64_t *)(uintptr_t)call->parameters;
    call->status = STATUS_NOT_SUPPORTED;
    if (at < 0)
        call->status = STATUS_NO_SUCH_OBJECT;
    if (at < 0 || call->bytes != sizeof *us || !slices_can_be_set())
        return;
    if (call->command == GET_TIMESLICE) {
        *us = manager.groups[at].slice_us;
        call->status = STATUS_OK;
    } else if (call->command == SET_TIMESLICE && *us > 0) {
        manager.groups[at].slice_us = *us;
        shared_slot_set_slice(manager.groups[at].slot, *us);
        call->status = STATUS_OK;
    }
}

static int manage(unsigned long request, void *argument)
{
    int result = 0;
    pthread_mutex_lock(&manager.lock);
    struct rm_alloc *made = argument;
    if (request == RM_ALLOC && made->class == CLASS_CHANNEL_GROUP) {
        allocate_group(made);
    } else if (request == RM_ALLOC && made->class == CLASS_CHANNEL) {
        allocate_channel(made);
    } else if (request == RM_ALLOC && made->class == CLASS_SUBDEVICE) {
        made->status = STATUS_OK;
    } else if (request == RM_CONTROL) {
        control(argument);
    } else if (request == RM_FREE) {
        struct rm_free *call = argument;
        int at = group_index(call->object);
        if (at >= 0) {
            shared_slot_set_paused(manager.groups[at].slot, false);
            manager.groups[at].object = 0;
        }
        call->status = STATUS_OK;
    } else {
        errno = EINVAL;
        result = -1;
    }
    pthread_mutex_unlock(&manager.lock);
    return result;
}

/* Exported: what the kernel is to the real libcuda. All that is not for the simulated GPU goes on to the
 * kernel. */
int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    bool ours = _IOC_TYPE(request) == 'F' && manager.fd != 0 && fd == manager.fd;
    return ours ? manage(request, argument) : (int)syscall(SYS_ioctl, fd, request, argument);
}

/* --- the driver's side --- */

static int manager_open(void)
{
    pthread_mutex_lock(&manager.lock);
    if (manager.fd == 0)
        manager.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int fd = manager.fd;
    pthread_mutex_unlock(&manager.lock);
    return fd;
}

static bool make(int fd, uint32_t parent, uint32_t object, uint32_t class, const void *parameters)
{
    struct rm_alloc alloc = {.client = CLIENT,
                             .parent = parent,
                             .object = object,
                             .class = class,
                             .parameters = (uintptr_t)parameters};
    return ioctl(fd, RM_ALLOC, &alloc) == 0 && alloc.status == STATUS_OK;
}

void channel_group_allow_pauses(long pauses)
{
    pthread_mutex_lock(&manager.lock);
    manager.pauses_left = pauses;
    pthread_mutex_unlock(&manager.lock);
}

uint32_t channel_group_make(struct shared_slot *slot)
{
    int fd = manager_open();
    pthread_mutex_lock(&manager.lock);
    uint32_t group = 0x5c000000u + (manager.last += 16), channel = group + 1;
    bool first = !manager.has_subdevice;
    manager.has_subdevice = true;
    pthread_mutex_unlock(&manager.lock);
    const struct group_parameters parameters = {.engine = ENGINE_GR, .slot = slot};
    if (fd <= 0 || (first && !make(fd, DEVICE, SUBDEVICE, CLASS_SUBDEVICE, NULL)) ||
        !make(fd, DEVICE, group, CLASS_CHANNEL_GROUP, &parameters) ||
        !make(fd, group, channel, CLASS_CHANNEL, NULL))
        return 0;
    uint64_t slice_us = DRIVERS_SLICE_US;
    struct rm_control set = {.client = CLIENT,
                             .object = group,
                             .command = SET_TIMESLICE,
                             .parameters = (uintptr_t)&slice_us,
                             .bytes = sizeof slice_us};
    ioctl(fd, RM_CONTROL, &set);
    return group;
}

void channel_group_free(uint32_t group)
{
    struct rm_free call = {.client = CLIENT, .object = group};
    if (group)
        ioctl(manager_open(), RM_FREE, &call);
}
