/* Memory, events and pools between two processes. The second one is this program again, started with the name
 * of the part it has to play and a socket to the first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gpu.h"

#define COUNT 4096u
#define BYTES (COUNT * sizeof(uint32_t))

/* --- the socket --- */

struct message {
    char bytes[CU_IPC_HANDLE_SIZE];
};

/* A message, perhaps with a descriptor (-1: none). */
static int tell(int socket, const void *bytes, size_t count, int fd)
{
    struct message message = {{0}};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {&message, sizeof message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0)
        memcpy(message.bytes, bytes, count);
    if (fd >= 0) {
        header.msg_control = &control;
        header.msg_controllen = sizeof control.room;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    return sendmsg(socket, &header, MSG_NOSIGNAL) == (ssize_t)sizeof message;
}

static int hear(int socket, struct message *message, int *fd)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {message, sizeof *message};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    if (recvmsg(socket, &header, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof *message)
        return 0;
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    if (fd != NULL)
        *fd = -1;
    if (fd != NULL && rights != NULL)
        memcpy(fd, CMSG_DATA(rights), sizeof *fd);
    return 1;
}

/* --- the second process: no transcript, only its exit status; a failed line goes to stderr --- */

#define WANT(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "second process, line %d: %s\n", __LINE__, #condition);                          \
            exit(3);                                                                                         \
        }                                                                                                    \
    } while (0)
#define WANT_SUCCESS(call) WANT((call) == CUDA_SUCCESS)

static void start_second(void)
{
    CUdevice device;
    CUcontext context;
    WANT_SUCCESS(cuInit(0));
    WANT_SUCCESS(cuDeviceGet(&device, 0));
    WANT_SUCCESS(cuDevicePrimaryCtxRetain(&context, device));
    WANT_SUCCESS(cuCtxSetCurrent(context));
}

/* Finds 0, 1, 2, ... and leaves 1000, 1001, 1002, ... */
static void change_numbers(CUdeviceptr memory)
{
    static uint32_t numbers[COUNT];
    WANT_SUCCESS(cuMemcpyDtoH(numbers, memory, BYTES));
    for (uint32_t i = 0; i < COUNT; i++) {
        WANT(numbers[i] == i);
        numbers[i] += 1000;
    }
    WANT_SUCCESS(cuMemcpyHtoD(memory, numbers, BYTES));
    WANT_SUCCESS(cuCtxSynchronize());
}

