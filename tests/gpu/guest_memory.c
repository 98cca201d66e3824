/* A guest that takes memory in every way there is, or shares it, for tests of what a VM may have:
 *
 *   guest-memory ways MIB         takes so much in each way, one after the other; a line "WAY RESULT" each
 *   guest-memory information      what the VM is told it has: "total T free F device D", in bytes
 *   guest-memory hold MIB         takes so much, says "holds", and keeps it until it is ended
 *   guest-memory export           exports memory, an event and an allocation: a line of 128 hexadecimal
 * digits each; then as hold guest-memory import NAMES...  imports what another one has exported; a line "KIND
 * RESULT" each
 *
 * Exit status 3 when a call failed that has nothing to do with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/gpu.h"

#define NAME_BYTES CU_IPC_HANDLE_SIZE

#define TRY(call) try_call(#call, (call))
static void try_call(const char *call, CUresult result)
{
    if (result == CUDA_SUCCESS)
        return;
    printf("%s -> %s\n", call, result_name(result));
    exit(3);
}

static const CUmemAllocationProp on_device_0 = {
    .type = CU_MEM_ALLOCATION_TYPE_PINNED,
    .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
    .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
};

static void start(void)
{
    CUdevice device;
    CUcontext context;
    setvbuf(stdout, NULL, _IOLBF, 0);
    TRY(cuInit(0));
    TRY(cuDeviceGet(&device, 0));
    TRY(cuDevicePrimaryCtxRetain(&context, device));
    TRY(cuCtxSetCurrent(context));
}

/* --- ways to take memory; each gives back what it took --- */

static CUresult linear(size_t bytes)
{
    CUdeviceptr memory;
    CUresult result = cuMemAlloc(&memory, bytes);
    if (result == CUDA_SUCCESS)
        TRY(cuMemFree(memory));
    return result;
}

static CUresult pitched(size_t bytes)
{
    CUdeviceptr memory;
    size_t pitch;
    CUresult result = cuMemAllocPitch(&memory, &pitch, 4096, bytes / 4096, 4);
    if (result == CUDA_SUCCESS)
        TRY(cuMemFree(memory));
    return result;
}

static CUresult in_stream_order(size_t bytes)
{
    CUdeviceptr memory;
    CUresult result = cuMemAllocAsync(&memory, bytes, NULL);
    if (result == CUDA_SUCCESS) {
        TRY(cuMemFreeAsync(memory, NULL));
        TRY(cuStreamSynchronize(NULL));
    }
    return result;
}

static CUresult from_a_pool(size_t bytes)
{
    const CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                       .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemoryPool pool;
    CUdeviceptr memory;
    TRY(cuMemPoolCreate(&pool, &properties));
    CUresult result = cuMemAllocFromPoolAsync(&memory, bytes, pool, NULL);
    if (result == CUDA_SUCCESS) {
        TRY(cuMemFreeAsync(memory, NULL));
        TRY(cuStreamSynchronize(NULL));
    }
    TRY(cuMemPoolDestroy(pool));
    return result;
}

static CUresult to_be_mapped(size_t bytes)
{
    CUmemGenericAllocationHandle memory;
    CUresult result = cuMemCreate(&memory, bytes, &on_device_0, 0);
    if (result == CUDA_SUCCESS)
        TRY(cuMemRelease(memory));
    return result;
}

static CUresult array(size_t bytes)
{
    CUDA_ARRAY_DESCRIPTOR description = {
        .Width = 4096, .Height = bytes / 16384, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
    CUarray made;
    CUresult result = cuArrayCreate(&made, &description);
    if (result == CUDA_SUCCESS)
        TRY(cuArrayDestroy(made));
    return result;
}

static void ways(size_t bytes)
{
    static const struct {
        const char *name;
        CUresult (*take)(size_t bytes);
    } all[] = {
        {"linear", linear},           {"pitched", pitched},           {"in_stream_order", in_stream_order},
        {"from_a_pool", from_a_pool}, {"to_be_mapped", to_be_mapped}, {"array", array},
    };
    for (size_t i = 0; i < COUNT_OF(all); i++)
        printf("%s %s\n", all[i].name, result_name(all[i].take(bytes)));
}

static void information(void)
{
    size_t free_bytes, total, device;
    TRY(cuMemGetInfo(&free_bytes, &total));
    TRY(cuDeviceTotalMem(&device, 0));
    printf("total %zu free %zu device %zu\n", total, free_bytes, device);
}

static void hold(size_t bytes)
{
    CUdeviceptr memory;
    TRY(cuMemAlloc(&memory, bytes));
    printf("holds\n");
    for (;;)
        pause();
}

/* --- sharing --- */

static void print_name(const void *name)
{
    const unsigned char *bytes = name;
    for (size_t i = 0; i < NAME_BYTES; i++)
        printf("%02x", bytes[i]);
    printf("\n");
}

static void read_name(const char *text, void *name)
{
    unsigned char *bytes = name;
    for (size_t i = 0; i < NAME_BYTES; i++) {
        unsigned value = 0;
        if (sscanf(text + 2 * i, "%2x", &value) != 1)
            exit(2);
        bytes[i] = (unsigned char)value;
    }
}

static void export_all(void)
{
    CUdeviceptr memory;
    CUevent event;
    CUmemGenericAllocationHandle allocation;
    CUipcMemHandle memory_name;
    CUipcEventHandle event_name;
    char descriptor_name[NAME_BYTES] = {0};
    size_t bytes;
    int fd;
    TRY(cuMemAlloc(&memory, 1 << 20));
    TRY(cuIpcGetMemHandle(&memory_name, memory));
    TRY(cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
    TRY(cuIpcGetEventHandle(&event_name, event));
    TRY(cuMemGetAllocationGranularity(&bytes, &on_device_0, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    TRY(cuMemCreate(&allocation, bytes, &on_device_0, 0));
    TRY(cuMemExportToShareableHandle(&fd, allocation, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    if (pread(fd, descriptor_name, sizeof descriptor_name, 0) != (ssize_t)sizeof descriptor_name)
        exit(2);
    print_name(&memory_name);
    print_name(&event_name);
    print_name(descriptor_name);
    hold(1 << 20);
}

static void import_all(char **names)
{
    CUipcMemHandle memory_name;
    CUipcEventHandle event_name;
    char descriptor_name[NAME_BYTES];
    CUdeviceptr memory;
    CUevent event;
    CUmemGenericAllocationHandle allocation;
    read_name(names[0], &memory_name);
    read_name(names[1], &event_name);
    read_name(names[2], descriptor_name);
    int fd = memfd_create("name", 0);
    if (fd < 0 || write(fd, descriptor_name, sizeof descriptor_name) != (ssize_t)sizeof descriptor_name)
        exit(2);
    printf("memory %s\n",
           result_name(cuIpcOpenMemHandle(&memory, memory_name, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)));
    printf("event %s\n", result_name(cuIpcOpenEventHandle(&event, event_name)));
    printf("allocation %s\n",
           result_name(cuMemImportFromShareableHandle(&allocation, (void *)(intptr_t)fd,
                                                      CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)));
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";
    start();
    if (strcmp(part, "ways") == 0 && argc == 3)
        ways((size_t)atol(argv[2]) << 20);
    else if (strcmp(part, "information") == 0)
        information();
    else if (strcmp(part, "hold") == 0 && argc == 3)
        hold((size_t)atol(argv[2]) << 20);
    else if (strcmp(part, "export") == 0)
        export_all();
    else if (strcmp(part, "import") == 0 && argc == 5)
        import_all(argv + 2);
    else
        return 2;
    return 0;
}
