/* State spaces, generic addresses, vectors, widths. */
#include "support.h"

#define HEAD                                                                                                 \
    ".visible .entry main(.param .u64 memory) {\n"                                                           \
    ".reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<32>; .reg .b64 %rd<32>; .reg .f32 %f<8>;\n"             \
    "ld.param.u64 %rd1, [memory]; mov.u32 %r0, %tid.x; mul.wide.u32 %rd2, %r0, 64; add.s64 %rd3, %rd1, "     \
    "%rd2;\n"

static void widths(void **state)
{
    uint64_t *memory = memory_alloc(64 * 64);
    for (int i = 0; i < 64; i++)
        memory[i * 8] = 0xfedcba9876543280;
    run_text(
        HEADER HEAD
        "ld.global.u8 %r1, [%rd3]; st.global.u32 [%rd3+8], %r1; ld.global.s8 %r1, [%rd3]; st.global.u32 "
        "[%rd3+12], %r1;\n"
        "ld.global.s8 %h1, [%rd3+7]; st.global.u16 [%rd3+16], %h1; ld.global.s16 %rd4, [%rd3+6]; "
        "st.global.u64 [%rd3+24], %rd4;\n"
        "ld.global.u16 %r2, [%rd3+6]; st.global.u8 [%rd3+18], %r2; ld.global.s32 %rd5, [%rd3+4]; "
        "st.global.b64 [%rd3+32], %rd5;\n"
        "ld.global.u32 %rd6, [%rd3+4]; st.global.b64 [%rd3+40], %rd6; st.global.u32 [%rd3+48], %rd6; ret; }",
        1, 40, memory);
    for (int i = 0; i < 40; i++) {
        const uint8_t *at = (const uint8_t *)&memory[i * 8];
        uint32_t word;
        memcpy(&word, at + 8, 4);
        assert_int_equal(word, 0x80);
        memcpy(&word, at + 12, 4);
        assert_int_equal(word, 0xffffff80);
        memcpy(&word, at + 16, 4);
        assert_int_equal(word, 0x00dcfffe);
        assert_int_equal(memory[i * 8 + 3], 0xfffffffffffffedc);
        assert_int_equal(memory[i * 8 + 4], 0xfffffffffedcba98);
        assert_int_equal(memory[i * 8 + 5], 0xfedcba98);
        assert_int_equal((uint32_t)memory[i * 8 + 6], 0xfedcba98);
    }
}

static void vectors(void **state)
{
    uint32_t *memory = memory_alloc(64 * 64);
    for (uint32_t i = 0; i < 64 * 16; i++)
        memory[i] = i * 3;
    run_text(
        HEADER HEAD
        "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd3]; st.global.v4.u32 [%rd3+16], {%r4, %r3, %r2, %r1};\n"
        "ld.global.v2.u64 {%rd4, %rd5}, [%rd3]; st.global.v2.b64 [%rd3+32], {%rd5, %rd4};\n"
        "ld.global.v4.u8 {%h1, %h2, %h3, %h4}, [%rd3]; st.global.v4.u8 [%rd3+48], {%h4, %h3, %h2, %h1};\n"
        "ld.global.b32 { %r9 }, [ %rd3 + 0 ]; st.global.b32 [ %rd3 + 52 ], { %r9 };\n"
        "ld.global.v2.f32 {%f1, _}, [%rd3+8]; st.global.v2.u32 [%rd3+56], {17, %r1}; ret; }",
        1, 33, memory);
    for (uint32_t i = 0; i < 33; i++) {
        const uint32_t *at = &memory[i * 16];
        for (uint32_t n = 0; n < 4; n++)
            assert_int_equal(at[4 + n], (i * 16 + 3 - n) * 3);
        assert_int_equal(at[8], (i * 16 + 2) * 3);
        assert_int_equal(at[12], __builtin_bswap32(at[0]));
        assert_int_equal(at[13], at[0]);
        assert_int_equal(at[14], 17);
        assert_int_equal(at[15], at[0]);
    }
}

