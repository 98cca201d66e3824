#include "fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_path(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(copy, 0755);
        *slash = '/';
    }
    mkdir(copy, 0755);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

int fixture_make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const char *base = getenv("TMPDIR");
    snprintf(fixture->directory, sizeof fixture->directory, "%s/vgpu-inventory-XXXXXX",
             base != NULL ? base : "/tmp");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    snprintf(fixture->nvidia_smi, sizeof fixture->nvidia_smi, "%s/nvidia-smi", fixture->directory);
    snprintf(fixture->sysfs, sizeof fixture->sysfs, "%s/sys", fixture->directory);
    snprintf(fixture->proc, sizeof fixture->proc, "%s/proc", fixture->directory);
    char devices[PATH_MAX];
    snprintf(devices, sizeof devices, "%s/bus/pci/devices", fixture->sysfs);
    make_path(devices);
    make_path(fixture->proc);
    fixture->options = (struct inventory_options){
        .nvml_path = "/nonexistent/libnvidia-ml.so.1",
        .nvidia_smi = fixture->nvidia_smi,
        .sysfs_root = fixture->sysfs,
        .proc_root = fixture->proc,
    };
    *state = fixture;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
    return remove(path);
}

int fixture_remove(void **state)
{
    struct fixture *fixture = *state;
    inventory_close(fixture->inventory);
    free(fixture->gpus);
    nftw(fixture->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

enum vgpu_status fixture_scan(struct fixture *fixture)
{
    if (fixture->inventory == NULL)
        assert_int_equal(inventory_open(&fixture->options, &fixture->inventory, &fixture->err), VGPU_OK);
    free(fixture->gpus);
    fixture->gpus = NULL;
    fixture->count = 0;
    return inventory_scan(fixture->inventory, &fixture->gpus, &fixture->count, &fixture->err);
}

void fixture_scan_finds(struct fixture *fixture, size_t count)
{
    if (fixture_scan(fixture) != VGPU_OK)
        fail_msg("%s", fixture->err.message);
    assert_int_equal(fixture->count, count);
}

void fixture_nvidia_smi(struct fixture *fixture, const char *body)
{
    char script[8192];
    snprintf(script, sizeof script, "#!/bin/sh\n%s\n", body);
    write_text(fixture->nvidia_smi, script);
    assert_int_equal(chmod(fixture->nvidia_smi, 0755), 0);
}

void fixture_pci_device(struct fixture *fixture, const char *address, const char *vendor, const char *device,
                        const char *class_code, const char *driver)
{
    const char *const files[][2] = {{"vendor", vendor}, {"device", device}, {"class", class_code}};
    char folder[PATH_MAX];
    char path[PATH_MAX + 32];
    snprintf(folder, sizeof folder, "%s/bus/pci/devices/%s", fixture->sysfs, address);
    make_path(folder);
    for (size_t i = 0; i < 3; i++) {
        char line[32];
        snprintf(path, sizeof path, "%s/%s", folder, files[i][0]);
        snprintf(line, sizeof line, "%s\n", files[i][1]);
        write_text(path, line);
    }
    if (driver == NULL)
        return;
    char target[128];
    snprintf(target, sizeof target, "../../../../bus/pci/drivers/%s", driver);
    snprintf(path, sizeof path, "%s/driver", folder);
    assert_int_equal(symlink(target, path), 0);
}

void fixture_proc(struct fixture *fixture, const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/%s", fixture->proc, path);
    make_path(folder);
}
