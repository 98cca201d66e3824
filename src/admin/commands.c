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
#define SELECT(option)                                                                                       \
    {                                                                                                        \
        NEED_SELECT, OPTION_##option                                                                         \
    }
#define MAY_SELECT(option)                                                                                   \
    {                                                                                                        \
        NEED_MAY_SELECT, OPTION_##option                                                                     \
    }
#define SELECT_OR_ONE_OF(option)                                                                             \
    {                                                                                                        \
        NEED_SELECT_OR_ONE_OF, OPTION_##option                                                               \
    }

/* How a listing may be printed. */
#define LISTING OPTIONAL(OUTPUT), OPTIONAL(JSON), OPTIONAL(COLUMNS), OPTIONAL(NO_HEADER), OPTIONAL(WATCH)

#define ALL_LIMITS                                                                                           \
    ONE_OF(WEIGHT), ONE_OF(TIME_LIMIT), ONE_OF(CALL_RATE), ONE_OF(CALL_BURST), ONE_OF(BYTE_RATE),            \
        ONE_OF(BYTE_BURST), ONE_OF(QUEUE_DEPTH), ONE_OF(MEMORY), ONE_OF(PROCESSES), ONE_OF(MAX_FAULTS),      \
        ONE_OF(FAULT_WINDOW), ONE_OF(MODE), ONE_OF(AGEING)

#define GPU_GROUP    "GPU Management"
#define VM_GROUP     "VM Management"
#define SYSTEM_GROUP "System Overview"

#define SEVERAL "Several VMs at once with --vm-id=1-7 or --vm-id=1-3,8: all of them or none.\n"

