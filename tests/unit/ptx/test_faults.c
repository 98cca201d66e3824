/* What a kernel must not do, and how it is told. */
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define HEAD                                                                                                 \
    HEADER ".visible .entry main(.param .u64 memory) {\n"                                                    \
           ".reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %rd<8>; .shared .align 8 .b8 room[64];\n"           \
           "ld.param.u64 %rd1, [memory]; mov.u32 %r0, %tid.x; mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, "     \
           "%rd1, %rd2;\n"

static void out_of_bounds(void **state)
{
    uint32_t *memory = memory_alloc(40 * 4);
    struct ptx_fault fault =
        run_fault(HEAD "st.global.u32 [%rd3], 7;\nret; }", 2, 64, memory, PTX_FAULT_ILLEGAL_ADDRESS);
    assert_int_equal(fault.address, (uint64_t)(uintptr_t)memory + 160);
    assert_int_equal(fault.bytes, 4);
    assert_true(fault.is_write);
    assert_int_equal(fault.thread[0], 40);
    assert_int_equal(fault.block[0], 0);
    assert_int_equal(fault.line, 7);
    /* The access that straddles the end, the one before the start, the null pointer, and so on. */
    run_fault(HEAD "ld.global.u64 %rd4, [%rd1]; ret; }", 1, 1, memory_alloc(4), PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "ld.global.u32 %r1, [%rd1+-4]; ret; }", 1, 1, memory, PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "ld.global.u32 %r1, [0]; ret; }", 1, 1, memory, PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "mov.u64 %rd4, -4; ld.global.u32 %r1, [%rd4]; ret; }", 1, 1, memory,
              PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "atom.global.add.u32 %r1, [%rd1+160], 1; ret; }", 1, 1, memory, PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "ld.u8 %r1, [%rd1+160]; ret; }", 1, 1, memory, PTX_FAULT_ILLEGAL_ADDRESS);
}

static void own_spaces(void **state)
{
    uint32_t *memory = memory_alloc(64);
    run_fault(HEAD "st.shared.u32 [room+64], 1; ret; }", 1, 1, memory, PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "mov.u32 %r1, 0xfffffffc; st.shared.u32 [%r1], 1; ret; }", 1, 1, memory,
              PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "mov.u64 %rd4, 0x100000000; ld.shared.u32 %r1, [%rd4]; ret; }", 1, 1, memory,
              PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "mov.u64 %rd4, room; cvta.shared.u64 %rd4, %rd4; st.u32 [%rd4+64], 1; ret; }", 1, 1,
              memory, PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD ".local .b32 mine[4]; st.local.u32 [mine+16], 1; ret; }", 1, 33, memory,
              PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "mov.u64 %rd4, 0; ld.local.u32 %r1, [%rd4]; ret; }", 1, 1, memory,
              PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "mov.u64 %rd4, memory; ld.param.u32 %r1, [%rd4+8]; ret; }", 1, 1, memory,
              PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEAD "mov.u64 %rd4, memory; cvta.param.u64 %rd4, %rd4; st.u32 [%rd4], 1; ret; }", 1, 1, memory,
              PTX_FAULT_ILLEGAL_ADDRESS);
    run_fault(HEADER
              ".func f() { ret; } .visible .entry main(.param .u64 memory) { .reg .b64 %rd; .reg .b32 %r;\n"
              "mov.u64 %rd, f; ld.u32 %r, [%rd]; ret; }",
              1, 1, memory, PTX_FAULT_ILLEGAL_ADDRESS);
}

static void misaligned(void **state)
{
    uint32_t *memory = memory_alloc(64);
    struct ptx_fault fault =
        run_fault(HEAD "ld.global.u32 %r1, [%rd1+2]; ret; }", 1, 1, memory, PTX_FAULT_MISALIGNED_ADDRESS);
    assert_int_equal(fault.address, (uint64_t)(uintptr_t)memory + 2);
    assert_false(fault.is_write);
    run_fault(HEAD "ld.global.v2.u32 {%r1, %r2}, [%rd1+4]; ret; }", 1, 1, memory,
              PTX_FAULT_MISALIGNED_ADDRESS);
    run_fault(HEAD "st.shared.u16 [room+1], %r0; ret; }", 1, 1, memory, PTX_FAULT_MISALIGNED_ADDRESS);
    run_fault(HEAD "atom.global.add.u64 %rd4, [%rd1+4], 1; ret; }", 1, 1, memory,
              PTX_FAULT_MISALIGNED_ADDRESS);
}

static void read_only(void **state)
{
    uint32_t *memory = memory_alloc_read_only(64);
    run_fault(HEAD "ld.global.u32 %r1, [%rd1]; st.global.u32 [%rd1], %r1; ret; }", 1, 1, memory,
              PTX_FAULT_ILLEGAL_ADDRESS);
}

static void traps(void **state)
{
    uint32_t *memory = memory_alloc(1024);
    struct ptx_fault fault =
        run_fault(HEAD "setp.eq.u32 %p1, %r0, 37;\n@%p1 trap;\nret; }", 1, 64, memory, PTX_FAULT_TRAP);
    assert_int_equal(fault.thread[0], 37);
    assert_int_equal(fault.line, 8);
    run_fault(HEAD "brkpt; ret; }", 1, 1, memory, PTX_FAULT_TRAP);
}

static void print(void *user, const char *text, size_t bytes, bool is_error)
{
    char *out = user;
    strcat(out, is_error ? "error: " : "");
    strncat(out, text, bytes < 200 ? bytes : 200);
}

