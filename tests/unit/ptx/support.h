/* What the tests of the PTX engine share: compiling text, memory that counts as device memory, launching, and
 * tables of single instructions. */
#ifndef TESTS_PTX_SUPPORT_H
#define TESTS_PTX_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "simgpu/ptx.h"

#define HEADER ".version 8.3\n.target sm_90\n.address_size 64\n"

/* Compiles or fails the test, with the log. Variables are placed in device memory with their contents. */
struct ptx_module *compile(const char *text);
struct ptx_module *compile_plain(const char *text, bool plain);
void module_free(struct ptx_module *module);

/* The status and error log of a text that must not compile. The log is valid until the next call. */
enum ptx_status compile_error(const char *text, const char **log);

/* Memory on which `find` answers. Freed by memory_fini, which a teardown calls. Zeroed, aligned to 256. */
void *memory_alloc(size_t bytes);
void *memory_alloc_read_only(size_t bytes);
int memory_fini(void **state);
bool memory_find(void *user, uint64_t address, uint64_t bytes, bool write, struct ptx_range *out);

/* A launch of `kernel` over blocks x threads with these parameters, ready to be changed further. */
struct ptx_launch launch_of(struct ptx_module *module, const char *kernel, uint32_t blocks, uint32_t threads,
                            const void *params, size_t bytes);
/* Runs it and fails the test on a fault. Returns the instructions executed. */
uint64_t run(const struct ptx_launch *launch);
/* Compiles text and runs its kernel "main" with one parameter, a pointer. */
void run_text(const char *text, uint32_t blocks, uint32_t threads, void *memory);
/* The same; must end in this fault. */
struct ptx_fault run_fault(const char *text, uint32_t blocks, uint32_t threads, void *memory,
                           enum ptx_fault_kind kind);

/* One instruction with operands. In its text the registers are named by class and number: h 16 bits, r 32, d
 * 64, f f32, e f64, p predicate. Number 0 is the result, 1 to 3 hold a, b, c in every class (p1: a is not 0,
 * ...). */
struct row {
    const char *text;
    char result; /* class of the result */
    uint64_t a, b, c;
    uint64_t expected;
};

/* Runs every row with a full warp, with part of one, and under a guard, each with and without the extensions
 * of the processor. */
void check_rows(const struct row *rows, size_t count);

#endif
