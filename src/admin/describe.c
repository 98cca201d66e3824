#include "admin/describe.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "admin/format.h"
#include "admin/text.h"

static const char *or_unknown(const char *text)
{
    return *text != '\0' ? text : "unknown";
}

const char *describe_gpu_name(const struct vgpu_gpu *gpu)
{
    return gpu->gpu_name[0] != '\0' ? gpu->gpu_name : "unknown model";
}

const char *describe_pci_address(const struct vgpu_gpu *gpu)
{
    return or_unknown(gpu->pci_address);
}

const char *describe_gpu_status(char buffer[DESCRIBE_BYTES], const struct vgpu_gpu *gpu)
{
    static const char *const words[] = {
        [VGPU_GPU_ONLINE] = "Online", [VGPU_GPU_OFFLINE] = "Offline", [VGPU_GPU_ERROR] = "Error"};
    if (gpu->reason[0] != '\0' && gpu->status != VGPU_GPU_ONLINE)
        snprintf(buffer, DESCRIBE_BYTES, "%s (%s)", words[gpu->status], gpu->reason);
    else
        snprintf(buffer, DESCRIBE_BYTES, "%s", words[gpu->status]);
    return buffer;
}

enum text_style describe_gpu_style(const struct vgpu_gpu *gpu)
{
    return gpu->status == VGPU_GPU_ONLINE ? TEXT_GOOD : TEXT_BAD;
}

const char *describe_pools(char buffer[DESCRIBE_BYTES], const char *pools)
{
    if (*pools == '\0')
        return "none";
    size_t used = 0;
    for (const char *pool = pools; *pool != '\0'; pool++)
        used += (size_t)snprintf(buffer + used, DESCRIBE_BYTES - used, pool == pools ? "%c" : ", %c", *pool);
    if (pools[1] != '\0')
        snprintf(buffer + used, DESCRIBE_BYTES - used, " (time-sliced)");
    return buffer;
}

const char *describe_memory(char buffer[DESCRIBE_BYTES], const struct vgpu_gpu *gpu)
{
    char total[FORMAT_BYTES];
    char used[FORMAT_BYTES];
    char free_now[FORMAT_BYTES];
    if (!gpu->memory_total_mib.known)
        return "unknown";
    uint64_t total_mib = (uint64_t)gpu->memory_total_mib.value;
    uint64_t used_mib = (uint64_t)gpu->memory_used_mib.value;
    format_memory(total, total_mib);
    if (!gpu->memory_used_mib.known || used_mib > total_mib) {
        snprintf(buffer, DESCRIBE_BYTES, "%s (use unknown)", total);
        return buffer;
    }
    format_memory(used, used_mib);
    /* Rounded so that used and free add up to the total that stands beside them. */
    uint64_t used_rounded = used_mib < 1024 ? 0 : (used_mib + 512) / 1024 * 1024;
    uint64_t total_rounded = total_mib < 1024 ? total_mib : (total_mib + 512) / 1024 * 1024;
    bool whole = total_mib >= 1024 && total_rounded - used_rounded >= 1024;
    format_memory(free_now, whole ? total_rounded - used_rounded : total_mib - used_mib);
    snprintf(buffer, DESCRIBE_BYTES, "%s (%s used, %s free)", total, used, free_now);
    return buffer;
}

const char *describe_number(char buffer[DESCRIBE_BYTES], struct vgpu_optional number, const char *unit)
{
    if (!number.known)
        return "unknown";
    snprintf(buffer, DESCRIBE_BYTES, "%" PRId64 "%s", number.value, unit);
    return buffer;
}

const char *describe_count(char buffer[DESCRIBE_BYTES], size_t count, const char *noun)
{
    snprintf(buffer, DESCRIBE_BYTES, "%zu %s%s", count, noun, count == 1 ? "" : "s");
    return buffer;
}

const char *describe_vm_counts(char buffer[DESCRIBE_BYTES], const struct vm_counts *counts)
{
    snprintf(buffer, DESCRIBE_BYTES, "%zu (%zu high, %zu medium, %zu low)", counts->total,
             counts->by_priority[VGPU_PRIORITY_HIGH], counts->by_priority[VGPU_PRIORITY_MEDIUM],
             counts->by_priority[VGPU_PRIORITY_LOW]);
    return buffer;
}

