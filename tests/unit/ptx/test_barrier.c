/* Barriers of a block. */
#include "support.h"

#define HEAD                                                                                                 \
    HEADER ".visible .entry main(.param .u64 memory) {\n"                                                    \
           ".reg .pred %p<8>; .reg .b32 %r<32>; .reg .b64 %rd<16>; .shared .align 4 .b8 room[4096];\n"       \
           "ld.param.u64 %rd1, [memory]; mov.u32 %r0, %tid.x; mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, "     \
           "%rd1, %rd2;\n"                                                                                   \
           "mov.u32 %r1, room; shl.b32 %r2, %r0, 2; add.u32 %r3, %r1, %r2; mov.u32 %r4, %ntid.x;\n"

/* Each thread reads what another warp's thread wrote, over and over. */
static void exchange(void **state)
{
    uint32_t *out = memory_alloc(1024 * 4);
    run_text(HEAD "mov.u32 %r5, 0; mov.u32 %r6, %r0;\n"
                  "LOOP: st.shared.u32 [%r3], %r6; bar.sync 0;\n"
                  "add.u32 %r7, %r0, 33; rem.u32 %r7, %r7, %r4; shl.b32 %r7, %r7, 2; add.u32 %r7, %r1, %r7;\n"
                  "ld.shared.u32 %r6, [%r7]; barrier.sync.aligned 0; add.u32 %r5, %r5, 1;\n"
                  "setp.lt.u32 %p1, %r5, 10; @%p1 bra LOOP;\n"
                  "st.global.u32 [%rd3], %r6; ret; }",
             1, 200, out);
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(out[i], (i + 330) % 200);
}

/* A thread that has exited is not waited for. */
static void exited(void **state)
{
    uint32_t *out = memory_alloc(100 * 4);
    run_text(HEAD
             "setp.gt.u32 %p1, %r0, 40; @%p1 exit; st.shared.u32 [%r3], %r0; bar.sync 0;\n"
             "sub.u32 %r5, 40, %r0; shl.b32 %r5, %r5, 2; add.u32 %r5, %r5, %r1; ld.shared.u32 %r6, [%r5];\n"
             "st.global.u32 [%rd3], %r6; ret; }",
             1, 100, out);
    for (uint32_t i = 0; i <= 40; i++)
        assert_int_equal(out[i], 40 - i);
}

/* Lanes of a warp may come to a barrier from different places. */
static void parted(void **state)
{
    uint32_t *out = memory_alloc(64 * 4);
    run_text(HEAD "and.b32 %r5, %r0, 1; setp.eq.u32 %p1, %r5, 0; @%p1 bra EVEN;\n"
                  "mov.u32 %r6, 1; st.shared.u32 [%r3], %r6; barrier.sync 1; bra JOIN;\n"
                  "EVEN: mov.u32 %r6, 2; st.shared.u32 [%r3], %r6; barrier.sync 1;\n"
                  "JOIN: xor.b32 %r7, %r2, 4; add.u32 %r7, %r7, %r1; ld.shared.u32 %r8, [%r7];\n"
                  "st.global.u32 [%rd3], %r8; ret; }",
             1, 64, out);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(out[i], i & 1 ? 2 : 1);
}

/* Warp 0 produces and only arrives, warp 1 waits for it; the others are not involved. */
static void arrive(void **state)
{
    uint32_t *out = memory_alloc(128 * 4);
    run_text(HEAD "shr.u32 %r5, %r0, 5; setp.eq.u32 %p1, %r5, 0; setp.eq.u32 %p2, %r5, 1;\n"
                  "@%p2 bra CONSUME; @!%p1 exit;\n"
                  "add.u32 %r6, %r0, 7; st.shared.u32 [%r3], %r6; bar.arrive 3, 64; ret;\n"
                  "CONSUME: bar.sync 3, 64; ld.shared.u32 %r6, [%r3+-128]; st.global.u32 [%rd3], %r6; ret; }",
             1, 128, out);
    for (uint32_t i = 0; i < 128; i++)
        assert_int_equal(out[i], i >= 32 && i < 64 ? i - 32 + 7 : 0);
}

/* With a number of threads, what is left of a warp counts as a whole one. */
static void arrive_in_part(void **state)
{
    uint32_t *out = memory_alloc(64 * 4);
    run_text(HEAD "and.b32 %r5, %r0, 31; setp.gt.u32 %p1, %r5, 20; @%p1 exit;\n"
                  "bar.sync 2, 64; st.global.u32 [%rd3], 1; ret; }",
             1, 60, out);
    for (uint32_t i = 0; i < 60; i++)
        assert_int_equal(out[i], i % 32 <= 20);
}

static void reductions(void **state)
{
    uint32_t *out = memory_alloc(96 * 4);
    run_text(HEAD
             "setp.lt.u32 %p1, %r0, 50; bar.red.popc.u32 %r5, 0, %p1;\n"
             "bar.red.and.pred %p2, 0, %p1; bar.red.or.pred %p3, 0, %p1; bar.red.popc.u32 %r6, 0, !%p1;\n"
             "selp.u32 %r7, 1000, 0, %p2; selp.u32 %r8, 2000, 0, %p3; add.u32 %r5, %r5, %r7;\n"
             "add.u32 %r5, %r5, %r8; mad.lo.u32 %r5, %r6, 10000, %r5; st.global.u32 [%rd3], %r5; ret; }",
             1, 96, out);
    for (uint32_t i = 0; i < 96; i++)
        assert_int_equal(out[i], 50 + 2000 + 46 * 10000);
}