static void asserts_and_prints(void **state)
{
    static const char text[] =
        HEADER ".extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);\n"
               ".extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, "
               ".param .b64 e);\n"
               ".global .align 1 .b8 format[20] = {37, 100, 32, 37, 46, 49, 102, 32, 37, 115, 37, 37, 37, "
               "53, 108, 108, 120, 10, 0};\n"
               ".global .align 1 .b8 word[3] = {104, 105, 0};\n"
               ".visible .entry main(.param .u64 memory) { .reg .b32 %r<4>; .reg .b64 %rd<8>; .reg .f64 %d; "
               ".reg .pred %p;\n"
               ".local .align 8 .b8 arguments[32]; mov.u32 %r0, %tid.x; neg.s32 %r1, %r0; st.local.u32 "
               "[arguments], %r1; mov.f64 %d, 2.25;\n"
               "st.local.f64 [arguments+8], %d; mov.u64 %rd1, word; st.local.u64 [arguments+16], %rd1; "
               "st.local.u64 [arguments+24], 0x1234567890;\n"
               "mov.u64 %rd2, arguments; cvta.local.u64 %rd2, %rd2; mov.u64 %rd3, format;\n"
               "{ .param .b64 a; .param .b64 b; .param .b32 r; st.param.b64 [a], %rd3; st.param.b64 [b], "
               "%rd2; call.uni (r), vprintf, (a, b); }\n"
               "setp.ne.u32 %p, %r0, 1; @%p bra END;\n"
               "{ .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 d; .param .b64 e; st.param.b64 "
               "[a], %rd1; st.param.b64 [b], %rd1;\n"
               "st.param.b32 [c], 12; st.param.b64 [d], %rd1; st.param.b64 [e], 1; call.uni __assertfail, "
               "(a, b, c, d, e); }\n"
               "END: ret; }";
    struct ptx_module *module = compile(text);
    char output[1024] = "";
    struct ptx_launch launch = launch_of(module, "main", 1, 2, NULL, 0);
    struct ptx_result result;
    launch.print = print;
    launch.user = output;
    assert_false(ptx_launch_run(&launch, &result));
    assert_int_equal(result.fault.kind, PTX_FAULT_ASSERT);
    assert_int_equal(result.fault.thread[0], 1);
    assert_string_equal(output, "0 2.2 hi%1234567890\n-1 2.2 hi%1234567890\n"
                                "error: hi:12: hi: block: [0,0,0], thread: [1,0,0] Assertion `hi` failed.\n");
    module_free(module);
}

struct endless {
    _Atomic uint32_t *threads; /* that have begun, as the kernel counts them */
    atomic_bool cancel;
};

static void *cancel_when_it_runs(void *argument)
{
    struct endless *endless = argument;
    while (atomic_load(endless->threads) == 0)
        usleep(1000);
    atomic_store(&endless->cancel, true);
    return NULL;
}

/* A kernel without end stops when it is told to; also one that waits at a barrier in some threads. */
static void cancelled(void **state)
{
    struct ptx_module *module = compile(HEAD "atom.global.add.u32 %r1, [%rd1], 1; setp.eq.u32 %p1, %r0, 0; "
                                             "@%p1 bra LOOP; bar.sync 0; LOOP: bra LOOP; }");
    uint32_t *memory = memory_alloc(sizeof *memory);
    struct endless endless = {.threads = (_Atomic uint32_t *)memory};
    pthread_t thread;
    struct ptx_launch launch = launch_of(module, "main", 8, 256, &memory, sizeof memory);
    struct ptx_result result;
    launch.cancel = &endless.cancel;
    assert_int_equal(pthread_create(&thread, NULL, cancel_when_it_runs, &endless), 0);
    assert_false(ptx_launch_run(&launch, &result));
    pthread_join(thread, NULL);
    assert_int_equal(result.fault.kind, PTX_FAULT_CANCELLED);
    assert_true(result.instructions > 0);
    module_free(module);
}

static void too_large(void **state)
{
    struct ptx_module *module =
        compile(HEAD "st.shared.u32 [room], 1; ret; }\n.visible .entry small() .maxntid 64, 1, 1 { ret; }");
    void *none = NULL;
    struct ptx_launch launch = launch_of(module, "main", 1, 1025, &none, sizeof none);
    struct ptx_result result;
    assert_false(ptx_launch_run(&launch, &result));
    assert_int_equal(result.fault.kind, PTX_FAULT_OUT_OF_RESOURCES);
    launch.block[0] = 1;
    launch.dynamic_shared_bytes = 232448;
    assert_false(ptx_launch_run(&launch, &result));
    launch.dynamic_shared_bytes = 232448 - 64;
    assert_true(ptx_launch_run(&launch, &result));
    launch.max_shared_bytes = 49152;
    assert_false(ptx_launch_run(&launch, &result));
    launch.dynamic_shared_bytes = 0;
    launch.grid[1] = 0;
    assert_false(ptx_launch_run(&launch, &result));
    launch = launch_of(module, "small", 1, 65, NULL, 0);
    assert_false(ptx_launch_run(&launch, &result));
    launch.block[0] = 64;
    assert_true(ptx_launch_run(&launch, &result));
    module_free(module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(out_of_bounds, memory_fini),
        cmocka_unit_test_teardown(own_spaces, memory_fini),
        cmocka_unit_test_teardown(misaligned, memory_fini),
        cmocka_unit_test_teardown(read_only, memory_fini),
        cmocka_unit_test_teardown(traps, memory_fini),
        cmocka_unit_test_teardown(asserts_and_prints, memory_fini),
        cmocka_unit_test_teardown(cancelled, memory_fini),
        cmocka_unit_test_teardown(too_large, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