static void second_memory(int socket)
{
    struct message message;
    CUipcMemHandle handle;
    CUdeviceptr memory = 0, again = 0;
    WANT(hear(socket, &message, NULL));
    memcpy(&handle, &message, sizeof handle);
    WANT_SUCCESS(cuIpcOpenMemHandle(&memory, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
    change_numbers(memory);
    WANT_SUCCESS(cuIpcOpenMemHandle(&again, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
    WANT(again == memory);
    WANT_SUCCESS(cuIpcCloseMemHandle(memory));
    WANT_SUCCESS(cuIpcCloseMemHandle(memory));
    WANT(cuIpcCloseMemHandle(memory) != CUDA_SUCCESS);
}

static void second_event(int socket)
{
    struct message message;
    CUipcEventHandle handle;
    CUevent event;
    CUstream stream;
    WANT(hear(socket, &message, NULL));
    memcpy(&handle, &message, sizeof handle);
    WANT_SUCCESS(cuIpcOpenEventHandle(&event, handle));
    WANT(cuEventQuery(event) == CUDA_ERROR_NOT_READY);
    WANT_SUCCESS(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    WANT_SUCCESS(cuStreamWaitEvent(stream, event, 0));
    WANT(cuStreamQuery(stream) == CUDA_ERROR_NOT_READY);
    WANT(tell(socket, NULL, 0, -1)); /* now it may happen */
    WANT_SUCCESS(cuStreamSynchronize(stream));
    WANT_SUCCESS(cuEventSynchronize(event));
    WANT_SUCCESS(cuEventQuery(event));
    WANT_SUCCESS(cuEventDestroy(event));
    WANT_SUCCESS(cuStreamDestroy(stream));
}

static const CUmemAllocationProp exportable = {
    .type = CU_MEM_ALLOCATION_TYPE_PINNED,
    .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
    .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
};
static const CUmemAccessDesc read_and_write = {
    .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
};

static void second_allocation(int socket)
{
    struct message message;
    CUmemGenericAllocationHandle handle = 0;
    CUmemAllocationProp properties;
    CUdeviceptr address = 0;
    size_t bytes = 0;
    int fd;
    WANT(hear(socket, &message, &fd) && fd >= 0);
    WANT_SUCCESS(cuMemGetAllocationGranularity(&bytes, &exportable, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    WANT_SUCCESS(cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)fd,
                                                CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    close(fd);
    WANT_SUCCESS(cuMemGetAllocationPropertiesFromHandle(&properties, handle));
    WANT(properties.location.type == CU_MEM_LOCATION_TYPE_DEVICE && properties.location.id == 0);
    WANT_SUCCESS(cuMemAddressReserve(&address, bytes, 0, 0, 0));
    WANT_SUCCESS(cuMemMap(address, bytes, 0, handle, 0));
    WANT_SUCCESS(cuMemSetAccess(address, bytes, &read_and_write, 1));
    WANT_SUCCESS(cuMemRelease(handle));
    change_numbers(address);
    WANT_SUCCESS(cuMemUnmap(address, bytes));
    WANT_SUCCESS(cuMemAddressFree(address, bytes));
}

static void second_pool(int socket)
{
    struct message message;
    CUmemPoolPtrExportData data;
    CUmemoryPool pool = NULL;
    CUdeviceptr memory = 0;
    int fd;
    WANT(hear(socket, &message, &fd) && fd >= 0);
    memcpy(&data, &message, sizeof data);
    WANT_SUCCESS(cuMemPoolImportFromShareableHandle(&pool, (void *)(intptr_t)fd,
                                                    CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    close(fd);
    WANT_SUCCESS(cuMemPoolImportPointer(&memory, pool, &data));
    change_numbers(memory);
    WANT_SUCCESS(cuMemFree(memory));
    WANT_SUCCESS(cuMemPoolDestroy(pool));
}

/* --- the first process --- */

static pid_t start_process(const char *part, int *ours)
{
    int pair[2];
    char number[16];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    int theirs = dup(pair[1]);
    close(pair[1]);
    snprintf(number, sizeof number, "%d", theirs);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char *arguments[] = {"gpu-ipc", "--part", (char *)part, number, NULL};
        execve("/proc/self/exe", arguments, environ);
        _exit(4);
    }
    close(theirs);
    *ours = pair[0];
    return pid;
}

static void end_process(pid_t pid, int socket)
{
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    close(socket);
}

static void fill_numbers(CUdeviceptr memory)
{
    uint32_t first = 0, count = COUNT;
    gpu_launch(gpu_kernel(ptx_basics, "fill"), count, NULL, ARGUMENTS(&memory, &first, &count));
    REQUIRE(cuCtxSynchronize());
}

static void check_changed(CUdeviceptr memory)
{
    static uint32_t numbers[COUNT];
    uint32_t wrong = 0;
    REQUIRE(cuMemcpyDtoH(numbers, memory, BYTES));
    for (uint32_t i = 0; i < COUNT; i++)
        wrong += numbers[i] != i + 1000;
    CHECK(wrong == 0);
}

static void memory_of_another(void)
{
    CUdeviceptr memory;
    CUipcMemHandle handle, same;
    int socket = -1;
    gpu_use();
    REQUIRE(cuMemAlloc(&memory, BYTES));
    fill_numbers(memory);
    EXPECT(CUDA_SUCCESS, cuIpcGetMemHandle(&handle, memory));
    EXPECT(CUDA_SUCCESS, cuIpcGetMemHandle(&same, memory));
    CHECK(memcmp(&handle, &same, sizeof handle) == 0);
    pid_t pid = start_process("memory", &socket);
    CHECK(tell(socket, &handle, sizeof handle, -1));
    end_process(pid, socket);
    check_changed(memory);
    REQUIRE(cuMemFree(memory));
}

static void event_of_another(void)
{
    struct message message;
    CUipcEventHandle handle;
    CUevent event;
    CUstream stream;
    int socket = -1;
    gpu_use();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    EXPECT(CUDA_SUCCESS, cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
    EXPECT(CUDA_SUCCESS, cuIpcGetEventHandle(&handle, event));
    struct gate gate = gate_create();
    gate_close_stream(&gate, stream);
    EXPECT(CUDA_SUCCESS, cuEventRecord(event, stream));
    EXPECT(CUDA_ERROR_NOT_READY, cuEventQuery(event));
    pid_t pid = start_process("event", &socket);
    CHECK(tell(socket, &handle, sizeof handle, -1));
    CHECK(hear(socket, &message, NULL));
    gate_open(&gate);
    end_process(pid, socket);
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(event));
    REQUIRE(cuStreamSynchronize(stream));
    gate_destroy(&gate);
    EXPECT(CUDA_SUCCESS, cuEventDestroy(event));
    REQUIRE(cuStreamDestroy(stream));
}

static void allocation_of_another(void)
{
    CUmemGenericAllocationHandle handle = 0;
    CUdeviceptr address = 0;
    size_t bytes = 0;
    int fd = -1, socket = -1;
    gpu_use();
    if (!gpu_attribute(CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED))
        SKIP("no descriptors of memory on this device");
    REQUIRE(cuMemGetAllocationGranularity(&bytes, &exportable, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    EXPECT(CUDA_SUCCESS, cuMemCreate(&handle, bytes, &exportable, 0));
    REQUIRE(cuMemAddressReserve(&address, bytes, 0, 0, 0));
    REQUIRE(cuMemMap(address, bytes, 0, handle, 0));
    REQUIRE(cuMemSetAccess(address, bytes, &read_and_write, 1));
    fill_numbers(address);
    EXPECT(CUDA_SUCCESS,
           cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    CHECK(fd >= 0);
    pid_t pid = start_process("allocation", &socket);
    CHECK(tell(socket, NULL, 0, fd));
    close(fd);
    end_process(pid, socket);
    check_changed(address);
    REQUIRE(cuMemUnmap(address, bytes));
    REQUIRE(cuMemRelease(handle));
    REQUIRE(cuMemAddressFree(address, bytes));
}

static void pool_of_another(void)
{
    const CUmemPoolProps properties = {
        .allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
        .handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
        .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
    };
    CUmemPoolPtrExportData data;
    CUmemoryPool pool = NULL;
    CUdeviceptr memory = 0;
    int fd = -1, socket = -1;
    gpu_use();
    if (!gpu_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED))
        SKIP("no memory pools on this device");
    EXPECT(CUDA_SUCCESS, cuMemPoolCreate(&pool, &properties));
    REQUIRE(cuMemAllocFromPoolAsync(&memory, BYTES, pool, NULL));
    fill_numbers(memory);
    EXPECT(CUDA_SUCCESS,
           cuMemPoolExportToShareableHandle(&fd, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    EXPECT(CUDA_SUCCESS, cuMemPoolExportPointer(&data, memory));
    pid_t pid = start_process("pool", &socket);
    CHECK(tell(socket, &data, sizeof data, fd));
    close(fd);
    end_process(pid, socket);
    check_changed(memory);
    REQUIRE(cuMemFreeAsync(memory, NULL));
    REQUIRE(cuStreamSynchronize(NULL));
    EXPECT(CUDA_SUCCESS, cuMemPoolDestroy(pool));
}

static void refused(void)
{
    CUdeviceptr memory = 0, opened = 0;
    CUipcMemHandle handle, nobodys;
    CUipcEventHandle event_handle;
    CUmemGenericAllocationHandle allocation = 0;
    CUevent event;
    int pipe_ends[2];
    gpu_use();
    memset(&nobodys, 0x5a, sizeof nobodys);
    memset(&event_handle, 0x5a, sizeof event_handle);
    REQUIRE(cuMemAlloc(&memory, BYTES));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuIpcGetMemHandle(&handle, 0x1234567));
    CHECK(cuIpcOpenMemHandle(&opened, nobodys, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) != CUDA_SUCCESS);
    CHECK(cuIpcOpenEventHandle(&event, event_handle) != CUDA_SUCCESS);
    EXPECT(CUDA_SUCCESS, cuIpcGetMemHandle(&handle, memory));
    NOTE(cuIpcOpenMemHandle(&opened, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
    CHECK(cuIpcCloseMemHandle(memory) != CUDA_SUCCESS);
    REQUIRE(cuEventCreate(&event, CU_EVENT_DEFAULT));
    CHECK(cuIpcGetEventHandle(&event_handle, event) != CUDA_SUCCESS);
    REQUIRE(cuEventDestroy(event));
    CHECK(pipe(pipe_ends) == 0);
    CHECK(cuMemImportFromShareableHandle(&allocation, (void *)(intptr_t)pipe_ends[0],
                                         CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != CUDA_SUCCESS);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    REQUIRE(cuMemFree(memory));
    EXPECT(CUDA_SUCCESS, cuCtxSynchronize());
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(int socket);
    } parts[] = {
        {"memory", second_memory},
        {"event", second_event},
        {"allocation", second_allocation},
        {"pool", second_pool},
    };
    static const struct test_case cases[] = {
        CASE(memory_of_another), CASE(event_of_another), CASE(allocation_of_another),
        CASE(pool_of_another),   CASE(refused),
    };
    for (size_t i = 0; argc == 4 && i < COUNT_OF(parts); i++) {
        if (strcmp(argv[1], "--part") == 0 && strcmp(argv[2], parts[i].name) == 0) {
            start_second();
            parts[i].run(atoi(argv[3]));
            return 0;
        }
    }
    return suite_main("ipc", cases, COUNT_OF(cases), argc, argv);
}
