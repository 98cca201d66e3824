/* Memory, events and pools between processes of one VM. What a program passes on is a name that its worker
 * has made and that the worker of the other process knows again; where CUDA gives a descriptor, it is one of
 * a small file in memory with that name in it. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "guest/ranges.h"
#include "guest/unsupported.h"
#include "guest_forward.h"
#include "wire/own_calls.h"

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1u
#endif

/* The 64 bytes that a program passes on. */
struct passed_name {
    char mark[8];
    struct vm_export_name name;
    uint32_t kind; /* enum vm_export_kind */
    uint32_t reserved[5];
};
_Static_assert(sizeof(struct passed_name) == CU_IPC_HANDLE_SIZE, "a name takes the place of CUDA's handles");

static const char mark[8] = "vgpu-ex";

static CUresult export_object(enum vm_export_kind kind, uint64_t object, struct passed_name *passed)
{
    struct request_export_object request = {.object = object, .kind = kind};
    struct reply_export_object reply;
    CUresult result = call_wait(CALL_export_object, &request, sizeof request, NULL, 0, &reply, sizeof reply);
    if (result != CUDA_SUCCESS)
        return result;
    *passed = (struct passed_name){.name = reply.name, .kind = kind};
    memcpy(passed->mark, mark, sizeof mark);
    return CUDA_SUCCESS;
}

static CUresult import_object(enum vm_export_kind kind, const struct passed_name *passed,
                              struct request_import_object *request, struct reply_import_object *reply)
{
    if (memcmp(passed->mark, mark, sizeof mark) != 0 || passed->kind != (uint32_t)kind)
        return CUDA_ERROR_INVALID_VALUE;
    request->name = passed->name;
    request->kind = kind;
    return call_wait(CALL_import_object, request, sizeof *request, NULL, 0, reply, sizeof *reply);
}

