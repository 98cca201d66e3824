/* The handlers of the command table, by the file they are in. */
#ifndef VGPU_ADMIN_COMMANDS_H
#define VGPU_ADMIN_COMMANDS_H

#include "admin/command.h"
#include "admin/table.h"

/* gpu_commands.c */
command_run run_scan_gpus, run_list_gpus, run_show_gpu, run_assign_gpu, run_unassign_gpu;
extern const struct table_layout gpu_table;
/* vm_list_commands.c */
command_run run_list_vms, run_show_vm;
extern const struct table_layout vm_table;
/* device_commands.c */
command_run run_show_devices;
/* vm_change_commands.c */
command_run run_register_vm, run_update_vm, run_pause, run_resume, run_remove_vm;
/* limit_commands.c */
command_run run_set_limits, run_show_limits;
extern const struct table_layout limit_table;
/* quarantine_commands.c */
command_run run_quarantine, run_release;
/* metrics_commands.c */
command_run run_metrics;
extern const struct table_layout vm_metrics_table, gpu_metrics_table;
/* vm_scan_commands.c; the second is register-vm's */
command_run run_scan_vms, run_register_all_unregistered;
/* doctor_command.c */
command_run run_doctor;
/* pool_commands.c */
command_run run_list_pools, run_add_pool, run_remove_pool;
extern const struct table_layout pool_table;
/* status_command.c */
command_run run_status;
/* dashboard_command.c */
command_run run_dashboard;
/* queue_commands.c */
command_run run_queue;
extern const struct table_layout queue_table;
/* history_command.c */
command_run run_history;
extern const struct table_layout grant_table, change_table;
/* file_commands.c */
command_run run_export, run_import;

#endif
