/* Compiles only where our declarations of libvirt are those of its own header. */
#include "inventory/libvirt_abi.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#define SAME_TYPE(name)                                                                                      \
    _Static_assert(__builtin_types_compatible_p(__typeof__(&name), __typeof__(((struct libvirt *)0)->name)), \
                   #name " is declared differently");
LIBVIRT_FUNCTIONS(SAME_TYPE)

_Static_assert(LIBVIRT_UUID_STRING_BYTES == VIR_UUID_STRING_BUFLEN, "length of a UUID's text");

/* The numbers that hypervisor_libvirt.c and its test go by. */
_Static_assert(VIR_DOMAIN_NOSTATE == 0 && VIR_DOMAIN_RUNNING == 1 && VIR_DOMAIN_BLOCKED == 2 &&
                   VIR_DOMAIN_PAUSED == 3 && VIR_DOMAIN_SHUTDOWN == 4 && VIR_DOMAIN_SHUTOFF == 5 &&
                   VIR_DOMAIN_CRASHED == 6 && VIR_DOMAIN_PMSUSPENDED == 7,
               "states of a domain");

int main(void)
{
    return 0;
}
