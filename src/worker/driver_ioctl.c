/* The driver's ioctls pass here on their way to the kernel: libcuda takes the function from the program that
 * has loaded it.
 *
 * Where the kernel lets a GPU reach all memory of its process (heterogeneous memory management, on by default
 * in the open kernel modules), a guest's kernel would read and write the worker itself. Only one flag of the
 * call that opens unified memory for a process says no to that; libcuda has no setting for it.
 *
 * A context's work reaches the GPU through channels in groups. Which ones there are only these calls tell
 * (time_slice.c, channel_pause.c).
 *
 * Numbers, flags and layouts are those of NVIDIA's open kernel modules: nvidia-uvm/uvm_linux_ioctl.h,
 * uvm_types.h, and the resource manager's nv_escape.h, nvos.h, class/cla06c.h, cl2080.h and clc86f.h. */
#include "worker/driver_ioctl.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/ioctl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/time_slice.h"

#define UVM_INITIALIZE 0x30000001ul

/* The first stops access through page tables made for the GPU, and in newer modules only the migration of
 * pages; those have the second for the access. Older modules refuse the second. */
#define UVM_INIT_DISABLE_HMM             0x1ull
#define UVM_INIT_DISABLE_PAGEABLE_ACCESS 0x4ull

struct uvm_initialize {
    uint64_t flags;
    uint32_t status; /* NV_STATUS, 0 when done */
};

/* Calls of the resource manager: type 'F', and these numbers. */
#define RM_TYPE    'F'
#define RM_FREE    0x29u
#define RM_CONTROL 0x2au
#define RM_ALLOC   0x2bu

#define CLASS_CHANNEL_GROUP 0xa06cu
#define CLASS_SUBDEVICE     0x2080u
#define CHANNEL_KIND        0x6fu /* the lower half of a channel's class; the upper one is the kind of GPU */

struct rm_free {
    uint32_t client, parent, object, status;
};

struct rm_control {
    uint32_t client, object, command, flags;
    uint64_t parameters;
    uint32_t bytes, status;
};

/* The older form ends with bytes and status where the newer one has the access rights. */
struct rm_alloc {
    uint32_t client, parent, object, class;
    uint64_t parameters;
    union {
        struct {
            uint32_t bytes, status;
        } plain;
        struct {
            uint64_t rights;
            uint32_t bytes, flags, status, padding;
        } with_rights;
    };
};
_Static_assert(sizeof(struct rm_alloc) == 48 && offsetof(struct rm_alloc, with_rights.status) == 40 &&
                   offsetof(struct rm_alloc, plain.status) == 28,
               "the resource manager's layout");

/* What a channel group is made from (NV_CHANNEL_GROUP_ALLOCATION_PARAMETERS), as far as it matters; and the
 * engines that run kernels (class/cl2080.h): the others copy. */
struct rm_group {
    uint32_t error_object, ecc_object, address_space, engine;
};
#define ENGINE_FIRST_GR 1u
#define ENGINE_LAST_GR  8u

static int (*onward)(int fd, unsigned long request, ...);

void driver_ioctl_follow(void *library)
{
    int (*found)(int, unsigned long, ...);
    *(void **)&found = dlsym(library, "ioctl");
    if (found != ioctl)
        onward = found;
}

static int pass_on(int fd, unsigned long request, void *argument)
{
    return onward != NULL ? onward(fd, request, argument) : (int)syscall(SYS_ioctl, fd, request, argument);
}

static int initialize_uvm(int fd, struct uvm_initialize *parameters)
{
    const uint64_t wanted = parameters->flags | UVM_INIT_DISABLE_HMM;
    parameters->flags = wanted | UVM_INIT_DISABLE_PAGEABLE_ACCESS;
    int result = pass_on(fd, UVM_INITIALIZE, parameters);
    if (result == 0 && parameters->status == 0)
        return 0;
    parameters->flags = wanted;
    return pass_on(fd, UVM_INITIALIZE, parameters);
}

static void look_at_allocation(int fd, const struct rm_alloc *allocation, size_t bytes)
{
    if (bytes < offsetof(struct rm_alloc, with_rights) + 8)
        return;
    uint32_t status = bytes >= sizeof *allocation ? allocation->with_rights.status : allocation->plain.status;
    if (status != 0)
        return;
    if (allocation->class == CLASS_CHANNEL_GROUP) {
        const struct rm_group *group = (const struct rm_group *)(uintptr_t)allocation->parameters;
        bool computes =
            group == NULL || (group->engine >= ENGINE_FIRST_GR && group->engine <= ENGINE_LAST_GR);
        time_slice_group_made(fd, allocation->client, allocation->parent, allocation->object, computes);
    } else if (allocation->class == CLASS_SUBDEVICE) {
        time_slice_subdevice_made(fd, allocation->client, allocation->parent, allocation->object);
    } else if ((allocation->class & 0xffu) == CHANNEL_KIND) {
        time_slice_channel_made(allocation->client, allocation->parent, allocation->object);
    }
}

static void look_at_control(const struct rm_control *control, size_t bytes)
{
    if (bytes < sizeof *control || control->command != DRIVER_SET_TIMESLICE || control->status != 0 ||
        control->bytes != sizeof(uint64_t))
        return;
    const uint64_t *us = (const uint64_t *)(uintptr_t)control->parameters;
    time_slice_was_set(control->client, control->object, *us);
}

uint32_t driver_control(int fd, uint32_t client, uint32_t object, uint32_t command, void *parameters,
                        uint32_t bytes)
{
    struct rm_control control = {.client = client,
                                 .object = object,
                                 .command = command,
                                 .parameters = (uintptr_t)parameters,
                                 .bytes = bytes};
    return pass_on(fd, _IOWR(RM_TYPE, RM_CONTROL, struct rm_control), &control) == 0 ? control.status : ~0u;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (request == UVM_INITIALIZE)
        return initialize_uvm(fd, argument);
    bool of_manager = _IOC_TYPE(request) == RM_TYPE;
    if (of_manager && _IOC_NR(request) == RM_FREE && _IOC_SIZE(request) >= sizeof(struct rm_free)) {
        const struct rm_free *free = argument;
        time_slice_object_gone(free->client, free->object);
    }
    int result = pass_on(fd, request, argument);
    if (result == 0 && of_manager && _IOC_NR(request) == RM_ALLOC)
        look_at_allocation(fd, argument, _IOC_SIZE(request));
    if (result == 0 && of_manager && _IOC_NR(request) == RM_CONTROL)
        look_at_control(argument, _IOC_SIZE(request));
    return result;
}
