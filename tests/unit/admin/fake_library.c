#include "fake_library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/program.h"
#include "base/error.h"

struct fake_library fake;

enum vgpu_status __wrap_vgpu_open(const struct vgpu_options *options, struct vgpu **handle,
                                  struct vgpu_error *err);
void __wrap_vgpu_close(struct vgpu *handle);
enum vgpu_status __wrap_vgpu_get_snapshot(struct vgpu *handle, struct vgpu_snapshot *snapshot,
                                          struct vgpu_error *err);
void __wrap_vgpu_snapshot_fini(struct vgpu_snapshot *snapshot);
enum vgpu_status __wrap_vgpu_refresh_gpus(struct vgpu *handle, struct vgpu_gpu *gpus, size_t count,
                                          struct vgpu_error *err);
enum vgpu_status __wrap_vgpu_get_live(struct vgpu *handle, struct vgpu_live *live, struct vgpu_error *err);
enum vgpu_status __wrap_vgpu_scan_vms(struct vgpu *handle, const struct vgpu_snapshot *snapshot,
                                      uint32_t time_limit_ms, struct vgpu_vm_scan *scan,
                                      struct vgpu_error *err);
void __wrap_vgpu_vm_scan_fini(struct vgpu_vm_scan *scan);
void __wrap_vgpu_live_fini(struct vgpu_live *live);
enum vgpu_status __wrap_vgpu_list_grants(struct vgpu *handle, const struct vgpu_history_filter *filter,
                                         struct vgpu_grant **grants, size_t *count, struct vgpu_error *err);
enum vgpu_status __wrap_vgpu_list_changes(struct vgpu *handle, const struct vgpu_history_filter *filter,
                                          struct vgpu_change **changes, size_t *count,
                                          struct vgpu_error *err);
enum vgpu_status __wrap_vgpu_get_gpu(struct vgpu *handle, int32_t gpu_id, struct vgpu_gpu *gpu,
                                     struct vgpu_error *err);

static enum vgpu_status answer(enum vgpu_status status, struct vgpu_error *err)
{
    return status == VGPU_OK ? VGPU_OK : error_set(err, status, "the fake said so");
}

enum vgpu_status __wrap_vgpu_open(const struct vgpu_options *options, struct vgpu **handle,
                                  struct vgpu_error *err)
{
    fake.opened++;
    *handle = NULL;
    return answer(fake.open_status, err);
}

void __wrap_vgpu_close(struct vgpu *handle)
{
}

static void *copy_list(const void *list, size_t count, size_t size)
{
    void *copy = calloc(count + 1, size);
    if (count > 0)
        memcpy(copy, list, count * size);
    return copy;
}

enum vgpu_status __wrap_vgpu_get_snapshot(struct vgpu *handle, struct vgpu_snapshot *snapshot,
                                          struct vgpu_error *err)
{
    *snapshot = fake.snapshot;
    snapshot->gpus = copy_list(fake.snapshot.gpus, fake.snapshot.gpu_count, sizeof *snapshot->gpus);
    snapshot->vms = copy_list(fake.snapshot.vms, fake.snapshot.vm_count, sizeof *snapshot->vms);
    snapshot->pools = copy_list(fake.snapshot.pools, fake.snapshot.pool_count, sizeof *snapshot->pools);
    return VGPU_OK;
}

void __wrap_vgpu_snapshot_fini(struct vgpu_snapshot *snapshot)
{
    free(snapshot->gpus);
    free(snapshot->vms);
    free(snapshot->pools);
}

enum vgpu_status __wrap_vgpu_refresh_gpus(struct vgpu *handle, struct vgpu_gpu *gpus, size_t count,
                                          struct vgpu_error *err)
{
    return answer(fake.refresh_status, err);
}

enum vgpu_status __wrap_vgpu_get_live(struct vgpu *handle, struct vgpu_live *live, struct vgpu_error *err)
{
    if (fake.live_status == VGPU_OK)
        *live = fake.live;
    return answer(fake.live_status, err);
}

enum vgpu_status __wrap_vgpu_scan_vms(struct vgpu *handle, const struct vgpu_snapshot *snapshot,
                                      uint32_t time_limit_ms, struct vgpu_vm_scan *scan,
                                      struct vgpu_error *err)
{
    if (fake.scan_status == VGPU_OK)
        *scan = fake.scan;
    return answer(fake.scan_status, err);
}

void __wrap_vgpu_vm_scan_fini(struct vgpu_vm_scan *scan)
{
}

void __wrap_vgpu_live_fini(struct vgpu_live *live)
{
}

enum vgpu_status __wrap_vgpu_list_grants(struct vgpu *handle, const struct vgpu_history_filter *filter,
                                         struct vgpu_grant **grants, size_t *count, struct vgpu_error *err)
{
    fake.last_filter = *filter;
    *count = fake.grant_count;
    *grants = NULL;
    if (fake.grant_count > 0) {
        *grants = malloc(fake.grant_count * sizeof **grants);
        memcpy(*grants, fake.grants, fake.grant_count * sizeof **grants);
    }
    return VGPU_OK;
}

enum vgpu_status __wrap_vgpu_list_changes(struct vgpu *handle, const struct vgpu_history_filter *filter,
                                          struct vgpu_change **changes, size_t *count, struct vgpu_error *err)
{
    fake.last_filter = *filter;
    *count = fake.change_count;
    *changes = NULL;
    if (fake.change_count > 0) {
        *changes = malloc(fake.change_count * sizeof **changes);
        memcpy(*changes, fake.changes, fake.change_count * sizeof **changes);
    }
    return VGPU_OK;
}

enum vgpu_status __wrap_vgpu_get_gpu(struct vgpu *handle, int32_t gpu_id, struct vgpu_gpu *gpu,
                                     struct vgpu_error *err)
{
    return VGPU_OK;
}

int fake_run_words(const char *const *words, size_t width, char **out, char **errors)
{
    size_t count = 0;
    size_t out_length = 0;
    size_t errors_length = 0;
    while (words[count] != NULL)
        count++;
    char **argv = calloc(count + 2, sizeof *argv);
    argv[0] = strdup("vgpu-admin");
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = strdup(words[i]);
    FILE *out_stream = open_memstream(out, &out_length);
    FILE *error_stream = open_memstream(errors, &errors_length);
    struct terminal terminal = {.width = width, .height = width > 0 ? 24 : 0, .colour = fake.colour};
    int status = (int)program_run((int)count + 1, argv, out_stream, &terminal, error_stream);
    fclose(out_stream);
    fclose(error_stream);
    for (size_t i = 0; i <= count; i++)
        free(argv[i]);
    free(argv);
    return status;
}

int fake_run(const char *command_line, size_t width, char **out, char **errors)
{
    const char *words[32] = {0};
    char *copy = strdup(command_line);
    size_t count = 0;
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        words[count++] = word;
    int status = fake_run_words(words, width, out, errors);
    free(copy);
    return status;
}