/* The same bytes through their own space and through a generic address. */
static void generic(void **state)
{
    uint64_t *memory = memory_alloc(64 * 64);
    run_text(HEADER ".global .align 8 .b8 common[8]; .const .align 4 .u32 fixed[2] = {5, 6};\n" HEAD
                    ".shared .align 8 .b8 room[512]; .local .align 8 .b8 mine[32]; .reg .b32 %s;\n"
                    "mov.u32 %s, room; shl.b32 %r1, %r0, 3; add.u32 %s, %s, %r1; cvt.u64.u32 %rd4, %s; "
                    "cvta.shared.u64 %rd5, %rd4;\n"
                    "st.shared.u32 [%s], %r0; ld.u32 %r2, [%rd5]; st.u32 [%rd5+4], %r2; ld.shared.u32 %r3, "
                    "[%s+4]; st.global.u32 [%rd3], %r3;\n"
                    "mov.u64 %rd6, mine; cvta.local.u64 %rd7, %rd6; st.local.u32 [%rd6+8], %r0; st.local.u32 "
                    "[mine+12], 9; ld.v2.u32 {%r4, %r5}, [%rd7+8];\n"
                    "add.u32 %r4, %r4, %r5; st.global.u32 [%rd3+4], %r4;\n"
                    "cvta.to.local.u64 %rd8, %rd7; sub.u64 %rd8, %rd8, %rd6; st.u64 [%rd3+8], %rd8;\n"
                    "cvta.to.shared.u64 %rd9, %rd5; sub.u64 %rd9, %rd9, %rd4; st.u64 [%rd3+16], %rd9;\n"
                    "mov.u64 %rd10, fixed; cvta.const.u64 %rd10, %rd10; ld.u32 %r6, [%rd10+4]; ld.const.u32 "
                    "%r7, [fixed]; mad.lo.u32 %r6, %r7, 10, %r6; st.global.u32 [%rd3+24], %r6;\n"
                    "isspacep.shared %p1, %rd5; isspacep.local %p2, %rd7; isspacep.global %p3, %rd3; "
                    "isspacep.const %p4, %rd10; isspacep.global %p5, %rd5; isspacep.shared %p6, %rd3;\n"
                    "selp.u32 %r8, 1, 0, %p1; selp.u32 %r9, 2, 0, %p2; selp.u32 %r10, 4, 0, %p3; selp.u32 "
                    "%r11, 8, 0, %p4; selp.u32 %r12, 16, 0, %p5; selp.u32 %r13, 32, 0, %p6;\n"
                    "add.u32 %r8, %r8, %r9; add.u32 %r8, %r8, %r10; add.u32 %r8, %r8, %r11; add.u32 %r8, "
                    "%r8, %r12; add.u32 %r8, %r8, %r13; st.global.u32 [%rd3+28], %r8;\n"
                    "ret; }",
             1, 40, memory);
    for (uint32_t i = 0; i < 40; i++) {
        const uint32_t *at = (const uint32_t *)&memory[i * 8];
        assert_int_equal(at[0], i);
        assert_int_equal(at[1], i + 9);
        assert_int_equal(memory[i * 8 + 1], 0);
        assert_int_equal(memory[i * 8 + 2], 0);
        assert_int_equal(at[6], 56);
        assert_int_equal(at[7], 15);
    }
}

/* A local array with a computed index, as nvcc makes it. */
static void local_arrays(void **state)
{
    uint32_t *memory = memory_alloc(64 * 64);
    run_text(HEADER HEAD ".local .align 4 .b8 depot[64]; .reg .b64 %SP, %SPL;\n"
                         "mov.u64 %SPL, depot; cvta.local.u64 %SP, %SPL; mov.u32 %r1, 0;\n"
                         "LOOP: mul.wide.u32 %rd4, %r1, 4; add.u64 %rd5, %SPL, %rd4; mad.lo.u32 %r2, %r1, "
                         "%r0, 1; st.local.u32 [%rd5], %r2;\n"
                         "add.u32 %r1, %r1, 1; setp.lt.u32 %p1, %r1, 16; @%p1 bra LOOP;\n"
                         "and.b32 %r3, %r0, 15; mul.wide.u32 %rd6, %r3, 4; add.u64 %rd7, %SP, %rd6; ld.u32 "
                         "%r4, [%rd7]; st.global.u32 [%rd3], %r4; ret; }",
             2, 40, memory);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(memory[i * 16], (i & 15) * i + 1);
}

