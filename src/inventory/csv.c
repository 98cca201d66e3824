#include "inventory/csv.h"

#include "inventory/source.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_COUNT 9
#define LINE_BYTES  1024

enum field {
    FIELD_INDEX,
    FIELD_UUID,
    FIELD_NAME,
    FIELD_PCI_ADDRESS,
    FIELD_MEMORY_TOTAL,
    FIELD_MEMORY_USED,
    FIELD_UTILIZATION,
    FIELD_TEMPERATURE,
    FIELD_POWER
};

/* Cuts the text at its commas, blanks around each field dropped. Returns how many fields there are. */
static size_t split(char *text, char *fields[FIELD_COUNT])
{
    size_t count = 0;
    for (char *rest = text; rest != NULL; count++) {
        char *field = strsep(&rest, ",");
        field += strspn(field, " \t\r");
        size_t length = strlen(field);
        while (length > 0 && strchr(" \t\r", field[length - 1]) != NULL)
            field[--length] = '\0';
        if (count < FIELD_COUNT)
            fields[count] = field;
    }
    return count;
}

static bool is_absent(const char *field)
{
    return field[0] == '\0' || field[0] == '[' || strcmp(field, "N/A") == 0;
}

/* Times scale, rounded: watts with decimals become milliwatts. */
static struct vgpu_optional read_number(const char *field, double scale)
{
    struct vgpu_optional number = {.known = false};
    char *end = NULL;
    errno = 0;
    double value = is_absent(field) ? 0 : strtod(field, &end) * scale;
    if (end == NULL || end == field || *end != '\0' || errno != 0 || !isfinite(value) || fabs(value) > 1e15)
        return number;
    number.known = true;
    number.value = llround(value);
    return number;
}

static void read_identity(char *fields[FIELD_COUNT], struct vgpu_gpu *gpu)
{
    struct vgpu_optional index = read_number(fields[FIELD_INDEX], 1);
    if (index.known && index.value >= 0 && index.value <= INT_MAX)
        gpu->gpu_id = (int32_t)index.value;
    pci_address_normalize(fields[FIELD_PCI_ADDRESS], gpu->pci_address);
    if (!is_absent(fields[FIELD_NAME]))
        snprintf(gpu->gpu_name, sizeof gpu->gpu_name, "%s", fields[FIELD_NAME]);
    if (!is_absent(fields[FIELD_UUID])) {
        snprintf(gpu->gpu_uuid, sizeof gpu->gpu_uuid, "%s", fields[FIELD_UUID]);
        return;
    }
    gpu->status = VGPU_GPU_ERROR;
    snprintf(gpu->reason, sizeof gpu->reason, "nvidia-smi does not give its UUID: %.60s", fields[FIELD_UUID]);
    if (gpu->pci_address[0] != '\0')
        snprintf(gpu->gpu_uuid, sizeof gpu->gpu_uuid, SOURCE_STAND_IN_PREFIX "%s", gpu->pci_address);
}

bool csv_parse_gpu(const char *line, size_t length, struct vgpu_gpu *gpu)
{
    char text[LINE_BYTES];
    char *fields[FIELD_COUNT];
    if (length >= sizeof text)
        return false;
    memcpy(text, line, length);
    text[length] = '\0';
    if (split(text, fields) != FIELD_COUNT)
        return false;
    *gpu = (struct vgpu_gpu){.gpu_id = -1, .status = VGPU_GPU_ONLINE};
    read_identity(fields, gpu);
    gpu->memory_total_mib = read_number(fields[FIELD_MEMORY_TOTAL], 1);
    gpu->memory_used_mib = read_number(fields[FIELD_MEMORY_USED], 1);
    gpu->utilization_percent = read_number(fields[FIELD_UTILIZATION], 1);
    gpu->temperature_c = read_number(fields[FIELD_TEMPERATURE], 1);
    gpu->power_mw = read_number(fields[FIELD_POWER], 1000);
    return gpu->gpu_uuid[0] != '\0';
}
