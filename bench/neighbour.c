/* One VM's load for bench/run-neighbours. Runs on whichever libcuda.so.1 the loader finds, says `ready`, and
 * then does what each line of its standard input says, answering with one line of JSON:
 *
 *   calibrate                          {"iterations_per_us": }
 *   stream KERNEL_US PERIOD_US SECONDS one request a period: a kernel and the wait for it
 *   saturate KERNEL_US SECONDS         kernels without a pause
 *   starts COUNT PAUSE_US              from a launch to the kernel's first store, as the host sees it
 *   small SECONDS                      tiny kernels without a wait, as fast as it goes
 *   stamps                             when the kernels of the last saturate ran: [[start, end], ...] in ns
 *   pile KERNEL_US COUNT               so many kernels without a wait, and no answer
 *   endless                            a kernel that never ends, and no answer
 *   allocate | processes | stop        what a hostile VM does, until it is killed
 *
 * Work is counted in the time that it takes alone (work_us), from a counter that the kernel itself advances,
 * so that a kernel half done counts half. */
#include <cuda.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Every thread loops; the very first one stores the time of the start and a flag that the host waits for, the
 * first of each block how much it has done so far (blocks do not go on side by side: the oldest goes first).
 * The last block to end leaves its time. */
static const char ptx[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n"
    ".visible .entry work(.param .u64 p_iterations, .param .u64 p_base, .param .u64 p_done,\n"
    "                     .param .u64 p_stamps, .param .u64 p_flag)\n"
    "{\n"
    "    .reg .u64 %left, %base, %done, %stamps, %flag, %time, %at, %low, %old, %offset;\n"
    "    .reg .u32 %thread, %block;\n"
    "    .reg .f32 %value;\n"
    "    .reg .pred %again, %first, %leader, %report, %flagged, %never;\n"
    "    ld.param.u64 %left, [p_iterations];\n"
    "    ld.param.u64 %base, [p_base];\n"
    "    ld.param.u64 %done, [p_done];\n"
    "    ld.param.u64 %stamps, [p_stamps];\n"
    "    ld.param.u64 %flag, [p_flag];\n"
    "    mov.u32 %thread, %tid.x;\n"
    "    mov.u32 %block, %ctaid.x;\n"
    "    setp.eq.u32 %first, %thread, 0;\n"
    "    setp.eq.and.u32 %leader, %block, 0, %first;\n"
    "    mul.wide.u32 %offset, %block, 8;\n"
    "    add.u64 %done, %done, %offset;\n"
    "    mov.f32 %value, 0f3F800000;\n"
    "    @!%leader bra LOOP;\n"
    "    mov.u64 %time, %globaltimer;\n"
    "    st.volatile.global.u64 [%stamps], %time;\n"
    "    setp.ne.u64 %flagged, %flag, 0;\n"
    "    @%flagged st.volatile.global.u64 [%flag], 1;\n"
    "LOOP:\n"
    "    fma.rn.f32 %value, %value, 0f3F800001, 0f3F000000;\n"
    "    sub.u64 %left, %left, 1;\n"
    "    add.u64 %base, %base, 1;\n"
    "    and.b64 %low, %left, 65535;\n"
    "    setp.eq.and.u64 %report, %low, 0, %first;\n"
    "    @%report st.volatile.global.u64 [%done], %base;\n"
    "    setp.ne.u64 %again, %left, 0;\n"
    "    @%again bra LOOP;\n"
    "    setp.eq.f32 %never, %value, 0f00000000;\n"
    "    @%never st.volatile.global.u64 [%done], %base;\n"
    "    @!%first bra END;\n"
    "    mov.u64 %time, %globaltimer;\n"
    "    add.u64 %at, %stamps, 8;\n"
    "    atom.global.max.u64 %old, [%at], %time;\n"
    "END:\n"
    "    ret;\n"
    "}\n";

#define STAMPS       65536 /* kernels whose times are kept */
#define SHARED_BYTES 65536 /* with the GPU: a word for each block */

struct stamp {
    uint64_t start_ns, end_ns;
};

static struct {
    unsigned blocks, threads;
    double iterations_per_us;
    CUcontext context;
    CUfunction kernel;
    CUstream stream;
    CUdeviceptr stamps;
    volatile uint64_t *done; /* by block: iterations done by all kernels so far; the kernels write it */
    volatile uint64_t *flag;
    CUdeviceptr done_address, flag_address;
    _Atomic uint64_t launched; /* iterations of all kernels launched; two threads launch */
    _Atomic uint64_t kernels;  /* launched in this command */
} self = {.iterations_per_us = 1};

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void sleep_until(double time_us)
{
    double left = time_us - now_us();
    if (left > 0)
        usleep((useconds_t)left);
}

static void check(CUresult result, const char *what)
{
    const char *name = NULL;
    if (result == CUDA_SUCCESS)
        return;
    cuGetErrorName(result, &name);
    printf("{\"error\": \"%s\", \"call\": \"%s\"}\n", name ? name : "unknown error", what);
    fflush(stdout);
    _exit(1);
}
#define CHECK(call) check(call, #call)

static void *shared_word(CUdeviceptr *address)
{
    void *word;
    CHECK(cuMemHostAlloc(&word, SHARED_BYTES, CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_PORTABLE));
    CHECK(cuMemHostGetDevicePointer(address, word, 0));
    memset(word, 0, SHARED_BYTES);
    return word;
}

static void set_up(void)
{
    CUdevice device;
    CUmodule module;
    int processors;
    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDeviceGetAttribute(&processors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device));
    CHECK(cuDevicePrimaryCtxRetain(&self.context, device));
    CHECK(cuCtxSetCurrent(self.context));
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&self.kernel, module, "work"));
    CHECK(cuStreamCreate(&self.stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuMemAlloc(&self.stamps, STAMPS * sizeof(struct stamp)));
    CHECK(cuMemsetD8(self.stamps, 0, STAMPS * sizeof(struct stamp)));
    self.done = shared_word(&self.done_address);
    self.flag = shared_word(&self.flag_address);
    if (self.blocks == 0)
        self.blocks = (unsigned)processors * 8;
    if (self.blocks > SHARED_BYTES / 8)
        self.blocks = SHARED_BYTES / 8;
}

