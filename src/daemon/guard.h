/* Watches over VMs that hurt: counts their faults, and puts a VM with too many into quarantine. There it
 * stays until it is released: the database remembers it.
 *
 * A fault is a guest process that crashed its worker, broke the protocol, lost its context to an error of its
 * own code (an illegal address), or did not give the GPU back in time. What workers see themselves they count
 * on the VM's page, where it is looked for once a second and when one ends. */
#ifndef VGPU_DAEMON_GUARD_H
#define VGPU_DAEMON_GUARD_H

#include "daemon/host.h"

#include <uv.h>

struct guard;

struct guard_options {
    const char *database_path; /* copied where kept */
    struct host *host;
    /* The VM is in quarantine from now on; why stands in vm->info. */
    void (*quarantined)(void *context, struct vm *vm);
    /* It has been written down: have the database read again. Returns the ticket that guard_reread() will
     * name. */
    uint64_t (*written)(void *context);
    void *context;
};

enum vgpu_status guard_open(uv_loop_t *loop, const struct guard_options *options, struct guard **guard,
                            struct vgpu_error *err);
/* NULL is fine. What is to be written is written; the memory goes when the loop comes round. */
void guard_close(struct guard *guard);

/* The host is as the database was after every request up to this ticket. */
void guard_reread(struct guard *guard, uint64_t ticket);

/* A fault that the daemon has seen itself. what: "its worker crashed", for the log. */
void guard_fault(struct guard *guard, struct vm *vm, const char *what);
/* Looks for what its workers have counted. */
void guard_look(struct guard *guard, struct vm *vm);

#endif