const char *describe_mode(char buffer[DESCRIBE_BYTES], const struct vgpu_pool *pool)
{
    bool set = (pool->limits.set >> VGPU_LIMIT_MODE & 1u) != 0;
    return vgpu_format_limit(VGPU_LIMIT_MODE, set ? pool->limits.values[VGPU_LIMIT_MODE] : 1, buffer);
}

const char *describe_quarantine(const struct vgpu_vm *vm)
{
    return !vm->quarantined ? NULL : vm->quarantine_reason[0] != '\0' ? vm->quarantine_reason : "yes";
}

void describe_limits(FILE *out, const struct vgpu_vm *vm, const struct vgpu_pool *pool)
{
    bool any = false;
    for (int number = 0; number < VGPU_LIMIT_COUNT; number++) {
        enum vgpu_limit limit = (enum vgpu_limit)number;
        char text[VGPU_LIMIT_TEXT_BYTES];
        bool own = (vm->limits.set >> limit & 1u) != 0;
        bool of_pool = !own && pool != NULL && (pool->limits.set >> limit & 1u) != 0;
        if (!own && !of_pool)
            continue;
        fprintf(out, "%s %s %s", any ? "," : "  Limits:", vgpu_limit_name(limit),
                vgpu_format_limit(limit, (own ? &vm->limits : &pool->limits)->values[limit], text));
        if (of_pool)
            fprintf(out, " (of pool %c)", pool->pool);
        any = true;
    }
    fputs(any ? "\n" : "", out);
}

static void print_field(FILE *out, const char *label, const char *value)
{
    fprintf(out, "  %s: ", label);
    text_put(out, value, SIZE_MAX);
    fputc('\n', out);
}

void describe_gpu_block(FILE *out, bool colour, const struct vgpu_snapshot *snapshot,
                        const struct vgpu_gpu *gpu)
{
    char buffer[DESCRIBE_BYTES];
    struct vm_counts counts = snapshot_count_gpu_vms(snapshot, gpu->gpu_id);
    fprintf(out, "GPU %" PRId32 ": ", gpu->gpu_id);
    text_put(out, describe_gpu_name(gpu), SIZE_MAX);
    fputc('\n', out);
    print_field(out, "PCI", describe_pci_address(gpu));
    print_field(out, "Pool", describe_pools(buffer, gpu->pools));
    fputs("  Status: ", out);
    text_style_begin(out, colour, describe_gpu_style(gpu));
    text_put(out, describe_gpu_status(buffer, gpu), SIZE_MAX);
    text_style_end(out, colour, describe_gpu_style(gpu));
    fputc('\n', out);
    print_field(out, "Memory", describe_memory(buffer, gpu));
    print_field(out, "Utilization", describe_number(buffer, gpu->utilization_percent, "%"));
    print_field(out, "Temperature", describe_number(buffer, gpu->temperature_c, "°C"));
    print_field(out, "VMs Assigned", describe_vm_counts(buffer, &counts));
}

void describe_gpu_line(FILE *out, const struct vgpu_gpu *gpu)
{
    char buffer[DESCRIBE_BYTES];
    fprintf(out, "GPU %" PRId32 ": ", gpu->gpu_id);
    text_put(out, describe_gpu_name(gpu), SIZE_MAX);
    fputs(" | PCI: ", out);
    text_put(out, describe_pci_address(gpu), SIZE_MAX);
    fputs(" | Status: ", out);
    text_put(out, describe_gpu_status(buffer, gpu), SIZE_MAX);
    fputc('\n', out);
}

void describe_note(FILE *out, const struct vgpu_error *note)
{
    if (note->message[0] == '\0')
        return;
    fputs("Live values are unknown: ", out);
    text_put(out, note->message, SIZE_MAX);
    fputc('\n', out);
}

const char *describe_pool_gpus(char buffer[DESCRIBE_BYTES], const struct vgpu_snapshot *snapshot, char pool)
{
    size_t used = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        if (strchr(snapshot->gpus[i].pools, pool) == NULL)
            continue;
        if (used + 24 > DESCRIBE_BYTES) {
            snprintf(buffer + used, DESCRIBE_BYTES - used, ", ...");
            return buffer;
        }
        used += (size_t)snprintf(buffer + used, DESCRIBE_BYTES - used, "%sGPU %" PRId32, used > 0 ? ", " : "",
                                 snapshot->gpus[i].gpu_id);
    }
    return used > 0 ? buffer : "no GPU";
}
