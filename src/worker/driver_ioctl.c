/* The driver's ioctls pass here on their way to the kernel: libcuda takes the function from the program that
 * has loaded it.
 *
 * Where the kernel lets a GPU reach all memory of its process (heterogeneous memory management, on by default
 * in the open kernel modules), a guest's kernel would read and write the worker itself. Only one flag of the
 * call that opens unified memory for a process says no to that; libcuda has no setting for it. Numbers and
 * flags are those of NVIDIA's open kernel modules, nvidia-uvm/uvm_linux_ioctl.h and uvm_types.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UVM_INITIALIZE 0x30000001ul

/* The first stops access through page tables made for the GPU, and in newer modules only the migration of
 * pages; those have the second for the access. Older modules refuse the second. */
#define UVM_INIT_DISABLE_HMM             0x1ull
#define UVM_INIT_DISABLE_PAGEABLE_ACCESS 0x4ull

struct uvm_initialize {
    uint64_t flags;
    uint32_t status; /* NV_STATUS, 0 when done */
};

static int pass_on(int fd, unsigned long request, void *argument)
{
    return (int)syscall(SYS_ioctl, fd, request, argument);
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

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return request == UVM_INITIALIZE ? initialize_uvm(fd, argument) : pass_on(fd, request, argument);
}
