/* Branches, loops, calls: what each thread does is its own, however lanes part and meet. */
#include "support.h"

#include <stdlib.h>

#define KERNEL                                                                                               \
    HEADER                                                                                                   \
    ".visible .entry main(.param .u64 memory) {\n"                                                           \
    ".reg .pred %p<8>; .reg .b32 %r<32>; .reg .b64 %rd<16>;\n"                                               \
    "ld.param.u64 %rd1, [memory]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;\n"       \
    "mad.lo.u32 %r0, %r1, %r2, %r3; mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, %rd1, %rd2;\n"

static uint32_t collatz(uint32_t n)
{
    uint32_t steps = 0;
    for (; n != 1; steps++)
        n = n & 1 ? 3 * n + 1 : n / 2;
    return steps;
}

/* Every lane loops its own number of times, with a branch in the loop. */
static void loops(void **state)
{
    uint32_t *out = memory_alloc(100 * 3 * 4);
    run_text(KERNEL "add.u32 %r4, %r0, 1; mov.u32 %r5, 0;\n"
                    "LOOP: setp.eq.u32 %p1, %r4, 1; @%p1 bra DONE;\n"
                    "and.b32 %r6, %r4, 1; setp.ne.u32 %p2, %r6, 0; @%p2 bra ODD;\n"
                    "shr.u32 %r4, %r4, 1; bra.uni NEXT;\n"
                    "ODD: mad.lo.u32 %r4, %r4, 3, 1;\n"
                    "NEXT: add.u32 %r5, %r5, 1; bra LOOP;\n"
                    "DONE: st.global.u32 [%rd3], %r5; }",
             3, 100, out);
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal(out[i], collatz(i + 1));
}

static void branch_tables(void **state)
{
    uint32_t *out = memory_alloc(64 * 4);
    run_text(KERNEL "rem.u32 %r4, %r0, 3;\n"
                    "TABLE: .branchtargets A, B, C;\n"
                    "brx.idx %r4, TABLE;\n"
                    "A: mov.u32 %r5, 10; bra END;\n"
                    "B: mov.u32 %r5, 20; bra END;\n"
                    "C: mov.u32 %r5, 30;\n"
                    "END: st.global.u32 [%rd3], %r5; ret; }",
             1, 64, out);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(out[i], (i % 3 + 1) * 10);
}

/* Labels belong to their block: inline assembly repeats them. */
static void labels_in_blocks(void **state)
{
    uint32_t *out = memory_alloc(32 * 4);
    run_text(KERNEL
             "mov.u32 %r4, 0;\n"
             "{ .reg .pred p; LAB: add.u32 %r4, %r4, 1; setp.lt.u32 p, %r4, 5; @p bra LAB; }\n"
             "{ .reg .pred p; LAB: add.u32 %r4, %r4, 1; setp.lt.u32 p, %r4, 9; @p bra LAB; bra OUT; }\n"
             "mov.u32 %r4, 77;\n"
             "OUT: st.global.u32 [%rd3], %r4; ret; }",
             1, 32, out);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], 9);
}

static void guards(void **state)
{
    uint32_t *out = memory_alloc(64 * 4);
    run_text(KERNEL "setp.lt.u32 %p1, %r0, 7; mov.u32 %r4, 1;\n"
                    "@%p1 mov.u32 %r4, 2; @!%p1 add.u32 %r4, %r4, 5;\n"
                    "@%p1 st.global.u32 [%rd3], %r4; @%p1 exit;\n"
                    "@!%p1 add.u32 %r4, %r4, 100; st.global.u32 [%rd3], %r4; @%p1 trap; ret; }",
             1, 64, out);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(out[i], i < 7 ? 2 : 106);
}

