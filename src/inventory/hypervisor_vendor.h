/* Inside of the inventory: a vendor of hypervisors as a struct of functions. The rest of the inventory does
 * not know which there are. */
#ifndef VGPU_INVENTORY_HYPERVISOR_VENDOR_H
#define VGPU_INVENTORY_HYPERVISOR_VENDOR_H

#include "inventory/hypervisor.h"

#define HYPERVISOR_MAX_ARGUMENTS 4

struct hypervisor_vendor;

/* One hypervisor to be asked. */
struct hypervisor_target {
    const struct hypervisor_vendor *vendor;
    char name[VGPU_HYPERVISOR_BYTES]; /* as the user knows it: a URI, "xe" */
    /* Found, not named by the administrator, and perhaps not there: its silence is worth no word where
     * another answers. */
    bool uncertain;
};

struct hypervisor_target_list {
    struct hypervisor_target *targets; /* from malloc */
    size_t count;
};

struct hypervisor_vm_list {
    struct hypervisor_vm *vms; /* from malloc */
    size_t count;
    size_t room;
};

struct hypervisor_vendor {
    /* Whether a word of the setting names one of its hypervisors. */
    bool (*takes)(const char *word);
    /* Adds those that seem to be on this host. False: out of memory. Cheap: nothing is started or asked. */
    bool (*discover)(const struct hypervisor_options *options, struct hypervisor_target_list *list);
    /* The program that asks the target; its arguments are constant or live as long as options and target. */
    void (*command)(const struct hypervisor_options *options, const struct hypervisor_target *target,
                    const char *arguments[HYPERVISOR_MAX_ARGUMENTS + 1]);
    /* What to do where that program is not there, one line. */
    const char *missing;
    /* Reads what the program printed, NUL-terminated, and may write in it. False: out of memory. */
    bool (*read)(char *output, struct hypervisor_vm_list *list);
};

extern const struct hypervisor_vendor hypervisor_libvirt;
extern const struct hypervisor_vendor hypervisor_xe;

/* False: out of memory. */
bool hypervisor_add_target(struct hypervisor_target_list *list, const struct hypervisor_vendor *vendor,
                           const char *name, bool uncertain);
/* Adds a VM, its UUID in canonical form; one whose uuid is none is left out. False: out of memory. */
bool hypervisor_add_vm(struct hypervisor_vm_list *list, const char *uuid, const char *name,
                       enum vgpu_power power);

#endif