/* In the order of --help; commands of one group stand together. */
const struct command command_table[] = {
    {.name = "scan-gpus",
     .group = GPU_GROUP,
     .summary = "Scan for physical GPUs and bring the database up to date",
     .details = "A GPU that was known and is not found stays known, as offline, with its pool.\n",
     .example = "vgpu-admin scan-gpus",
     .options = {OPTIONAL(JSON)},
     .changes = true,
     .run = run_scan_gpus},
    {.name = "show-gpu",
     .group = GPU_GROUP,
     .summary = "Show GPU details, as the driver gives them now",
     .example = "vgpu-admin show-gpu --gpu-id=0",
     .options = {REQUIRED(GPU_ID), OPTIONAL(JSON), OPTIONAL(WATCH)},
     .run = run_show_gpu},
    {.name = "assign-gpu",
     .group = GPU_GROUP,
     .summary = "Assign GPU to pool",
     .details =
         "The GPU then serves this pool and no other. Given several letters, as --pool=A,B, it serves\n"
         "them all, time-sliced, the first as its primary one.\n",
     .example = "vgpu-admin assign-gpu --gpu-id=0 --pool=A",
     .options = {REQUIRED(GPU_ID), REQUIRED(POOLS), OPTIONAL(JSON)},
     .changes = true,
     .run = run_assign_gpu},
    {.name = "unassign-gpu",
     .group = GPU_GROUP,
     .summary = "Take GPU out of its pool",
     .details = "Without --pool out of all its pools. VMs of a pool without a GPU cannot run.\n",
     .example = "vgpu-admin unassign-gpu --gpu-id=0",
     .options = {REQUIRED(GPU_ID), OPTIONAL(POOLS), OPTIONAL(JSON)},
     .changes = true,
     .run = run_unassign_gpu},
    {.name = "list-gpus",
     .group = GPU_GROUP,
     .summary = "List GPUs (optionally by pool)",
     .example = "vgpu-admin list-gpus --pool=A",
     .options = {OPTIONAL(POOL), LISTING},
     .tables = {&gpu_table},
     .run = run_list_gpus},

    {.name = "scan-vms",
     .group = VM_GROUP,
     .summary = "Scan VMs, show GPU assignments",
     .details = "Asks the hypervisors of this host for their VMs: libvirt and XenServer's xe, or what\n"
                "hypervisor_uris in vgpu.conf names. A registered VM that none of them knows has vanished.\n",
     .example = "vgpu-admin scan-vms",
     .options = {OPTIONAL(OUTPUT), OPTIONAL(JSON), OPTIONAL(WATCH)},
     .run = run_scan_vms},
    {.name = "register-vm",
     .group = VM_GROUP,
     .summary = "Register a VM to a pool, with a priority",
     .details =
         "Without --vm-id it gets the lowest free number, without --vm-name the name VM-<id>.\n"
         "--all-unregistered registers all that scan-vms shows as not registered, under the names that\n"
         "they have there: all of them or none.\n",
     .example = "vgpu-admin register-vm --vm-uuid=abc123 --pool=A --priority=high --vm-id=1",
     .options = {SELECT(NEW_VM_UUID), SELECT(ALL_UNREGISTERED), OPTIONAL(NEW_VM_NAME), REQUIRED(POOL),
                 REQUIRED(PRIORITY), OPTIONAL(VM_ID), OPTIONAL(VSOCK_CID), OPTIONAL(WEIGHT), OPTIONAL(JSON)},
     .changes = true,
     .run = run_register_vm},
    {.name = "show-vm",
     .group = VM_GROUP,
     .summary = "Show VM config (includes GPU) and what the VM has used",
     .example = "vgpu-admin show-vm --vm-uuid=abc123",
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), SELECT(VM_IDS), OPTIONAL(JSON), OPTIONAL(WATCH)},
     .run = run_show_vm},
    {.name = "show-devices",
     .group = VM_GROUP,
     .summary = "Show the devices that a virtual machine needs, for libvirt and QEMU",
     .details =
         "A vsock device by which its programs come, and with window_size in vgpu.conf memory that it\n"
         "shares with the host. docs/virtual-machines.md says what is to be done in the machine.\n",
     .example = "vgpu-admin show-devices --vm-uuid=abc123",
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), SELECT(VM_IDS), OPTIONAL(JSON)},
     .run = run_show_devices},
    {.name = "list-vms",
     .group = VM_GROUP,
     .summary = "List VMs (shows GPU)",
     .example = "vgpu-admin list-vms --pool=A --priority=high",
     .options = {OPTIONAL(POOL), OPTIONAL(PRIORITY), LISTING},
     .tables = {&vm_table},
     .run = run_list_vms},
    {.name = "set-pool",
     .group = VM_GROUP,
     .summary = "Move a VM to another pool",
     .example = "vgpu-admin set-pool --vm-uuid=abc123 --pool=B",
     .details = SEVERAL,
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), SELECT(VM_IDS), REQUIRED(POOL), OPTIONAL(JSON)},
     .changes = true,
     .run = run_update_vm},
    {.name = "set-priority",
     .group = VM_GROUP,
     .summary = "Change the priority of a VM",
     .example = "vgpu-admin set-priority --vm-uuid=abc123 --priority=low",
     .details = SEVERAL,
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), SELECT(VM_IDS), REQUIRED(PRIORITY), OPTIONAL(JSON)},
     .changes = true,
     .run = run_update_vm},
    {.name = "pause",
     .group = VM_GROUP,
     .summary = "Hold a VM back: it gets no GPU until it is resumed",
     .example = "vgpu-admin pause --vm-uuid=abc123",
     .details =
         "Its programs wait, nothing of theirs is lost, and their memory on the GPU stays theirs.\n" SEVERAL,
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), SELECT(VM_IDS), OPTIONAL(JSON)},
     .changes = true,
     .run = run_pause},
    {.name = "resume",
     .group = VM_GROUP,
     .summary = "Let a paused VM go on",
     .example = "vgpu-admin resume --vm-uuid=abc123",
     .details = SEVERAL,
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), SELECT(VM_IDS), OPTIONAL(JSON)},
     .changes = true,
     .run = run_resume},
    {.name = "set-limits",
     .group = VM_GROUP,
     .summary = "Limit what a VM, or each VM of a pool, may use, and set its weight",
     .details = "What is set for a VM counts before what is set for its pool, and that before vgpu.conf. "
                "'none' is no\n"
                "limit, 'default' takes back what was set. Mode and ageing are of pools.\n" SEVERAL,
     .example = "vgpu-admin set-limits --vm-uuid=abc123 --memory=16G --time-limit=10s",
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), SELECT(VM_IDS), SELECT(POOL), ALL_LIMITS, OPTIONAL(JSON)},
     .changes = true,
     .run = run_set_limits},
    {.name = "show-limits",
     .group = VM_GROUP,
     .summary = "Show the limits of a VM or a pool, and where each comes from",
     .details = "Without a VM or a pool: what vgpu.conf says, and all that is set beside it.\n",
     .example = "vgpu-admin show-limits --vm-uuid=abc123",
     .options = {MAY_SELECT(VM_UUID), MAY_SELECT(VM_NAME), MAY_SELECT(VM_IDS), MAY_SELECT(POOL), LISTING},
     .tables = {&limit_table},
     .run = run_show_limits},
    {.name = "quarantine",
     .group = VM_GROUP,
     .summary = "End what a VM runs and let nothing of it in until it is released",
     .details =
         "A VM with too many faults (max-faults within fault-window) is put there by the daemon.\n" SEVERAL,
     .example = "vgpu-admin quarantine --vm-uuid=abc123 --reason='mines coins'",
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), SELECT(VM_IDS), OPTIONAL(REASON), OPTIONAL(JSON)},
     .changes = true,
     .run = run_quarantine},
    {.name = "release",
     .group = VM_GROUP,
     .summary = "Let a VM out of quarantine: its programs may start again",
     .example = "vgpu-admin release --vm-uuid=abc123",
     .details = SEVERAL,
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), SELECT(VM_IDS), OPTIONAL(JSON)},
     .changes = true,
     .run = run_release},
    {.name = "set-vm-id",
     .group = VM_GROUP,
     .summary = "Change the number of a VM",
     .example = "vgpu-admin set-vm-id --vm-uuid=abc123 --vm-id=21",
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), REQUIRED(VM_ID), OPTIONAL(JSON)},
     .changes = true,
     .run = run_update_vm},
    {.name = "rename-vm",
     .group = VM_GROUP,
     .summary = "Give a VM another name",
     .example = "vgpu-admin rename-vm --vm-uuid=abc123 --vm-name=web",
     .options = {SELECT(VM_UUID), SELECT(VM_IDS), REQUIRED(NEW_VM_NAME), OPTIONAL(JSON)},
     .changes = true,
     .run = run_update_vm},
    {.name = "update-vm",
     .group = VM_GROUP,
     .summary = "Change several things of a VM at once, all of them or none",
     .example = "vgpu-admin update-vm --vm-uuid=abc123 --pool=B --priority=medium",
     .details = "--vm-name says which VM is meant; beside --vm-uuid it is the new name.\n",
     .options = {SELECT(VM_UUID), ONE_OF(POOL), ONE_OF(PRIORITY), ONE_OF(VM_ID), SELECT_OR_ONE_OF(VM_NAME),
                 ONE_OF(VSOCK_CID), ONE_OF(WEIGHT), OPTIONAL(JSON)},
     .changes = true,
     .run = run_update_vm},
    {.name = "remove-vm",
     .group = VM_GROUP,
     .summary = "Remove a VM; its programs lose the GPU",
     .example = "vgpu-admin remove-vm --vm-uuid=abc123",
     .details = SEVERAL,
     .options = {SELECT(VM_UUID), SELECT(VM_NAME), SELECT(VM_IDS), OPTIONAL(JSON)},
     .changes = true,
     .run = run_remove_vm},

    {.name = "status",
     .group = SYSTEM_GROUP,
     .summary = "Control panel view (GPUs + VMs + Pools)",
     .example = "vgpu-admin status",
     .options = {OPTIONAL(OUTPUT), OPTIONAL(JSON), OPTIONAL(WATCH)},
     .run = run_status},
    {.name = "dashboard",
     .group = SYSTEM_GROUP,
     .summary = "The control panel, live and full-screen; press ? for its keys",
     .example = "vgpu-admin dashboard",
     .details = "Off a terminal it prints what status prints.\n",
     .options = {OPTIONAL(OUTPUT), OPTIONAL(JSON)},
     .run = run_dashboard},
    {.name = "list-pools",
     .group = SYSTEM_GROUP,
     .summary = "Pool statistics (includes GPU info)",
     .example = "vgpu-admin list-pools",
     .options = {LISTING},
     .tables = {&pool_table},
     .run = run_list_pools},
    {.name = "add-pool",
     .group = SYSTEM_GROUP,
     .summary = "Add a pool beyond A and B",
     .example = "vgpu-admin add-pool --pool=C",
     .options = {REQUIRED(POOL), OPTIONAL(JSON)},
     .changes = true,
     .run = run_add_pool},
    {.name = "remove-pool",
     .group = SYSTEM_GROUP,
     .summary = "Remove a pool that no GPU serves and no VM is in",
     .example = "vgpu-admin remove-pool --pool=C",
     .options = {REQUIRED(POOL), OPTIONAL(JSON)},
     .changes = true,
     .run = run_remove_pool},
    {.name = "queue",
     .group = SYSTEM_GROUP,
     .summary = "Who holds which GPU since when, and who waits for it",
     .details = "Asks the daemon, vgpud.\n",
     .example = "vgpu-admin queue",
     .options = {LISTING},
     .tables = {&queue_table},
     .run = run_queue},
    {.name = "metrics",
     .group = SYSTEM_GROUP,
     .summary = "What each VM has used and waited for since the daemon started; with --gpus of each GPU",
     .details =
         "Asks the daemon, vgpud, which gives the same to Prometheus (metrics_address in vgpu.conf).\n",
     .example = "vgpu-admin metrics --watch",
     .options = {OPTIONAL(GPUS), LISTING},
     .tables = {&vm_metrics_table, &gpu_metrics_table},
     .run = run_metrics},
    {.name = "history",
     .group = SYSTEM_GROUP,
     .summary = "Who got which GPU when and why it ended; who changed what of the configuration",
     .details =
         "Oldest first. Without --limit the newest 50; a grant is here about a second after its end. Prints\n"
         "grants, with --changes the changes of the configuration, with --grants --changes both.\n",
     .example = "vgpu-admin history --changes --since=2h",
     .options = {OPTIONAL(GRANTS), OPTIONAL(CHANGES), OPTIONAL(LIMIT), OPTIONAL(SINCE), MAY_SELECT(VM_UUID),
                 MAY_SELECT(VM_NAME), OPTIONAL(GPU_ID), LISTING},
     .tables = {&grant_table, &change_table},
     .run = run_history},
    {.name = "doctor",
     .group = SYSTEM_GROUP,
     .summary = "Check the installation and say what to do about each fault",
     .details = "Looks at the configuration, the driver, the database, the daemon, its sockets, vsock, the\n"
                "hypervisors and vgpu's own files. Exit status 1 when there is a fault.\n",
     .example = "vgpu-admin doctor",
     .options = {OPTIONAL(JSON)},
     .alone = true,
     .run = run_doctor},
    {.name = "export",
     .group = SYSTEM_GROUP,
     .summary = "Print the whole configuration as one JSON file",
     .details = "The same configuration always gives the same text, with one line for each VM: fit to keep "
                "in git.\n",
     .example = "vgpu-admin export > vgpu.json",
     .options = {OPTIONAL(JSON)},
     .run = run_export},
    {.name = "import",
     .group = SYSTEM_GROUP,
     .summary = "Make the configuration what a file of export says, all of it or nothing",
     .details = "VMs and pools that are not in the file are removed. FILE - is the standard input.\n",
     .example = "vgpu-admin import --dry-run vgpu.json",
     .operand = "FILE",
     .options = {OPTIONAL(DRY_RUN), OPTIONAL(JSON)},
     .changes = true,
     .run = run_import},
};

const size_t command_count = sizeof command_table / sizeof command_table[0];

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(command_table[i].name, name) == 0)
            return &command_table[i];
    return NULL;
}
