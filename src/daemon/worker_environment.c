#include "daemon/worker_environment.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Passed on: every variable that begins so. */
static const char *const passed_on[] = {
    "PATH=",
    "HOME=",
    "LANG=",
    "TMPDIR=",
    "LD_LIBRARY_PATH=",
    "VGPU_SIM_",
    "VGPU_LOG",
    "VGPU_DEBUG",
    "VGPU_CONFIG=",
    "VGPU_SPIN_US=",
    "VGPU_RUN_DIR=",
    "VGPU_IMAGE_STORE=",
    "CUDA_CACHE_",
    "JOURNAL_STREAM=",
    "ASAN_OPTIONS=",
    "UBSAN_OPTIONS=",
    "LSAN_OPTIONS=",
    "TSAN_OPTIONS=",
};

static bool is_passed_on(const char *entry)
{
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        if (strncmp(entry, passed_on[i], strlen(passed_on[i])) == 0)
            return true;
    }
    return false;
}

char **worker_environment_create(const char *gpu_uuid)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **made = calloc(count + 3, sizeof(char *));
    if (!made)
        return NULL;
    size_t used = 0;
    bool complete = asprintf(&made[used], "CUDA_VISIBLE_DEVICES=%s", gpu_uuid) >= 0;
    used += complete;
    if (complete && (made[used] = strdup("CUDA_DEVICE_ORDER=PCI_BUS_ID")))
        used++;
    else
        complete = false;
    for (size_t i = 0; complete && i < count; i++) {
        if (!is_passed_on(environ[i]))
            continue;
        if ((made[used] = strdup(environ[i])))
            used++;
        else
            complete = false;
    }
    if (complete)
        return made;
    made[used] = NULL;
    worker_environment_destroy(made);
    return NULL;
}

void worker_environment_destroy(char **environment)
{
    for (size_t i = 0; environment && environment[i]; i++)
        free(environment[i]);
    free(environment);
}
