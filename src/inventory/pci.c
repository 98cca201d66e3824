/* GPUs that the PCI bus shows and no driver has spoken of: libpci over sysfs. */
#include "inventory/source.h"

#include "base/error.h"

#include <limits.h>
#include <pci/pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VENDOR_NVIDIA 0x10de
/* PCI class codes: display controller, VGA compatible and 3D. */
#define CLASS_VGA     0x0300
#define CLASS_3D      0x0302

/* libpci ends the program on an error unless its handler does not return. */
static _Thread_local jmp_buf pci_failed;
static _Thread_local char pci_message[VGPU_REASON_BYTES];

static void pci_on_error(char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void pci_on_error(char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(pci_message, sizeof pci_message, format, args);
    va_end(args);
    longjmp(pci_failed, 1);
}

static void pci_on_message(char *format, ...) __attribute__((format(printf, 1, 2)));
static void pci_on_message(char *format, ...)
{
}

/* What one scan of the bus works with. */
struct scan {
    const struct inventory_options *options;
    const char *driver_error;
    struct gpu_list *list;
    struct pci_access *access;
    char sysfs[PATH_MAX]; /* the folder bus/pci */
};

/* ---- One device ---- */

static bool is_listed(const struct gpu_list *list, const char *address)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->gpus[i].pci_address, address) == 0)
            return true;
    return false;
}

/* The name of the driver bound to the device; "" for none. */
static void read_driver(const struct scan *scan, const char *address, char *driver, size_t size)
{
    char link[PATH_MAX + 64];
    char target[PATH_MAX];
    driver[0] = '\0';
    snprintf(link, sizeof link, "%s/devices/%s/driver", scan->sysfs, address);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length <= 0)
        return;
    target[length] = '\0';
    const char *name = strrchr(target, '/');
    snprintf(driver, size, "%.*s", (int)size - 1, name == NULL ? target : name + 1);
}

static const char *proc_root(const struct scan *scan)
{
    return scan->options->proc_root != NULL ? scan->options->proc_root : "/proc";
}

static bool kernel_driver_is_loaded(const struct scan *scan)
{
    char path[PATH_MAX];
    struct stat info;
    snprintf(path, sizeof path, "%s/driver/nvidia", proc_root(scan));
    return stat(path, &info) == 0;
}

/* The kernel driver speaks of the GPUs that this process may use: in a container, of those given to it. */
static bool kernel_driver_shows(const struct scan *scan, const char *address)
{
    char path[PATH_MAX];
    struct stat info;
    snprintf(path, sizeof path, "%s/driver/nvidia/gpus/%s", proc_root(scan), address);
    return stat(path, &info) == 0;
}

/* Why this GPU is not online. False: it is not this host's to use, leave it out. */
static bool explain(const struct scan *scan, const char *driver, struct vgpu_gpu *gpu)
{
    size_t size = sizeof gpu->reason;
    gpu->status = VGPU_GPU_OFFLINE;
    if (driver[0] == '\0' && kernel_driver_is_loaded(scan)) {
        snprintf(gpu->reason, size, "no driver is bound to it: bind it to the nvidia driver");
    } else if (driver[0] == '\0') {
        snprintf(gpu->reason, size, "the NVIDIA driver is not loaded: install it, or load its kernel module");
    } else if (strcmp(driver, "vfio-pci") == 0) {
        snprintf(gpu->reason, size,
                 "bound to vfio-pci, passed through to a VM whole: bind it to nvidia to share it");
    } else if (strcmp(driver, "nouveau") == 0) {
        snprintf(gpu->reason, size, "bound to nouveau, which cannot run CUDA: install the NVIDIA driver");
    } else if (strcmp(driver, "nvidia") != 0) {
        snprintf(gpu->reason, size, "bound to the driver %.40s: bind it to the nvidia driver", driver);
    } else if (scan->driver_error != NULL) {
        gpu->status = VGPU_GPU_ERROR;
        snprintf(gpu->reason, size, "%.*s", (int)size - 1, scan->driver_error);
    } else if (kernel_driver_shows(scan, gpu->pci_address)) {
        gpu->status = VGPU_GPU_ERROR;
        snprintf(gpu->reason, size,
                 "bound to the nvidia driver, which does not serve it: see the kernel's log (dmesg)");
    } else {
        return false;
    }
    return true;
}

