/* What is said on the daemon's admin socket (VGPU_RUN_DIR/admin.sock, AF_UNIX, SOCK_STREAM).
 *
 * One JSON object per line each way, UTF-8, ended by '\n'. The client asks, the daemon answers each request
 * with exactly one line, in order; several requests may follow on one connection. Either side ignores members
 * it does not know, so members may be added; what a member means never changes. Integers are below
 * 2^63. Microseconds everywhere.
 *
 * Request:  {"op": WORD}
 * Answer:   {"ok": true, ...}   or   {"ok": false, "status": WORD, "message": "one line for the user"}
 *           status: as vgpu_status_name(): "usage" for an op that is unknown or a line that is no request,
 * ...
 *
 * op "state": what the daemon is doing now.
 *   {"ok": true,
 *    "daemon": {"version": "0.1.0", "pid": 4711, "uptime_us": 1000000, "driver": "simulated"},
 *    "gpus": [{"gpu_id": 0, "gpu_uuid": "GPU-...",
 *              "holder": "abc123",          vm_uuid, or null when nobody holds it
 *              "held_us": 1500,             0 when nobody holds it
 *              "generation": 17,            grants of this GPU since the daemon started
 *              "warm_workers": 1,           that wait for a guest with a context made
 *              "warm_memory_bytes": 543162368,   device memory that these hold; 0 while not known
 *              "waiting": [{"vm_uuid": "def456", "priority": 1, "waiting_us": 300}]}],   next one first
 *    "vms": [{"vm_uuid": "abc123", "processes": 2, "grants": 17, "wait_us": 90000, "hold_us": 70000,
 *             "calls": 123456, "gpu_calls": 1000, "device_memory_bytes": 1048576,
 *             "wait_p50_us": 300, "wait_p95_us": 900, "wait_p99_us": 2100,     of its grants; null before the
 * first "hold_p50_us": 300, "hold_p95_us": 900, "hold_p99_us": 2100,     of those that have ended "waiting":
 * 1, "gpu_time_us": 60000, "preemptions": 3, "timeouts": 0, "limited_calls": 0, "limited_us": 0,
 * "refused_allocations": 0, "faults": 0}]} Of a GPU besides: "background": vm_uuid or null; "preemption":
 * "hardware time slices", "drain" or null: not known; "places", "handovers", "preemptions", "waited_us",
 * "ended_grants", "ended_hold_us", and wait_ and hold_ as of VMs. gpus: the GPUs that the daemon serves. vms:
 * registered VMs that have had a guest process since it started.
 *
 * op "limits": what counts for VMs and pools that have no limits of their own, as the daemon's settings say.
 *   {"ok": true, "limits": {"weight": 1, "time_limit_us": 0, ...}}     all of them, by the members of
 * base/limit.h
 *
 * op "reload": read the configuration database now. Answered when it acts: sockets of new VMs are there,
 *   those of removed ones are gone, assignments hold.
 *   {"ok": true} */
#ifndef VGPU_LIBVGPU_ADMIN_PROTOCOL_H
#define VGPU_LIBVGPU_ADMIN_PROTOCOL_H

#define ADMIN_SOCKET_NAME "admin.sock" /* in the run directory */

/* A request line longer than this is refused; an answer may be of any length up to ADMIN_ANSWER_MAX_BYTES. */
#define ADMIN_REQUEST_MAX_BYTES 4096
#define ADMIN_ANSWER_MAX_BYTES  (64u << 20)

#define ADMIN_OP_STATE  "state"
#define ADMIN_OP_LIMITS "limits"
#define ADMIN_OP_RELOAD "reload"

#endif
