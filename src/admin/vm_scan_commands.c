/* scan-vms, register-vm --all-unregistered: what the hypervisors have. */
#include <inttypes.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/describe.h"
#include "admin/document.h"
#include "admin/text.h"
#include "admin/vm_scan_document.h"
#include "admin/vm_scan_lines.h"
#include "base/error.h"

#define TIME_LIMIT_MS 10000

/* "GPU 0: NVIDIA H100 80GB PCIe | Pool: A | Status: Online | Utilization: 45%". */
static void print_gpu(FILE *out, const struct vgpu_gpu *gpu)
{
    char text[DESCRIBE_BYTES];
    fprintf(out, "GPU %" PRId32 ": ", gpu->gpu_id);
    text_put(out, describe_gpu_name(gpu), SIZE_MAX);
    fprintf(out, " | Pool: %s | Status: ", describe_pools(text, gpu->pools));
    text_put(out, describe_gpu_status(text, gpu), SIZE_MAX);
    fprintf(out, " | Utilization: %s\n", describe_number(text, gpu->utilization_percent, "%"));
}

static void print_gpus(FILE *out, const struct vgpu_snapshot *snapshot, const struct vgpu_error *note)
{
    fputs("=== Physical GPUs ===\n", out);
    if (snapshot->gpu_count == 0)
        fputs("None known; look for GPUs with 'vgpu-admin scan-gpus'\n", out);
    describe_note(out, note);
    for (size_t i = 0; i < snapshot->gpu_count; i++)
        print_gpu(out, &snapshot->gpus[i]);
}

static enum vgpu_status print_json(const struct command_context *context,
                                   const struct vgpu_snapshot *snapshot, const struct vgpu_error *note,
                                   const struct vgpu_vm_scan *scan, struct vgpu_error *err)
{
    return document_print(context,
                          json_pack("{s:o, s:o, s:o, s:o}", "gpus",
                                    document_gpus(snapshot, snapshot->gpus, snapshot->gpu_count),
                                    "driver_note", document_text(note->message), "hypervisors",
                                    document_hypervisors(scan), "vms", document_scanned_vms(scan, -1)),
                          err);
}

enum vgpu_status run_scan_vms(const struct command_context *context, struct vgpu_error *err)
{
    struct vgpu_vm_scan scan = {0};
    struct vgpu_snapshot snapshot = {0};
    struct vgpu_error note;
    enum vgpu_status status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status == VGPU_OK)
        status = vgpu_scan_vms(context->vgpu, &snapshot, TIME_LIMIT_MS, &scan, err);
    if (status == VGPU_OK) {
        snapshot_refresh(context->vgpu, &snapshot, &note);
        if (context->output == OUTPUT_JSON) {
            status = print_json(context, &snapshot, &note, &scan, err);
        } else {
            print_gpus(context->out, &snapshot, &note);
            vm_scan_print_sections(context->out, &scan);
        }
    }
    vgpu_snapshot_fini(&snapshot);
    vgpu_vm_scan_fini(&scan);
    return status;
}

/* ---- register-vm --all-unregistered ---- */

/* Nothing to ask, or nobody who answers: then nothing would be registered, and all would look well. */
static enum vgpu_status require_answer(const struct vgpu_vm_scan *scan, struct vgpu_error *err)
{
    for (size_t i = 0; i < scan->hypervisor_count; i++)
        if (scan->hypervisors[i].answered)
            return VGPU_OK;
    if (scan->hypervisor_count == 0)
        return error_set(
            err, VGPU_ERR_UNAVAILABLE,
            "no hypervisor is found to ask for its VMs; name one with hypervisor_uris in vgpu.conf, "
            "or register each VM with --vm-uuid");
    return error_set(err, VGPU_ERR_UNAVAILABLE, "no hypervisor answers; %s: %s", scan->hypervisors[0].name,
                     scan->hypervisors[0].reason);
}

static void print_registered_vm(FILE *out, const struct vgpu_vm *vm)
{
    fputs("Registered ", out);
    text_put(out, vm->vm_name, SIZE_MAX);
    fprintf(out, " (%s): VM ID %" PRId32 ", pool %c, priority %s", vm->vm_uuid, vm->vm_id, vm->pool,
            vgpu_priority_name(vm->priority));
    if (vm->gpu_id.known)
        fprintf(out, ", served by GPU %" PRId64, vm->gpu_id.value);
    fputc('\n', out);
}

static void print_outcome(FILE *out, const struct vgpu_vm_scan *scan, const struct vgpu_vm *vms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        print_registered_vm(out, &vms[i]);
    if (count == 0)
        fputs("Every VM that the hypervisors have is registered already\n", out);
    else if (!vms[0].gpu_id.known)
        fprintf(out,
                "Pool %c has no GPU, so the VMs cannot run yet; assign one with 'vgpu-admin assign-gpu "
                "--gpu-id=<id> --pool=%c'\n",
                vms[0].pool, vms[0].pool);
    vm_scan_print_silent(out, "", scan);
}

/* What would belong to one VM cannot be given to all. */
static enum vgpu_status refuse_single(const struct arguments *arguments, struct vgpu_error *err)
{
    static const enum option_id single[] = {OPTION_NEW_VM_NAME, OPTION_VM_ID, OPTION_VSOCK_CID};
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        if (arguments_has(arguments, single[i]))
            return error_set(err, VGPU_ERR_USAGE,
                             "--%s is of one VM and --all-unregistered means several; leave one of them out",
                             option_catalogue[single[i]].name);
    return VGPU_OK;
}

enum vgpu_status run_register_all_unregistered(const struct command_context *context, struct vgpu_error *err)
{
    const struct arguments *arguments = context->arguments;
    struct vgpu_vm_scan scan = {0};
    struct vgpu_vm *vms = NULL;
    size_t count = 0;
    enum vgpu_status status = refuse_single(arguments, err);
    if (status == VGPU_OK)
        status = vgpu_scan_vms(context->vgpu, NULL, TIME_LIMIT_MS, &scan, err);
    if (status == VGPU_OK)
        status = require_answer(&scan, err);
    if (status == VGPU_OK)
        status = vgpu_register_scanned_vms(context->vgpu, &scan, arguments_letter(arguments, OPTION_POOL),
                                           (enum vgpu_priority)arguments_number(arguments, OPTION_PRIORITY),
                                           &vms, &count, err);
    if (status == VGPU_OK && context->output == OUTPUT_JSON)
        status = document_print(context,
                                json_pack("{s:o, s:o}", "vms", document_vm_changes(NULL, vms, count),
                                          "hypervisors", document_hypervisors(&scan)),
                                err);
    else if (status == VGPU_OK)
        print_outcome(context->out, &scan, vms, count);
    vgpu_free(vms);
    vgpu_vm_scan_fini(&scan);
    return status;
}
