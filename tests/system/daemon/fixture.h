/* A host of its own for a test of the daemon: temporary run and state directories, vgpud with the fake worker
 * (fake_worker.c), and the test as administrator and as guest. Nothing waits for time to pass: the
 * test waits for what the daemon says. What does not come within a minute fails the test. */
#ifndef TESTS_SYSTEM_DAEMON_FIXTURE_H
#define TESTS_SYSTEM_DAEMON_FIXTURE_H

#include "wire/handshake.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include <vgpu/vgpu.h>

struct fixture {
    char dir[64];
    char run_dir[96];
    char state_dir[96];
    char log_path[96];
    struct vgpu *vgpu;
    int notify_fd;
    pid_t daemon;      /* 0: not running */
    int listen_fds[4]; /* sockets to hand to vgpud as systemd does */
    unsigned listen_count;
    const char *options[16];    /* further arguments for vgpud, NULL-terminated */
    const char *environment[8]; /* further NAME=VALUE for vgpud, NULL-terminated */
};

/* cmocka's setup and teardown: *state is the struct fixture. The host has GPUs 0 (pool A) and 1 (pool B).
 * Teardown stops the daemon, if it runs, and fails unless that ended in good order. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Returns once the daemon has said READY=1. */
void daemon_start(struct fixture *fixture);
/* SIGTERM; returns the exit status, or 256 + the signal that ended it. */
int daemon_stop(struct fixture *fixture);
/* Waits for the daemon's end. */
int daemon_wait(struct fixture *fixture);
/* Runs vgpud where it is expected to refuse: its exit status, and its last line on stderr. */
int daemon_refuses(struct fixture *fixture, char line[1024]);
/* Waits for this state ("STOPPING=1") from the daemon. */
void daemon_expect_notice(struct fixture *fixture, const char *state);
/* Whether the log has this text. */
bool daemon_has_logged(const struct fixture *fixture, const char *text);

void vm_register(struct fixture *fixture, const char *vm_uuid, char pool, enum vgpu_priority priority);

/* A guest process of the VM: a connection to its socket. */
int guest_connect(const struct fixture *fixture, const char *vm_uuid);
/* Says that it is a guest process: the daemon waits for that. guest_connect() does it. */
void guest_knock(int guest);
/* -1 and errno when the socket does not let it. */
int guest_try_connect(const struct fixture *fixture, const char *vm_uuid);
/* The first message from the other side. */
struct server_welcome guest_welcome(int guest);
/* Connects, and is welcomed. */
int guest_open(const struct fixture *fixture, const char *vm_uuid);
void guest_command(int guest, const char *commands);
/* The worker's next line is this. */
void guest_expect(int guest, const char *line);
/* The worker comes to say this; what it may say of the grant on the way there does not count. */
void guest_await(int guest, const char *line);
/* The worker's next line; false at the end of the connection. */
bool guest_line(int guest, char *line, size_t line_bytes);
void guest_expect_end(int guest);
/* Nothing has been said so far. */
void guest_expect_silence(int guest);

/* One request on the admin socket; the caller's to json_decref. */
json_t *admin_ask(const struct fixture *fixture, const char *request);
/* Asks for the state until *found says yes: for what the daemon learns at a time of its own. */
void admin_wait(const struct fixture *fixture, bool (*found)(const json_t *state, const void *argument),
                const void *argument);
/* A listening socket at name in the run directory, as systemd would make it. */
int socket_activate(const struct fixture *fixture, const char *name);
/* Of the VM in a state: one of its integers; -1 when the VM is not there. */
json_int_t state_vm(const json_t *state, const char *vm_uuid, const char *member);

#endif
