/* The environment of a worker: what it needs of the daemon's, and which GPU it may see. */
#ifndef VGPU_DAEMON_WORKER_ENVIRONMENT_H
#define VGPU_DAEMON_WORKER_ENVIRONMENT_H

/* NULL-terminated "NAME=value" texts; NULL when out of memory. */
char **worker_environment_create(const char *gpu_uuid);
void worker_environment_destroy(char **environment); /* NULL is fine */

#endif
