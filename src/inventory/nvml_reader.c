#include "inventory/nvml_reader.h"

#include "base/error.h"
#include "cuda/nvml_types.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* Every function that is read takes a device, then integers and pointers, at most so many; what the ABI of
 * x86-64 passes in registers, a function that takes fewer does not look at. */
#define ARGUMENTS_MAX 5
typedef nvmlReturn_t (*nvml_any)(nvmlDevice_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

#define PROCESSES_MAX 1024

struct nvml_reader {
    char *path;
    void *library; /* NULL: not loaded */
    __typeof__(nvmlInit_v2) *init;
    __typeof__(nvmlShutdown) *shutdown;
    __typeof__(nvmlErrorString) *error_string;
    __typeof__(nvmlDeviceGetHandleByUUID) *get_by_uuid;
    __typeof__(nvmlDeviceGetFieldValues) *get_fields; /* what follows may be NULL */
    __typeof__(nvmlSystemGetDriverVersion) *get_driver_version;
    __typeof__(nvmlSystemGetNVMLVersion) *get_nvml_version;
    __typeof__(nvmlSystemGetCudaDriverVersion_v2) *get_cuda_version;
    __typeof__(nvmlDeviceGetComputeRunningProcesses_v3) *get_processes;
    nvml_any functions[NVML_FACT_FUNCTIONS];
};

/* ---- Loading ---- */

/* POSIX says that a function's address fits a void *; C has no cast for it. */
static bool find(const struct nvml_reader *reader, const char *name, void *function)
{
    void *address = dlsym(reader->library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static enum vgpu_status load(struct nvml_reader *reader, struct vgpu_error *err)
{
    if (reader->library != NULL)
        return VGPU_OK;
    reader->library = dlopen(reader->path, RTLD_NOW | RTLD_LOCAL);
    if (reader->library == NULL)
        return error_set(err, VGPU_ERR_NOT_FOUND, "cannot load NVML: %s", dlerror());
    if (!find(reader, "nvmlInit_v2", &reader->init) || !find(reader, "nvmlShutdown", &reader->shutdown) ||
        !find(reader, "nvmlErrorString", &reader->error_string) ||
        !find(reader, "nvmlDeviceGetHandleByUUID", &reader->get_by_uuid)) {
        dlclose(reader->library);
        reader->library = NULL;
        return error_set(err, VGPU_ERR_NOT_FOUND, "%s is no NVML: install the NVIDIA driver's own",
                         reader->path);
    }
    find(reader, "nvmlDeviceGetFieldValues", &reader->get_fields);
    find(reader, "nvmlSystemGetDriverVersion", &reader->get_driver_version);
    find(reader, "nvmlSystemGetNVMLVersion", &reader->get_nvml_version);
    find(reader, "nvmlSystemGetCudaDriverVersion_v2", &reader->get_cuda_version);
    find(reader, "nvmlDeviceGetComputeRunningProcesses_v3", &reader->get_processes);
    for (size_t i = 0; i < NVML_FACT_FUNCTIONS; i++)
        find(reader, nvml_fact_functions[i].name, &reader->functions[i]);
    return VGPU_OK;
}

/* NVML stays initialised for one reading only: it looks for GPUs when it is, and who rescans wants that.
 * Where another user keeps it initialised this costs nothing. */
static enum vgpu_status begin(struct nvml_reader *reader, const char *gpu_uuid, nvmlDevice_t *device,
                              struct vgpu_error *err)
{
    enum vgpu_status status = load(reader, err);
    if (status != VGPU_OK)
        return status;
    nvmlReturn_t result = reader->init();
    if (result != NVML_SUCCESS)
        return error_set(err, VGPU_ERR_UNAVAILABLE, "NVML cannot be used: %s", reader->error_string(result));
    result = reader->get_by_uuid(gpu_uuid, device);
    if (result == NVML_SUCCESS)
        return VGPU_OK;
    error_set(err, VGPU_ERR_NOT_FOUND, "%s: %s", gpu_uuid, reader->error_string(result));
    reader->shutdown();
    return VGPU_ERR_NOT_FOUND;
}

/* ---- Facts ---- */

static void read_one(nvml_any call, const struct nvml_fact_function *function, nvmlDevice_t device,
                     unsigned index, struct nvml_facts *facts)
{
    uintptr_t arguments[ARGUMENTS_MAX + 1] = {0};
    uint8_t *data = facts->data + function->offset + (size_t)index * function->bytes;
    unsigned used = function->argument_count;
    unsigned rest = index;
    for (unsigned i = function->argument_count; i-- > 0; rest /= function->arguments[i].count)
        arguments[i] = function->arguments[i].low + rest % function->arguments[i].count;
    memset(data, 0, function->bytes);
    uint8_t *at = data;
    for (unsigned i = 0; i < function->output_count; i++) {
        const uint32_t bytes = function->outputs[i].bytes;
        const uint32_t version = nvml_structure_version(bytes, function->outputs[i].version);
        if (function->outputs[i].kind == NVML_OUTPUT_VERSIONED)
            memcpy(at, &version, sizeof version);
        arguments[used++] = (uintptr_t)at;
        if (function->outputs[i].kind == NVML_OUTPUT_TEXT)
            arguments[used++] = bytes;
        at += (bytes + 7) & ~7u;
    }
    facts->results[function->first + index] =
        (int16_t)call(device, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]);
}

static void read_function(const struct nvml_reader *reader, size_t number, nvmlDevice_t device,
                          struct nvml_facts *facts)
{
    const struct nvml_fact_function *function = &nvml_fact_functions[number];
    for (unsigned i = 0; i < function->count; i++) {
        if (reader->functions[number] != NULL)
            read_one(reader->functions[number], function, device, i, facts);
        else
            facts->results[function->first + i] = NVML_ERROR_NOT_SUPPORTED;
    }
}

static void read_fields(const struct nvml_reader *reader, nvmlDevice_t device, struct nvml_facts *facts)
{
    nvmlFieldValue_t values[NVML_FIELDS];
    memset(values, 0, sizeof values);
    for (size_t i = 0; i < NVML_FIELDS; i++)
        values[i].fieldId = nvml_field_numbers[i];
    bool done = reader->get_fields != NULL && reader->get_fields(device, NVML_FIELDS, values) == NVML_SUCCESS;
    for (size_t i = 0; i < NVML_FIELDS; i++) {
        struct nvml_field *field = &facts->fields[i];
        field->result = done ? (int32_t)values[i].nvmlReturn : NVML_ERROR_NOT_SUPPORTED;
        field->type = (uint32_t)values[i].valueType;
        memcpy(&field->value, &values[i].value, sizeof field->value);
    }
}

static void read_library(const struct nvml_reader *reader, struct nvml_library_facts *library)
{
    memset(library, 0, sizeof *library);
    if (reader->get_driver_version != NULL)
        reader->get_driver_version(library->driver_version, sizeof library->driver_version);
    if (reader->get_nvml_version != NULL)
        reader->get_nvml_version(library->nvml_version, sizeof library->nvml_version);
    if (reader->get_cuda_version != NULL)
        reader->get_cuda_version(&library->cuda_version);
}

enum vgpu_status nvml_reader_read(struct nvml_reader *reader, const char *gpu_uuid, bool everything,
                                  struct nvml_facts *facts, struct vgpu_error *err)
{
    nvmlDevice_t device;
    enum vgpu_status status = begin(reader, gpu_uuid, &device, err);
    if (status != VGPU_OK)
        return status;
    if (everything)
        read_library(reader, &facts->library);
    for (size_t i = 0; i < NVML_FACT_FUNCTIONS; i++)
        if (everything || nvml_fact_functions[i].live)
            read_function(reader, i, device, facts);
    read_fields(reader, device, facts);
    reader->shutdown();
    return VGPU_OK;
}

/* ---- Processes ---- */

enum vgpu_status nvml_reader_processes(struct nvml_reader *reader, const char *gpu_uuid,
                                       struct nvml_process *processes, size_t *count, struct vgpu_error *err)
{
    nvmlDevice_t device;
    unsigned found = PROCESSES_MAX;
    enum vgpu_status status = begin(reader, gpu_uuid, &device, err);
    if (status != VGPU_OK)
        return status;
    nvmlProcessInfo_t *infos = calloc(PROCESSES_MAX, sizeof *infos);
    nvmlReturn_t result = infos == NULL                   ? NVML_ERROR_MEMORY
                          : reader->get_processes == NULL ? NVML_ERROR_NOT_SUPPORTED
                                                          : reader->get_processes(device, &found, infos);
    if (result == NVML_SUCCESS) {
        if (found < *count)
            *count = found;
        for (size_t i = 0; i < *count; i++)
            processes[i] = (struct nvml_process){infos[i].pid, infos[i].usedGpuMemory};
    } else {
        status = error_set(err, VGPU_ERR_UNAVAILABLE, "%s: its processes are not known: %s", gpu_uuid,
                           reader->error_string(result));
    }
    free(infos);
    reader->shutdown();
    return status;
}

/* ---- The reader ---- */

enum vgpu_status nvml_reader_open(const char *nvml_path, struct nvml_reader **reader, struct vgpu_error *err)
{
    struct nvml_reader *made = calloc(1, sizeof *made);
    if (made != NULL)
        made->path = strdup(nvml_path != NULL ? nvml_path : "libnvidia-ml.so.1");
    if (made == NULL || made->path == NULL) {
        free(made);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    }
    *reader = made;
    return VGPU_OK;
}

void nvml_reader_close(struct nvml_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->library != NULL)
        dlclose(reader->library);
    free(reader->path);
    free(reader);
}
