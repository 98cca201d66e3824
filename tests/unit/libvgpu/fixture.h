/* A host of its own for each test: state and run directory, a simulated machine, and a daemon to play. */
#ifndef VGPU_TESTS_LIBVGPU_FIXTURE_H
#define VGPU_TESTS_LIBVGPU_FIXTURE_H

#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <vgpu/vgpu.h>

#include <cmocka.h>

#define PLAYED_REQUESTS_MAX 16

struct fixture {
    char directory[64];
    char state_dir[80];
    char run_dir[80];
    struct vgpu_options options;
    struct vgpu *vgpu;
    struct vgpu_error err;

    /* The played daemon. */
    bool playing;
    pthread_t thread;
    int listener;
    const char *answer; /* written to each connection after its request; NULL: hang up */
    bool silent;        /* never answers */
    size_t request_count;
    char requests[PLAYED_REQUESTS_MAX][128];
};

int fixture_open(void **state);
int fixture_close(void **state);

#define assert_done(fixture, call)                                                                           \
    do {                                                                                                     \
        if ((call) != VGPU_OK)                                                                               \
            fail_msg("%s: %s", #call, (fixture)->err.message);                                               \
    } while (0)

/* Asserts this status, with a one-line message that contains `words`. */
void assert_refused(const struct fixture *fixture, enum vgpu_status got, enum vgpu_status wanted,
                    const char *words);

/* Answers on admin.sock until the fixture is closed, or fixture_stop_daemon(). */
void fixture_play_daemon(struct fixture *fixture, const char *answer);
/* After it the requests can be looked at. */
void fixture_stop_daemon(struct fixture *fixture);

#endif
