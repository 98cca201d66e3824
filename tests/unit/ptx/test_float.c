/* f32 and f64 instructions, one at a time: rounding, subnormals, infinities, NaN. Bit patterns throughout. */
#include "support.h"

#define ONE    0x3f800000u
#define TWO    0x40000000u
#define INF    0x7f800000u
#define NINF   0xff800000u
#define NAN32  0x7fffffffu /* the one that single precision has */
#define TINY   0x00000001u
#define MAX32  0x7f7fffffu
#define D_ONE  0x3ff0000000000000ull
#define D_INF  0x7ff0000000000000ull
#define D_TINY 1ull
#define D_NAN  0x7ff8000000000000ull

static void single(void **state)
{
    static const struct row rows[] = {
        {"add.f32 f0, f1, f2;", 'f', ONE, TWO, 0, 0x40400000},
        {"add.f32 f0, f1, f2;", 'f', INF, NINF, 0, NAN32},
        {"add.f32 f0, f1, f2;", 'f', 0x7f800001, ONE, 0, NAN32},
        {"add.f32 f0, f1, f2;", 'f', TINY, TINY, 0, 2},
        {"add.ftz.f32 f0, f1, f2;", 'f', TINY, TINY, 0, 0},
        {"add.ftz.f32 f0, f1, f2;", 'f', 0x80000001, 0x80000001, 0, 0x80000000},
        {"add.rn.f32 f0, f1, f2;", 'f', ONE, 0x33800000, 0, ONE}, /* 1 + 2^-24: a tie */
        {"add.rp.f32 f0, f1, f2;", 'f', ONE, 0x33800000, 0, 0x3f800001},
        {"add.rz.f32 f0, f1, f2;", 'f', MAX32, MAX32, 0, MAX32},
        {"add.rm.f32 f0, f1, f2;", 'f', ONE, 0xbf800000, 0, 0x80000000},
        {"add.sat.f32 f0, f1, f2;", 'f', ONE, TWO, 0, ONE},
        {"add.sat.f32 f0, f1, f2;", 'f', INF, NINF, 0, 0},
        {"sub.f32 f0, f1, f2;", 'f', ONE, ONE, 0, 0},
        {"mul.f32 f0, f1, f2;", 'f', MAX32, TWO, 0, INF},
        {"mul.rz.f32 f0, f1, f2;", 'f', MAX32, TWO, 0, MAX32},
        {"mul.f32 f0, f1, f2;", 'f', 0, INF, 0, NAN32},
        {"mul.ftz.f32 f0, f1, f2;", 'f', 0x00800000, 0x3f000000, 0, 0},
        {"mul.f32 f0, f1, f2;", 'f', 0x00800000, 0x3f000000, 0, 0x00400000},
        {"fma.rn.f32 f0, f1, f2, f3;", 'f', 0x3f800001, 0x3f800001, 0xbf800002, 0x28800000}, /* 2^-46 stays */
        {"fma.rn.f32 f0, f1, f2, f3;", 'f', INF, 0, ONE, NAN32},
        {"fma.rz.f32 f0, f1, f2, f3;", 'f', ONE, ONE, 0x33ffffff, ONE},
        {"fma.rn.ftz.sat.f32 f0, f1, f2, f3;", 'f', TWO, TWO, TWO, ONE},
        {"mad.rn.f32 f0, f1, f2, f3;", 'f', TWO, TWO, ONE, 0x40a00000},
        {"div.rn.f32 f0, f1, f2;", 'f', ONE, 0x40400000, 0, 0x3eaaaaab},
        {"div.rz.f32 f0, f1, f2;", 'f', ONE, 0x40400000, 0, 0x3eaaaaaa},
        {"div.rn.f32 f0, f1, f2;", 'f', ONE, 0x80000000, 0, NINF},
        {"div.rn.f32 f0, f1, f2;", 'f', 0, 0, 0, NAN32},
        {"div.full.f32 f0, f1, f2;", 'f', TWO, ONE, 0, TWO},
        {"rcp.rn.f32 f0, f1;", 'f', 0x40400000, 0, 0, 0x3eaaaaab},
        {"rcp.rp.f32 f0, f1;", 'f', 0x40400000, 0, 0, 0x3eaaaaab},
        {"rcp.approx.ftz.f32 f0, f1;", 'f', TINY, 0, 0, INF},
        {"sqrt.rn.f32 f0, f1;", 'f', TWO, 0, 0, 0x3fb504f3},
        {"sqrt.rp.f32 f0, f1;", 'f', TWO, 0, 0, 0x3fb504f4},
        {"sqrt.rn.f32 f0, f1;", 'f', 0xbf800000, 0, 0, NAN32},
        {"sqrt.rn.f32 f0, f1;", 'f', 0x80000000, 0, 0, 0x80000000},
        {"rsqrt.approx.f32 f0, f1;", 'f', 0x40800000, 0, 0, 0x3f000000},
        {"rsqrt.approx.f32 f0, f1;", 'f', 0x80000000, 0, 0, NINF},
        {"sin.approx.f32 f0, f1;", 'f', 0, 0, 0, 0},
        {"sin.approx.f32 f0, f1;", 'f', INF, 0, 0, NAN32},
        {"cos.approx.f32 f0, f1;", 'f', 0, 0, 0, ONE},
        {"ex2.approx.f32 f0, f1;", 'f', 0x41200000, 0, 0, 0x44800000},
        {"ex2.approx.ftz.f32 f0, f1;", 'f', NINF, 0, 0, 0},
        {"lg2.approx.f32 f0, f1;", 'f', 0x44800000, 0, 0, 0x41200000},
        {"lg2.approx.f32 f0, f1;", 'f', 0, 0, 0, NINF},
        {"tanh.approx.f32 f0, f1;", 'f', INF, 0, 0, ONE},
        {"abs.f32 f0, f1;", 'f', 0xc0000000, 0, 0, TWO},
        {"abs.ftz.f32 f0, f1;", 'f', 0x80000001, 0, 0, 0},
        {"neg.f32 f0, f1;", 'f', ONE, 0, 0, 0xbf800000},
        {"copysign.f32 f0, f1, f2;", 'f', 0x80000000, TWO, 0, 0xc0000000},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void minimum(void **state)
{
    static const struct row rows[] = {
        {"min.f32 f0, f1, f2;", 'f', 0x80000000, 0, 0, 0x80000000},
        {"min.f32 f0, f1, f2;", 'f', 0, 0x80000000, 0, 0x80000000},
        {"max.f32 f0, f1, f2;", 'f', 0x80000000, 0, 0, 0},
        {"min.f32 f0, f1, f2;", 'f', 0x7fc00000, ONE, 0, ONE},
        {"max.f32 f0, f1, f2;", 'f', ONE, 0x7fc00000, 0, ONE},
        {"max.f32 f0, f1, f2;", 'f', 0x7fc00000, 0xffc00000, 0, NAN32},
        {"max.NaN.f32 f0, f1, f2;", 'f', ONE, 0x7fc00000, 0, NAN32},
        {"min.NaN.f32 f0, f1, f2;", 'f', ONE, TWO, 0, ONE},
        {"max.ftz.f32 f0, f1, f2;", 'f', TINY, 0x80000000, 0, 0},
        {"min.xorsign.abs.f32 f0, f1, f2;", 'f', 0xc0000000, ONE, 0, 0xbf800000},
        {"min.f64 e0, e1, e2;", 'e', D_NAN, D_ONE, 0, D_ONE},
        {"max.f64 e0, e1, e2;", 'e', 0x8000000000000000, 0, 0, 0},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void doubles(void **state)
{
    static const struct row rows[] = {
        {"add.f64 e0, e1, e2;", 'e', D_ONE, 0x3ca0000000000000, 0, D_ONE},
        {"add.rp.f64 e0, e1, e2;", 'e', D_ONE, 0x3ca0000000000000, 0, D_ONE + 1},
        {"add.f64 e0, e1, e2;", 'e', D_TINY, D_TINY, 0, 2},
        {"sub.rm.f64 e0, e1, e2;", 'e', D_ONE, D_ONE, 0, 0x8000000000000000},
        {"mul.f64 e0, e1, e2;", 'e', 0x7fefffffffffffff, 0x4000000000000000, 0, D_INF},
        {"fma.rn.f64 e0, e1, e2, e3;", 'e', D_ONE + 1, D_ONE + 1, 0xbff0000000000002, 0x3970000000000000},
        {"div.rn.f64 e0, e1, e2;", 'e', D_ONE, 0x4008000000000000, 0, 0x3fd5555555555555},
        {"div.rp.f64 e0, e1, e2;", 'e', D_ONE, 0x4008000000000000, 0, 0x3fd5555555555556},
        {"sqrt.rn.f64 e0, e1;", 'e', 0x4000000000000000, 0, 0, 0x3ff6a09e667f3bcd},
        {"rcp.rn.f64 e0, e1;", 'e', 0x4008000000000000, 0, 0, 0x3fd5555555555555},
        {"rcp.approx.ftz.f64 e0, e1;", 'e', 0x4008000000000000, 0, 0, 0x3fd5555500000000},
        {"rsqrt.approx.ftz.f64 e0, e1;", 'e', 0x4010000000000000, 0, 0, 0x3fe0000000000000},
        {"abs.f64 e0, e1;", 'e', 0xbff0000000000000, 0, 0, D_ONE},
        {"neg.f64 e0, e1;", 'e', D_ONE, 0, 0, 0xbff0000000000000},
        {"copysign.f64 e0, e1, e2;", 'e', 0x8000000000000000, D_ONE, 0, 0xbff0000000000000},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void comparison(void **state)
{
    static const struct row rows[] = {
        {"setp.eq.f32 p0, f1, f2;", 'p', 0, 0x80000000, 0, 1},
        {"setp.eq.f32 p0, f1, f2;", 'p', NAN32, NAN32, 0, 0},
        {"setp.ne.f32 p0, f1, f2;", 'p', NAN32, ONE, 0, 0},
        {"setp.neu.f32 p0, f1, f2;", 'p', NAN32, ONE, 0, 1},
        {"setp.equ.f32 p0, f1, f2;", 'p', NAN32, ONE, 0, 1},
        {"setp.lt.f32 p0, f1, f2;", 'p', NINF, ONE, 0, 1},
        {"setp.ltu.f32 p0, f1, f2;", 'p', NAN32, ONE, 0, 1},
        {"setp.gtu.f32 p0, f1, f2;", 'p', ONE, TWO, 0, 0},
        {"setp.leu.f32 p0, f1, f2;", 'p', ONE, ONE, 0, 1},
        {"setp.geu.f32 p0, f1, f2;", 'p', ONE, TWO, 0, 0},
        {"setp.num.f32 p0, f1, f2;", 'p', ONE, TWO, 0, 1},
        {"setp.nan.f32 p0, f1, f2;", 'p', ONE, NAN32, 0, 1},
        {"setp.gt.ftz.f32 p0, f1, f2;", 'p', TINY, 0, 0, 0},
        {"setp.gt.f32 p0, f1, f2;", 'p', TINY, 0, 0, 1},
        {"setp.le.f64 p0, e1, e2;", 'p', D_ONE, D_ONE, 0, 1},
        {"setp.nan.f64 p0, e1, e2;", 'p', D_NAN, D_ONE, 0, 1},
        {"setp.ge.and.f64 p0, e1, e2, p3;", 'p', D_INF, D_ONE, 1, 1},
        {"testp.finite.f32 p0, f1;", 'p', INF, 0, 0, 0},
        {"testp.infinite.f32 p0, f1;", 'p', NINF, 0, 0, 1},
        {"testp.number.f32 p0, f1;", 'p', NAN32, 0, 0, 0},
        {"testp.notanumber.f64 p0, e1;", 'p', D_NAN, 0, 0, 1},
        {"testp.normal.f32 p0, f1;", 'p', TINY, 0, 0, 0},
        {"testp.subnormal.f64 p0, e1;", 'p', D_TINY, 0, 0, 1},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(single, memory_fini),
        cmocka_unit_test_teardown(minimum, memory_fini),
        cmocka_unit_test_teardown(doubles, memory_fini),
        cmocka_unit_test_teardown(comparison, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
