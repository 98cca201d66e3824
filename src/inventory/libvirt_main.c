/* vgpu-libvirt URI: prints the VMs that libvirt has at URI, one a line: UUID, virDomainState as a number and
 * name, with tabs between them. Exit status 0; else 1 and one line that says why. The connection is for
 * reading.
 *
 * A program of its own because libvirt can hang (a daemon that does not answer, a host that is not reached)
 * and brings some dozen libraries along: whoever asks can end this process, and stays small. */
#include "inventory/libvirt_abi.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t place;
} functions[] = {
#define FUNCTION(name) {#name, offsetof(struct libvirt, name)},
    LIBVIRT_FUNCTIONS(FUNCTION)
#undef FUNCTION
};

static int fail(const char *what, const char *why)
{
    printf("%s: %s\n", what, why);
    return EXIT_FAILURE;
}

/* libvirt would print each error to stderr by itself. */
static void keep_silent(void *data, struct _virError *error)
{
}

static bool load(struct libvirt *libvirt)
{
    void *library = dlopen(LIBVIRT_SONAME, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fail("libvirt cannot be loaded", dlerror());
        return false;
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *address = dlsym(library, functions[i].name);
        if (address == NULL) {
            fail(LIBVIRT_SONAME " is older than 1.3.3, it lacks", functions[i].name);
            return false;
        }
        /* POSIX says that a function's address fits a void *; C has no cast for it. */
        memcpy((char *)libvirt + functions[i].place, &address, sizeof address);
    }
    return true;
}

/* What would break the line becomes '?'. */
static void print_name(const char *name)
{
    for (; *name != '\0'; name++)
        putchar((unsigned char)*name < ' ' ? '?' : *name);
}

static void print_vm(const struct libvirt *libvirt, struct _virDomain *domain)
{
    char uuid[LIBVIRT_UUID_STRING_BYTES];
    int state = 0;
    int reason = 0;
    const char *name = libvirt->virDomainGetName(domain);
    if (libvirt->virDomainGetUUIDString(domain, uuid) != 0)
        return;
    if (libvirt->virDomainGetState(domain, &state, &reason, 0) != 0)
        state = 0; /* it went while we looked */
    printf("%s\t%d\t", uuid, state);
    print_name(name != NULL ? name : "");
    putchar('\n');
}

static int print_vms(const struct libvirt *libvirt, struct _virConnect *connection)
{
    struct _virDomain **domains = NULL;
    int count = libvirt->virConnectListAllDomains(connection, &domains, 0);
    if (count < 0)
        return fail("libvirt does not list its VMs", libvirt->virGetLastErrorMessage());
    for (int i = 0; i < count; i++) {
        print_vm(libvirt, domains[i]);
        libvirt->virDomainFree(domains[i]);
    }
    free(domains);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct libvirt libvirt;
    if (argc != 2) {
        fputs("usage: vgpu-libvirt URI\n", stderr);
        return 2;
    }
    /* Libraries below libvirt print warnings there, which are none of the answer. */
    if (freopen("/dev/null", "w", stderr) == NULL || !load(&libvirt))
        return EXIT_FAILURE;
    if (libvirt.virInitialize() != 0)
        return fail("libvirt does not start", libvirt.virGetLastErrorMessage());
    libvirt.virSetErrorFunc(NULL, keep_silent);
    struct _virConnect *connection = libvirt.virConnectOpenReadOnly(argv[1]);
    if (connection == NULL)
        return fail("libvirt does not connect", libvirt.virGetLastErrorMessage());
    int status = print_vms(&libvirt, connection);
    libvirt.virConnectClose(connection);
    if (fflush(stdout) != 0)
        status = EXIT_FAILURE;
    return status;
}
