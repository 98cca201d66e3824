#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/vgpu-simgpu-XXXXXX";

/* --- the machine --- */

void fixture_start(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--process") == 0) {
        snprintf(directory, sizeof directory, "%s", getenv("VGPU_SIM_STATE_DIR"));
        for (const struct fixture_process *process = fixture_processes; process->name; process++)
            if (strcmp(process->name, argv[2]) == 0)
                exit(process->run());
        exit(99);
    }
    if (!mkdtemp(directory))
        exit(98);
    char memory[16];
    snprintf(memory, sizeof memory, "%d", GPU_MEMORY_MB);
    setenv("VGPU_SIM_STATE_DIR", directory, 1);
    setenv("VGPU_SIM_MEMORY_MB", memory, 1);
    setenv("VGPU_SIM_GPUS", "2", 1);
    const char *unset[] = {"CUDA_VISIBLE_DEVICES", "VGPU_SIM_SEED",  "VGPU_SIM_HIDE",
                           "VGPU_SIM_LOST",        "VGPU_SIM_ERROR", "VGPU_SIM_MISSING"};
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        unsetenv(unset[i]);
}

int fixture_end(int failed)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command) || failed;
}

/* --- further processes --- */

pid_t start_process(const char *name, const char *environment, const char *more_environment)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    if (environment)
        putenv(strdup(environment));
    if (more_environment)
        putenv(strdup(more_environment));
    execl("/proc/self/exe", "test", "--process", name, (char *)NULL);
    _exit(97);
}

int wait_process(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_process(const char *name, const char *environment, const char *more_environment)
{
    return wait_process(start_process(name, environment, more_environment));
}

void tell(const char *what)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, what);
    close(open(path, O_CREAT | O_WRONLY, 0600));
}

void wait_until_told(const char *what)
{
    char path[256];
    struct timespec pause = {0, 2000000};
    snprintf(path, sizeof path, "%s/%s", directory, what);
    while (access(path, F_OK) != 0)
        nanosleep(&pause, NULL);
}

/* --- kernels --- */

const char fixture_ptx[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n"
    ".visible .global .align 4 .u32 counter = 7;\n"
    ".extern .shared .align 4 .b8 scratch[];\n"
    ".visible .entry add_one(.param .u64 p, .param .u32 n)\n{\n"
    "    .reg .pred %p<2>; .reg .b32 %r<7>; .reg .b64 %rd<5>;\n"
    "    ld.param.u64 %rd1, [p]; ld.param.u32 %r1, [n];\n"
    "    mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x;\n"
    "    mad.lo.s32 %r5, %r2, %r3, %r4;\n"
    "    setp.ge.u32 %p1, %r5, %r1; @%p1 bra DONE;\n"
    "    cvta.to.global.u64 %rd2, %rd1; mul.wide.u32 %rd3, %r5, 4; add.s64 %rd4, %rd2, %rd3;\n"
    "    ld.global.u32 %r6, [%rd4]; add.s32 %r6, %r6, 1; st.global.u32 [%rd4], %r6;\n"
    "DONE: ret;\n}\n"
    ".visible .entry store(.param .u64 p, .param .u32 value)\n{\n"
    "    .reg .b32 %r<2>; .reg .b64 %rd<2>;\n"
    "    ld.param.u64 %rd1, [p]; ld.param.u32 %r1, [value]; st.global.u32 [%rd1], %r1; ret;\n}\n"
    ".visible .entry load_misaligned(.param .u64 p)\n{\n"
    "    .reg .b32 %r<2>; .reg .b64 %rd<2>;\n"
    "    ld.param.u64 %rd1, [p]; ld.global.u32 %r1, [%rd1+1]; st.global.u32 [%rd1], %r1; ret;\n}\n"
    ".visible .entry trap()\n{\n    trap; ret;\n}\n"
    ".visible .entry spin_until(.param .u64 p, .param .u32 value)\n{\n"
    "    .reg .pred %p<2>; .reg .b32 %r<3>; .reg .b64 %rd<2>;\n"
    "    ld.param.u64 %rd1, [p]; ld.param.u32 %r1, [value];\n"
    "AGAIN: ld.volatile.global.u32 %r2, [%rd1]; setp.ne.u32 %p1, %r2, %r1; @%p1 bra AGAIN; ret;\n}\n"
    ".visible .entry meet(.param .u64 p, .param .u32 blocks)\n{\n"
    "    .reg .pred %p<2>; .reg .b32 %r<3>; .reg .b64 %rd<2>;\n"
    "    ld.param.u64 %rd1, [p]; ld.param.u32 %r1, [blocks]; atom.global.add.u32 %r2, [%rd1], 1;\n"
    "AGAIN: ld.volatile.global.u32 %r2, [%rd1]; setp.lt.u32 %p1, %r2, %r1; @%p1 bra AGAIN; ret;\n}\n"
    ".visible .entry shared_sum(.param .u64 out, .param .u32 n)\n{\n"
    "    .reg .pred %p<2>; .reg .b32 %r<6>; .reg .b64 %rd<2>;\n"
    "    ld.param.u64 %rd1, [out]; ld.param.u32 %r1, [n];\n"
    "    mov.u32 %r2, scratch; mov.u32 %r3, 0; mov.u32 %r5, 0;\n"
    "FILL: setp.ge.u32 %p1, %r3, %r1; @%p1 bra STORE;\n"
    "    mov.u32 %r4, 1; st.shared.u32 [%r2], %r4; ld.shared.u32 %r4, [%r2]; add.u32 %r5, %r5, %r4;\n"
    "    add.u32 %r2, %r2, 4; add.u32 %r3, %r3, 1; bra FILL;\n"
    "STORE: st.global.u32 [%rd1], %r5; ret;\n}\n";

int fixture_open(void **state)
{
    struct gpu *gpu = calloc(1, sizeof *gpu);
    CUdevice device;
    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuCtxCreate_v2(&gpu->context, 0, device));
    CHECK(cuModuleLoadData(&gpu->module, fixture_ptx));
    gpu->add_one = find_function(gpu, "add_one");
    gpu->store = find_function(gpu, "store");
    gpu->spin_until = find_function(gpu, "spin_until");
    *state = gpu;
    return 0;
}

int fixture_close(void **state)
{
    struct gpu *gpu = *state;
    CHECK(cuCtxDestroy(gpu->context));
    free(gpu);
    return 0;
}

CUfunction find_function(const struct gpu *gpu, const char *name)
{
    CUfunction function = NULL;
    CHECK(cuModuleGetFunction(&function, gpu->module, name));
    return function;
}

CUresult launch_store(const struct gpu *gpu, CUdeviceptr at, unsigned int value, CUstream stream)
{
    void *params[] = {&at, &value};
    return cuLaunchKernel(gpu->store, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL);
}

/* --- gates --- */

struct gate make_gate(void)
{
    struct gate gate;
    CHECK(cuMemHostAlloc((void **)&gate.word, sizeof *gate.word, 0));
    *gate.word = 0;
    return gate;
}

void put_gate(struct gate gate, CUstream stream)
{
    CHECK(cuStreamWaitValue32_v2(stream, (CUdeviceptr)(uintptr_t)gate.word, 1, CU_STREAM_WAIT_VALUE_EQ));
}

void open_gate(struct gate gate)
{
    __atomic_store_n(gate.word, 1, __ATOMIC_SEQ_CST);
}

void free_gate(struct gate gate)
{
    CHECK(cuMemFreeHost(gate.word));
}
