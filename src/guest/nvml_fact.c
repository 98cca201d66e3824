#include "cuda/nvml_types.h"

#include "guest/nvml_fact.h"

#include <stddef.h>
#include <string.h>

#include "guest/diagnostics.h"
#include "guest/nvml_host.h"

/* Which of the function's facts these arguments name; -1: none. */
static int index_of(const struct nvml_fact_function *function, const unsigned *arguments)
{
    int index = 0;
    for (unsigned i = 0; i < function->argument_count; i++) {
        unsigned beyond_low = arguments[i] - function->arguments[i].low;
        if (arguments[i] < function->arguments[i].low || beyond_low >= function->arguments[i].count)
            return -1;
        index = index * function->arguments[i].count + (int)beyond_low;
    }
    return index;
}

/* Whether the caller's places for the answer are good. */
static nvmlReturn_t check_outputs(const struct nvml_fact_function *function, void *const *outputs)
{
    for (unsigned i = 0; i < function->output_count; i++) {
        uint32_t version;
        if (outputs[i] == NULL)
            return NVML_ERROR_INVALID_ARGUMENT;
        if (function->outputs[i].kind != NVML_OUTPUT_VERSIONED)
            continue;
        memcpy(&version, outputs[i], sizeof version);
        if (version != nvml_structure_version(function->outputs[i].bytes, function->outputs[i].version))
            return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    }
    return NVML_SUCCESS;
}

static nvmlReturn_t copy_out(const struct nvml_fact_function *function, const uint8_t *data,
                             void *const *outputs, unsigned length)
{
    for (unsigned i = 0; i < function->output_count; i++) {
        size_t bytes = function->outputs[i].bytes;
        if (function->outputs[i].kind == NVML_OUTPUT_TEXT || function->outputs[i].kind == NVML_OUTPUT_STRING)
            bytes = strnlen((const char *)data, bytes - 1) + 1;
        if (function->outputs[i].kind == NVML_OUTPUT_TEXT && bytes > length)
            return NVML_ERROR_INSUFFICIENT_SIZE;
        memcpy(outputs[i], data, bytes);
        data += (function->outputs[i].bytes + 7) & ~7u;
    }
    return NVML_SUCCESS;
}

int fact_answer(const void *handle, unsigned function, const unsigned *arguments, void *const *outputs,
                unsigned length)
{
    const struct nvml_fact_function *known = &nvml_fact_functions[function];
    nvmlDevice_t device = (nvmlDevice_t)(uintptr_t)handle;
    const struct nvml_state *state;
    nvmlReturn_t result = nvml_host_check(device);
    if (result == NVML_SUCCESS)
        result = check_outputs(known, outputs);
    int index = index_of(known, arguments);
    if (result == NVML_SUCCESS && index < 0)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        result = nvml_host_take(device, &state);
    if (result != NVML_SUCCESS)
        return result;
    const struct nvml_facts *facts = &state->head.facts;
    result = (nvmlReturn_t)facts->results[known->first + index];
    if (result == NVML_SUCCESS)
        result = copy_out(known, facts->data + known->offset + (size_t)index * known->bytes, outputs, length);
    nvml_host_release();
    return result;
}

int fact_absent(const char *name)
{
    if (nvml_host_check(NVML_THE_DEVICE) != NVML_SUCCESS)
        return NVML_ERROR_UNINITIALIZED;
    if (diagnostics_wanted())
        diagnostics_say("%s is not supported", name);
    return NVML_ERROR_NOT_SUPPORTED;
}

int fact_refused(const char *name)
{
    if (nvml_host_check(NVML_THE_DEVICE) != NVML_SUCCESS)
        return NVML_ERROR_UNINITIALIZED;
    if (diagnostics_wanted())
        diagnostics_say("%s: a guest changes nothing of its GPU", name);
    return NVML_ERROR_NO_PERMISSION;
}
