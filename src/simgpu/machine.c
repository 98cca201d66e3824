#include "simgpu/machine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const char *const METRIC_NAMES[METRIC_COUNT] = {
    [METRIC_MEMORY] = "memory",
    [METRIC_UTILIZATION] = "utilization",
    [METRIC_TEMPERATURE] = "temperature",
    [METRIC_POWER] = "power",
    [METRIC_FAN] = "fan",
    [METRIC_SERIAL] = "serial",
    [METRIC_CLOCK] = "clock",
    [METRIC_PROCESSES] = "processes",
};

/* A word of a comma-separated list, without the blanks around it. *rest moves past it; false at the end. */
static bool next_word(const char **rest, const char **word, size_t *length)
{
    if (!*rest || !**rest)
        return false;
    const char *start = *rest;
    const char *end = start + strcspn(start, ",");
    *rest = *end ? end + 1 : end;
    while (start < end && isspace((unsigned char)*start))
        start++;
    while (end > start && isspace((unsigned char)end[-1]))
        end--;
    *word = start;
    *length = (size_t)(end - start);
    return true;
}

/* A number of digits only. -1 where it is not, or is over limit. */
static long parse_number(const char *text, size_t length, long limit)
{
    long value = 0;
    if (length == 0)
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return -1;
        value = value * 10 + (text[i] - '0');
        if (value > limit)
            return -1;
    }
    return value;
}

/* splitmix64's finalizer over FNV-1a: stable for ever, which is all that is asked of it. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ull;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebull;
    return hash ^ (hash >> 31);
}

static void gpu_identify(struct machine_gpu *gpu, const char *seed)
{
    char place[32];
    snprintf(place, sizeof place, "/%u/", gpu->slot);
    uint64_t hash = hash_text(0xcbf29ce484222325ull, gpu->model->name);
    hash = hash_text(hash, place);
    uint64_t low = hash_text(hash, seed);
    uint64_t high = hash_text(low, "uuid");
    memcpy(gpu->uuid, &high, 8);
    memcpy(gpu->uuid + 8, &low, 8);
    gpu->uuid[6] = (gpu->uuid[6] & 0x0f) | 0x40; /* RFC 9562, version 4 and its variant */
    gpu->uuid[8] = (gpu->uuid[8] & 0x3f) | 0x80;
    char *out = gpu->uuid_text + sprintf(gpu->uuid_text, "GPU-");
    for (int i = 0; i < 16; i++)
        out += sprintf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", gpu->uuid[i]);
    snprintf(gpu->serial, sizeof gpu->serial, "16%011llu", (unsigned long long)(low % 100000000000ull));
    gpu->key = high ? high : 1;
    gpu->pci_bus = gpu->slot + 1;
}

static void gpu_set_memory(struct machine_gpu *gpu, uint64_t mib)
{
    gpu->memory_bytes = mib << 20;
    gpu->reserved_bytes = (mib / 170) << 20; /* 479 MiB of an H100's 81559 */
    gpu->context_bytes = (mib / 64 < 527 ? mib / 64 : 527) << 20;
}

static enum vgpu_status add_gpus(struct machine *machine, const struct gpu_model *model, long count,
                                 struct vgpu_error *err)
{
    for (long i = 0; i < count; i++) {
        if (machine->gpu_count == MACHINE_GPUS_MAX)
            return error_set(err, VGPU_ERR_USAGE, "VGPU_SIM_GPUS: more than %d GPUs; name fewer",
                             MACHINE_GPUS_MAX);
        struct machine_gpu *gpu = &machine->gpus[machine->gpu_count];
        gpu->model = model;
        gpu->slot = machine->gpu_count++;
        gpu_identify(gpu, machine->seed);
        gpu_set_memory(gpu, model->memory_mib);
    }
    return VGPU_OK;
}

static enum vgpu_status unknown_model(const char *word, size_t length, struct vgpu_error *err)
{
    char known[400] = "";
    for (size_t i = 0; model_at(i); i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", model_at(i)->name);
    }
    return error_set(err, VGPU_ERR_USAGE,
                     "VGPU_SIM_GPUS: '%.*s' is not MODEL, MODEL*COUNT or COUNT of a known model: %s",
                     (int)(length < 60 ? length : 60), word, known);
}

static enum vgpu_status parse_gpus(struct machine *machine, const char *list, struct vgpu_error *err)
{
    const char *word;
    size_t length;
    enum vgpu_status status = VGPU_OK;
    while (!status && next_word(&list, &word, &length)) {
        const struct gpu_model *model = model_at(0);
        long count = parse_number(word, length, 1000);
        if (count < 0) {
            const char *star = memchr(word, '*', length);
            size_t name_length = star ? (size_t)(star - word) : length;
            size_t blanks = star ? strspn(star + 1, " ") : 0;
            count = star ? parse_number(star + 1 + blanks, length - name_length - 1 - blanks, 1000) : 1;
            while (name_length && isspace((unsigned char)word[name_length - 1]))
                name_length--;
            model = model_find(word, name_length);
        }
        if (count < 0 || !model)
            return unknown_model(word, length, err);
        status = add_gpus(machine, model, count, err);
    }
    return status;
}

