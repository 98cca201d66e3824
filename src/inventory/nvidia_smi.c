/* GPUs through the program nvidia-smi, where NVML cannot be loaded into this one (another libc, another
 * path). */
#include "inventory/source.h"

#include "base/clock.h"
#include "base/error.h"
#include "inventory/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIME_LIMIT_MS     10000
#define OUTPUT_MAX_BYTES  65536
#define EXIT_NO_DEVICES   6 /* documented exit codes of nvidia-smi */
#define EXIT_NOT_LOADED   9
#define EXIT_NO_NVML      12
#define EXIT_NOT_EXECUTED 127 /* posix_spawn's child where exec failed */

struct smi {
    char *program;
};

/* What a run of the program gave. */
struct run {
    char output[OUTPUT_MAX_BYTES + 1];
    size_t length;
    bool timed_out;
    int exit_status; /* -1: ended by a signal */
};

/* ---- Running it ---- */

static int start(const char *program, int output, pid_t *child)
{
    char query[] = "--query-gpu=" CSV_COLUMNS;
    char format[] = "--format=csv,noheader,nounits";
    char name[] = "nvidia-smi";
    char *arguments[] = {name, query, format, NULL};
    posix_spawn_file_actions_t actions;
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0)
        return result;
    result = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (result == 0)
        result = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (result == 0)
        result = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    if (result == 0)
        result = posix_spawnp(child, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

/* Until the program has closed its output, or the time is over. */
static void collect(int input, struct run *run)
{
    uint64_t deadline_ns = clock_monotonic_ns() + (uint64_t)TIME_LIMIT_MS * 1000000u;
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= deadline_ns) {
            run->timed_out = true;
            return;
        }
        struct pollfd wait = {.fd = input, .events = POLLIN};
        int ready = poll(&wait, 1, (int)((deadline_ns - now_ns) / 1000000u) + 1);
        if (ready <= 0)
            continue;
        char discarded[512];
        bool full = run->length >= OUTPUT_MAX_BYTES;
        ssize_t got = full ? read(input, discarded, sizeof discarded)
                           : read(input, run->output + run->length, OUTPUT_MAX_BYTES - run->length);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return;
        if (got > 0 && !full)
            run->length += (size_t)got;
    }
}

static void reap(pid_t child, struct run *run)
{
    int status = 0;
    if (run->timed_out)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    run->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* VGPU_ERR_NOT_FOUND: there is no such program. */
static enum vgpu_status run_program(const char *program, struct run *run, struct vgpu_error *err)
{
    int ends[2];
    pid_t child = -1;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot run %s", program);
    int result = start(program, ends[1], &child);
    close(ends[1]);
    if (result == 0) {
        collect(ends[0], run);
        reap(child, run);
        run->output[run->length] = '\0';
    }
    close(ends[0]);
    if (result == 0)
        return VGPU_OK;
    return error_set(err, VGPU_ERR_NOT_FOUND,
                     "neither NVML (libnvidia-ml.so.1) nor %s can be used (%s): install the NVIDIA driver",
                     program, strerror(result));
}

/* ---- What it says ---- */

static enum vgpu_status judge(const char *program, struct run *run, struct vgpu_error *err)
{
    if (run->timed_out)
        return error_set(err, VGPU_ERR_UNAVAILABLE,
                         "%s does not answer within %d s: see the kernel's log (dmesg)", program,
                         TIME_LIMIT_MS / 1000);
    switch (run->exit_status) {
    case 0:
    case EXIT_NO_DEVICES:
        return VGPU_OK;
    case EXIT_NOT_LOADED:
    case EXIT_NO_NVML:
    case EXIT_NOT_EXECUTED:
        return error_set(err, VGPU_ERR_NOT_FOUND, "%s says that the NVIDIA driver is not loaded", program);
    default:
        run->output[strcspn(run->output, "\r\n")] = '\0';
        return error_set(err, VGPU_ERR_UNAVAILABLE, "%s fails: %s", program,
                         run->output[0] != '\0' ? run->output : "it says nothing");
    }
}

static enum vgpu_status parse(const struct run *run, struct gpu_list *list, struct vgpu_error *err)
{
    const char *line = run->output;
    while (*line != '\0') {
        size_t length = strcspn(line, "\n");
        struct vgpu_gpu gpu;
        if (csv_parse_gpu(line, length, &gpu)) {
            struct vgpu_gpu *added = gpu_list_add(list);
            if (added == NULL)
                return error_set(err, VGPU_ERR_MEMORY, "out of memory");
            *added = gpu;
        }
        line += length + (line[length] == '\n');
    }
    return VGPU_OK;
}

/* ---- The source ---- */

static void smi_close(void *state)
{
    struct smi *smi = state;
    if (smi == NULL)
        return;
    free(smi->program);
    free(smi);
}

static enum vgpu_status smi_open(const struct inventory_options *options, void **state,
                                 struct vgpu_error *err)
{
    struct smi *smi = calloc(1, sizeof *smi);
    if (smi != NULL)
        smi->program = strdup(options->nvidia_smi != NULL ? options->nvidia_smi : "nvidia-smi");
    if (smi == NULL || smi->program == NULL) {
        smi_close(smi);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    }
    *state = smi;
    return VGPU_OK;
}

static enum vgpu_status smi_scan(void *state, bool fresh, struct gpu_list *list, struct vgpu_error *err)
{
    const struct smi *smi = state;
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = run_program(smi->program, run, err);
    if (status == VGPU_OK)
        status = judge(smi->program, run, err);
    if (status == VGPU_OK && run->exit_status == 0)
        status = parse(run, list, err);
    free(run);
    return status;
}

const struct source source_nvidia_smi = {
    .name = "nvidia-smi",
    .open = smi_open,
    .scan = smi_scan,
    .close = smi_close,
};
