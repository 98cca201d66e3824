#include "inventory/program_run.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES 16384

/* ---- Starting ---- */

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGCHLD);
    int result = posix_spawnattr_setsigmask(attributes, &none);
    if (result == 0)
        result = posix_spawnattr_setsigdefault(attributes, &defaults);
    if (result == 0)
        result = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                          POSIX_SPAWN_SETSIGDEF);
    return result;
}

static int set_files(posix_spawn_file_actions_t *actions, int output)
{
    int result = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (result == 0)
        result = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    if (result == 0)
        result = posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO);
    return result;
}

static int spawn(struct program_run *run, int output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0)
        return result;
    result = posix_spawnattr_init(&attributes);
    if (result == 0) {
        result = set_files(&actions, output);
        if (result == 0)
            result = set_attributes(&attributes);
        if (result == 0)
            result = posix_spawnp(&run->child, run->arguments[0], &actions, &attributes,
                                  (char *const *)run->arguments, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

static void start(struct program_run *run)
{
    int ends[2];
    run->input = -1;
    run->child = -1;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        run->start_errno = errno;
        return;
    }
    run->start_errno = spawn(run, ends[1]);
    close(ends[1]);
    if (run->start_errno == 0)
        run->input = ends[0];
    else
        close(ends[0]);
}

/* ---- Reading ---- */

static bool make_room(struct program_run *run)
{
    if (run->room - run->length > CHUNK_BYTES)
        return true;
    if (run->room > PROGRAM_RUN_OUTPUT_MAX_BYTES)
        return false;
    size_t room = run->room * 2 + 2 * (size_t)CHUNK_BYTES;
    char *larger = realloc(run->output, room);
    if (larger == NULL)
        return false;
    run->output = larger;
    run->room = room;
    return true;
}

static void stop_reading(struct program_run *run)
{
    close(run->input);
    run->input = -1;
}

/* Once, as the pipe has something to read or is closed. */
static void read_some(struct program_run *run)
{
    if (!make_room(run)) {
        run->too_much = true;
        stop_reading(run);
        return;
    }
    ssize_t got = read(run->input, run->output + run->length, CHUNK_BYTES);
    if (got > 0)
        run->length += (size_t)got;
    else if (got == 0 || errno != EINTR)
        stop_reading(run);
}

static int remaining_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = clock_monotonic_ns();
    return now_ns >= deadline_ns ? 0 : (int)((deadline_ns - now_ns) / 1000000u) + 1;
}

/* Until all have closed their output, or the time is over. */
static void read_all(struct program_run *runs, size_t count, uint64_t deadline_ns)
{
    struct pollfd *waits = calloc(count, sizeof *waits);
    for (;;) {
        size_t open = 0;
        for (size_t i = 0; i < count; i++) {
            open += runs[i].input >= 0;
            if (waits != NULL) /* poll() passes over negative descriptors */
                waits[i] = (struct pollfd){.fd = runs[i].input, .events = POLLIN};
        }
        int wait_ms = remaining_ms(deadline_ns);
        if (open == 0 || wait_ms == 0 || waits == NULL)
            break;
        if (poll(waits, count, wait_ms) <= 0)
            continue;
        for (size_t i = 0; i < count; i++)
            if (waits[i].revents != 0)
                read_some(&runs[i]);
    }
    free(waits);
}

/* ---- Ending ---- */

/* Waits for a program that has closed its output, and kills one that does not end. */
static void reap(struct program_run *run, uint64_t deadline_ns)
{
    static const struct timespec nap = {.tv_nsec = 1000000};
    int status = 0;
    pid_t ended = 0;
    run->timed_out = run->input >= 0 && !run->too_much;
    while (!run->timed_out && !run->too_much) {
        ended = waitpid(run->child, &status, WNOHANG);
        if (ended != 0 && !(ended < 0 && errno == EINTR))
            break;
        run->timed_out = remaining_ms(deadline_ns) == 0;
        nanosleep(&nap, NULL);
    }
    if (run->timed_out || run->too_much) {
        kill(-run->child, SIGKILL); /* its session's only process group carries its number */
        while (waitpid(run->child, &status, 0) < 0 && errno == EINTR) {
        }
    }
    if (run->input >= 0)
        stop_reading(run);
    run->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    run->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (run->output != NULL)
        run->output[run->length] = '\0'; /* make_room() always leaves one byte more */
}

void program_run_all(struct program_run *runs, size_t count, int time_limit_ms)
{
    uint64_t deadline_ns = clock_monotonic_ns() + (uint64_t)time_limit_ms * 1000000u;
    for (size_t i = 0; i < count; i++)
        start(&runs[i]);
    read_all(runs, count, deadline_ns);
    for (size_t i = 0; i < count; i++)
        if (runs[i].start_errno == 0)
            reap(&runs[i], deadline_ns);
}

void program_run_fini(struct program_run *run)
{
    free(run->output);
    run->output = NULL;
    run->length = 0;
}