/* Local memory taken as the kernel runs, each thread its own amount; given back when the function returns. */
static void taken_as_it_runs(void **state)
{
    static const char text[] = HEADER
        ".func (.param .b32 r) last(.param .b32 n) { .reg .pred %p; .reg .b32 %r<8>; .reg .b64 %rd<8>;\n"
        "ld.param.u32 %r1, [n]; add.u32 %r2, %r1, 1; mul.wide.u32 %rd1, %r2, 4; alloca.u64 %rd2, %rd1, 16; "
        "cvta.local.u64 %rd3, %rd2;\n"
        "mov.u32 %r3, 0;\n"
        "L: mul.wide.u32 %rd4, %r3, 4; add.u64 %rd5, %rd3, %rd4; mul.lo.u32 %r4, %r3, 3; st.u32 [%rd5], %r4; "
        "add.u32 %r3, %r3, 1;\n"
        "setp.le.u32 %p, %r3, %r1; @%p bra L; ld.local.u32 %r5, [%rd2]; ld.u32 %r6, [%rd5]; add.u32 %r6, "
        "%r6, %r5;\n"
        "st.param.b32 [r], %r6; ret; }\n" HEAD "mov.u32 %r1, 0;\n"
        "AGAIN: { .param .b32 a; .param .b32 b; st.param.b32 [a], %r0; call.uni (b), last, (a); ld.param.b32 "
        "%r2, [b]; }\n"
        "add.u32 %r1, %r1, 1; setp.lt.u32 %p1, %r1, 50; @%p1 bra AGAIN; st.global.u32 [%rd3], %r2; ret; }";
    uint32_t *memory = memory_alloc(64 * 64);
    run_text(text, 1, 40, memory);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(memory[i * 16], i * 3);
    run_fault(HEADER HEAD "mov.u64 %rd4, 5000; alloca.u64 %rd5, %rd4, 16; ret; }", 1, 1, memory,
              PTX_FAULT_STACK_OVERFLOW);
    run_fault(HEADER HEAD "mov.u64 %rd4, -16; alloca.u64 %rd5, %rd4, 16; ret; }", 1, 1, memory,
              PTX_FAULT_STACK_OVERFLOW);
}

/* Parameters of all sizes, also through an address. */
static void kernel_parameters(void **state)
{
    static const char text[] =
        HEADER ".visible .entry main(.param .u64 memory, .param .u8 a, .param .u16 b, .param .align 16 .b8 "
               "c[24], .param .f64 d) {\n"
               ".reg .b16 %h<4>; .reg .b32 %r<8>; .reg .b64 %rd<8>; .reg .f64 %d<2>;\n"
               "ld.param.u64 %rd1, [memory]; ld.param.u8 %h1, [a]; ld.param.s16 %r1, [b]; ld.param.v4.u32 "
               "{%r2, %r3, %r4, %r5}, [c];\n"
               "ld.param.f64 %d1, [d]; st.global.u16 [%rd1], %h1; st.global.u32 [%rd1+4], %r1; "
               "st.global.v4.u32 [%rd1+16], {%r5, %r4, %r3, %r2};\n"
               "st.global.f64 [%rd1+8], %d1; mov.b64 %rd2, c; ld.param.u64 %rd3, [%rd2+16]; st.global.u64 "
               "[%rd1+32], %rd3;\n"
               "cvta.param.u64 %rd4, %rd2; ld.u32 %r6, [%rd4+4]; st.global.u32 [%rd1+40], %r6; ret; }";
    struct ptx_module *module = compile(text);
    uint64_t *memory = memory_alloc(64);
    struct {
        uint64_t *memory;
        uint8_t a;
        int16_t b;
        _Alignas(16) uint32_t c[6];
        double d;
    } params = {memory, 200, -3, {1, 2, 3, 4, 5, 6}, 2.5};
    struct ptx_launch launch = launch_of(module, "main", 1, 1, &params, sizeof params);
    assert_int_equal(launch.kernel->param_count, 5);
    assert_int_equal(launch.kernel->params[1].offset, 8);
    assert_int_equal(launch.kernel->params[2].offset, 10);
    assert_int_equal(launch.kernel->params[3].offset, 16);
    assert_int_equal(launch.kernel->params[3].bytes, 24);
    assert_int_equal(launch.kernel->params[3].align, 16);
    assert_int_equal(launch.kernel->params[4].offset, 40);
    assert_int_equal(launch.kernel->params_bytes, 48);
    run(&launch);
    const uint32_t *words = (const uint32_t *)memory;
    assert_int_equal(words[0], 200);
    assert_int_equal(words[1], 0xfffffffd);
    double d;
    memcpy(&d, &memory[1], 8);
    assert_true(d == 2.5);
    assert_int_equal(words[4], 4);
    assert_int_equal(words[7], 1);
    assert_int_equal(memory[4], 0x600000005);
    assert_int_equal(words[10], 2);
    module_free(module);
}

