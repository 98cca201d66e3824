/* What a CUDA call costs: latencies of launches and copies, and copy bandwidth. Runs on whichever
 * libcuda.so.1 the loader finds, and prints one line a figure: `name value unit`. bench/run-calls runs it
 * natively and through the queue and prints both with their ratio. */
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .entry empty(.param .u64 unused)\n{\n    ret;\n}\n";

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void check(CUresult result, const char *what)
{
    const char *name = NULL;
    if (result == CUDA_SUCCESS)
        return;
    cuGetErrorName(result, &name);
    fprintf(stderr, "calls: %s: %s\n", what, name ? name : "unknown error");
    exit(1);
}
#define CHECK(call) check(call, #call)

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static CUfunction empty_kernel;

static void launch_empty(void)
{
    unsigned long long unused = 0;
    void *parameters[] = {&unused};
    CHECK(cuLaunchKernel(empty_kernel, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL));
}

/* Median and 99th percentile of `samples` runs of one operation. */
static void report_latency(const char *name, int samples, void (*operation)(void *), void *argument)
{
    double *times = malloc((size_t)samples * sizeof *times);
    for (int i = 0; i < samples / 10; i++)
        operation(argument);
    for (int i = 0; i < samples; i++) {
        double start = now_us();
        operation(argument);
        times[i] = now_us() - start;
    }
    qsort(times, (size_t)samples, sizeof *times, compare);
    printf("%s_p50 %.3f us\n%s_p99 %.3f us\n", name, times[samples / 2], name, times[samples * 99 / 100]);
    free(times);
}

static void launch_and_wait(void *unused)
{
    launch_empty();
    CHECK(cuCtxSynchronize());
}

struct transfer {
    CUdeviceptr device;
    void *host;
    size_t bytes;
};

static void to_device(void *argument)
{
    struct transfer *transfer = argument;
    CHECK(cuMemcpyHtoD(transfer->device, transfer->host, transfer->bytes));
}

static void from_device(void *argument)
{
    struct transfer *transfer = argument;
    CHECK(cuMemcpyDtoH(transfer->host, transfer->device, transfer->bytes));
}

static void event_query(void *argument)
{
    CUresult result = cuEventQuery(*(CUevent *)argument);
    if (result != CUDA_ERROR_NOT_READY)
        check(result, "cuEventQuery");
}

static void allocate_and_free(void *unused)
{
    CUdeviceptr device;
    CHECK(cuMemAlloc(&device, 1 << 20));
    CHECK(cuMemFree(device));
}

static void report_launch_rate(int launches)
{
    for (int i = 0; i < 1000; i++)
        launch_empty();
    CHECK(cuCtxSynchronize());
    double start = now_us();
    for (int i = 0; i < launches; i++)
        launch_empty();
    CHECK(cuCtxSynchronize());
    printf("launch_async %.3f us\n", (now_us() - start) / launches);
}

/* The best of several passes over the whole buffer: the rest is the machine's noise. */
static void report_bandwidth(const char *name, struct transfer *transfer, int passes)
{
    double best[2] = {1e18, 1e18};
    for (int i = 0; i < passes; i++) {
        double start = now_us();
        to_device(transfer);
        CHECK(cuCtxSynchronize());
        double middle = now_us();
        from_device(transfer);
        double end = now_us();
        best[0] = middle - start < best[0] ? middle - start : best[0];
        best[1] = end - middle < best[1] ? end - middle : best[1];
    }
    printf("%s_to_device %.2f GB/s\n%s_from_device %.2f GB/s\n", name,
           (double)transfer->bytes / best[0] / 1e3, name, (double)transfer->bytes / best[1] / 1e3);
}

int main(int argc, char **argv)
{
    size_t megabytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 256;
    int samples = argc > 2 ? atoi(argv[2]) : 20000;
    CUdevice device;
    CUcontext context;
    CUmodule module;
    double start = now_us();
    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    printf("first_context %.3f s\n", (now_us() - start) / 1e6);
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&empty_kernel, module, "empty"));

    report_launch_rate(samples * 10);
    report_latency("launch_wait", samples, launch_and_wait, NULL);

    struct transfer transfer = {.bytes = megabytes << 20};
    char small[4096] = {1};
    CHECK(cuMemAlloc(&transfer.device, transfer.bytes));
    struct transfer word = {transfer.device, small, 4}, page = {transfer.device, small, sizeof small};
    report_latency("copy_4B_to_device", samples, to_device, &word);
    report_latency("copy_4B_from_device", samples, from_device, &word);
    report_latency("copy_4KiB_to_device", samples, to_device, &page);
    report_latency("copy_4KiB_from_device", samples, from_device, &page);
    CUevent event;
    CHECK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    CHECK(cuEventRecord(event, NULL));
    report_latency("event_query", samples, event_query, &event);
    report_latency("alloc_free_1MiB", samples / 10, allocate_and_free, NULL);

    int passes = 8;
    CHECK(cuMemHostAlloc(&transfer.host, transfer.bytes, 0));
    memset(transfer.host, 1, transfer.bytes);
    report_bandwidth("pinned", &transfer, passes);
    CHECK(cuMemFreeHost(transfer.host));
    transfer.host = malloc(transfer.bytes);
    memset(transfer.host, 2, transfer.bytes);
    report_bandwidth("pageable", &transfer, passes);
    struct transfer middle = {transfer.device, transfer.host, 1 << 20};
    report_latency("copy_1MiB_to_device", samples / 20, to_device, &middle);
    report_latency("copy_1MiB_from_device", samples / 20, from_device, &middle);
    return 0;
}
