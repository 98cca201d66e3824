/* The answer to the admin socket's "state" (libvgpu/admin_protocol.h). */
#ifndef VGPU_DAEMON_ADMIN_STATE_H
#define VGPU_DAEMON_ADMIN_STATE_H

#include "daemon/host.h"
#include "daemon/service.h"

struct admin_state_source {
    const struct host *host;
    struct service *service;
    const char *driver; /* "nvidia" or "simulated" */
    uint64_t started_us;
};

/* One line from malloc, ended by '\n'; NULL when out of memory. */
char *admin_state_line(const struct admin_state_source *source);
/* The answer to "limits", likewise. */
char *admin_limits_line(const struct vgpu_limits *limits);

#endif
