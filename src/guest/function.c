#include "guest/function.h"

#include <search.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "guest/kept_answers.h"
#include "guest/lock.h"
#include "guest_forward.h"

static bool is_function(CUfunction function)
{
    return handle_alive(HANDLE_FUNCTION, (uintptr_t)function) ||
           handle_alive(HANDLE_KERNEL, (uintptr_t)function);
}

static _Atomic uint32_t attributes_changed;

uint32_t function_attributes_changed(void)
{
    return atomic_load_explicit(&attributes_changed, memory_order_acquire);
}

/* Asks the worker; the answer's places follow in the thread's reply buffer. */
static CUresult ask(CUfunction function, struct message *message, struct reply_function_info *info)
{
    struct request_function_info request = {.function = (uintptr_t)function};
    CUresult result = message_begin(message, CALL_function_info, sizeof request);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(message->body, &request, sizeof request);
    return message_wait(message, info, sizeof *info);
}

/* An attribute that the driver knows and that is not 0. */
static bool is_set(const struct reply_function_info *info, CUfunction_attribute attribute)
{
    return info->attributes[attribute].result == CUDA_SUCCESS && info->attributes[attribute].value != 0;
}

struct function_facts *function_facts_of(CUfunction function, CUresult *result)
{
    struct function_facts *facts = handle_data((uintptr_t)function);
    *result = CUDA_SUCCESS;
    if (facts != NULL && is_function(function))
        return facts;
    *result = library_state();
    if (*result == CUDA_SUCCESS && !is_function(function))
        *result = CUDA_ERROR_INVALID_HANDLE;
    if (*result != CUDA_SUCCESS)
        return NULL;
    struct message message;
    struct reply_function_info info;
    *result = ask(function, &message, &info);
    if (*result != CUDA_SUCCESS)
        return NULL;
    size_t bytes;
    const uint8_t *reply = message_reply(&message, &bytes);
    size_t places_bytes = info.parameter_count * sizeof(struct parameter_place);
    facts = bytes >= sizeof info + places_bytes
                ? calloc(1, sizeof *facts + places_bytes + info.parameter_bytes)
                : NULL;
    if (facts == NULL) {
        *result = CUDA_ERROR_OUT_OF_MEMORY;
        return NULL;
    }
    facts->info = info;
    facts->needs_clusters = is_set(&info, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET) ||
                            is_set(&info, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH) ||
                            is_set(&info, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT) ||
                            is_set(&info, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH);
    facts->block[0] = facts->block[1] = facts->block[2] = 1;
    memcpy(facts->places, reply + sizeof info, places_bytes);
    facts->parameters = (uint8_t *)(facts->places + info.parameter_count);
    facts = handle_attach((uintptr_t)function, facts);
    if (facts == NULL)
        *result = CUDA_ERROR_INVALID_HANDLE; /* it has gone meanwhile */
    return facts;
}

static bool is_attribute(CUfunction_attribute attribute)
{
    return (unsigned)attribute < CU_FUNC_ATTRIBUTE_MAX;
}

/* Whether the driver would take the value for certain, so that nobody need wait for it to say so. */
static bool cannot_be_refused(const struct function_facts *facts, CUfunction_attribute attribute, int value)
{
    const struct reply_device_info *device = device_facts();
    int shared_limit = device->attributes[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN].value;
    if (facts->info.attributes[attribute].result != CUDA_SUCCESS)
        return false;
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        return value >= 0 && value <= shared_limit - (int)facts->info.static_shared_bytes;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        return value >= -1 && value <= 100;
    default:
        return false;
    }
}

/* Programs set the same attribute before every launch: what is so already is not sent again. */
static bool may_be_so_already(CUfunction_attribute attribute)
{
    return attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES ||
           attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT ||
           attribute == CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED;
}

static void attribute_set(struct function_facts *facts, CUfunction_attribute attribute, int value)
{
    if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
        facts->info.max_dynamic_shared_bytes = (uint32_t)value;
    atomic_fetch_add_explicit(&attributes_changed, 1, memory_order_acq_rel);
    kept_forget();
}

VGPU_EXPORT CUresult cuFuncSetAttribute(CUfunction hfunc, CUfunction_attribute attrib, int value)
{
    CUresult result;
    struct function_facts *facts = function_facts_of(hfunc, &result);
    if (facts == NULL)
        return result;
    if (!is_attribute(attrib))
        return CUDA_ERROR_INVALID_VALUE;
    int now;
    if (may_be_so_already(attrib) && cuFuncGetAttribute(&now, attrib, hfunc) == CUDA_SUCCESS && now == value)
        return CUDA_SUCCESS;
    result = forward_cuFuncSetAttribute(!cannot_be_refused(facts, attrib, value), hfunc, attrib, value);
    if (result == CUDA_SUCCESS)
        attribute_set(facts, attrib, value);
    return result;
}

