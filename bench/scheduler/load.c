#include "load.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vgpu/vgpu.h>

#define MS 1000000ull

static void *checked(void *memory)
{
    if (!memory) {
        fputs("bench-scheduler: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void request_add(struct load_vm *vm, struct request request)
{
    if (vm->count == vm->room) {
        vm->room = vm->room ? 2 * vm->room : 4;
        vm->requests = checked(reallocarray(vm->requests, vm->room, sizeof *vm->requests));
    }
    vm->requests[vm->count++] = request;
}

static struct load *load_create(size_t vm_count, size_t gpu_count, uint64_t end_ns)
{
    struct load *load = checked(calloc(1, sizeof *load));
    load->vms = checked(calloc(vm_count ? vm_count : 1, sizeof *load->vms));
    load->vm_count = vm_count;
    load->gpu_count = gpu_count;
    load->end_ns = end_ns;
    return load;
}

/* Between half and one and a half times the mean. */
static uint64_t around(unsigned *random, uint64_t mean)
{
    return mean / 2 + (uint64_t)rand_r(random) * mean / RAND_MAX;
}

static void requests_generate(struct load_vm *vm, uint64_t period_ns, uint32_t kernels, uint64_t kernel_ns,
                              uint64_t end_ns, unsigned *random)
{
    for (uint64_t at = around(random, period_ns) / 2; at < end_ns; at += around(random, period_ns))
        request_add(vm, (struct request){at, kernels, kernel_ns});
}

struct load *load_generate(size_t vm_count, size_t gpu_count, uint64_t end_ns, unsigned seed)
{
    static const uint64_t busy_kernels_ns[] = {1 * MS, 20 * MS, 200 * MS};
    struct load *load = load_create(vm_count, gpu_count, end_ns);
    for (size_t i = 0; i < vm_count; i++) {
        struct load_vm *vm = &load->vms[i];
        size_t of_gpu = i / gpu_count; /* how many there are on its GPU before it */
        vm->gpu = i % gpu_count;
        if (of_gpu % 100 == 0) {
            vm->class = SCHED_HIGH;
            requests_generate(vm, 16 * MS, 4, MS / 2, end_ns, &seed);
        } else if (of_gpu % 10 == 1) {
            vm->class = SCHED_MEDIUM;
            requests_generate(vm, 1000 * MS, 5, MS, end_ns, &seed);
        } else if (of_gpu % 40 == 2) {
            uint64_t kernel_ns = busy_kernels_ns[of_gpu / 40 % 3];
            for (uint64_t work = 0; work < end_ns; work += kernel_ns)
                request_add(vm, (struct request){0, 1, kernel_ns});
        } else {
            requests_generate(vm, 8000 * MS, 10, MS, end_ns, &seed);
        }
    }
    return load;
}

static size_t vm_of_grant(struct load *load, char (*names)[VGPU_VM_UUID_BYTES],
                          const struct vgpu_grant *grant)
{
    size_t i = 0;
    while (i < load->vm_count &&
           (strcmp(names[i], grant->vm_uuid) != 0 || load->vms[i].gpu != (size_t)grant->gpu_id))
        i++;
    if (i == load->vm_count) {
        load->vms[i].class = (enum sched_class)grant->priority;
        load->vms[i].gpu = (size_t)grant->gpu_id;
        memcpy(names[i], grant->vm_uuid, sizeof names[i]);
        load->vm_count++;
        if (load->vms[i].gpu >= load->gpu_count)
            load->gpu_count = load->vms[i].gpu + 1;
    }
    return i;
}

static struct load *load_of_grants(const struct vgpu_grant *grants, size_t count)
{
    struct load *load = load_create(count, 0, 0);
    char(*names)[VGPU_VM_UUID_BYTES] = checked(calloc(count + 1, sizeof *names));
    int64_t start_us = count ? grants[0].asked_us : 0;
    load->vm_count = 0;
    for (size_t i = 0; i < count; i++)
        start_us = grants[i].asked_us < start_us ? grants[i].asked_us : start_us;
    for (size_t i = 0; i < count; i++) {
        const struct vgpu_grant *grant = &grants[i];
        uint64_t held_ns = (uint64_t)(grant->gave_back_us - grant->got_us) * 1000;
        uint64_t end_ns = (uint64_t)(grant->gave_back_us - start_us) * 1000;
        request_add(&load->vms[vm_of_grant(load, names, grant)],
                    (struct request){(uint64_t)(grant->asked_us - start_us) * 1000,
                                     (uint32_t)(held_ns / MS + 1), held_ns < MS ? held_ns + 1 : MS});
        load->end_ns = end_ns > load->end_ns ? end_ns : load->end_ns;
    }
    free(names);
    return load;
}

struct load *load_from_log(const char *state_dir)
{
    const struct vgpu_options options = {.state_dir = state_dir};
    struct vgpu_error err;
    struct vgpu *vgpu;
    struct vgpu_grant *grants = NULL;
    size_t count = 0;
    if (vgpu_open(&options, &vgpu, &err) != VGPU_OK ||
        vgpu_list_grants(vgpu, NULL, &grants, &count, &err) != VGPU_OK) {
        fprintf(stderr, "bench-scheduler: %s\n", err.message);
        return NULL;
    }
    if (count == 0)
        fprintf(stderr, "bench-scheduler: no grant is on record in %s\n", state_dir);
    struct load *load = count ? load_of_grants(grants, count) : NULL;
    vgpu_free(grants);
    vgpu_close(vgpu);
    return load;
}

void load_destroy(struct load *load)
{
    if (!load)
        return;
    for (size_t i = 0; i < load->vm_count; i++)
        free(load->vms[i].requests);
    free(load->vms);
    free(load);
}
