#include "admin/selection.h"

enum vgpu_status selection_find(const struct command_context *context, struct vgpu_vm **vms, size_t *count,
                                struct vgpu_error *err)
{
    enum option_id selector = context->arguments->selector;
    const char *text = arguments_text(context->arguments, selector);
    struct vgpu_vm_selection selection = {0};
    switch (option_catalogue[selector].type) {
    case OPTION_TYPE_VM_NAME:
        selection.vm_name = text;
        break;
    case OPTION_TYPE_VM_IDS:
        selection.vm_ids = text;
        break;
    default:
        selection.vm_uuid = text;
        break;
    }
    return vgpu_find_vms(context->vgpu, &selection, vms, count, err);
}
