/* The few functions of libvirt that vgpu uses, as of libvirt 1.3.3 and later, which has kept its ABI since.
 * libvirt is loaded at run time, so its header is not needed to build; a test compares these declarations
 * with it. Source: libvirt's API reference, https://libvirt.org/html/. */
#ifndef VGPU_INVENTORY_LIBVIRT_ABI_H
#define VGPU_INVENTORY_LIBVIRT_ABI_H

/* libvirt's own tags, so that the compiler can compare the types. */
struct _virConnect;
struct _virDomain;
struct _virError;

#define LIBVIRT_SONAME            "libvirt.so.0"
#define LIBVIRT_UUID_STRING_BYTES 37

struct libvirt {
    int (*virInitialize)(void);
    void (*virSetErrorFunc)(void *data, void (*handler)(void *data, struct _virError *error));
    const char *(*virGetLastErrorMessage)(void);
    struct _virConnect *(*virConnectOpenReadOnly)(const char *uri);
    int (*virConnectClose)(struct _virConnect *connection);
    int (*virConnectListAllDomains)(struct _virConnect *connection, struct _virDomain ***domains,
                                    unsigned int flags);
    const char *(*virDomainGetName)(struct _virDomain *domain);
    int (*virDomainGetUUIDString)(struct _virDomain *domain, char *uuid);
    int (*virDomainGetState)(struct _virDomain *domain, int *state, int *reason, unsigned int flags);
    int (*virDomainFree)(struct _virDomain *domain);
};

/* Each member of struct libvirt once: X(name). */
#define LIBVIRT_FUNCTIONS(X)                                                                                 \
    X(virInitialize)                                                                                         \
    X(virSetErrorFunc)                                                                                       \
    X(virGetLastErrorMessage)                                                                                \
    X(virConnectOpenReadOnly)                                                                                \
    X(virConnectClose)                                                                                       \
    X(virConnectListAllDomains)                                                                              \
    X(virDomainGetName)                                                                                      \
    X(virDomainGetUUIDString)                                                                                \
    X(virDomainGetState)                                                                                     \
    X(virDomainFree)

#endif
