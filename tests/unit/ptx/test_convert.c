/* cvt: every kind of source and destination, clamping, rounding, NaN. */
#include "support.h"

#define N (~0ull)

static void integers(void **state)
{
    static const struct row rows[] = {
        {"cvt.u64.u32 d0, r1;", 'd', 0xffffffff, 0, 0, 0xffffffff},
        {"cvt.s64.s32 d0, r1;", 'd', 0xffffffff, 0, 0, N},
        {"cvt.u64.s32 d0, r1;", 'd', 0xffffffff, 0, 0, N},
        {"cvt.u32.u64 r0, d1;", 'r', 0x1234567890abcdef, 0, 0, 0x90abcdef},
        {"cvt.s32.s16 r0, h1;", 'r', 0x8000, 0, 0, 0xffff8000},
        {"cvt.u32.u16 r0, h1;", 'r', 0x8000, 0, 0, 0x8000},
        {"cvt.s32.s8 r0, r1;", 'r', 0x1280, 0, 0, 0xffffff80},
        {"cvt.u32.u8 r0, r1;", 'r', 0x1280, 0, 0, 0x80},
        {"cvt.s16.s8 h0, h1;", 'h', 0x80, 0, 0, 0xff80},
        {"cvt.u16.u64 h0, d1;", 'h', 0x12345, 0, 0, 0x2345},
        {"cvt.s8.s32 r0, r1;", 'r', 0x180, 0, 0, 0xffffff80},
        {"cvt.u8.u32 h0, r1;", 'h', 0x1ff, 0, 0, 0xff},
        {"cvt.s64.s8 d0, r1;", 'd', 0xff, 0, 0, N},
        {"cvt.sat.u8.s32 r0, r1;", 'r', 0xffffffff, 0, 0, 0},
        {"cvt.sat.u8.s32 r0, r1;", 'r', 300, 0, 0, 255},
        {"cvt.sat.s8.s32 r0, r1;", 'r', 0xffffff00, 0, 0, 0xffffff80},
        {"cvt.sat.s32.u32 r0, r1;", 'r', 0xffffffff, 0, 0, 0x7fffffff},
        {"cvt.sat.s16.s64 h0, d1;", 'h', 0x8000000000000000, 0, 0, 0x8000},
        {"cvt.sat.u32.s64 r0, d1;", 'r', N, 0, 0, 0},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void to_integer(void **state)
{
    static const struct row rows[] = {
        {"cvt.rzi.s32.f32 r0, f1;", 'r', 0xbfc00000, 0, 0, 0xffffffff}, /* -1.5 */
        {"cvt.rni.s32.f32 r0, f1;", 'r', 0x40200000, 0, 0, 2},          /* 2.5 */
        {"cvt.rmi.s32.f32 r0, f1;", 'r', 0xbfc00000, 0, 0, 0xfffffffe},
        {"cvt.rpi.s32.f32 r0, f1;", 'r', 0x3f000000, 0, 0, 1},
        {"cvt.rzi.s32.f32 r0, f1;", 'r', 0x7f800000, 0, 0, 0x7fffffff},
        {"cvt.rzi.s32.f32 r0, f1;", 'r', 0xff800000, 0, 0, 0x80000000},
        {"cvt.rzi.s32.f32 r0, f1;", 'r', 0x7fc00000, 0, 0, 0},
        {"cvt.rzi.u32.f32 r0, f1;", 'r', 0xbf800000, 0, 0, 0},
        {"cvt.rzi.u32.f32 r0, f1;", 'r', 0x4f800000, 0, 0, 0xffffffff}, /* 2^32 */
        {"cvt.rzi.s64.f32 d0, f1;", 'd', 0x7fc00000, 0, 0, 0x8000000000000000},
        {"cvt.rzi.u64.f64 d0, e1;", 'd', 0x43f0000000000000, 0, 0, N}, /* 2^64 */
        {"cvt.rzi.s64.f64 d0, e1;", 'd', 0x43e0000000000000, 0, 0, 0x7fffffffffffffff},
        {"cvt.rni.s64.f64 d0, e1;", 'd', 0xc1e0000000200000, 0, 0, 0xffffffff7fffffff},
        {"cvt.rzi.s32.f64 r0, e1;", 'r', 0x7ff8000000000000, 0, 0, 0x80000000},
        {"cvt.rzi.u16.f32 h0, f1;", 'h', 0x47800000, 0, 0, 0xffff},    /* 65536 */
        {"cvt.rzi.s8.f32 r0, f1;", 'r', 0xc3800000, 0, 0, 0xffffff80}, /* -256 */
        {"cvt.rni.ftz.s32.f32 r0, f1;", 'r', 1, 0, 0, 0},
        {"cvt.rpi.ftz.s32.f32 r0, f1;", 'r', 1, 0, 0, 0},
        {"cvt.rpi.s32.f32 r0, f1;", 'r', 1, 0, 0, 1},
        {"cvt.rzi.s32.f16 r0, h1;", 'r', 0xc500, 0, 0, 0xfffffffb}, /* -5 */
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void from_integer(void **state)
{
    static const struct row rows[] = {
        {"cvt.rn.f32.s32 f0, r1;", 'f', 0xffffffff, 0, 0, 0xbf800000},
        {"cvt.rn.f32.u32 f0, r1;", 'f', 0xffffffff, 0, 0, 0x4f800000},
        {"cvt.rz.f32.u32 f0, r1;", 'f', 0xffffffff, 0, 0, 0x4f7fffff},
        {"cvt.rn.f32.s32 f0, r1;", 'f', 0x01000001, 0, 0, 0x4b800000},
        {"cvt.rp.f32.s32 f0, r1;", 'f', 0x01000001, 0, 0, 0x4b800001},
        {"cvt.rn.f32.u64 f0, d1;", 'f', N, 0, 0, 0x5f800000},
        {"cvt.rz.f32.u64 f0, d1;", 'f', N, 0, 0, 0x5f7fffff},
        {"cvt.rn.f32.u64 f0, d1;", 'f', 0x8000008000000001, 0, 0, 0x5f000001},
        {"cvt.rm.f32.s64 f0, d1;", 'f', N - 0x1000000, 0, 0, 0xcb800001},
        {"cvt.rn.f64.s32 e0, r1;", 'e', 0x80000000, 0, 0, 0xc1e0000000000000},
        {"cvt.rn.f64.u64 e0, d1;", 'e', N, 0, 0, 0x43f0000000000000},
        {"cvt.rz.f64.u64 e0, d1;", 'e', N, 0, 0, 0x43efffffffffffff},
        {"cvt.rn.f32.u8 f0, r1;", 'f', 0x1ff, 0, 0, 0x437f0000},
        {"cvt.rn.f32.s16 f0, h1;", 'f', 0x8000, 0, 0, 0xc7000000},
        {"cvt.rn.f16.s32 h0, r1;", 'h', 2049, 0, 0, 0x6800},
        {"cvt.rn.f16.u32 h0, r1;", 'h', 70000, 0, 0, 0x7c00},
        {"cvt.rz.f16.u32 h0, r1;", 'h', 70000, 0, 0, 0x7bff},
        {"cvt.rn.bf16.u64 h0, d1;", 'h', 0x8080000000000001, 0, 0, 0x5f01},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void floats(void **state)
{
    static const struct row rows[] = {
        {"cvt.f64.f32 e0, f1;", 'e', 0x3fc00000, 0, 0, 0x3ff8000000000000},
        {"cvt.rn.f32.f64 f0, e1;", 'f', 0x3ff0000010000000, 0, 0, 0x3f800000}, /* a tie */
        {"cvt.rp.f32.f64 f0, e1;", 'f', 0x3ff0000000000001, 0, 0, 0x3f800001},
        {"cvt.rn.f32.f64 f0, e1;", 'f', 0x7fefffffffffffff, 0, 0, 0x7f800000},
        {"cvt.rz.f32.f64 f0, e1;", 'f', 0x7fefffffffffffff, 0, 0, 0x7f7fffff},
        {"cvt.rn.ftz.f32.f64 f0, e1;", 'f', 0x3690000000000000, 0, 0, 0},
        {"cvt.rn.f32.f64 f0, e1;", 'f', 0x7ff8000000000001, 0, 0, 0x7fffffff},
        {"cvt.rni.f32.f32 f0, f1;", 'f', 0x40200000, 0, 0, 0x40000000},
        {"cvt.rzi.f64.f64 e0, e1;", 'e', 0xbffc000000000000, 0, 0, 0xbff0000000000000},
        {"cvt.rmi.f32.f32 f0, f1;", 'f', 0xbf000000, 0, 0, 0xbf800000},
        {"cvt.rpi.f32.f32 f0, f1;", 'f', 0xbf000000, 0, 0, 0x80000000},
        {"cvt.sat.f32.f32 f0, f1;", 'f', 0x40000000, 0, 0, 0x3f800000},
        {"cvt.ftz.f32.f32 f0, f1;", 'f', 0x80000001, 0, 0, 0x80000000},
        {"cvt.f32.f16 f0, h1;", 'f', 0x0001, 0, 0, 0x33800000},
        {"cvt.f32.f16 f0, h1;", 'f', 0xfc00, 0, 0, 0xff800000},
        {"cvt.f32.f16 f0, h1;", 'f', 0x7e01, 0, 0, 0x7fffffff},
        {"cvt.f64.f16 e0, h1;", 'e', 0x3c01, 0, 0, 0x3ff0040000000000},
        {"cvt.rn.f16.f32 h0, f1;", 'h', 0x3f801000, 0, 0, 0x3c00}, /* a tie */
        {"cvt.rn.f16.f32 h0, f1;", 'h', 0x3f803000, 0, 0, 0x3c02},
        {"cvt.rz.f16.f32 h0, f1;", 'h', 0x3f803fff, 0, 0, 0x3c01},
        {"cvt.rn.f16.f32 h0, f1;", 'h', 0x477ff000, 0, 0, 0x7c00}, /* 65520 */
        {"cvt.rn.f16.f32 h0, f1;", 'h', 0x33000001, 0, 0, 0x0001},
        {"cvt.rn.f16.f32 h0, f1;", 'h', 0x33000000, 0, 0, 0x0000},
        {"cvt.rn.f16.f64 h0, e1;", 'h', 0x3ff0020000000001, 0, 0, 0x3c01},
        {"cvt.rn.bf16.f32 h0, f1;", 'h', 0x3f808000, 0, 0, 0x3f80},
        {"cvt.rn.bf16.f32 h0, f1;", 'h', 0x3f818000, 0, 0, 0x3f82},
        {"cvt.rn.relu.bf16.f32 h0, f1;", 'h', 0xbf800000, 0, 0, 0},
        {"cvt.f32.bf16 f0, h1;", 'f', 0x3f81, 0, 0, 0x3f810000},
        {"cvt.rn.f16x2.f32 r0, f1, f2;", 'r', 0x3f800000, 0x40000000, 0, 0x3c004000},
        {"cvt.rn.bf16x2.f32 r0, f1, f2;", 'r', 0x3f800000, 0x40000000, 0, 0x3f804000},
        {"cvt.rna.tf32.f32 r0, f1;", 'r', 0x3f801000, 0, 0, 0x3f802000},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(integers, memory_fini),
        cmocka_unit_test_teardown(to_integer, memory_fini),
        cmocka_unit_test_teardown(from_integer, memory_fini),
        cmocka_unit_test_teardown(floats, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
