/* One daemon per run directory: the directory, and the lock in it. */
#ifndef VGPU_DAEMON_INSTANCE_H
#define VGPU_DAEMON_INSTANCE_H

#include <vgpu/error.h>

/* Makes run_dir (mode 0755, and what is missing above it) and run_dir/guests (0711: who knows a VM's
 * identifier gets to its socket, nobody lists them), takes the lock on run_dir/vgpud.pid and writes the
 * process id there. *lock_fd is held for as long as the daemon lives; the lock goes with the process, however
 * that ends. VGPU_ERR_BUSY: a daemon is running, the message has its process id. */
enum vgpu_status instance_claim(const char *run_dir, int *lock_fd, struct vgpu_error *err);

/* Empties the file, so that nobody takes an old number for a daemon's, and lets the lock go. */
void instance_release(int lock_fd);

#endif
