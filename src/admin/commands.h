/* The handlers of the command table, by the file they are in. */
#ifndef VGPU_ADMIN_COMMANDS_H
#define VGPU_ADMIN_COMMANDS_H

#include "admin/command.h"

/* gpu_commands.c */
command_run run_scan_gpus, run_list_gpus, run_show_gpu, run_assign_gpu;
/* vm_list_commands.c */
command_run run_list_vms, run_show_vm;
/* vm_change_commands.c */
command_run run_register_vm, run_update_vm, run_remove_vm;
/* status_command.c */
command_run run_status, run_list_pools;
/* queue_commands.c */
command_run run_queue, run_history;

#endif
