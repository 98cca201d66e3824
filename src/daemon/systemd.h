/* The two protocols that systemd documents for services, as far as the daemon needs them: sd_notify(3) and
 * sd_listen_fds(3). Without systemd each of these does nothing. */
#ifndef VGPU_DAEMON_SYSTEMD_H
#define VGPU_DAEMON_SYSTEMD_H

#include <stdint.h>

/* Sends lines such as "READY=1" to the service manager, if it asked for them (NOTIFY_SOCKET). */
void systemd_notify(const char *state);

/* How long the service manager lets the daemon be silent before it takes it for hung; 0: it does not watch.
 */
uint64_t systemd_watchdog_us(void);

/* How many listening sockets were handed over, as descriptors from *first on. Makes them close on exec and
 * takes the variables out of the environment, so that it answers once. */
unsigned systemd_listen_fds(int *first);

#endif
