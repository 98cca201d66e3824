/* A libvirt.so.0 that does what FAKE_LIBVIRT says: what a real one does on a bad day.
 *
 *   hang       connecting never returns
 *   crash      connecting is a segmentation fault
 *   refuse     connecting fails
 *   half       the list of VMs is asked for and the process is killed while it prints
 *   many       5,000 VMs
 *   odd        VMs of every state, one with a name of odd bytes
 * It connects to URIs that begin with "qemu:" only. */
#include "inventory/libvirt_abi.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANY 5000

struct _virConnect {
    int unused;
};

struct _virDomain {
    int number;
};

/* The library's own names, as libvirt's header declares them. */
int virInitialize(void);
void virSetErrorFunc(void *data, void (*handler)(void *data, struct _virError *error));
const char *virGetLastErrorMessage(void);
struct _virConnect *virConnectOpenReadOnly(const char *uri);
int virConnectClose(struct _virConnect *connection);
int virConnectListAllDomains(struct _virConnect *connection, struct _virDomain ***domains,
                             unsigned int flags);
const char *virDomainGetName(struct _virDomain *domain);
int virDomainGetUUIDString(struct _virDomain *domain, char *uuid);
int virDomainGetState(struct _virDomain *domain, int *state, int *reason, unsigned int flags);
int virDomainFree(struct _virDomain *domain);

static int is_mode(const char *mode)
{
    const char *asked = getenv("FAKE_LIBVIRT");
    return asked != NULL && strcmp(asked, mode) == 0;
}

int virInitialize(void)
{
    return 0;
}

void virSetErrorFunc(void *data, void (*handler)(void *data, struct _virError *error))
{
}

const char *virGetLastErrorMessage(void)
{
    return "the fake refuses";
}

struct _virConnect *virConnectOpenReadOnly(const char *uri)
{
    static struct _virConnect connection;
    if (is_mode("hang"))
        for (;;)
            pause();
    if (is_mode("crash"))
        raise(SIGSEGV);
    return is_mode("refuse") || strncmp(uri, "qemu:", 5) != 0 ? NULL : &connection;
}

int virConnectClose(struct _virConnect *connection)
{
    return 0;
}

int virConnectListAllDomains(struct _virConnect *connection, struct _virDomain ***domains, unsigned int flags)
{
    int count = is_mode("many") ? MANY : 9;
    struct _virDomain **list = calloc((size_t)count, sizeof(struct _virDomain *));
    for (int i = 0; i < count; i++) {
        list[i] = calloc(1, sizeof *list[i]);
        list[i]->number = i;
    }
    *domains = list;
    return count;
}

const char *virDomainGetName(struct _virDomain *domain)
{
    static char name[32];
    if (is_mode("odd") && domain->number == 8)
        return "B\xc3\xbcro\t\xff\nx";
    snprintf(name, sizeof name, "vm-%d", domain->number);
    return name;
}

int virDomainGetUUIDString(struct _virDomain *domain, char *uuid)
{
    snprintf(uuid, LIBVIRT_UUID_STRING_BYTES, "ABCDEF01-0000-0000-0000-%012d", domain->number);
    if (is_mode("half") && domain->number == 5) {
        fflush(stdout);
        raise(SIGKILL);
    }
    return 0;
}

int virDomainGetState(struct _virDomain *domain, int *state, int *reason, unsigned int flags)
{
    *state = domain->number; /* 8 is one that libvirt does not have yet */
    *reason = 0;
    return 0;
}

int virDomainFree(struct _virDomain *domain)
{
    free(domain);
    return 0;
}
