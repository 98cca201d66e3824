/* The database: where it is, who may change it, whether it is well. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "admin/doctor.h"

#define AREA             "database"
#define MIB              (1024u * 1024u)
#define SPACE_LOW_BYTES  (256ull * MIB)
#define SPACE_NONE_BYTES (16ull * MIB)

/* False: it is not there. */
static bool check_permissions(struct doctor *doctor, const char *path, const char *what)
{
    struct stat file;
    if (stat(path, &file) != 0) {
        if (errno != ENOENT)
            doctor_note(doctor, DOCTOR_FAULT, AREA, "%s %s cannot be looked at (%s); run doctor as root",
                        what, path, strerror(errno));
        return false;
    }
    if ((file.st_mode & S_IWOTH) != 0)
        doctor_note(doctor, DOCTOR_FAULT, AREA,
                    "%s %s can be changed by every user, who then assigns GPUs; run: chmod o-w %s", what,
                    path, path);
    if (access(path, R_OK | W_OK) != 0)
        doctor_note(doctor, DOCTOR_WARNING, AREA,
                    "%s %s cannot be changed by this user; run vgpu-admin as root", what, path);
    return true;
}

static void check_space(struct doctor *doctor, const char *state_dir)
{
    struct statvfs space;
    if (statvfs(state_dir, &space) != 0)
        return;
    unsigned long long bytes = (unsigned long long)space.f_bavail * space.f_frsize;
    enum doctor_level level = bytes < SPACE_NONE_BYTES  ? DOCTOR_FAULT
                              : bytes < SPACE_LOW_BYTES ? DOCTOR_WARNING
                                                        : DOCTOR_OK;
    doctor_note(doctor, level, AREA, "%llu MB are free at %s%s", bytes / MIB, state_dir,
                level == DOCTOR_OK ? "" : "; make room there, or changes will fail");
}

static void open_database(struct doctor *doctor, const char *path)
{
    struct vgpu_error err;
    if (vgpu_open(NULL, &doctor->vgpu, &err) != VGPU_OK) {
        doctor->vgpu = NULL;
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s", err.message);
        return;
    }
    if (vgpu_check_database(doctor->vgpu, &err) != VGPU_OK) {
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s", err.message);
        vgpu_close(doctor->vgpu);
        doctor->vgpu = NULL;
        return;
    }
    if (vgpu_get_snapshot(doctor->vgpu, &doctor->snapshot, &err) != VGPU_OK) {
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s", err.message);
        return;
    }
    doctor_note(doctor, DOCTOR_OK, AREA, "%s is whole; it knows %zu GPU(s) and %zu VM(s)", path,
                doctor->snapshot.gpu_count, doctor->snapshot.vm_count);
}

void doctor_check_database(struct doctor *doctor)
{
    char path[PATH_MAX];
    if (doctor->settings == NULL)
        return;
    const char *state_dir = settings_text(doctor->settings, SETTING_STATE_DIR);
    snprintf(path, sizeof path, "%s/vgpu.db", state_dir);
    size_t before = doctor_count(doctor, DOCTOR_FAULT);
    bool there = check_permissions(doctor, state_dir, "folder") && check_permissions(doctor, path, "file");
    if (there)
        open_database(doctor, path);
    else if (doctor_count(doctor, DOCTOR_FAULT) == before)
        doctor_note(doctor, DOCTOR_WARNING, AREA, "there is no %s yet; run: vgpu-admin scan-gpus", path);
    check_space(doctor, state_dir);
}