VGPU_EXPORT CUresult cuKernelSetAttribute(CUfunction_attribute attrib, int val, CUkernel kernel, CUdevice dev)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle_alive(HANDLE_KERNEL, (uintptr_t)kernel))
        return CUDA_ERROR_INVALID_HANDLE;
    struct function_facts *facts = function_facts_of((CUfunction)kernel, &result);
    if (facts == NULL)
        return result;
    if (!is_attribute(attrib))
        return CUDA_ERROR_INVALID_VALUE;
    int now;
    if (may_be_so_already(attrib) && cuKernelGetAttribute(&now, attrib, kernel, dev) == CUDA_SUCCESS &&
        now == val)
        return CUDA_SUCCESS;
    bool wait = dev != 0 || !cannot_be_refused(facts, attrib, val);
    result = forward_cuKernelSetAttribute(wait, attrib, val, kernel, dev);
    if (result == CUDA_SUCCESS)
        attribute_set(facts, attrib, val);
    return result;
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(one, other);
}

/* The text for as long as the process lives: the driver's lives as long as the module, and programs keep it.
 * One copy of each, so that loading the same code again and again takes no more. NULL: out of memory. */
static const char *name_kept(const char *text)
{
    static void *names; /* a tree of tsearch(3) */
    static struct lock names_lock;
    lock_take(&names_lock);
    char **known = tfind(text, &names, compare_names);
    if (known == NULL) {
        char *copy = strdup(text);
        known = copy != NULL ? tsearch(copy, &names, compare_names) : NULL;
        if (known == NULL)
            free(copy);
    }
    const char *kept = known != NULL ? *known : NULL;
    lock_give(&names_lock);
    return kept;
}

static CUresult name_of(const char **name, uint64_t handle, enum handle_kind kind)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (name == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (!handle_alive(kind, handle))
        return CUDA_ERROR_INVALID_HANDLE;
    struct function_facts *facts = function_facts_of((CUfunction)(uintptr_t)handle, &result);
    if (facts == NULL)
        return result;
    if (facts->name == NULL) {
        struct request_name_of request = {.handle = handle};
        char text[4096];
        result = call_wait(CALL_name_of, &request, sizeof request, NULL, 0, text, sizeof text - 1);
        if (result != CUDA_SUCCESS)
            return result;
        text[sizeof text - 1] = '\0';
        facts->name = name_kept(text);
        if (facts->name == NULL)
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *name = facts->name;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuFuncGetName(const char **name, CUfunction hfunc)
{
    return name_of(name, (uintptr_t)hfunc, HANDLE_FUNCTION);
}

VGPU_EXPORT CUresult cuKernelGetName(const char **name, CUkernel hfunc)
{
    return name_of(name, (uintptr_t)hfunc, HANDLE_KERNEL);
}

/* Names for the first `count` children of a module or library. */
static CUresult enumerate(uint64_t parent, enum handle_kind kind, void **children, unsigned int count)
{
    if (children == NULL || count == 0)
        return count == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (count > ENUMERATE_MAX)
        count = ENUMERATE_MAX;
    struct message message;
    struct request_enumerate request = {.parent = parent, .count = count};
    uint64_t *names = calloc(count, sizeof *names);
    if (names == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < count; i++)
        names[i] = handle_reserve(kind);
    CUresult result = message_begin(&message, CALL_enumerate, sizeof request + count * sizeof *names);
    if (result == CUDA_SUCCESS) {
        memcpy(message.body, &request, sizeof request);
        memcpy((uint8_t *)message.body + sizeof request, names, count * sizeof *names);
        result = message_wait(&message, NULL, 0);
    }
    size_t bytes = 0;
    const uint64_t *given = result == CUDA_SUCCESS ? message_reply(&message, &bytes) : NULL;
    for (unsigned i = 0; i < count; i++) {
        uint64_t name = (i + 1) * sizeof *given <= bytes ? given[i] : 0;
        handle_settle_child(names[i], name, parent);
        if (name != 0)
            children[i] = (void *)(uintptr_t)name;
    }
    free(names);
    return result;
}

VGPU_EXPORT CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned int numFunctions,
                                                CUmodule mod)
{
    return enumerate((uintptr_t)mod, HANDLE_FUNCTION, (void **)functions, numFunctions);
}

VGPU_EXPORT CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int numKernels, CUlibrary lib)
{
    return enumerate((uintptr_t)lib, HANDLE_KERNEL, (void **)kernels, numKernels);
}
