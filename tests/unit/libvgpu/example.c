/* A program of somebody else's: the public headers and libvgpu alone. Lists the GPUs and the VMs on each. */
#include <stdio.h>
#include <vgpu/vgpu.h>

static int complain(const struct vgpu_error *err)
{
    fprintf(stderr, "example: %s\n", err->message);
    return 1;
}

int main(int argc, char **argv)
{
    struct vgpu_options options = {0};
    struct vgpu_error err;
    struct vgpu *vgpu;
    struct vgpu_gpu *gpus;
    struct vgpu_snapshot now;
    size_t count;

    options.config_file = "/dev/null";
    options.driver = "simulated";
    options.state_dir = argc > 1 ? argv[1] : NULL;
    if (vgpu_open(&options, &vgpu, &err) != VGPU_OK)
        return complain(&err);
    if (vgpu_scan_gpus(vgpu, &gpus, &count, &err) != VGPU_OK)
        return complain(&err);
    vgpu_free(gpus);
    if (vgpu_assign_gpu_to_pool(vgpu, 0, 'A', &err) != VGPU_OK)
        return complain(&err);

    struct vgpu_vm_registration vm = {0};
    vm.vm_uuid = "abc123";
    vm.pool = 'A';
    vm.priority = VGPU_PRIORITY_HIGH;
    if (vgpu_register_vm(vgpu, &vm, NULL, &err) != VGPU_OK)
        return complain(&err);

    if (vgpu_get_snapshot(vgpu, &now, &err) != VGPU_OK)
        return complain(&err);
    for (size_t i = 0; i < now.gpu_count; i++) {
        printf("GPU %d: %s, %s\n", (int)now.gpus[i].gpu_id, now.gpus[i].gpu_name,
               vgpu_gpu_status_name(now.gpus[i].status));
        for (size_t j = 0; j < now.vm_count; j++)
            if (now.vms[j].gpu_id.known && now.vms[j].gpu_id.value == now.gpus[i].gpu_id)
                printf("  %s: %s\n", now.vms[j].vm_name, vgpu_priority_name(now.vms[j].priority));
    }
    vgpu_snapshot_fini(&now);
    vgpu_close(vgpu);
    return 0;
}
