#include "base/prefix.h"

#include "base/error.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct item_place {
    const char *what;        /* for messages */
    const char *environment; /* names the folder or file outright */
    const char *file;        /* within the folder that environment names, or "" */
    const char *installed;   /* below PREFIX */
    const char *built;       /* below the build directory */
};

static const struct item_place places[] = {
    [PREFIX_WORKER] = {"vgpu-worker", "VGPU_WORKER", "", "libexec/vgpu/vgpu-worker",
                       "src/worker/vgpu-worker"},
    [PREFIX_LIBVIRT] = {"vgpu-libvirt", "VGPU_LIBVIRT", "", "libexec/vgpu/vgpu-libvirt",
                        "src/inventory/vgpu-libvirt"},
    [PREFIX_GUEST_DIR] = {"the guest library", "VGPU_GUEST_DIR", "", "lib/vgpu/guest", "src/guest"},
    [PREFIX_SIMULATED_DIR] = {"the simulated driver", "VGPU_SIMULATED_DIR", "", "lib/vgpu/simulated",
                              "src/simgpu"},
    [PREFIX_SIMULATED_CUDA] = {"the simulated driver", "VGPU_SIMULATED_DIR", "/libcuda.so.1",
                               "lib/vgpu/simulated/libcuda.so.1", "src/simgpu/libcuda.so.1"},
    [PREFIX_SIMULATED_NVML] = {"the simulated driver", "VGPU_SIMULATED_DIR", "/libnvidia-ml.so.1",
                               "lib/vgpu/simulated/libnvidia-ml.so.1", "src/simgpu/libnvidia-ml.so.1"},
};

/* Deepest place of a program below its root: BUILD/tests/unit/PART/PROGRAM. */
#define DEEPEST_PROGRAM 6

/* Joins two parts and says whether the result fits a path. */
static bool join(char path[PATH_MAX], const char *left, const char *right)
{
    int length = snprintf(path, PATH_MAX, "%s%s", left, right);
    return length >= 0 && length < PATH_MAX;
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text);
    size_t ending_length = strlen(ending);
    return length >= ending_length && strcmp(text + length - ending_length, ending) == 0;
}

/* Takes the last component off; false when nothing would be left. */
static bool to_parent(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return false;
    *slash = '\0';
    return true;
}

/* An installed program knows its prefix by the name of its folder, so that nothing above the prefix is
 * ever looked at. folder is cut down to the prefix. */
static bool installed_prefix(char *folder)
{
    static const char *const program_folders[] = {"/libexec/vgpu", "/bin", "/sbin", "/lib"};
    for (size_t i = 0; i < sizeof program_folders / sizeof program_folders[0]; i++) {
        if (ends_with(folder, program_folders[i])) {
            folder[strlen(folder) - strlen(program_folders[i])] = '\0';
            return true;
        }
    }
    return false;
}

/* A program in a build tree lies some folders below the one that Meson marks. */
static bool build_root(char *folder)
{
    char marker[PATH_MAX];
    for (int depth = 0; depth < DEEPEST_PROGRAM; depth++) {
        if (join(marker, folder, "/meson-private/coredata.dat") && access(marker, F_OK) == 0)
            return true;
        if (!to_parent(folder))
            return false;
    }
    return false;
}

enum vgpu_status prefix_find_from(const char *program_path, enum prefix_item item, char path[PATH_MAX],
                                  struct vgpu_error *err)
{
    const struct item_place *place = &places[item];
    char root[PATH_MAX];
    const char *below;
    if (!join(root, program_path, "") || !to_parent(root))
        return error_set(err, VGPU_ERR_NOT_FOUND, "%s: not found, '%s' is not the path of a program",
                         place->what, program_path);
    if (installed_prefix(root)) {
        below = place->installed;
    } else if (build_root(root)) {
        below = place->built;
    } else {
        return error_set(err, VGPU_ERR_NOT_FOUND,
                         "%s: not found, '%s' lies neither in an installation nor in a build tree; set %s",
                         place->what, program_path, place->environment);
    }
    char tail[128];
    snprintf(tail, sizeof tail, "/%s", below);
    if (!join(path, root, tail) || access(path, F_OK) != 0)
        return error_set(err, VGPU_ERR_NOT_FOUND, "%s: '%s%s' is missing; install vgpu anew or set %s",
                         place->what, root, tail, place->environment);
    return VGPU_OK;
}

/* The shared library this code was linked into, else the running program. A library comes first because
 * the program that loaded it may be anybody's. */
static bool own_path(char path[PATH_MAX])
{
    Dl_info own;
    if (dladdr((const void *)places, &own) != 0 && own.dli_fname != NULL && own.dli_fname[0] == '/' &&
        strstr(own.dli_fname, ".so") != NULL && realpath(own.dli_fname, path) != NULL)
        return true;
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    return true;
}

enum vgpu_status prefix_find(enum prefix_item item, char path[PATH_MAX], struct vgpu_error *err)
{
    const struct item_place *place = &places[item];
    const char *named = getenv(place->environment);
    if (named != NULL && named[0] != '\0') {
        char joined[PATH_MAX];
        if (!join(joined, named, place->file) || realpath(joined, path) == NULL)
            return error_set(err, VGPU_ERR_NOT_FOUND, "%s: '%s%s', named by %s, does not exist", place->what,
                             named, place->file, place->environment);
        return VGPU_OK;
    }
    char program[PATH_MAX];
    if (!own_path(program))
        return error_set_errno(err, VGPU_ERR_NOT_FOUND, "%s: cannot read /proc/self/exe; set %s", place->what,
                               place->environment);
    return prefix_find_from(program, item, path, err);
}