static void read_name(const struct scan *scan, const struct pci_dev *device, struct vgpu_gpu *gpu)
{
    char text[sizeof gpu->gpu_name - 8];
    const char *name =
        pci_lookup_name(scan->access, text, sizeof text, PCI_LOOKUP_DEVICE | PCI_LOOKUP_NO_NUMBERS,
                        device->vendor_id, device->device_id);
    if (name != NULL && name[0] != '\0')
        snprintf(gpu->gpu_name, sizeof gpu->gpu_name, "NVIDIA %s", name);
    else
        snprintf(gpu->gpu_name, sizeof gpu->gpu_name, "NVIDIA device %04x:%04x", (unsigned)device->vendor_id,
                 (unsigned)device->device_id);
}

static enum vgpu_status add_device(struct scan *scan, struct pci_dev *device, struct vgpu_error *err)
{
    pci_fill_info(device, PCI_FILL_IDENT | PCI_FILL_CLASS);
    bool is_gpu = device->vendor_id == VENDOR_NVIDIA &&
                  (device->device_class == CLASS_VGA || device->device_class == CLASS_3D);
    if (!is_gpu)
        return VGPU_OK;
    struct vgpu_gpu gpu = {.gpu_id = -1};
    char driver[64];
    snprintf(gpu.pci_address, sizeof gpu.pci_address, "%04x:%02x:%02x.%x", (unsigned)device->domain_16,
             (unsigned)device->bus, (unsigned)device->dev, (unsigned)device->func);
    if (is_listed(scan->list, gpu.pci_address))
        return VGPU_OK;
    read_driver(scan, gpu.pci_address, driver, sizeof driver);
    if (!explain(scan, driver, &gpu))
        return VGPU_OK;
    snprintf(gpu.gpu_uuid, sizeof gpu.gpu_uuid, SOURCE_STAND_IN_PREFIX "%s", gpu.pci_address);
    read_name(scan, device, &gpu);
    struct vgpu_gpu *added = gpu_list_add(scan->list);
    if (added == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    *added = gpu;
    return VGPU_OK;
}

/* ---- The bus ---- */

/* In a function of its own: what it changes is in *scan, so that nothing is lost when libpci fails. */
static enum vgpu_status scan_bus(struct scan *scan, struct vgpu_error *err)
{
    if (setjmp(pci_failed) != 0)
        return error_set(err, VGPU_ERR_IO, "cannot read the PCI bus: %s", pci_message);
    struct pci_access *access = scan->access;
    access->method = PCI_ACCESS_SYS_BUS_PCI;
    access->error = pci_on_error;
    access->warning = pci_on_message;
    access->debug = pci_on_message;
    pci_set_param(access, "sysfs.path", scan->sysfs);
    pci_init(access);
    pci_scan_bus(access);
    enum vgpu_status status = VGPU_OK;
    for (struct pci_dev *device = access->devices; status == VGPU_OK && device != NULL; device = device->next)
        status = add_device(scan, device, err);
    return status;
}

/* The bus lists its newest device first; people count from the lowest address. */
static void sort_by_address(struct vgpu_gpu *gpus, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct vgpu_gpu gpu = gpus[i];
        size_t place = i;
        for (; place > 0 && strcmp(gpus[place - 1].pci_address, gpu.pci_address) > 0; place--)
            gpus[place] = gpus[place - 1];
        gpus[place] = gpu;
    }
}

enum vgpu_status pci_add_missing(const struct inventory_options *options, const char *driver_error,
                                 struct gpu_list *list, struct vgpu_error *err)
{
    struct scan scan = {.options = options, .driver_error = driver_error, .list = list};
    const char *root = options->sysfs_root != NULL ? options->sysfs_root : "/sys";
    char devices[PATH_MAX + 16];
    int length = snprintf(scan.sysfs, sizeof scan.sysfs, "%s/bus/pci", root);
    snprintf(devices, sizeof devices, "%s/devices", scan.sysfs);
    if (length >= (int)sizeof scan.sysfs || access(devices, R_OK) != 0)
        return VGPU_OK; /* a host without a PCI bus has nothing on it */
    size_t before = list->count;
    scan.access = pci_alloc();
    enum vgpu_status status = scan_bus(&scan, err);
    pci_cleanup(scan.access);
    if (list->count > before)
        sort_by_address(list->gpus + before, list->count - before);
    return status;
}
