#include "admin/vm_scan_document.h"

#include "admin/document.h"

/* A list that could not take an element becomes NULL, and with it what it is put into. */
static void append(json_t **list, json_t *element)
{
    if (json_array_append_new(*list, element) == 0)
        return;
    json_decref(*list);
    *list = NULL;
}

json_t *document_hypervisors(const struct vgpu_vm_scan *scan)
{
    json_t *list = json_array();
    for (size_t i = 0; i < scan->hypervisor_count; i++) {
        const struct vgpu_hypervisor *hypervisor = &scan->hypervisors[i];
        append(&list, json_pack("{s:o, s:b, s:o, s:o}", "name", document_text(hypervisor->name), "answered",
                                hypervisor->answered, "vm_count",
                                hypervisor->answered ? json_integer(hypervisor->vm_count) : json_null(),
                                "reason", document_text(hypervisor->reason)));
    }
    return list;
}

static json_t *make_vm(const struct vgpu_scanned_vm *vm)
{
    bool known = vm->power != VGPU_POWER_UNKNOWN;
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "state", vgpu_registration_state_name(vm->state),
                     "vm_uuid", document_text(vm->vm.vm_uuid), "vm_name", document_text(vm->vm.vm_name),
                     "power", known ? json_string(vgpu_power_name(vm->power)) : json_null(), "hypervisor",
                     document_text(vm->hypervisor), "vm",
                     vm->state == VGPU_VM_UNREGISTERED ? json_null() : document_vm(&vm->vm));
}

json_t *document_scanned_vms(const struct vgpu_vm_scan *scan, int state)
{
    json_t *list = json_array();
    for (size_t i = 0; i < scan->vm_count; i++)
        if (state < 0 || (int)scan->vms[i].state == state)
            append(&list, make_vm(&scan->vms[i]));
    return list;
}
