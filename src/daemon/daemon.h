/* The daemon as a whole: what it is made of, and the order in which it starts and stops.
 *
 *     start ──► RUNNING ──signal──► DRAINING ──────────────► ENDING ────────────► stopped
 *                                   nobody comes in,         workers are told     all workers are
 *                                   holders give back        to end               reaped
 *                                   (5 s at most)            (5 s, then killed)
 *
 * Each further signal cuts short what is going on: DRAINING becomes ENDING, ENDING kills. */
#ifndef VGPU_DAEMON_DAEMON_H
#define VGPU_DAEMON_DAEMON_H

#include "base/settings.h"

/* Runs until a signal (SIGTERM, SIGINT, SIGHUP) stops it. VGPU_OK: it was started and stopped in good order.
 * On error it did not start, and left nothing behind. */
enum vgpu_status daemon_run(const struct settings *settings, struct vgpu_error *err);

#endif
