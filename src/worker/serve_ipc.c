/* Memory, events and pools between processes of one VM. What a guest shows of another's is looked up in the
 * VM's own list; the driver is only ever handed what one of the VM's workers got from it. */
#include "worker/serve.h"

#include <string.h>
#include <unistd.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/device_memory.h"
#include "worker/exports.h"
#include "worker/handle_map.h"
#include "worker/held_memory.h"
#include "worker/mapped_memory.h"

/* --- out --- */

static CUresult export_memory(CUdeviceptr address, struct reply_export_object *reply)
{
    CUipcMemHandle handle;
    CUdeviceptr base;
    size_t bytes;
    CUresult result = device_memory_check(address);
    if (result == CUDA_SUCCESS && export_known(EXPORT_MEMORY, address, &reply->name))
        return CUDA_SUCCESS;
    if (result == CUDA_SUCCESS)
        result = driver.cuIpcGetMemHandle(&handle, address);
    if (result == CUDA_SUCCESS)
        result = driver.cuMemGetAddressRange_v2(&base, &bytes, address);
    return result == CUDA_SUCCESS
               ? export_add(EXPORT_MEMORY, address, bytes, &handle, sizeof handle, -1, &reply->name)
               : result;
}

static CUresult export_event(uint64_t name, struct reply_export_object *reply)
{
    CUipcEventHandle handle;
    CUevent event;
    if (!handle_find(HANDLE_EVENT, name, (void **)&event) || event == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if (export_known(EXPORT_EVENT, (uintptr_t)event, &reply->name))
        return CUDA_SUCCESS;
    CUresult result = driver.cuIpcGetEventHandle(&handle, event);
    return result == CUDA_SUCCESS
               ? export_add(EXPORT_EVENT, (uintptr_t)event, 0, &handle, sizeof handle, -1, &reply->name)
               : result;
}

static CUresult export_allocation(uint64_t name, struct reply_export_object *reply)
{
    void *object;
    int fd = -1;
    if (!handle_find(HANDLE_ALLOCATION, name, &object) || object == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUmemGenericAllocationHandle handle = (uintptr_t)object;
    uint64_t bytes, number = allocation_number(handle, &bytes);
    if (export_known(EXPORT_ALLOCATION, number, &reply->name))
        return CUDA_SUCCESS;
    CUresult result =
        driver.cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
    return result == CUDA_SUCCESS ? export_add(EXPORT_ALLOCATION, number, bytes, NULL, 0, fd, &reply->name)
                                  : result;
}

static CUresult export_pool(uint64_t name, struct reply_export_object *reply)
{
    CUmemoryPool pool;
    int fd = -1;
    if (!handle_find(HANDLE_POOL, name, (void **)&pool) || pool == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (export_known(EXPORT_POOL, (uintptr_t)pool, &reply->name))
        return CUDA_SUCCESS;
    CUresult result =
        driver.cuMemPoolExportToShareableHandle(&fd, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
    return result == CUDA_SUCCESS ? export_add(EXPORT_POOL, (uintptr_t)pool, 0, NULL, 0, fd, &reply->name)
                                  : result;
}

static CUresult export_pointer(CUdeviceptr address, struct reply_export_object *reply)
{
    CUmemPoolPtrExportData data;
    uint64_t bytes = held_memory_bytes(HELD_POOLED, address);
    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (export_known(EXPORT_POINTER, address, &reply->name))
        return CUDA_SUCCESS;
    CUresult result = driver.cuMemPoolExportPointer(&data, address);
    return result == CUDA_SUCCESS
               ? export_add(EXPORT_POINTER, address, bytes, &data, sizeof data, -1, &reply->name)
               : result;
}

CUresult serve_export_object(struct call *call)
{
    const struct request_export_object *request = call->request;
    struct reply_export_object reply = {0};
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    if (driver.cuIpcGetMemHandle == NULL || driver.cuMemPoolExportToShareableHandle == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (request->kind == EXPORT_MEMORY)
        result = export_memory(request->object, &reply);
    else if (request->kind == EXPORT_EVENT)
        result = export_event(request->object, &reply);
    else if (request->kind == EXPORT_ALLOCATION)
        result = export_allocation(request->object, &reply);
    else if (request->kind == EXPORT_POOL)
        result = export_pool(request->object, &reply);
    else if (request->kind == EXPORT_POINTER)
        result = export_pointer(request->object, &reply);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &reply, sizeof reply);
    return result;
}

/* --- in --- */

/* Imported memory counts for this process as well: its exporter may end before it does. */
static CUresult import_memory(const struct request_import_object *request, const struct vm_export *found,
                              struct reply_import_object *reply)
{
    CUipcMemHandle handle;
    memcpy(&handle, found->data, sizeof handle);
    CUresult result = held_memory_claim(found->bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = driver.cuIpcOpenMemHandle_v2(&reply->address, handle, request->flags);
    held_memory_settle(found->bytes, HELD_IMPORTED, reply->address,
                       result == CUDA_SUCCESS ? found->bytes : 0);
    return result;
}

static CUresult import_event(const struct request_import_object *request, const struct vm_export *found,
                             struct reply_import_object *reply)
{
    CUipcEventHandle handle;
    CUevent event;
    memcpy(&handle, found->data, sizeof handle);
    CUresult result = handle_check_name(HANDLE_EVENT, request->handle);
    if (result == CUDA_SUCCESS)
        result = driver.cuIpcOpenEventHandle(&event, handle);
    if (result == CUDA_SUCCESS)
        reply->handle = call_name(HANDLE_EVENT, request->handle, event, 0);
    return result;
}

static CUresult import_allocation(const struct request_import_object *request, const struct vm_export *found,
                                  struct reply_import_object *reply)
{
    CUmemGenericAllocationHandle handle = 0;
    CUresult result = handle_check_name(HANDLE_ALLOCATION, request->handle);
    if (result == CUDA_SUCCESS)
        result = held_memory_claim(found->bytes);
    if (result != CUDA_SUCCESS)
        return result;
    int fd = export_fetch(found);
    result = fd >= 0 ? driver.cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)fd,
                                                             CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
                     : CUDA_ERROR_INVALID_VALUE;
    if (fd >= 0)
        close(fd);
    if (result == CUDA_SUCCESS)
        result = allocation_name(request->handle, handle, found->bytes, &reply->handle);
    if (result != CUDA_SUCCESS)
        held_memory_settle(found->bytes, HELD_ALLOCATION, 0, 0);
    return result;
}

static CUresult import_pool(const struct request_import_object *request, const struct vm_export *found,
                            struct reply_import_object *reply)
{
    CUmemoryPool pool = NULL;
    CUresult result = handle_check_name(HANDLE_POOL, request->handle);
    if (result != CUDA_SUCCESS)
        return result;
    int fd = export_fetch(found);
    result = fd >= 0 ? driver.cuMemPoolImportFromShareableHandle(&pool, (void *)(intptr_t)fd,
                                                                 CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0)
                     : CUDA_ERROR_INVALID_VALUE;
    if (fd >= 0)
        close(fd);
    if (result == CUDA_SUCCESS)
        reply->handle = call_name(HANDLE_POOL, request->handle, pool, 0);
    return result;
}

static CUresult import_pointer(const struct request_import_object *request, const struct vm_export *found,
                               struct reply_import_object *reply)
{
    CUmemPoolPtrExportData data;
    CUmemoryPool pool;
    memcpy(&data, found->data, sizeof data);
    if (!handle_find(HANDLE_POOL, request->pool, (void **)&pool) || pool == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = held_memory_claim(found->bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = driver.cuMemPoolImportPointer(&reply->address, pool, &data);
    held_memory_settle(found->bytes, HELD_IMPORTED, reply->address,
                       result == CUDA_SUCCESS ? found->bytes : 0);
    return result;
}

CUresult serve_import_object(struct call *call)
{
    const struct request_import_object *request = call->request;
    struct reply_import_object reply = {0};
    struct vm_export found;
    if (driver.cuIpcOpenMemHandle_v2 == NULL || driver.cuMemPoolImportFromShareableHandle == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = export_find((enum vm_export_kind)request->kind, &request->name, &found);
    if (result != CUDA_SUCCESS)
        return result;
    if (request->kind == EXPORT_MEMORY)
        result = import_memory(request, &found, &reply);
    else if (request->kind == EXPORT_EVENT)
        result = import_event(request, &found, &reply);
    else if (request->kind == EXPORT_ALLOCATION)
        result = import_allocation(request, &found, &reply);
    else if (request->kind == EXPORT_POOL)
        result = import_pool(request, &found, &reply);
    else
        result = import_pointer(request, &found, &reply);
    reply.bytes = found.bytes;
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &reply, sizeof reply);
    return result;
}

CUresult serve_cuIpcCloseMemHandle(struct call *call)
{
    const struct request_cuIpcCloseMemHandle *request = call->request;
    struct held_memory held;
    if (!held_memory_withdraw(HELD_IMPORTED, request->dptr, &held))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = driver.cuIpcCloseMemHandle(request->dptr);
    held_memory_end(&held, result == CUDA_SUCCESS);
    return result;
}

CUresult serve_cuEventDestroy_v2(struct call *call)
{
    const struct request_cuEventDestroy_v2 *request = call->request;
    CUevent event;
    if (!handle_withdraw(HANDLE_EVENT, request->hEvent, (void **)&event))
        return CUDA_ERROR_INVALID_HANDLE;
    export_remove(EXPORT_EVENT, (uintptr_t)event, 1);
    CUresult result = driver.cuEventDestroy_v2(event);
    handle_withdrawn_end(request->hEvent, result == CUDA_SUCCESS ? HANDLE_GONE : HANDLE_STAYS);
    return result;
}
