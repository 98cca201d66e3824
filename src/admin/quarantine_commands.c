/* quarantine, release. */
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/vm_change.h"

enum vgpu_status run_quarantine(const struct command_context *context, struct vgpu_error *err)
{
    const char *reason = arguments_text(context->arguments, OPTION_REASON);
    const struct vgpu_vm_update update = {.fields = VGPU_VM_QUARANTINE,
                                          .quarantined = true,
                                          .quarantine_reason =
                                              reason != NULL ? reason : "put there by the administrator"};
    return vm_change_run(context, update, err);
}

enum vgpu_status run_release(const struct command_context *context, struct vgpu_error *err)
{
    return vm_change_run(context, (struct vgpu_vm_update){.fields = VGPU_VM_QUARANTINE}, err);
}