/* Imports something that gets a handle. */
static CUresult import_handle(enum vm_export_kind kind, enum handle_kind handle_kind,
                              const struct passed_name *passed, uint64_t *handle)
{
    struct request_import_object request = {.handle = handle_reserve(handle_kind)};
    struct reply_import_object reply;
    if (request.handle == 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    uint64_t reserved = request.handle;
    CUresult result = import_object(kind, passed, &request, &reply);
    handle_settle(reserved, result == CUDA_SUCCESS ? reply.handle : 0);
    if (result == CUDA_SUCCESS)
        *handle = reply.handle;
    return result;
}

/* --- descriptors --- */

static CUresult name_to_descriptor(const struct passed_name *passed, int *fd)
{
    *fd = (int)syscall(SYS_memfd_create, "vgpu-export", MFD_CLOEXEC);
    if (*fd < 0)
        return CUDA_ERROR_OPERATING_SYSTEM;
    if (pwrite(*fd, passed, sizeof *passed, 0) == (ssize_t)sizeof *passed)
        return CUDA_SUCCESS;
    close(*fd);
    return CUDA_ERROR_OPERATING_SYSTEM;
}

static CUresult descriptor_to_name(int fd, struct passed_name *passed)
{
    ssize_t got;
    do {
        got = pread(fd, passed, sizeof *passed, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof *passed ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult export_descriptor(enum vm_export_kind kind, uint64_t object, void *shareable,
                                  CUmemAllocationHandleType type, unsigned long long flags,
                                  const char *symbol)
{
    struct passed_name passed;
    int fd;
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (type == CU_MEM_HANDLE_TYPE_FABRIC)
        return not_supported(symbol);
    if (shareable == NULL || object == 0 || flags != 0 || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        return CUDA_ERROR_INVALID_VALUE;
    result = export_object(kind, object, &passed);
    if (result == CUDA_SUCCESS)
        result = name_to_descriptor(&passed, &fd);
    if (result == CUDA_SUCCESS)
        memcpy(shareable, &fd, sizeof fd);
    return result;
}

static CUresult import_descriptor(enum vm_export_kind kind, enum handle_kind handle_kind, void *shareable,
                                  CUmemAllocationHandleType type, uint64_t *handle, const char *symbol)
{
    struct passed_name passed;
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (type == CU_MEM_HANDLE_TYPE_FABRIC)
        return not_supported(symbol);
    if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        return CUDA_ERROR_INVALID_VALUE;
    result = descriptor_to_name((int)(intptr_t)shareable, &passed);
    return result == CUDA_SUCCESS ? import_handle(kind, handle_kind, &passed, handle) : result;
}

VGPU_EXPORT CUresult cuMemExportToShareableHandle(void *shareableHandle, CUmemGenericAllocationHandle handle,
                                                  CUmemAllocationHandleType handleType,
                                                  unsigned long long flags)
{
    return export_descriptor(EXPORT_ALLOCATION, handle, shareableHandle, handleType, flags,
                             "cuMemExportToShareableHandle of a fabric handle");
}

VGPU_EXPORT CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *osHandle,
                                                    CUmemAllocationHandleType shHandleType)
{
    uint64_t name = 0;
    if (handle == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = import_descriptor(EXPORT_ALLOCATION, HANDLE_ALLOCATION, osHandle, shHandleType, &name,
                                        "cuMemImportFromShareableHandle of a fabric handle");
    if (result == CUDA_SUCCESS)
        *handle = name;
    return result;
}

VGPU_EXPORT CUresult cuMemPoolExportToShareableHandle(void *handle_out, CUmemoryPool pool,
                                                      CUmemAllocationHandleType handleType,
                                                      unsigned long long flags)
{
    return export_descriptor(EXPORT_POOL, (uintptr_t)pool, handle_out, handleType, flags,
                             "cuMemPoolExportToShareableHandle of a fabric handle");
}

VGPU_EXPORT CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *pool_out, void *handle,
                                                        CUmemAllocationHandleType handleType,
                                                        unsigned long long flags)
{
    uint64_t name = 0;
    if (pool_out == NULL || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = import_descriptor(EXPORT_POOL, HANDLE_POOL, handle, handleType, &name,
                                        "cuMemPoolImportFromShareableHandle of a fabric handle");
    if (result == CUDA_SUCCESS)
        *pool_out = (CUmemoryPool)(uintptr_t)name;
    return result;
}

/* --- memory --- */

/* Another process's memory, at an address that must be free here too: there is no choosing another. */
static CUresult import_address(enum vm_export_kind kind, const struct passed_name *passed,
                               struct request_import_object *request, enum range_kind range_kind,
                               CUdeviceptr *address)
{
    struct reply_import_object reply;
    CUresult result = import_object(kind, passed, request, &reply);
    if (result != CUDA_SUCCESS)
        return result;
    struct range range = {.address = reply.address, .bytes = reply.bytes, .kind = range_kind};
    if (!reservation_take(range.address, range.bytes) || !ranges_add(&range)) {
        if (kind == EXPORT_MEMORY)
            forward_cuIpcCloseMemHandle(reply.address);
        else
            forward_cuMemFree_v2(reply.address);
        return CUDA_ERROR_MAP_FAILED;
    }
    *address = reply.address;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuIpcGetMemHandle(CUipcMemHandle *pHandle, CUdeviceptr dptr)
{
    struct passed_name passed;
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (pHandle == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    result = export_object(EXPORT_MEMORY, dptr, &passed);
    if (result == CUDA_SUCCESS)
        memcpy(pHandle, &passed, sizeof passed);
    return result;
}

VGPU_EXPORT CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *pdptr, CUipcMemHandle handle, unsigned int Flags)
{
    struct passed_name passed;
    struct request_import_object request = {.flags = Flags};
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (pdptr == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&passed, &handle, sizeof passed);
    return import_address(EXPORT_MEMORY, &passed, &request, RANGE_IMPORTED, pdptr);
}

VGPU_EXPORT CUresult cuIpcOpenMemHandle(CUdeviceptr *pdptr, CUipcMemHandle handle, unsigned int Flags)
{
    return cuIpcOpenMemHandle_v2(pdptr, handle, Flags);
}

VGPU_EXPORT CUresult cuIpcCloseMemHandle(CUdeviceptr dptr)
{
    struct range range;
    bool known = ranges_remove(RANGE_IMPORTED, dptr, &range);
    CUresult result = forward_cuIpcCloseMemHandle(dptr);
    if (known && result != CUDA_SUCCESS)
        ranges_add(&range);
    return result;
}

VGPU_EXPORT CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData *shareData_out, CUdeviceptr ptr)
{
    struct passed_name passed;
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (shareData_out == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    result = export_object(EXPORT_POINTER, ptr, &passed);
    if (result == CUDA_SUCCESS)
        memcpy(shareData_out, &passed, sizeof passed);
    return result;
}

/* It is freed like memory of one's own. */
VGPU_EXPORT CUresult cuMemPoolImportPointer(CUdeviceptr *ptr_out, CUmemoryPool pool,
                                            CUmemPoolPtrExportData *shareData)
{
    struct passed_name passed;
    struct request_import_object request = {.pool = (uintptr_t)pool};
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (ptr_out == NULL || pool == NULL || shareData == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&passed, shareData, sizeof passed);
    return import_address(EXPORT_POINTER, &passed, &request, RANGE_DEVICE, ptr_out);
}

/* --- events --- */

VGPU_EXPORT CUresult cuIpcGetEventHandle(CUipcEventHandle *pHandle, CUevent event)
{
    struct passed_name passed;
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (pHandle == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    result = export_object(EXPORT_EVENT, (uintptr_t)event, &passed);
    if (result == CUDA_SUCCESS)
        memcpy(pHandle, &passed, sizeof passed);
    return result;
}

VGPU_EXPORT CUresult cuIpcOpenEventHandle(CUevent *phEvent, CUipcEventHandle handle)
{
    struct passed_name passed;
    uint64_t name = 0;
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (phEvent == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&passed, &handle, sizeof passed);
    result = import_handle(EXPORT_EVENT, HANDLE_EVENT, &passed, &name);
    if (result == CUDA_SUCCESS)
        *phEvent = (CUevent)(uintptr_t)name;
    return result;
}
