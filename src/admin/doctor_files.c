/* Our own programs and libraries: there, and all of one version. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/doctor.h"
#include "base/prefix.h"
#include "base/release.h"

#define AREA "files"

/* The version that stands in a file of ours, "" where none does. False: it cannot be read. */
static bool read_release(const char *path, char version[32])
{
    struct stat file;
    version[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > 0;
    char *bytes = good ? mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (bytes == MAP_FAILED)
        return false;
    size_t mark = strlen(RELEASE_MARK);
    const char *found = memmem(bytes, (size_t)file.st_size, RELEASE_MARK, mark);
    size_t rest = found == NULL ? 0 : (size_t)(bytes + file.st_size - found) - mark;
    if (found != NULL)
        snprintf(version, 32, "%.*s", (int)strnlen(found + mark, rest < 31 ? rest : 31), found + mark);
    munmap(bytes, (size_t)file.st_size);
    return true;
}

/* tail: below what prefix_find() gives, or "". */
static void check_item(struct doctor *doctor, enum prefix_item item, const char *tail, const char *what,
                       bool program)
{
    char path[PATH_MAX];
    char file[PATH_MAX + 32];
    char version[32];
    struct vgpu_error err;
    if (prefix_find(item, path, &err) != VGPU_OK) {
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s", err.message);
        return;
    }
    snprintf(file, sizeof file, "%s%s", path, tail);
    if (!read_release(file, version))
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s: %s cannot be read; install vgpu anew", what, file);
    else if (version[0] == '\0')
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s: %s is not of vgpu; install vgpu anew", what, file);
    else if (strcmp(version, VGPU_VERSION) != 0)
        doctor_note(doctor, DOCTOR_FAULT, AREA,
                    "%s: %s is of version %s, vgpu-admin of %s; install one version of both", what, file,
                    version, VGPU_VERSION);
    else if (program && access(file, X_OK) != 0)
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s: %s cannot be run by this user; run: chmod a+rx %s", what,
                    file, file);
    else
        doctor_note(doctor, DOCTOR_OK, AREA, "%s: %s, version %s", what, file, version);
}

void doctor_check_files(struct doctor *doctor)
{
    check_item(doctor, PREFIX_WORKER, "", "worker", true);
    check_item(doctor, PREFIX_GUEST_DIR, "/libcuda.so.1", "guest library", false);
    check_item(doctor, PREFIX_GUEST_DIR, "/libnvidia-ml.so.1", "guest's NVML", false);
    if (strcmp(vgpu_version(), VGPU_VERSION) != 0)
        doctor_note(doctor, DOCTOR_FAULT, AREA,
                    "libvgpu is of version %s, vgpu-admin of %s; install one version of both", vgpu_version(),
                    VGPU_VERSION);
}
