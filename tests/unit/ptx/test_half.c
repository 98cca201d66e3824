/* f16 and bf16, alone and in pairs. */
#include "support.h"

static void halves(void **state)
{
    static const struct row rows[] = {
        {"add.f16 h0, h1, h2;", 'h', 0x3c00, 0x4000, 0, 0x4200},
        {"add.rn.f16 h0, h1, h2;", 'h', 0x7bff, 0x7bff, 0, 0x7c00},
        {"add.sat.f16 h0, h1, h2;", 'h', 0x3c00, 0x3c00, 0, 0x3c00},
        {"add.ftz.f16 h0, h1, h2;", 'h', 0x0001, 0x0001, 0, 0},
        {"add.f16 h0, h1, h2;", 'h', 0x7c00, 0xfc00, 0, 0x7fff},
        {"sub.f16 h0, h1, h2;", 'h', 0x3c00, 0x3c01, 0, 0x9400},
        {"mul.f16 h0, h1, h2;", 'h', 0x3c01, 0x3c01, 0, 0x3c02},
        {"fma.rn.f16 h0, h1, h2, h3;", 'h', 0x3c01, 0x3c01, 0xbc02, 0x0010}, /* 2^-20 stays */
        {"fma.rn.f16 h0, h1, h2, h3;", 'h', 0x6400, 0x6400, 0x0001, 0x7c00},
        {"fma.rn.relu.f16 h0, h1, h2, h3;", 'h', 0x3c00, 0xbc00, 0, 0},
        {"neg.f16 h0, h1;", 'h', 0x3c00, 0, 0, 0xbc00},
        {"abs.f16 h0, h1;", 'h', 0xbc00, 0, 0, 0x3c00},
        {"min.f16 h0, h1, h2;", 'h', 0x8000, 0, 0, 0x8000},
        {"max.f16 h0, h1, h2;", 'h', 0x7e00, 0x3c00, 0, 0x3c00},
        {"max.NaN.f16 h0, h1, h2;", 'h', 0x7e00, 0x3c00, 0, 0x7fff},
        {"ex2.approx.f16 h0, h1;", 'h', 0x4200, 0, 0, 0x4800},
        {"tanh.approx.f16 h0, h1;", 'h', 0x7c00, 0, 0, 0x3c00},
        {"add.bf16 h0, h1, h2;", 'h', 0x3f80, 0x4000, 0, 0x4040},
        {"add.bf16 h0, h1, h2;", 'h', 0x3f80, 0x3b80, 0, 0x3f80}, /* 1 + 2^-8: a tie */
        {"add.bf16 h0, h1, h2;", 'h', 0x3f81, 0x3b80, 0, 0x3f82},
        {"mul.bf16 h0, h1, h2;", 'h', 0x3f81, 0x3f81, 0, 0x3f82},
        {"fma.rn.bf16 h0, h1, h2, h3;", 'h', 0x3f81, 0x3f81, 0xbf82, 0x3880},
        {"fma.rn.bf16 h0, h1, h2, h3;", 'h', 0x3f80, 0x3b80, 0x0001, 0x3b80},
        {"fma.rn.bf16 h0, h1, h2, h3;", 'h', 0x3f80, 0x0001, 0x3f80, 0x3f80},
        {"setp.lt.f16 p0, h1, h2;", 'p', 0xbc00, 0x3c00, 0, 1},
        {"setp.gtu.bf16 p0, h1, h2;", 'p', 0x7fc0, 0x3f80, 0, 1},
        {"{ set.gt.f16.f16 h0, h1, h2; }", 'h', 0x4000, 0x3c00, 0, 0x3c00},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void pairs(void **state)
{
    static const struct row rows[] = {
        {"add.f16x2 r0, r1, r2;", 'r', 0x3c004000, 0x3c003c00, 0, 0x40004200},
        {"mul.bf16x2 r0, r1, r2;", 'r', 0x40003f80, 0x40004000, 0, 0x40804000},
        {"fma.rn.f16x2 r0, r1, r2, r3;", 'r', 0x3c004000, 0x40004000, 0x3c000000, 0x42004400},
        {"neg.f16x2 r0, r1;", 'r', 0x3c00bc00, 0, 0, 0xbc003c00},
        {"abs.bf16x2 r0, r1;", 'r', 0xbf80bf80, 0, 0, 0x3f803f80},
        {"max.f16x2 r0, r1, r2;", 'r', 0x3c004000, 0x40003c00, 0, 0x40004000},
        {"{ setp.lt.f16x2 p2|p0, r1, r2; }", 'p', 0x3c004000, 0x40003c00, 0, 1},
        {"{ setp.lt.f16x2 p0|p2, r1, r2; }", 'p', 0x3c004000, 0x40003c00, 0, 0},
        {"{ set.gt.f16x2.f16x2 r0, r1, r2; }", 'r', 0x3c004000, 0x40003c00, 0, 0x00003c00},
        {"{ set.gt.u32.f16x2 r0, r1, r2; }", 'r', 0x3c004000, 0x40003c00, 0, 0x0000ffff},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(halves, memory_fini),
        cmocka_unit_test_teardown(pairs, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
