/* Where guest processes come in: finds which VM each is, and starts its worker or says why not. */
#ifndef VGPU_DAEMON_RECEPTION_H
#define VGPU_DAEMON_RECEPTION_H

#include "base/settings.h"
#include "daemon/arrivals.h"
#include "daemon/doorstep.h"
#include "daemon/host.h"
#include "daemon/monitor.h"
#include "daemon/service.h"
#include "daemon/socket.h"

/* A listener that one VM alone can reach: its socket file, or a TCP port of listen_tcp. */
struct door;
LIST_HEAD(door_list, door);

struct reception {
    uv_loop_t *loop;
    struct service *service;
    const struct host *host;
    const char *run_dir;
    struct socket_access access; /* of the VMs' socket files */
    unsigned guests_max;
    struct arrivals arrivals;
    struct door_list doors; /* that do not come and go with their VM: TCP, and files that systemd made */
    struct listener *vsock; /* NULL: none */
    struct doorstep doorstep;
    struct monitors *monitors;
};

/* loop, service, host, monitors and run_dir are set already. Opens what the settings name: vsock and TCP. */
enum vgpu_status reception_open(struct reception *reception, const struct settings *settings,
                                struct vgpu_error *err);

/* Takes over a socket that systemd handed to us. VGPU_ERR_USAGE: it is none of ours (and still the caller's).
 */
enum vgpu_status reception_inherit(struct reception *reception, int fd, struct vgpu_error *err);

/* Makes the VM's socket file, RUN_DIR/guests/VM_UUID.sock; what is wrong with it goes to the log. */
void reception_add_vm(struct reception *reception, struct vm *vm);
void reception_remove_vm(struct reception *reception, struct vm *vm);
/* The VM is in quarantine: those of its guests that wait are told. */
void reception_quarantine_vm(struct reception *reception, struct vm *vm);

/* Removes the socket files in RUN_DIR/guests that a dead daemon left behind, except those of registered VMs.
 */
void reception_sweep(const struct reception *reception);

/* Nobody comes in any more. */
void reception_close(struct reception *reception);

#endif
