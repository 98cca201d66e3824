#include "admin/vm_scan_lines.h"

#include <inttypes.h>

#include "admin/text.h"

size_t vm_scan_count(const struct vgpu_vm_scan *scan, enum vgpu_registration_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < scan->vm_count; i++)
        count += scan->vms[i].state == state;
    return count;
}

void vm_scan_print_silent(FILE *out, const char *indent, const struct vgpu_vm_scan *scan)
{
    for (size_t i = 0; i < scan->hypervisor_count; i++) {
        const struct vgpu_hypervisor *hypervisor = &scan->hypervisors[i];
        if (hypervisor->answered)
            continue;
        fprintf(out, "%sThe VMs of ", indent);
        text_put(out, hypervisor->name, SIZE_MAX);
        fputs(" are not known: ", out);
        text_put(out, hypervisor->reason, SIZE_MAX);
        fputc('\n', out);
    }
}

static const char *name_of(const struct vgpu_scanned_vm *vm)
{
    return vm->vm.vm_name[0] != '\0' ? vm->vm.vm_name : vm->vm.vm_uuid;
}

/* ---- The control panel ---- */

/* "  VM-21, VM-22, VM-23 (not assigned to any pool)". */
static void print_names(FILE *out, size_t width, const struct vgpu_vm_scan *scan,
                        enum vgpu_registration_state state, const char *remark)
{
    struct text_flow flow = {.out = out, .width = width, .indent = 2};
    size_t shown = 0;
    text_flow_put(&flow, "  ");
    for (size_t i = 0; i < scan->vm_count; i++) {
        char piece[VGPU_VM_NAME_BYTES + 4];
        if (scan->vms[i].state != state)
            continue;
        bool last = ++shown == vm_scan_count(scan, state);
        snprintf(piece, sizeof piece, "%s%s%s", shown == 1 ? "" : " ", name_of(&scan->vms[i]),
                 last ? "" : ",");
        text_flow_put(&flow, piece);
    }
    text_flow_put(&flow, remark);
    fputc('\n', out);
}

void vm_scan_print_panel(FILE *out, size_t width, const struct vgpu_vm_scan *scan)
{
    size_t unregistered = vm_scan_count(scan, VGPU_VM_UNREGISTERED);
    size_t vanished = vm_scan_count(scan, VGPU_VM_VANISHED);
    if (scan->hypervisor_count == 0)
        fputs("Unregistered VMs: 0 known\n  (no hypervisor is asked for its VMs)\n", out);
    else
        fprintf(out, "Unregistered VMs: %zu\n", unregistered);
    if (unregistered > 0)
        print_names(out, width, scan, VGPU_VM_UNREGISTERED, " (not assigned to any pool)");
    vm_scan_print_silent(out, "  ", scan);
    if (vanished == 0)
        return;
    fprintf(out, "\nVanished VMs: %zu\n", vanished);
    print_names(out, width, scan, VGPU_VM_VANISHED, " (registered, but no hypervisor knows them)");
}

/* ---- scan-vms ---- */

static void print_section(FILE *out, const char *heading, size_t count)
{
    fprintf(out, "\n=== %s (%zu) ===\n", heading, count);
}

/* "UUID: abc123 | Name: VM-1", the front of every line. */
static void print_label(FILE *out, const struct vgpu_scanned_vm *vm)
{
    fprintf(out, "UUID: %s | Name: ", vm->vm.vm_uuid);
    text_put(out, name_of(vm), SIZE_MAX);
}

/* What the requirement's lines do not have comes last. */
static void print_power(FILE *out, const struct vgpu_vm_scan *scan, const struct vgpu_scanned_vm *vm)
{
    if (vm->hypervisor[0] != '\0') {
        fprintf(out, " | Power: %s", vgpu_power_name(vm->power));
        if (scan->hypervisor_count > 1) {
            fputs(" | Hypervisor: ", out);
            text_put(out, vm->hypervisor, SIZE_MAX);
        }
    }
    fputc('\n', out);
}

static void print_registered(FILE *out, const struct vgpu_vm_scan *scan)
{
    print_section(out, "Registered VMs", scan->vm_count - vm_scan_count(scan, VGPU_VM_UNREGISTERED));
    for (size_t i = 0; i < scan->vm_count; i++) {
        const struct vgpu_scanned_vm *vm = &scan->vms[i];
        if (vm->state == VGPU_VM_UNREGISTERED)
            continue;
        print_label(out, vm);
        fprintf(out, " | Pool: %c → ", vm->vm.pool);
        if (vm->vm.gpu_id.known)
            fprintf(out, "GPU %" PRId64, vm->vm.gpu_id.value);
        else
            fputs("no GPU", out);
        fprintf(out, " | Priority: %s | VM ID: %" PRId32, vgpu_priority_name(vm->vm.priority), vm->vm.vm_id);
        print_power(out, scan, vm);
    }
}

static void print_unregistered(FILE *out, const struct vgpu_vm_scan *scan)
{
    print_section(out, "Unregistered VMs", vm_scan_count(scan, VGPU_VM_UNREGISTERED));
    for (size_t i = 0; i < scan->vm_count; i++) {
        if (scan->vms[i].state != VGPU_VM_UNREGISTERED)
            continue;
        print_label(out, &scan->vms[i]);
        fputs(" | Status: Not registered", out);
        print_power(out, scan, &scan->vms[i]);
    }
    if (scan->hypervisor_count == 0)
        fputs("No hypervisor is asked for its VMs: this host seems to have none, or hypervisor_uris in "
              "vgpu.conf says so\n",
              out);
    vm_scan_print_silent(out, "", scan);
}

static void print_vanished(FILE *out, const struct vgpu_vm_scan *scan)
{
    size_t count = vm_scan_count(scan, VGPU_VM_VANISHED);
    if (count == 0)
        return;
    print_section(out, "Vanished VMs", count);
    for (size_t i = 0; i < scan->vm_count; i++) {
        if (scan->vms[i].state != VGPU_VM_VANISHED)
            continue;
        print_label(out, &scan->vms[i]);
        fputs(" | Status: Registered, but no hypervisor knows it\n", out);
    }
}

void vm_scan_print_sections(FILE *out, const struct vgpu_vm_scan *scan)
{
    print_registered(out, scan);
    print_unregistered(out, scan);
    print_vanished(out, scan);
}
