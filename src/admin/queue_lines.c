#include "admin/queue_lines.h"

#include <inttypes.h>

#include "admin/format.h"
#include "admin/snapshot.h"
#include "admin/text.h"

#define PIECE_BYTES (VGPU_VM_NAME_BYTES + FORMAT_BYTES + 32)

const char *queue_vm_name(const struct vgpu_snapshot *snapshot, const char *vm_uuid)
{
    const struct vgpu_vm *vm = snapshot_find_vm(snapshot, vm_uuid);
    return vm != NULL ? vm->vm_name : vm_uuid;
}

static void print_holder(struct text_flow *flow, const struct vgpu_snapshot *snapshot,
                         const struct vgpu_live_gpu *gpu)
{
    char piece[PIECE_BYTES];
    char held[FORMAT_BYTES];
    if (gpu->holder[0] == '\0') {
        text_flow_put(flow, " free;");
        return;
    }
    const struct vgpu_vm *vm = snapshot_find_vm(snapshot, gpu->holder);
    snprintf(piece, sizeof piece, " held by %s (%s) for %s;", queue_vm_name(snapshot, gpu->holder),
             vm != NULL ? vgpu_priority_name(vm->priority) : "removed", format_duration(held, gpu->held_us));
    text_flow_put(flow, piece);
}

static void print_waiting(struct text_flow *flow, const struct vgpu_snapshot *snapshot,
                          const struct vgpu_live_gpu *gpu)
{
    char piece[PIECE_BYTES];
    char waiting[FORMAT_BYTES];
    if (gpu->waiting_count == 0) {
        text_flow_put(flow, " nobody waits");
        return;
    }
    snprintf(piece, sizeof piece, " %zu waiting:", gpu->waiting_count);
    text_flow_put(flow, piece);
    for (size_t i = 0; i < gpu->waiting_count; i++) {
        const struct vgpu_live_waiting *vm = &gpu->waiting[i];
        snprintf(piece, sizeof piece, " %s (%s) %s%s", queue_vm_name(snapshot, vm->vm_uuid),
                 vgpu_priority_name(vm->priority), format_duration(waiting, vm->waiting_us),
                 i + 1 < gpu->waiting_count ? "," : "");
        text_flow_put(flow, piece);
    }
}

void queue_print_lines(FILE *out, size_t width, const struct vgpu_snapshot *snapshot,
                       const struct vgpu_live *live)
{
    if (live->gpu_count == 0)
        fputs("The daemon serves no GPU; look for GPUs with 'vgpu-admin scan-gpus'\n", out);
    for (size_t i = 0; i < live->gpu_count; i++) {
        const struct vgpu_live_gpu *gpu = &live->gpus[i];
        char piece[PIECE_BYTES];
        struct text_flow flow = {.out = out, .width = width, .indent = 2};
        const char *preemption = gpu->preemption;
        snprintf(piece, sizeof piece, "GPU %" PRId32 "%s%s%s:", gpu->gpu_id,
                 preemption[0] != '\0' ? " (" : "", preemption, preemption[0] != '\0' ? ")" : "");
        text_flow_put(&flow, piece);
        print_holder(&flow, snapshot, gpu);
        if (gpu->background[0] != '\0') {
            snprintf(piece, sizeof piece, " %s in the background;", queue_vm_name(snapshot, gpu->background));
            text_flow_put(&flow, piece);
        }
        print_waiting(&flow, snapshot, gpu);
        fputc('\n', out);
    }
}
