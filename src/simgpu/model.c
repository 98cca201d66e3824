#include "simgpu/model.h"

#include <string.h>
#include <strings.h>

static const struct gpu_model MODELS[] = {
    /* The first is the default. */
    {"NVIDIA H100 80GB PCIe", 0x233110de, 0x162610de, 81559, 9, 0, 114, 1755, 1593, 5120, 51200, 350, 48, 5,
     false, true},
    {"NVIDIA H100 80GB HBM3", 0x233010de, 0x16c110de, 81559, 9, 0, 132, 1980, 2619, 5120, 51200, 700, 70, 5,
     false, true},
    {"NVIDIA H200", 0x233510de, 0x18be10de, 143771, 9, 0, 132, 1980, 3201, 6144, 61440, 700, 75, 5, false,
     true},
    {"NVIDIA B200", 0x290110de, 0x199910de, 183359, 10, 0, 148, 1965, 3996, 8192, 129024, 1000, 140, 5, false,
     true},
    {"NVIDIA A100-SXM4-80GB", 0x20b210de, 0x146310de, 81920, 8, 0, 108, 1410, 1593, 5120, 40960, 400, 60, 4,
     false, true},
    {"NVIDIA A100-SXM4-40GB", 0x20b010de, 0x134f10de, 40960, 8, 0, 108, 1410, 1215, 5120, 40960, 400, 52, 4,
     false, true},
    {"NVIDIA A100 80GB PCIe", 0x20b510de, 0x153310de, 81920, 8, 0, 108, 1410, 1512, 5120, 40960, 300, 44, 4,
     false, true},
    {"NVIDIA L40S", 0x26b910de, 0x185110de, 46068, 8, 9, 142, 2520, 9001, 384, 98304, 350, 32, 4, false,
     true},
    {"NVIDIA L4", 0x27b810de, 0x16ca10de, 23034, 8, 9, 58, 2040, 6251, 192, 49152, 72, 12, 4, false, true},
    {"NVIDIA A10", 0x223610de, 0x148210de, 23028, 8, 6, 72, 1695, 6251, 384, 6144, 150, 16, 4, false, true},
    {"NVIDIA GeForce RTX 4090", 0x268410de, 0x16f310de, 24564, 8, 9, 128, 3105, 10501, 384, 73728, 450, 20, 4,
     true, false},
    {"Tesla T4", 0x1eb810de, 0x12a210de, 15360, 7, 5, 40, 1590, 5001, 256, 4096, 70, 10, 3, false, true},
};

static bool same_name(const char *known, const char *name, size_t length)
{
    return strlen(known) == length && strncasecmp(known, name, length) == 0;
}

const struct gpu_model *model_find(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++) {
        const char *known = MODELS[i].name;
        if (same_name(known, name, length) ||
            (strncmp(known, "NVIDIA ", 7) == 0 && same_name(known + 7, name, length)) ||
            (strncmp(known, "Tesla ", 6) == 0 && same_name(known + 6, name, length)))
            return &MODELS[i];
    }
    return NULL;
}

const struct gpu_model *model_at(size_t index)
{
    return index < sizeof MODELS / sizeof *MODELS ? &MODELS[index] : NULL;
}

/* CUDA C++ Programming Guide, "Technical Specifications per Compute Capability". */
struct gpu_limits model_limits(const struct gpu_model *model)
{
    switch (model->compute_major * 10 + model->compute_minor) {
    case 75:
        return (struct gpu_limits){64 * 1024, 64 * 1024, 1024, 16, 64};
    case 80:
        return (struct gpu_limits){164 * 1024, 163 * 1024, 2048, 32, 64};
    case 86:
        return (struct gpu_limits){100 * 1024, 99 * 1024, 1536, 16, 128};
    case 89:
        return (struct gpu_limits){100 * 1024, 99 * 1024, 1536, 24, 128};
    default:
        return (struct gpu_limits){228 * 1024, 227 * 1024, 2048, 32, 128};
    }
}