static enum vgpu_status parse_seed(struct machine *machine, struct vgpu_error *err)
{
    const char *seed = getenv("VGPU_SIM_SEED");
    if (!seed)
        seed = "";
    if (strlen(seed) >= sizeof machine->seed || seed[strspn(seed, "abcdefghijklmnopqrstuvwxyz"
                                                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")])
        return error_set(err, VGPU_ERR_USAGE,
                         "VGPU_SIM_SEED: '%.40s' is not a word of at most %d letters, digits, '-' and '_'",
                         seed, MACHINE_SEED_BYTES - 1);
    memcpy(machine->seed, seed, strlen(seed) + 1);
    return VGPU_OK;
}

static enum vgpu_status parse_memory(struct machine *machine, struct vgpu_error *err)
{
    const char *text = getenv("VGPU_SIM_MEMORY_MB");
    if (!text || !*text)
        return VGPU_OK;
    long mib = parse_number(text, strlen(text), 1 << 20);
    if (mib < 1)
        return error_set(err, VGPU_ERR_USAGE,
                         "VGPU_SIM_MEMORY_MB: '%.40s' is not a number of MiB from 1 to %d", text, 1 << 20);
    for (unsigned int i = 0; i < machine->gpu_count; i++)
        gpu_set_memory(&machine->gpus[i], (uint64_t)mib);
    return VGPU_OK;
}

/* The GPUs that the variable names, as a bit mask by slot. */
static enum vgpu_status parse_slots(const char *variable, uint32_t *slots, struct vgpu_error *err)
{
    const char *list = getenv(variable), *word;
    size_t length;
    *slots = 0;
    while (next_word(&list, &word, &length)) {
        long slot = parse_number(word, length, MACHINE_GPUS_MAX - 1);
        if (slot < 0)
            return error_set(err, VGPU_ERR_USAGE, "%s: '%.*s' is not the number of a GPU from 0 to %d",
                             variable, (int)(length < 40 ? length : 40), word, MACHINE_GPUS_MAX - 1);
        *slots |= 1u << slot;
    }
    return VGPU_OK;
}

static enum vgpu_status parse_missing(struct machine *machine, struct vgpu_error *err)
{
    const char *list = getenv("VGPU_SIM_MISSING"), *word;
    size_t length;
    while (next_word(&list, &word, &length)) {
        const char *colon = memchr(word, ':', length);
        long slot = colon ? parse_number(word, (size_t)(colon - word), MACHINE_GPUS_MAX - 1) : -1;
        const char *name = colon ? colon + 1 : word;
        size_t name_length = length - (size_t)(name - word);
        int metric = 0;
        while (metric < METRIC_COUNT && (strlen(METRIC_NAMES[metric]) != name_length ||
                                         strncmp(METRIC_NAMES[metric], name, name_length) != 0))
            metric++;
        if (metric == METRIC_COUNT || (colon && slot < 0))
            return error_set(
                err, VGPU_ERR_USAGE,
                "VGPU_SIM_MISSING: '%.*s' is not METRIC or GPU:METRIC with METRIC one of memory, "
                "utilization, temperature, power, fan, serial, clock, processes",
                (int)(length < 40 ? length : 40), word);
        for (unsigned int i = 0; i < machine->gpu_count; i++)
            if (slot < 0 || (unsigned int)slot == machine->gpus[i].slot)
                machine->gpus[i].missing[metric] = true;
    }
    return VGPU_OK;
}

#define PAUSES_MAX 1000000

static enum vgpu_status parse_pauses(struct machine *machine, struct vgpu_error *err)
{
    const char *text = getenv("VGPU_SIM_PAUSES");
    machine->pauses = text && *text ? parse_number(text, strlen(text), PAUSES_MAX) : PAUSES_UNLIMITED;
    if (text && *text && machine->pauses < 0)
        return error_set(err, VGPU_ERR_USAGE, "VGPU_SIM_PAUSES: '%.40s' is not a number from 0 to %d", text,
                         PAUSES_MAX);
    return VGPU_OK;
}

static void drop_hidden(struct machine *machine, uint32_t hidden)
{
    unsigned int kept = 0;
    for (unsigned int i = 0; i < machine->gpu_count; i++)
        if (!(hidden >> machine->gpus[i].slot & 1))
            machine->gpus[kept++] = machine->gpus[i];
    machine->gpu_count = kept;
}

enum vgpu_status machine_load(struct machine *machine, struct vgpu_error *err)
{
    uint32_t hidden, lost, error;
    const char *gpus = getenv("VGPU_SIM_GPUS");
    memset(machine, 0, sizeof *machine);
    enum vgpu_status status = parse_seed(machine, err);
    if (!status)
        status = parse_gpus(machine, gpus && *gpus ? gpus : "2", err);
    if (!status)
        status = parse_memory(machine, err);
    if (!status)
        status = parse_missing(machine, err);
    if (!status)
        status = parse_pauses(machine, err);
    if (!status)
        status = parse_slots("VGPU_SIM_HIDE", &hidden, err);
    if (!status)
        status = parse_slots("VGPU_SIM_LOST", &lost, err);
    if (!status)
        status = parse_slots("VGPU_SIM_ERROR", &error, err);
    if (status)
        return status;
    for (unsigned int i = 0; i < machine->gpu_count; i++) {
        machine->gpus[i].lost = lost >> machine->gpus[i].slot & 1;
        machine->gpus[i].error = error >> machine->gpus[i].slot & 1;
    }
    drop_hidden(machine, hidden);
    return VGPU_OK;
}
