#include "admin/commands.h"

#include <string.h>

#define REQUIRED(option)                                                                                     \
    {                                                                                                        \
        NEED_REQUIRED, OPTION_##option                                                                       \
    }
#define OPTIONAL(option)                                                                                     \
    {                                                                                                        \
        NEED_OPTIONAL, OPTION_##option                                                                       \
    }
#define ONE_OF(option)                                                                                       \
    {                                                                                                        \
        NEED_ONE_OF, OPTION_##option                                                                         \
    }

#define GPU_GROUP    "GPU Management"
#define VM_GROUP     "VM Management"
#define SYSTEM_GROUP "System Overview"

/* In the order of --help; commands of one group stand together. */
const struct command command_table[] = {
    {.name = "scan-gpus",
     .group = GPU_GROUP,
     .summary = "Scan for physical GPUs and bring the database up to date",
     .details = "A GPU that was known and is not found stays known, as offline, with its pool.\n",
     .example = "vgpu-admin scan-gpus",
     .run = run_scan_gpus},
    {.name = "show-gpu",
     .group = GPU_GROUP,
     .summary = "Show GPU details, as the driver gives them now",
     .example = "vgpu-admin show-gpu --gpu-id=0",
     .options = {REQUIRED(GPU_ID)},
     .run = run_show_gpu},
    {.name = "assign-gpu",
     .group = GPU_GROUP,
     .summary = "Assign GPU to pool",
     .details =
         "The GPU then serves this pool and no other. Given several letters, as --pool=A,B, it serves\n"
         "them all, time-sliced, the first as its primary one.\n",
     .example = "vgpu-admin assign-gpu --gpu-id=0 --pool=A",
     .options = {REQUIRED(GPU_ID), REQUIRED(POOLS)},
     .run = run_assign_gpu},
    {.name = "list-gpus",
     .group = GPU_GROUP,
     .summary = "List GPUs (optionally by pool)",
     .example = "vgpu-admin list-gpus --pool=A",
     .options = {OPTIONAL(POOL)},
     .run = run_list_gpus},

    {.name = "register-vm",
     .group = VM_GROUP,
     .summary = "Register a VM to a pool, with a priority",
     .details = "Without --vm-id it gets the lowest free number, without --vm-name the name VM-<id>.\n",
     .example = "vgpu-admin register-vm --vm-uuid=abc123 --pool=A --priority=high --vm-id=1",
     .options = {REQUIRED(VM_UUID), OPTIONAL(VM_NAME), REQUIRED(POOL), REQUIRED(PRIORITY), OPTIONAL(VM_ID),
                 OPTIONAL(VSOCK_CID)},
     .run = run_register_vm},
    {.name = "show-vm",
     .group = VM_GROUP,
     .summary = "Show VM config (includes GPU) and what the VM has used",
     .example = "vgpu-admin show-vm --vm-uuid=abc123",
     .options = {REQUIRED(VM_UUID)},
     .run = run_show_vm},
    {.name = "list-vms",
     .group = VM_GROUP,
     .summary = "List VMs (shows GPU)",
     .example = "vgpu-admin list-vms --pool=A --priority=high",
     .options = {OPTIONAL(POOL), OPTIONAL(PRIORITY)},
     .run = run_list_vms},
    {.name = "set-pool",
     .group = VM_GROUP,
     .summary = "Move a VM to another pool",
     .example = "vgpu-admin set-pool --vm-uuid=abc123 --pool=B",
     .options = {REQUIRED(VM_UUID), REQUIRED(POOL)},
     .run = run_update_vm},
    {.name = "set-priority",
     .group = VM_GROUP,
     .summary = "Change the priority of a VM",
     .example = "vgpu-admin set-priority --vm-uuid=abc123 --priority=low",
     .options = {REQUIRED(VM_UUID), REQUIRED(PRIORITY)},
     .run = run_update_vm},
    {.name = "set-vm-id",
     .group = VM_GROUP,
     .summary = "Change the number of a VM",
     .example = "vgpu-admin set-vm-id --vm-uuid=abc123 --vm-id=21",
     .options = {REQUIRED(VM_UUID), REQUIRED(VM_ID)},
     .run = run_update_vm},
    {.name = "update-vm",
     .group = VM_GROUP,
     .summary = "Change several things of a VM at once, all of them or none",
     .example = "vgpu-admin update-vm --vm-uuid=abc123 --pool=B --priority=medium",
     .options = {REQUIRED(VM_UUID), ONE_OF(POOL), ONE_OF(PRIORITY), ONE_OF(VM_ID), ONE_OF(VM_NAME),
                 ONE_OF(VSOCK_CID)},
     .run = run_update_vm},
    {.name = "remove-vm",
     .group = VM_GROUP,
     .summary = "Remove a VM; its programs lose the GPU",
     .example = "vgpu-admin remove-vm --vm-uuid=abc123",
     .options = {REQUIRED(VM_UUID)},
     .run = run_remove_vm},

    {.name = "status",
     .group = SYSTEM_GROUP,
     .summary = "Control panel view (GPUs + VMs + Pools)",
     .example = "vgpu-admin status",
     .run = run_status},
    {.name = "list-pools",
     .group = SYSTEM_GROUP,
     .summary = "Pool statistics (includes GPU info)",
     .example = "vgpu-admin list-pools",
     .run = run_list_pools},
    {.name = "queue",
     .group = SYSTEM_GROUP,
     .summary = "Who holds which GPU since when, and who waits for it",
     .details = "Asks the daemon, vgpud.\n",
     .example = "vgpu-admin queue",
     .run = run_queue},
    {.name = "history",
     .group = SYSTEM_GROUP,
     .summary = "The log of grants: who got which GPU when, and why it ended",
     .details =
         "Oldest first. Without --limit the newest 50; a grant is here about a second after its end.\n",
     .example = "vgpu-admin history --vm-uuid=abc123 --limit=20",
     .options = {OPTIONAL(LIMIT), OPTIONAL(VM_UUID), OPTIONAL(GPU_ID)},
     .run = run_history},
};

const size_t command_count = sizeof command_table / sizeof command_table[0];

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(command_table[i].name, name) == 0)
            return &command_table[i];
    return NULL;
}