static uint64_t kernels_launched(void)
{
    return atomic_load_explicit(&self.kernels, memory_order_relaxed);
}

static void launch(uint64_t iterations, bool flagged)
{
    uint64_t base = atomic_fetch_add_explicit(&self.launched, iterations, memory_order_relaxed);
    CUdeviceptr stamp = self.stamps + kernels_launched() % STAMPS * sizeof(struct stamp);
    CUdeviceptr flag = flagged ? self.flag_address : 0;
    void *parameters[] = {&iterations, &base, &self.done_address, &stamp, &flag};
    CHECK(
        cuLaunchKernel(self.kernel, self.blocks, 1, 1, self.threads, 1, 1, 0, self.stream, parameters, NULL));
    atomic_fetch_add_explicit(&self.kernels, 1, memory_order_relaxed);
}

static uint64_t iterations_of(double kernel_us)
{
    double iterations = kernel_us * self.iterations_per_us;
    return iterations < 1 ? 1 : (uint64_t)iterations;
}

static void calibrate(void)
{
    uint64_t iterations = 4096;
    double took_us = 0;
    for (; took_us < 50000; iterations *= 2) {
        double start = now_us();
        launch(iterations, false);
        CHECK(cuStreamSynchronize(self.stream));
        took_us = now_us() - start;
    }
    iterations /= 2;
    double best_us = took_us;
    for (int i = 0; i < 5; i++) {
        double start = now_us();
        launch(iterations, false);
        CHECK(cuStreamSynchronize(self.stream));
        took_us = now_us() - start;
        best_us = took_us < best_us ? took_us : best_us;
    }
    self.iterations_per_us = (double)iterations / best_us;
    printf("{\"iterations_per_us\": %.6f}\n", self.iterations_per_us);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_latencies(double *times, size_t count, double elapsed_us)
{
    if (count == 0) {
        printf("{\"count\": 0, \"elapsed_us\": %.0f}\n", elapsed_us);
        return;
    }
    qsort(times, count, sizeof *times, compare);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += times[i];
    printf("{\"count\": %zu, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f, \"min\": %.1f, "
           "\"mean\": %.1f, \"elapsed_us\": %.0f}\n",
           count, times[count / 2], times[count * 9 / 10], times[count * 99 / 100], times[count - 1],
           times[0], sum / (double)count, elapsed_us);
}

#define SAMPLES 1000000

static void stream(double kernel_us, double period_us, double seconds)
{
    static double times[SAMPLES];
    size_t count = 0;
    uint64_t iterations = iterations_of(kernel_us);
    double begin = now_us(), end = begin + seconds * 1e6, next = begin;
    while (count < SAMPLES && now_us() < end) {
        double start = now_us();
        launch(iterations, false);
        CHECK(cuStreamSynchronize(self.stream));
        double finished = now_us();
        times[count++] = finished - start;
        next = next + period_us > finished ? next + period_us : finished;
        sleep_until(next);
    }
    print_latencies(times, count, now_us() - begin);
}

static void starts(size_t count, double pause_us)
{
    static double times[SAMPLES];
    volatile uint64_t *flag = self.flag;
    double begin = now_us();
    if (flag == NULL)
        return; /* set_up() has seen to it */
    if (count > SAMPLES)
        count = SAMPLES;
    for (size_t i = 0; i < count; i++) {
        *flag = 0;
        double start = now_us();
        launch(1, true);
        while (*flag == 0 && now_us() - start < 30e6) {
        }
        times[i] = now_us() - start;
        CHECK(cuStreamSynchronize(self.stream));
        usleep((useconds_t)pause_us);
    }
    print_latencies(times, count, now_us() - begin);
}

static double work_us(void)
{
    double sum = 0;
    volatile uint64_t *done = self.done;
    for (unsigned block = 0; done != NULL && block < self.blocks; block++)
        sum += (double)done[block];
    return sum / self.blocks / self.iterations_per_us;
}

/* A thread of its own launches: where others have the GPU, a launch may wait for as long as they do.
 *
 *   IDLE ──saturate──► GOING ──its time is over──► ENDING ──the thread has seen it──► IDLE
 *
 * and from ENDING back to GOING, if the next saturate comes before the thread has seen it. */
enum saturation_state { IDLE, GOING, ENDING };

static struct {
    pthread_t thread;
    bool has_thread;
    _Atomic enum saturation_state state; /* what stands below is there before GOING */
    _Atomic uint64_t iterations;
    _Atomic unsigned look_us; /* between two looks whether a kernel has ended */
} saturation;

/* Two kernels ahead: the GPU never waits for us. What still runs at the end is left to run. */
static void launch_on_and_on(void)
{
    CUevent finished[2];
    uint64_t iterations = atomic_load_explicit(&saturation.iterations, memory_order_relaxed);
    unsigned look_us = atomic_load_explicit(&saturation.look_us, memory_order_relaxed);
    for (int i = 0; i < 2; i++)
        CHECK(cuEventCreate(&finished[i], CU_EVENT_DISABLE_TIMING));
    for (unsigned next = 0; atomic_load(&saturation.state) == GOING;) {
        CUresult state = cuEventQuery(finished[next]);
        if (state == CUDA_SUCCESS) {
            launch(iterations, false);
            CHECK(cuEventRecord(finished[next], self.stream));
            next = 1 - next;
            continue;
        }
        if (state != CUDA_ERROR_NOT_READY)
            check(state, "cuEventQuery");
        usleep(look_us);
    }
    for (int i = 0; i < 2; i++)
        CHECK(cuEventDestroy(finished[i]));
}

static void *saturate_thread(void *unused)
{
    CHECK(cuCtxSetCurrent(self.context));
    for (;;) {
        enum saturation_state ending = ENDING;
        if (atomic_load(&saturation.state) == GOING)
            launch_on_and_on();
        atomic_compare_exchange_strong(&saturation.state, &ending, IDLE);
        usleep(100);
    }
    return unused;
}

/* Ends when its time is over, though a launch may be waiting still. */
static void saturate(double kernel_us, double seconds)
{
    if (!saturation.has_thread)
        saturation.has_thread = pthread_create(&saturation.thread, NULL, saturate_thread, NULL) == 0;
    atomic_store_explicit(&saturation.iterations, iterations_of(kernel_us), memory_order_relaxed);
    atomic_store_explicit(&saturation.look_us, kernel_us < 2000 ? 20 : 200, memory_order_relaxed);
    double begin = now_us(), end = begin + seconds * 1e6, done_before = work_us();
    enum saturation_state ending = ENDING;
    if (!atomic_compare_exchange_strong(&saturation.state, &ending, GOING)) { /* else it goes on as it was */
        atomic_store_explicit(&self.kernels, 0, memory_order_relaxed);
        atomic_store(&saturation.state, GOING);
    }
    sleep_until(end);
    double work = work_us() - done_before, elapsed = now_us() - begin;
    atomic_store(&saturation.state, ENDING);
    for (int i = 0; i < 100 && atomic_load(&saturation.state) != IDLE; i++)
        usleep(1000);
    printf("{\"work_us\": %.0f, \"elapsed_us\": %.0f, \"kernels\": %llu}\n", work, elapsed,
           (unsigned long long)kernels_launched());
}

static void small(double seconds)
{
    double begin = now_us(), end = begin + seconds * 1e6;
    uint64_t before = kernels_launched();
    while (now_us() < end) {
        for (int i = 0; i < 100; i++)
            launch(1, false);
    }
    CHECK(cuStreamSynchronize(self.stream));
    printf("{\"count\": %llu, \"elapsed_us\": %.0f}\n", (unsigned long long)(kernels_launched() - before),
           now_us() - begin);
}

static void pile(double kernel_us, size_t count)
{
    for (size_t i = 0; i < count; i++)
        launch(iterations_of(kernel_us), false);
}

static void print_stamps(void)
{
    uint64_t kernels = kernels_launched();
    size_t count = kernels < STAMPS ? kernels : STAMPS;
    struct stamp *stamps = calloc(count + 1, sizeof *stamps);
    CHECK(cuStreamSynchronize(self.stream));
    if (stamps == NULL)
        count = 0;
    if (count > 0)
        CHECK(cuMemcpyDtoH(stamps, self.stamps, count * sizeof *stamps));
    printf("[");
    for (size_t i = 0; i < count; i++)
        printf("%s[%llu, %llu]", i ? ", " : "", (unsigned long long)stamps[i].start_ns,
               (unsigned long long)stamps[i].end_ns);
    printf("]\n");
    CHECK(cuMemsetD8(self.stamps, 0, STAMPS * sizeof(struct stamp)));
    free(stamps);
}

/* --- what a hostile VM does --- */

static void allocate_everything(void)
{
    for (;;) {
        CUdeviceptr memory;
        for (size_t bytes = (size_t)1 << 34; bytes >= 4096; bytes /= 2) {
            while (cuMemAlloc(&memory, bytes) == CUDA_SUCCESS)
                (void)cuMemsetD8Async(memory, 1, bytes, self.stream);
        }
        usleep(1000);
    }
}

/* Programs that use CUDA, one after the other and side by side, each killed soon. */
static void start_processes(char **arguments)
{
    for (;;) {
        pid_t child = fork();
        if (child == 0) {
            if (freopen("/dev/null", "r", stdin) != NULL && freopen("/dev/null", "w", stdout) != NULL)
                execv("/proc/self/exe", arguments);
            _exit(1);
        }
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        usleep(5000);
    }
}

/* Asks for much data and takes none of it. */
static void stop_in_the_middle(void)
{
    const size_t bytes = (size_t)256 << 20;
    CUdeviceptr memory;
    char *data = malloc(bytes);
    CHECK(cuMemAlloc(&memory, bytes));
    pid_t parent = getpid();
    if (fork() == 0) {
        usleep(5000);
        kill(parent, SIGSTOP);
        _exit(0);
    }
    for (;;)
        CHECK(cuMemcpyDtoH(data, memory, bytes));
}

static void command(char *line, char **arguments)
{
    double a = 0, b = 0, c = 0;
    char word[32] = "";
    sscanf(line, "%31s %lf %lf %lf", word, &a, &b, &c);
    if (strcmp(word, "calibrate") == 0)
        calibrate();
    else if (strcmp(word, "stream") == 0)
        stream(a, b, c);
    else if (strcmp(word, "saturate") == 0)
        saturate(a, b);
    else if (strcmp(word, "starts") == 0)
        starts((size_t)a, b);
    else if (strcmp(word, "small") == 0)
        small(a);
    else if (strcmp(word, "stamps") == 0)
        print_stamps();
    else if (strcmp(word, "allocate") == 0)
        allocate_everything();
    else if (strcmp(word, "processes") == 0)
        start_processes(arguments);
    else if (strcmp(word, "stop") == 0)
        stop_in_the_middle();
    else if (strcmp(word, "pile") == 0)
        pile(a, (size_t)b);
    else if (strcmp(word, "endless") == 0)
        launch(UINT64_MAX, false);
    else
        printf("{\"error\": \"unknown command\"}\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[256];
    self.threads = 256;
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--iterations-per-us=%lf", &self.iterations_per_us) != 1 &&
            sscanf(argv[i], "--blocks=%u", &self.blocks) != 1 &&
            sscanf(argv[i], "--threads=%u", &self.threads) != 1) {
            fprintf(stderr, "neighbour: %s: unknown option\n", argv[i]);
            return 2;
        }
    }
    set_up();
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL)
        command(line, argv);
    _exit(0); /* without waiting for what still runs */
}