/* Barriers in shared memory: by token, by parity, and with a count. */
static void objects(void **state)
{
    uint32_t *out = memory_alloc(128 * 4);
    run_text(HEAD ".shared .align 8 .b64 gate; setp.ne.u32 %p1, %r0, 0; @!%p1 mbarrier.init.shared.b64 "
                  "[gate], 128; bar.sync 0;\n"
                  "mov.u32 %r10, 0;\n"
                  "ROUND: add.u32 %r6, %r0, %r10; st.shared.u32 [%r3], %r6; "
                  "mbarrier.arrive.release.cta.shared::cta.b64 %rd4, [gate];\n"
                  "WAIT: mbarrier.try_wait.shared.b64 %p2, [gate], %rd4; @!%p2 bra WAIT;\n"
                  "xor.b32 %r7, %r2, 256; add.u32 %r7, %r7, %r1; ld.shared.u32 %r8, [%r7];\n"
                  "mbarrier.arrive.shared.b64 _, [gate]; AGAIN: mbarrier.test_wait.parity.shared.b64 %p3, "
                  "[gate], 1; @!%p3 bra AGAIN;\n"
                  "add.u32 %r10, %r10, 1; setp.lt.u32 %p4, %r10, 5; @%p4 bra ROUND;\n"
                  "st.global.u32 [%rd3], %r8; ret; }",
             1, 128, out);
    for (uint32_t i = 0; i < 128; i++)
        assert_int_equal(out[i], (i ^ 64) + 4);
}

/* Nobody will come: said so instead of waiting for ever. */
static void deadlock(void **state)
{
    struct ptx_fault fault =
        run_fault(HEAD "\nbar.sync 0, 128; ret; }", 1, 64, memory_alloc(4), PTX_FAULT_DEADLOCK);
    assert_int_equal(fault.line, 9);
}

static void bad_numbers(void **state)
{
    run_fault(HEAD "bar.sync 17; ret; }", 1, 64, memory_alloc(4), PTX_FAULT_ILLEGAL_INSTRUCTION);
    run_fault(HEAD "bar.sync 0, 33; ret; }", 1, 64, memory_alloc(4), PTX_FAULT_ILLEGAL_INSTRUCTION);
}

/* A sum over the block in dynamic shared memory behind static shared memory, in every one of many blocks. */
static void many_blocks(void **state)
{
    static const char text[] = HEADER
        ".extern .shared .align 16 .b8 room[];\n"
        ".visible .entry main(.param .u64 memory) {\n"
        ".reg .pred %p<2>; .reg .b32 %r<16>; .reg .b64 %rd<4>; .shared .align 4 .b8 first[20];\n"
        "ld.param.u64 %rd1, [memory]; mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x; mul.wide.u32 %rd2, %r1, "
        "4;\n"
        "add.s64 %rd1, %rd1, %rd2; st.shared.u32 [first], %r1;\n"
        "mov.u32 %r2, room; shl.b32 %r3, %r0, 2; add.u32 %r3, %r2, %r3; add.u32 %r4, %r0, %r1; st.shared.u32 "
        "[%r3], %r4;\n"
        "mov.u32 %r5, 128;\n"
        "LOOP: bar.sync 0; setp.ge.u32 %p1, %r0, %r5; @%p1 bra SKIP;\n"
        "shl.b32 %r6, %r5, 2; add.u32 %r6, %r6, %r3; ld.shared.u32 %r7, [%r6]; ld.shared.u32 %r8, [%r3];\n"
        "add.u32 %r8, %r8, %r7; st.shared.u32 [%r3], %r8;\n"
        "SKIP: shr.u32 %r5, %r5, 1; setp.ne.u32 %p1, %r5, 0; @%p1 bra LOOP;\n"
        "setp.ne.u32 %p1, %r0, 0; @%p1 exit; ld.shared.u32 %r8, [room]; ld.shared.u32 %r9, [first];\n"
        "mad.lo.u32 %r8, %r9, 1000000, %r8; st.global.u32 [%rd1], %r8; }";
    struct ptx_module *module = compile(text);
    uint32_t *out = memory_alloc(300 * 4);
    struct ptx_launch launch = launch_of(module, "main", 300, 256, &out, sizeof out);
    assert_int_equal(launch.kernel->shared_bytes, 32);
    launch.dynamic_shared_bytes = 256 * 4;
    run(&launch);
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal(out[i], i * 1000000 + 255 * 128 + 256 * i);
    module_free(module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(exchange, memory_fini),
        cmocka_unit_test_teardown(exited, memory_fini),
        cmocka_unit_test_teardown(parted, memory_fini),
        cmocka_unit_test_teardown(arrive, memory_fini),
        cmocka_unit_test_teardown(arrive_in_part, memory_fini),
        cmocka_unit_test_teardown(reductions, memory_fini),
        cmocka_unit_test_teardown(objects, memory_fini),
        cmocka_unit_test_teardown(deadlock, memory_fini),
        cmocka_unit_test_teardown(bad_numbers, memory_fini),
        cmocka_unit_test_teardown(many_blocks, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