static void asynchronous_copies(void **state)
{
    uint32_t *memory = memory_alloc(64 * 64);
    for (uint32_t i = 0; i < 64 * 16; i++)
        memory[i] = i;
    run_text(
        HEADER HEAD
        ".shared .align 16 .b8 room[2048]; mov.u32 %r1, room; mad.lo.u32 %r1, %r0, 32, %r1;\n"
        "cp.async.ca.shared.global [%r1], [%rd3], 16; cp.async.cg.shared.global.L2::128B [%r1+16], "
        "[%rd3+16], 16, 4;\n"
        "cp.async.commit_group; cp.async.wait_group 0; cp.async.wait_all; bar.sync 0;\n"
        "ld.shared.v4.u32 {%r2, %r3, %r4, %r5}, [%r1]; ld.shared.v4.u32 {%r6, %r7, %r8, %r9}, [%r1+16];\n"
        "st.global.v4.u32 [%rd3+32], {%r2, %r3, %r4, %r5}; st.global.v4.u32 [%rd3+48], {%r6, %r7, %r8, %r9}; "
        "ret; }",
        1, 48, memory);
    for (uint32_t i = 0; i < 48; i++) {
        assert_int_equal(memory[i * 16 + 8], i * 16);
        assert_int_equal(memory[i * 16 + 11], i * 16 + 3);
        assert_int_equal(memory[i * 16 + 12], i * 16 + 4);
        assert_int_equal(memory[i * 16 + 13], 0);
    }
}

static void positions(void **state)
{
    static const char text[] =
        HEADER ".visible .entry main(.param .u64 memory) { .reg .b32 %r<20>; .reg .b64 %rd<4>;\n"
               "ld.param.u64 %rd1, [memory]; mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z; "
               "mov.u32 %r4, %ctaid.x;\n"
               "mov.u32 %r5, %ctaid.y; mov.u32 %r6, %ctaid.z; mov.u32 %r7, %ntid.x; mov.u32 %r8, %ntid.y; "
               "mov.u32 %r9, %ntid.z;\n"
               "mov.u32 %r10, %nctaid.x; mov.u32 %r11, %nctaid.y;\n"
               "mad.lo.u32 %r12, %r6, %r11, %r5; mad.lo.u32 %r12, %r12, %r10, %r4; mad.lo.u32 %r12, %r12, "
               "%r9, %r3;\n"
               "mad.lo.u32 %r12, %r12, %r8, %r2; mad.lo.u32 %r12, %r12, %r7, %r1;\n"
               "mul.wide.u32 %rd2, %r12, 4; add.s64 %rd2, %rd1, %rd2; red.global.add.u32 [%rd2], 1; ret; }";
    struct ptx_module *module = compile(text);
    uint32_t *memory = memory_alloc(3 * 2 * 2 * 5 * 3 * 7 * 4);
    struct ptx_launch launch = launch_of(module, "main", 1, 1, &memory, sizeof memory);
    memcpy(launch.grid, (uint32_t[]){3, 2, 2}, 12);
    memcpy(launch.block, (uint32_t[]){5, 3, 7}, 12);
    run(&launch);
    for (int i = 0; i < 3 * 2 * 2 * 5 * 3 * 7; i++)
        assert_int_equal(memory[i], 1);
    module_free(module);
}

static void clocks(void **state)
{
    uint64_t *memory = memory_alloc(64);
    run_text(
        HEADER HEAD
        "mov.u64 %rd4, %clock64; mov.u64 %rd5, %clock64; mov.u64 %rd6, %globaltimer; mov.u32 %r1, %clock;\n"
        "nanosleep.u32 100; st.global.u64 [%rd1], %rd4; st.global.u64 [%rd1+8], %rd5; st.global.u64 "
        "[%rd1+16], %rd6; ret; }",
        1, 1, memory);
    assert_true(memory[0] <= memory[1]);
    assert_true(memory[2] > 1000000000000000000ull);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(widths, memory_fini),
        cmocka_unit_test_teardown(vectors, memory_fini),
        cmocka_unit_test_teardown(generic, memory_fini),
        cmocka_unit_test_teardown(local_arrays, memory_fini),
        cmocka_unit_test_teardown(taken_as_it_runs, memory_fini),
        cmocka_unit_test_teardown(kernel_parameters, memory_fini),
        cmocka_unit_test_teardown(asynchronous_copies, memory_fini),
        cmocka_unit_test_teardown(positions, memory_fini),
        cmocka_unit_test_teardown(clocks, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
