/* Where the project's own files are, found relative to the running program, so that an installed tree, an
 * unpacked bundle and a Meson build tree all work wherever they lie.
 *
 *   installed, bundle    PREFIX/{bin,sbin,lib,libexec/vgpu}/PROGRAM  →  PREFIX/...
 *   build tree           BUILD/src/PART/PROGRAM, BUILD/tests/...     →  BUILD/src/...
 *
 * Each may be named outright by an environment variable (see enum prefix_item); then that is taken, unlooked
 * at beyond that it exists. */
#ifndef VGPU_BASE_PREFIX_H
#define VGPU_BASE_PREFIX_H

#include <limits.h>
#include <vgpu/error.h>

enum prefix_item {
    PREFIX_WORKER,         /* the program vgpu-worker                        VGPU_WORKER */
    PREFIX_LIBVIRT,        /* the program vgpu-libvirt                       VGPU_LIBVIRT */
    PREFIX_GUEST_DIR,      /* folder with the guest's libraries              VGPU_GUEST_DIR */
    PREFIX_SIMULATED_DIR,  /* folder with the simulated driver's libraries   VGPU_SIMULATED_DIR */
    PREFIX_SIMULATED_CUDA, /* its libcuda.so.1                               (in VGPU_SIMULATED_DIR) */
    PREFIX_SIMULATED_NVML, /* its libnvidia-ml.so.1                          (in VGPU_SIMULATED_DIR) */
};

/* Writes the absolute path into path. VGPU_ERR_NOT_FOUND, and a message naming the file and where it was
 * expected, when it is not there. Any thread. */
enum vgpu_status prefix_find(enum prefix_item item, char path[PATH_MAX], struct vgpu_error *err);

/* As prefix_find for a program that lies at program_path (absolute): for tests, and for whoever looks for
 * the files of another installation. Ignores the environment. */
enum vgpu_status prefix_find_from(const char *program_path, enum prefix_item item, char path[PATH_MAX],
                                  struct vgpu_error *err);

#endif
