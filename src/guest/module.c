/* Loading modules and libraries. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/connection.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/image.h"
#include "guest/init.h"
#include "guest/jit_options.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Options of a library that are numbers and mean something to the worker. */
static CUresult read_library_options(struct option_value *values, uint32_t *used, unsigned count,
                                     const CUlibraryOption *keys, void **given)
{
    *used = 0;
    if (count > OPTIONS_MAX || (count > 0 && keys == NULL))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++) {
        if (keys[i] == CU_LIBRARY_BINARY_IS_PRESERVED)
            continue; /* the worker has its own copy and preserves that */
        if (keys[i] == CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE)
            return CUDA_ERROR_NOT_SUPPORTED;
        values[(*used)++] =
            (struct option_value){.key = keys[i], .value = given != NULL ? (uintptr_t)given[i] : 0};
    }
    return CUDA_SUCCESS;
}

/* Takes the logs and the options' results out of the answer, which comes with failures too. */
static void take_results(const struct message *message, const struct jit_options *jit)
{
    size_t bytes;
    const uint8_t *body = message_reply(message, &bytes);
    struct reply_module_load reply;
    if (bytes < sizeof reply)
        return;
    memcpy(&reply, body, sizeof reply);
    uint64_t need = sizeof reply + (uint64_t)reply.option_count * sizeof(uint64_t) + reply.info_log_bytes +
                    reply.error_log_bytes;
    if (need > bytes || reply.option_count != jit->count)
        return;
    const uint8_t *at = body + sizeof reply;
    for (uint32_t i = 0; i < jit->count; i++, at += sizeof(uint64_t)) {
        uint64_t value;
        memcpy(&value, at, sizeof value);
        if (jit->values[i].key == CU_JIT_WALL_TIME || jit->values[i].key == CU_JIT_THREADS_PER_BLOCK)
            *jit->slots[i] = (void *)(uintptr_t)value;
    }
    jit_options_logs(jit, (const char *)at, reply.info_log_bytes, (const char *)at + reply.info_log_bytes,
                     reply.error_log_bytes);
}

struct load {
    enum call_number call;
    enum handle_kind kind;
    const void *code;
    struct jit_options jit;
    struct option_value library_options[OPTIONS_MAX];
    uint32_t library_option_count;
};

static CUresult upload_image(const struct image *image)
{
    CUresult result = CUDA_SUCCESS;
    uint64_t at = 0;
    for (unsigned i = 0; i < image->count && result == CUDA_SUCCESS; i++) {
        result = call_upload_part(image->pieces[i].data, image->pieces[i].bytes, at, image->bytes);
        at += image->pieces[i].bytes;
    }
    return result;
}

/* Whether the host has the image already, and then need not be sent it. */
static bool host_has_image(const struct image *image)
{
    struct request_image_find request = {.image_bytes = image->bytes};
    struct blake2b blake2b;
    blake2b_begin(&blake2b);
    for (unsigned i = 0; i < image->count; i++)
        blake2b_add(&blake2b, image->pieces[i].data, image->pieces[i].bytes);
    blake2b_end(&blake2b, request.digest);
    return call_wait(CALL_image_find, &request, sizeof request, NULL, 0, NULL, 0) == CUDA_SUCCESS;
}

