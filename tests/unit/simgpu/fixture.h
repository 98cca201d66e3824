/* What the tests of the simulated driver share: a machine of their own for each program, further processes of
 * it, and some kernels. */
#ifndef TESTS_SIMGPU_FIXTURE_H
#define TESTS_SIMGPU_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <sys/types.h>

#include "cuda_api.h"
#include "cuda_names.h"

#define GPU_MEMORY_MB 64
#define MIB           (1ull << 20)

#define CHECK(call)         assert_int_equal((call), CUDA_SUCCESS)
#define CHECK_IS(call, err) assert_int_equal((call), (err))

/* Call first in main: sets up a machine of two GPUs with GPU_MEMORY_MB each, whose shared state lies in a
 * directory of its own. When the program was started as a further process, runs what run_process named and
 * does not return. */
void fixture_start(int argc, char **argv);
/* Call last in main with what cmocka gave: removes the directory. */
int fixture_end(int failed);

/* What further processes run. Returns the exit status. */
struct fixture_process {
    const char *name;
    int (*run)(void);
};
/* Defined by each test program; ends with a NULL name. */
extern const struct fixture_process fixture_processes[];

/* Starts a further process of the machine. environment: "NAME=value" or NULL, two at most. */
pid_t start_process(const char *name, const char *environment, const char *more_environment);
/* Waits for it; its exit status, 128 + signal when it was killed. */
int wait_process(pid_t pid);
int run_process(const char *name, const char *environment, const char *more_environment);

/* Meeting points between processes: files in the machine's directory. */
void tell(const char *what);
void wait_until_told(const char *what);

/* Kernels of `fixture_ptx`:
 *   add_one(u64 p, u32 n)             p[i] += 1 for u32 p[n]
 *   store(u64 p, u32 value)           *p = value; one thread
 *   load_misaligned(u64 p)            reads 4 bytes at p + 1
 *   trap()
 *   spin_until(u64 p, u32 value)      waits until *p is value
 *   meet(u64 p, u32 blocks)           *p += 1 and waits until all blocks have done so; one thread a block
 *   shared_sum(u64 out, u32 n)        dynamic shared memory of n u32, *out = n
 * and the variable `counter` (u32, starts as 7). */
extern const char fixture_ptx[];

/* A context on device 0 with fixture_ptx in it, made current; destroyed by fixture_close. cmocka's state
 * points to it. */
struct gpu {
    CUcontext context;
    CUmodule module;
    CUfunction add_one;
    CUfunction store;
    CUfunction spin_until;
};
int fixture_open(void **state);
int fixture_close(void **state);

CUfunction find_function(const struct gpu *gpu, const char *name);

/* One block of one thread that runs store. */
CUresult launch_store(const struct gpu *gpu, CUdeviceptr at, unsigned int value, CUstream stream);

/* Something a stream stands still at: it goes on once open_gate is called. */
struct gate {
    unsigned int *word; /* pinned; 0: shut */
};
struct gate make_gate(void);
void put_gate(struct gate gate, CUstream stream);
void open_gate(struct gate gate);
void free_gate(struct gate gate);

#endif