#define FIBONACCI                                                                                            \
    ".func (.param .b32 result) fib(.param .b32 n) {\n"                                                      \
    ".reg .pred %p; .reg .b32 %r<8>;\n"                                                                      \
    "ld.param.u32 %r1, [n]; setp.lt.u32 %p, %r1, 2; @%p bra LEAF;\n"                                         \
    "add.u32 %r2, %r1, -1;\n"                                                                                \
    "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r2; call.uni (b), fib, (a); ld.param.b32 %r3, [b]; " \
    "}\n"                                                                                                    \
    "add.u32 %r2, %r1, -2;\n"                                                                                \
    "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r2; call.uni (b), fib, (a); ld.param.b32 %r4, [b]; " \
    "}\n"                                                                                                    \
    "add.u32 %r1, %r3, %r4;\n"                                                                               \
    "LEAF: st.param.b32 [result], %r1; ret; }\n"

/* Lanes are at different depths of the recursion most of the time. */
static void recursion(void **state)
{
    static const char text[] =
        HEADER FIBONACCI ".visible .entry main(.param .u64 memory) {\n"
                         ".reg .b32 %r<4>; .reg .b64 %rd<4>;\n"
                         "ld.param.u64 %rd1, [memory]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4;\n"
                         "add.s64 %rd1, %rd1, %rd2; and.b32 %r2, %r1, 15;\n"
                         "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r2; call.uni (b), fib, (a);\n"
                         "ld.param.b32 %r3, [b]; }\n"
                         "st.global.u32 [%rd1], %r3; ret; }";
    static const uint32_t expected[] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610};
    uint32_t *out = memory_alloc(48 * 4);
    run_text(text, 1, 48, out);
    for (uint32_t i = 0; i < 48; i++)
        assert_int_equal(out[i], expected[i & 15]);
}

/* Without end: the stack of the thread runs out, and that is said. */
static void endless_recursion(void **state)
{
    static const char text[] = HEADER ".func f() { .local .align 8 .b8 room[64]; call.uni f; ret; }\n"
                                      ".visible .entry main(.param .u64 memory) { call.uni f; ret; }";
    run_fault(text, 1, 32, NULL, PTX_FAULT_STACK_OVERFLOW);
}

static void pointers(void **state)
{
    static const char text[] = HEADER
        ".func (.param .b32 r) one(.param .b32 a) { .reg .b32 %r; ld.param.b32 %r, [a]; add.u32 %r, %r, 1; "
        "st.param.b32 [r], %r; ret; }\n"
        ".func (.param .b32 r) two(.param .b32 a) { .reg .b32 %r; ld.param.b32 %r, [a]; shl.b32 %r, %r, 1; "
        "st.param.b32 [r], %r; ret; }\n"
        ".global .align 8 .u64 table[2] = {one, two};\n"
        ".visible .entry main(.param .u64 memory) {\n"
        ".reg .b32 %r<8>; .reg .b64 %rd<8>;\n"
        "ld.param.u64 %rd1, [memory]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, "
        "%rd2;\n"
        "and.b32 %r2, %r1, 1; mul.wide.u32 %rd3, %r2, 8; mov.u64 %rd4, table; add.s64 %rd4, %rd4, %rd3;\n"
        "ld.global.u64 %rd5, [%rd4];\n"
        "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r1;\n"
        "shape: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
        "call (b), %rd5, (a), shape; ld.param.b32 %r3, [b]; }\n"
        "st.global.u32 [%rd1], %r3; ret; }";
    uint32_t *out = memory_alloc(40 * 4);
    run_text(text, 1, 40, out);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(out[i], i & 1 ? i * 2 : i + 1);
}

static void bad_pointer(void **state)
{
    static const char text[] = HEADER ".func f() { ret; } .func g(.param .b32 a) { ret; }\n"
                                      ".visible .entry main(.param .u64 memory) { .reg .b64 %rd<2>;\n"
                                      "mov.u64 %rd0, f; mov.u64 %rd1, g; add.u64 %rd1, %rd1, %s;\n"
                                      "shape: .callprototype _ (); call %rd1, (), shape; ret; }";
    static const char *const wrong[] = {"0", "8", "1600000", "-1000000000000"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *at = strstr(text, "%s"), *whole = calloc(1, sizeof text + 32);
        assert_non_null(whole);
        memcpy(whole, text, (size_t)(at - text));
        strcat(whole, wrong[i]);
        strcat(whole, at + 2);
        run_fault(whole, 1, 1, NULL, PTX_FAULT_ILLEGAL_INSTRUCTION);
        free(whole);
    }
}

