/* The windows of VMs (wire/window.h): the file that a VM's hypervisor shows it as a device, and what becomes
 * of a guest process's part when the process has gone. The event loop's thread. */
#ifndef VGPU_DAEMON_WINDOW_H
#define VGPU_DAEMON_WINDOW_H

#include "daemon/socket.h"
#include "wire/window.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>
#include <vgpu/error.h>

struct host;
struct settings;
struct window;
struct window_leaver;
LIST_HEAD(window_leaver_list, window_leaver);

/* What all windows have in common. */
struct windows {
    uv_loop_t *loop;
    char folder[PATH_MAX];
    uint64_t bytes; /* of each; 0: VMs have none */
    struct socket_access access;
    struct window_leaver_list leavers;
    bool closed;
};

/* Reads the settings. access: who may open a VM's socket may open its window. */
enum vgpu_status windows_init(struct windows *windows, uv_loop_t *loop, const struct settings *settings,
                              const struct socket_access *access, struct vgpu_error *err);

/* Waits for no guest process any more: what keeps the loop going ends. */
void windows_close(struct windows *windows);

/* Removes the windows in the folder that are nobody's: of VMs that were removed while no daemon ran, or of
 * all where VMs have none any more. What another daemon has open stays, and what was not made by one. */
void windows_sweep(const struct windows *windows, const struct host *host);

/* Makes the VM's window, empty. The file stays when the daemon ends: the hypervisor has it mapped, and the
 * next daemon finds it there. NULL with err set; not to be called when VMs have none. */
struct window *window_create(struct windows *windows, const char *vm_uuid, struct vgpu_error *err);

/* The VM is not registered any more: the file goes. */
void window_unlink(struct window *window);
/* The VM is gone. NULL is fine. */
void window_destroy(struct window *window);

/* To hand to its workers; still the window's. */
int window_fd(const struct window *window);
int window_table_fd(const struct window *window);

/* For a new guest process: no other one of the VM has it. */
uint32_t window_next_number(struct window *window);

/* The worker of this guest process has been reaped. connection: the guest's, to be closed here, or -1. The
 * process may live on and write to memory that was shared with its worker, so nobody else is given that
 * before it has closed its side. */
void window_guest_gone(struct window *window, uint32_t number, int connection);

#endif