static CUresult send_code(struct load *load, const struct image *image, uint64_t *handle)
{
    /* Through shared memory an image is sent in less time than it takes to name it. */
    bool upload = image->bytes > RECORD_INLINE_BYTES, keep = upload && !connection_shares_memory();
    CUresult result = upload && !(keep && host_has_image(image)) ? upload_image(image) : CUDA_SUCCESS;
    if (result != CUDA_SUCCESS)
        return result;
    struct request_module_load request = {.image_bytes = image->bytes,
                                          .image_uploaded = upload,
                                          .keep_image = keep,
                                          .option_count = load->jit.count,
                                          .library_option_count = load->library_option_count,
                                          .info_log_bytes = load->jit.info_log_bytes,
                                          .error_log_bytes = load->jit.error_log_bytes};
    request.handle = handle_reserve(load->kind);
    if (request.handle == 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    size_t jit_bytes = load->jit.count * sizeof(struct option_value);
    size_t library_bytes = load->library_option_count * sizeof(struct option_value);
    struct message message;
    result = message_begin(&message, load->call,
                           sizeof request + jit_bytes + library_bytes + (upload ? 0 : image->bytes));
    if (result != CUDA_SUCCESS) {
        handle_release(request.handle);
        return result;
    }
    uint8_t *at = message.body;
    memcpy(at, &request, sizeof request);
    memcpy(at + sizeof request, load->jit.values, jit_bytes);
    memcpy(at + sizeof request + jit_bytes, load->library_options, library_bytes);
    if (!upload)
        image_copy(image, at + sizeof request + jit_bytes + library_bytes);
    struct reply_module_load reply = {0};
    result = message_wait(&message, &reply, sizeof reply);
    if (library_state() == CUDA_SUCCESS)
        take_results(&message, &load->jit);
    handle_settle(request.handle, result == CUDA_SUCCESS ? reply.handle : 0);
    *handle = reply.handle;
    return result;
}

static unsigned capability_of_device(void)
{
    int major = 0, minor = 0;
    cuDeviceComputeCapability(&major, &minor, 0);
    return (unsigned)(major * 10 + minor);
}

/* PTX beside machine code for this very GPU stays here, until the host's driver has once refused the code
 * without it: one that compiles all code itself. */
static CUresult load_code(struct load *load, uint64_t *handle)
{
    static _Atomic bool compiles;
    unsigned capability = capability_of_device();
    for (;;) {
        struct image image;
        CUresult result = CUDA_ERROR_INVALID_IMAGE;
        if (image_open(load->code, capability, load->jit.count > 0 || atomic_load(&compiles), &image))
            result = send_code(load, &image, handle);
        bool again = result == CUDA_ERROR_NO_BINARY_FOR_GPU && image.lacks_ptx;
        image_close(&image);
        if (!again)
            return result;
        atomic_store(&compiles, true);
    }
}

VGPU_EXPORT CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int numOptions,
                                        CUjit_option *options, void **optionValues)
{
    struct load load = {.call = CALL_module_load, .kind = HANDLE_MODULE, .code = image};
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (module == NULL || image == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    result = jit_options_read(&load.jit, numOptions, options, optionValues);
    uint64_t handle;
    if (result == CUDA_SUCCESS)
        result = load_code(&load, &handle);
    if (result == CUDA_SUCCESS)
        *module = (CUmodule)(uintptr_t)handle;
    return result;
}

VGPU_EXPORT CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

VGPU_EXPORT CUresult cuModuleLoadFatBinary(CUmodule *module, const void *fatCubin)
{
    return cuModuleLoadDataEx(module, fatCubin, 0, NULL, NULL);
}

VGPU_EXPORT CUresult cuModuleLoad(CUmodule *module, const char *fname)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (module == NULL || fname == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t bytes;
    void *code = image_read_file(fname, &bytes);
    if (code == NULL)
        return CUDA_ERROR_FILE_NOT_FOUND;
    result = cuModuleLoadData(module, code);
    free(code);
    return result;
}

VGPU_EXPORT CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *jitOptions,
                                       void **jitOptionsValues, unsigned int numJitOptions,
                                       CUlibraryOption *libraryOptions, void **libraryOptionValues,
                                       unsigned int numLibraryOptions)
{
    struct load load = {.call = CALL_library_load, .kind = HANDLE_LIBRARY, .code = code};
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (library == NULL || code == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    result = jit_options_read(&load.jit, numJitOptions, jitOptions, jitOptionsValues);
    if (result == CUDA_SUCCESS)
        result = read_library_options(load.library_options, &load.library_option_count, numLibraryOptions,
                                      libraryOptions, libraryOptionValues);
    uint64_t handle;
    if (result == CUDA_SUCCESS)
        result = load_code(&load, &handle);
    if (result == CUDA_SUCCESS)
        *library = (CUlibrary)(uintptr_t)handle;
    return result;
}

VGPU_EXPORT CUresult cuLibraryLoadFromFile(CUlibrary *library, const char *fileName, CUjit_option *jitOptions,
                                           void **jitOptionsValues, unsigned int numJitOptions,
                                           CUlibraryOption *libraryOptions, void **libraryOptionValues,
                                           unsigned int numLibraryOptions)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (library == NULL || fileName == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t bytes;
    void *code = image_read_file(fileName, &bytes);
    if (code == NULL)
        return CUDA_ERROR_FILE_NOT_FOUND;
    result = cuLibraryLoadData(library, code, jitOptions, jitOptionsValues, numJitOptions, libraryOptions,
                               libraryOptionValues, numLibraryOptions);
    free(code);
    return result;
}
