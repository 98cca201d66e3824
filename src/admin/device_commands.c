/* show-devices: what the hypervisor of a VM has to give it, in the words of libvirt and of QEMU. */
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/document.h"
#include "admin/selection.h"

#define LIBVIRT_FOLDER "/dev/shm/" /* where libvirt's <shmem> has its files */

/* Lines of text, each without its newline. */
struct lines {
    char text[8][PATH_MAX + 128];
    size_t count;
};

struct devices {
    struct lines libvirt, qemu;
    const char *note; /* why these are not all, or none; NULL: they are all */
};

__attribute__((format(printf, 2, 3))) static void add(struct lines *lines, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(lines->text[lines->count++], sizeof *lines->text, format, args);
    va_end(args);
}

static void add_vsock(struct devices *devices, uint32_t cid)
{
    add(&devices->libvirt, "<vsock model='virtio'><cid auto='no' address='%" PRIu32 "'/></vsock>", cid);
    add(&devices->qemu, "-device vhost-vsock-pci,guest-cid=%" PRIu32, cid);
}

static void add_window(struct devices *devices, const char *path, uint64_t bytes)
{
    size_t folder = strlen(LIBVIRT_FOLDER);
    add(&devices->qemu, "-object memory-backend-file,id=vgpu,share=on,mem-path=%s,size=%" PRIu64, path,
        bytes);
    add(&devices->qemu, "-device ivshmem-plain,memdev=vgpu");
    if (strncmp(path, LIBVIRT_FOLDER, folder) != 0 || strchr(path + folder, '/') != NULL) {
        devices->note =
            "libvirt finds windows in /dev/shm alone: set window_dir so, or pass QEMU's arguments";
        return;
    }
    add(&devices->libvirt, "<shmem name='%s'>", path + folder);
    add(&devices->libvirt, "  <model type='ivshmem-plain'/>");
    add(&devices->libvirt, "  <size unit='M'>%" PRIu64 "</size>", bytes >> 20);
    add(&devices->libvirt, "</shmem>");
}

static struct devices find_devices(const struct command_context *context, const struct vgpu_vm *vm)
{
    char path[PATH_MAX];
    struct devices devices = {.note = NULL};
    uint64_t bytes = vgpu_window(context->vgpu, vm->vm_uuid, path, sizeof path);
    if (vm->vsock_cid != 0)
        add_vsock(&devices, vm->vsock_cid);
    if (bytes != 0)
        add_window(&devices, path, bytes);
    if (devices.qemu.count == 0)
        devices.note = "no device: it has no vsock CID (vgpu-admin update-vm --vsock-cid) and no window "
                       "(window_size in vgpu.conf)";
    return devices;
}

static void print_lines(FILE *out, const char *title, const struct lines *lines)
{
    if (lines->count == 0)
        return;
    fprintf(out, "%s\n", title);
    for (size_t i = 0; i < lines->count; i++)
        fprintf(out, "%s\n", lines->text[i]);
}

static json_t *document_lines(const struct lines *lines)
{
    json_t *list = json_array();
    for (size_t i = 0; i < lines->count; i++)
        json_array_append_new(list, document_text(lines->text[i]));
    return list;
}

static json_t *document_devices(const struct vgpu_vm *vm, const struct devices *devices)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "vm_uuid", document_text(vm->vm_uuid), "vm_name",
                     document_text(vm->vm_name), "libvirt", document_lines(&devices->libvirt), "qemu",
                     document_lines(&devices->qemu), "note",
                     document_text(devices->note != NULL ? devices->note : ""));
}

static void print_devices(FILE *out, const struct devices *devices)
{
    print_lines(out, "# libvirt, among <devices>:", &devices->libvirt);
    if (devices->note != NULL)
        fprintf(out, "# %s\n", devices->note);
    print_lines(out, "# QEMU:", &devices->qemu);
}

enum vgpu_status run_show_devices(const struct command_context *context, struct vgpu_error *err)
{
    struct vgpu_vm *vms = NULL;
    size_t count = 0;
    bool as_json = context->output == OUTPUT_JSON;
    json_t *list = json_array();
    enum vgpu_status status = selection_find(context, &vms, &count, err);
    for (size_t i = 0; status == VGPU_OK && i < count; i++) {
        struct devices devices = find_devices(context, &vms[i]);
        if (as_json) {
            json_array_append_new(list, document_devices(&vms[i], &devices));
            continue;
        }
        if (count > 1)
            fprintf(context->out, "%s# VM %s (%s)\n", i > 0 ? "\n" : "", vms[i].vm_name, vms[i].vm_uuid);
        print_devices(context->out, &devices);
    }
    if (status == VGPU_OK && as_json)
        status = document_print(context, json_pack("{s:O}", "vms", list), err);
    json_decref(list);
    vgpu_free(vms);
    return status;
}