/* Structures by value, registers as parameters, an alias. */
static void parameters(void **state)
{
    static const char text[] =
        HEADER ".func (.reg .b32 r) sum(.reg .b32 a, .reg .b64 b) { .reg .b32 t; cvt.u32.u64 t, b; add.u32 "
               "r, a, t; ret; }\n"
               ".func (.param .align 8 .b8 r[16]) swap(.param .align 8 .b8 a[16]) { .reg .b64 %rd<2>;\n"
               "ld.param.v2.u64 {%rd0, %rd1}, [a]; st.param.u64 [r], %rd1; st.param.u64 [r+8], %rd0; ret; }\n"
               ".func (.param .align 8 .b8 r[16]) other(.param .align 8 .b8 a[16]);\n"
               ".alias other, swap;\n"
               ".visible .entry main(.param .u64 memory) { .reg .b32 %r<4>; .reg .b64 %rd<8>;\n"
               "ld.param.u64 %rd1, [memory]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 16; add.s64 %rd1, "
               "%rd1, %rd2;\n"
               "cvt.u64.u32 %rd3, %r1; call (%r2), sum, (%r1, %rd3); cvt.u64.u32 %rd4, %r2;\n"
               "{ .param .align 8 .b8 a[16]; .param .align 8 .b8 b[16]; st.param.v2.u64 [a], {%rd3, %rd4};\n"
               "call (b), other, (a); ld.param.v2.u64 {%rd5, %rd6}, [b]; }\n"
               "st.global.v2.u64 [%rd1], {%rd5, %rd6}; ret; }";
    uint64_t *out = memory_alloc(33 * 16);
    run_text(text, 1, 33, out);
    for (uint32_t i = 0; i < 33; i++) {
        assert_int_equal(out[i * 2], 2 * i);
        assert_int_equal(out[i * 2 + 1], i);
    }
}

/* The same function called by lanes that have parted, and exits inside of it. */
static void exit_in_call(void **state)
{
    static const char text[] = HEADER
        ".func leave(.param .b32 a) { .reg .pred %p; .reg .b32 %r; ld.param.b32 %r, [a]; and.b32 %r, %r, 1;\n"
        "setp.eq.u32 %p, %r, 1; @%p exit; ret; }\n"
        ".visible .entry main(.param .u64 memory) { .reg .pred %p; .reg .b32 %r<4>; .reg .b64 %rd<4>;\n"
        "ld.param.u64 %rd1, [memory]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, "
        "%rd2;\n"
        "setp.lt.u32 %p, %r1, 10; @%p bra LOW;\n"
        "{ .param .b32 a; st.param.b32 [a], %r1; call leave, (a); } bra JOIN;\n"
        "LOW: { .param .b32 a; st.param.b32 [a], %r1; call leave, (a); }\n"
        "JOIN: st.global.u32 [%rd1], 1; ret; }";
    uint32_t *out = memory_alloc(50 * 4);
    run_text(text, 1, 50, out);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(out[i], i % 2 == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(loops, memory_fini),
        cmocka_unit_test_teardown(branch_tables, memory_fini),
        cmocka_unit_test_teardown(labels_in_blocks, memory_fini),
        cmocka_unit_test_teardown(guards, memory_fini),
        cmocka_unit_test_teardown(recursion, memory_fini),
        cmocka_unit_test_teardown(endless_recursion, memory_fini),
        cmocka_unit_test_teardown(pointers, memory_fini),
        cmocka_unit_test_teardown(bad_pointer, memory_fini),
        cmocka_unit_test_teardown(parameters, memory_fini),
        cmocka_unit_test_teardown(exit_in_call, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
