/* The GPU driver underneath, and the GPUs that are registered. */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/doctor.h"
#include "base/prefix.h"

#define AREA      "driver"
#define GPUS_AREA "gpus"

/* ---- The kernel's part ---- */

static void check_kernel_module(struct doctor *doctor)
{
    char version[160] = "";
    FILE *file = fopen("/proc/driver/nvidia/version", "re");
    if (file == NULL) {
        if (settings_nvidia_driver_present(""))
            doctor_note(doctor, DOCTOR_OK, AREA,
                        "/dev/nvidiactl is there (the kernel module's version is hidden)");
        else
            doctor_note(doctor, DOCTOR_FAULT, AREA,
                        "no NVIDIA kernel module is loaded; install the driver, or run: modprobe nvidia");
        return;
    }
    if (fgets(version, sizeof version, file) == NULL)
        version[0] = '\0';
    fclose(file);
    version[strcspn(version, "\n")] = '\0';
    doctor_note(doctor, DOCTOR_OK, AREA, "kernel module: %s", version[0] != '\0' ? version : "loaded");
    if (access("/dev/nvidiactl", R_OK | W_OK) != 0)
        doctor_note(doctor, DOCTOR_FAULT, AREA,
                    "/dev/nvidiactl cannot be opened by this user; run nvidia-modprobe, or look at its "
                    "permissions");
    if (access("/dev/nvidia-uvm", F_OK) != 0)
        doctor_note(doctor, DOCTOR_WARNING, AREA,
                    "/dev/nvidia-uvm is missing, which CUDA needs; run: nvidia-modprobe -u -c 0");
}

/* ---- Libraries ---- */

/* Only loads it: starting CUDA or NVML is the daemon's and the scan's to do. */
static void check_library(struct doctor *doctor, const char *path, const char *function, const char *what)
{
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL) {
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s cannot be loaded (%s); install the driver's libraries",
                    what, dlerror());
        return;
    }
    if (dlsym(library, function) == NULL)
        doctor_note(doctor, DOCTOR_FAULT, AREA,
                    "%s is none (it lacks %s); see what stands in LD_LIBRARY_PATH", what, function);
    else
        doctor_note(doctor, DOCTOR_OK, AREA, "%s can be loaded", what);
    dlclose(library);
}

static void check_simulated(struct doctor *doctor, enum prefix_item item, const char *function)
{
    char path[PATH_MAX];
    struct vgpu_error err;
    if (prefix_find(item, path, &err) == VGPU_OK)
        check_library(doctor, path, function, path);
    else
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s", err.message);
}

void doctor_check_driver(struct doctor *doctor)
{
    if (doctor->settings == NULL)
        return;
    if (settings_choice(doctor->settings, SETTING_DRIVER) == SETTING_DRIVER_SIMULATED) {
        const char *source = settings_source(doctor->settings, SETTING_DRIVER);
        if (strcmp(source, "built-in default") == 0)
            doctor_note(
                doctor, DOCTOR_WARNING, AREA,
                "no GPU driver is loaded, so programs run on the CPU; install NVIDIA's driver, or set driver "
                "= simulated if this is meant");
        else
            doctor_note(doctor, DOCTOR_OK, AREA, "simulated, as %s says: programs run on the CPU", source);
        check_simulated(doctor, PREFIX_SIMULATED_CUDA, "cuInit");
        check_simulated(doctor, PREFIX_SIMULATED_NVML, "nvmlInit_v2");
        return;
    }
    check_kernel_module(doctor);
    check_library(doctor, "libcuda.so.1", "cuInit", "libcuda.so.1");
    check_library(doctor, "libnvidia-ml.so.1", "nvmlInit_v2", "libnvidia-ml.so.1 (NVML)");
}

/* ---- GPUs ---- */

static void check_gpu(struct doctor *doctor, const struct vgpu_gpu *gpu)
{
    const char *name = gpu->gpu_name[0] != '\0' ? gpu->gpu_name : "unknown model";
    if (gpu->status != VGPU_GPU_ONLINE)
        doctor_note(doctor, DOCTOR_FAULT, GPUS_AREA,
                    "GPU %" PRId32 " (%s) is %s: %s; see nvidia-smi and dmesg", gpu->gpu_id, name,
                    vgpu_gpu_status_name(gpu->status),
                    gpu->reason[0] != '\0' ? gpu->reason : "no reason is known");
    else if (gpu->pools[0] == '\0')
        doctor_note(doctor, DOCTOR_WARNING, GPUS_AREA,
                    "GPU %" PRId32 " (%s) serves no pool; run: vgpu-admin assign-gpu --gpu-id=%" PRId32
                    " --pool=A",
                    gpu->gpu_id, name, gpu->gpu_id);
    else
        doctor_note(doctor, DOCTOR_OK, GPUS_AREA, "GPU %" PRId32 " (%s) is online, pools %s", gpu->gpu_id,
                    name, gpu->pools);
}

static void check_pools(struct doctor *doctor)
{
    for (size_t i = 0; i < doctor->snapshot.pool_count; i++) {
        const struct vgpu_pool *pool = &doctor->snapshot.pools[i];
        if (pool->gpu_count == 0 && pool->vm_count > 0)
            doctor_note(doctor, DOCTOR_FAULT, GPUS_AREA,
                        "pool %c has %" PRIu32 " VM(s) and no GPU; run: vgpu-admin assign-gpu --gpu-id=<id> "
                        "--pool=%c",
                        pool->pool, pool->vm_count, pool->pool);
    }
}

void doctor_check_gpus(struct doctor *doctor)
{
    struct vgpu_error err;
    struct vgpu_snapshot *snapshot = &doctor->snapshot;
    if (doctor->vgpu == NULL)
        return;
    if (snapshot->gpu_count == 0) {
        doctor_note(doctor, DOCTOR_WARNING, GPUS_AREA, "no GPU is known; run: vgpu-admin scan-gpus");
    } else if (vgpu_refresh_gpus(doctor->vgpu, snapshot->gpus, snapshot->gpu_count, &err) != VGPU_OK) {
        doctor_note(doctor, DOCTOR_FAULT, GPUS_AREA, "%s", err.message);
    } else {
        for (size_t i = 0; i < snapshot->gpu_count; i++)
            check_gpu(doctor, &snapshot->gpus[i]);
    }
    check_pools(doctor);
}
