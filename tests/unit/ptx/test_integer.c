/* Integer instructions, one at a time, at the edges of their types. */
#include "support.h"

#define N      (~0ull)
#define S32MIN 0x80000000u
#define S64MIN 0x8000000000000000ull

static void arithmetic(void **state)
{
    static const struct row rows[] = {
        {"add.u16 h0, h1, h2;", 'h', 0xffff, 2, 0, 1},
        {"add.s32 r0, r1, r2;", 'r', 0x7fffffff, 1, 0, 0x80000000},
        {"add.u64 d0, d1, d2;", 'd', N, 2, 0, 1},
        {"add.sat.s32 r0, r1, r2;", 'r', 0x7fffffff, 1, 0, 0x7fffffff},
        {"add.sat.s32 r0, r1, r2;", 'r', S32MIN, 0xffffffff, 0, S32MIN},
        {"sub.sat.s32 r0, r1, r2;", 'r', S32MIN, 1, 0, S32MIN},
        {"sub.s32 r0, r1, 5;", 'r', 3, 0, 0, 0xfffffffe},
        {"sub.u16 h0, h1, h2;", 'h', 0, 1, 0, 0xffff},
        {"add.u16x2 r0, r1, r2;", 'r', 0xffff0001, 0x00010002, 0, 0x00000003},
        {"mul.lo.u16 h0, h1, h2;", 'h', 0xffff, 0xffff, 0, 1},
        {"mul.lo.s32 r0, r1, r2;", 'r', 0x10001, 0x10001, 0, 0x20001},
        {"mul.hi.s32 r0, r1, r2;", 'r', S32MIN, 2, 0, 0xffffffff},
        {"mul.hi.u32 r0, r1, r2;", 'r', S32MIN, 2, 0, 1},
        {"mul.hi.s16 h0, h1, h2;", 'h', 0x8000, 2, 0, 0xffff},
        {"mul.hi.u64 d0, d1, d2;", 'd', N, N, 0, N - 1},
        {"mul.hi.s64 d0, d1, d2;", 'd', N, N, 0, 0},
        {"mul.wide.s16 r0, h1, h2;", 'r', 0x8000, 0x8000, 0, 0x40000000},
        {"mul.wide.u16 r0, h1, h2;", 'r', 0xffff, 0xffff, 0, 0xfffe0001},
        {"mul.wide.s32 d0, r1, r2;", 'd', 0xffffffff, 2, 0, N - 1},
        {"mul.wide.u32 d0, r1, r2;", 'd', 0xffffffff, 2, 0, 0x1fffffffe},
        {"mad.lo.s32 r0, r1, r2, r3;", 'r', 3, 4, 5, 17},
        {"mad.lo.u16 h0, h1, h2, h3;", 'h', 0xffff, 0xffff, 1, 2},
        {"mad.hi.u32 r0, r1, r2, r3;", 'r', S32MIN, 4, 5, 7},
        {"mad.hi.sat.s32 r0, r1, r2, r3;", 'r', 0x40000000, 0x40000000, 0x7fffffff, 0x7fffffff},
        {"mad.wide.s32 d0, r1, r2, d3;", 'd', 0xffffffff, 3, 10, 7},
        {"mad.wide.u16 r0, h1, h2, r3;", 'r', 0xffff, 2, 1, 0x1ffff},
        {"mul24.lo.s32 r0, r1, r2;", 'r', 0xffffff, 2, 0, 0xfffffffe},
        {"mul24.hi.u32 r0, r1, r2;", 'r', 0xffffff, 0xffffff, 0, 0xfffffe00},
        {"mad24.lo.u32 r0, r1, r2, r3;", 'r', 0x1000003, 2, 1, 7},
        {"div.s32 r0, r1, r2;", 'r', 0xfffffff9, 2, 0, 0xfffffffd},
        {"div.s32 r0, r1, r2;", 'r', S32MIN, 0xffffffff, 0, S32MIN},
        {"div.u32 r0, r1, r2;", 'r', 7, 0, 0, 0xffffffff},
        {"div.s64 d0, d1, d2;", 'd', S64MIN, N, 0, S64MIN},
        {"div.u16 h0, h1, h2;", 'h', 0xffff, 3, 0, 0x5555},
        {"rem.s32 r0, r1, r2;", 'r', 0xfffffff9, 2, 0, 0xffffffff},
        {"rem.s32 r0, r1, r2;", 'r', S32MIN, 0xffffffff, 0, 0},
        {"rem.u64 d0, d1, d2;", 'd', 17, 5, 0, 2},
        {"rem.u32 r0, r1, r2;", 'r', 7, 0, 0, 7},
        {"abs.s32 r0, r1;", 'r', S32MIN, 0, 0, S32MIN},
        {"abs.s16 h0, h1;", 'h', 0xffff, 0, 0, 1},
        {"abs.s64 d0, d1;", 'd', N, 0, 0, 1},
        {"neg.s32 r0, r1;", 'r', 1, 0, 0, 0xffffffff},
        {"min.s32 r0, r1, r2;", 'r', S32MIN, 1, 0, S32MIN},
        {"min.u32 r0, r1, r2;", 'r', S32MIN, 1, 0, 1},
        {"max.s64 d0, d1, d2;", 'd', N, 1, 0, 1},
        {"max.u16 h0, h1, h2;", 'h', 0x8000, 1, 0, 0x8000},
        {"{ max.s32.relu r0, r1, r2; }", 'r', 0xfffffff0, 0xfffffff1, 0, 0},
        {"min.s16x2 r0, r1, r2;", 'r', 0x80000001, 0x00010002, 0, 0x80000001},
        {"max.u16x2 r0, r1, r2;", 'r', 0x80000001, 0x00010002, 0, 0x80000002},
        {"vabsdiff4.u32.u32.u32 r0, r1, r2, r3;", 'r', 0x01ff0510, 0x02000a10, 7, 0x01ff0500},
        {"vabsdiff4.u32.s32.s32.add r0, r1, r2, r3;", 'r', 0xff000080, 0x0100007f, 7, 7 + 2 + 255},
        {"sad.s32 r0, r1, r2, r3;", 'r', 0xfffffffe, 3, 10, 15},
        {"sad.u32 r0, r1, r2, r3;", 'r', 3, 5, 10, 12},
        {"dp4a.u32.u32 r0, r1, r2, r3;", 'r', 0x01020304, 0x01010101, 100, 110},
        {"dp4a.s32.s32 r0, r1, r2, r3;", 'r', 0xff000000, 0x80000000, 0, 128},
        {"dp4a.u32.s32 r0, r1, r2, r3;", 'r', 0xff, 0xff, 0, 0xffffff01},
        {"dp2a.lo.u32.u32 r0, r1, r2, r3;", 'r', 0x00020001, 0x04030201, 0, 5},
        {"dp2a.hi.u32.u32 r0, r1, r2, r3;", 'r', 0x00020001, 0x04030201, 0, 11},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void extended(void **state)
{
    static const struct row rows[] = {
        {"{ add.cc.u32 r4, r1, r2; addc.u32 r0, r3, 0; }", 'r', 0xffffffff, 1, 5, 6},
        {"{ add.cc.u32 r4, r1, r2; addc.u32 r0, r3, 0; }", 'r', 0xfffffffe, 1, 5, 5},
        {"{ sub.cc.u32 r4, r1, r2; subc.u32 r0, r3, 0; }", 'r', 0, 1, 5, 4},
        {"{ add.cc.u64 d4, d1, d2; addc.cc.u64 d5, d4, d3; addc.u64 d0, 0, 0; }", 'd', N, N, 1, 1},
        {"{ mad.lo.cc.u32 r4, r1, r2, r3; madc.hi.u32 r0, r1, r2, 0; }", 'r', 0xffffffff, 2, 2, 2},
        {"{ mad.lo.cc.u64 d4, d1, d2, d3; madc.hi.u64 d0, d1, d2, 0; }", 'd', N, 2, 1, 1},
        {"{ mad.lo.cc.u64 d4, d1, d2, d3; madc.hi.u64 d0, d1, d2, 0; }", 'd', N, 2, 2, 2},
        {"{ mad.hi.cc.s32 r4, r1, r2, r3; addc.u32 r0, 0, 0; }", 'r', 0xffffffff, 1, 1, 1},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void logic_and_shifts(void **state)
{
    static const struct row rows[] = {
        {"and.b16 h0, h1, h2;", 'h', 0xff0f, 0x0fff, 0, 0x0f0f},
        {"or.b32 r0, r1, r2;", 'r', 0xf0, 0x0f, 0, 0xff},
        {"xor.b64 d0, d1, d2;", 'd', N, 1, 0, N - 1},
        {"not.b32 r0, r1;", 'r', 0, 0, 0, 0xffffffff},
        {"cnot.b32 r0, r1;", 'r', 0, 0, 0, 1},
        {"cnot.b64 d0, d1;", 'd', 5, 0, 0, 0},
        {"and.pred p0, p1, p2;", 'p', 1, 0, 0, 0},
        {"or.pred p0, p1, !p2;", 'p', 0, 0, 0, 1},
        {"xor.pred p0, p1, p2;", 'p', 1, 1, 0, 0},
        {"not.pred p0, p1;", 'p', 0, 0, 0, 1},
        {"shl.b32 r0, r1, r2;", 'r', 1, 31, 0, 0x80000000},
        {"shl.b32 r0, r1, r2;", 'r', 1, 32, 0, 0},
        {"shl.b16 h0, h1, r2;", 'h', 0xffff, 15, 0, 0x8000},
        {"shl.b64 d0, d1, r2;", 'd', 1, 64, 0, 0},
        {"shr.u32 r0, r1, r2;", 'r', 0x80000000, 0xffffffff, 0, 0},
        {"shr.s32 r0, r1, r2;", 'r', 0x80000000, 40, 0, 0xffffffff},
        {"shr.s16 h0, h1, r2;", 'h', 0x8000, 4, 0, 0xf800},
        {"shr.s64 d0, d1, 63;", 'd', S64MIN, 0, 0, N},
        {"shf.l.wrap.b32 r0, r1, r2, r3;", 'r', 0x80000000, 1, 33, 3},
        {"shf.l.clamp.b32 r0, r1, r2, r3;", 'r', 0x12345678, 1, 40, 0x12345678},
        {"shf.r.wrap.b32 r0, r1, r2, r3;", 'r', 0, 1, 4, 0x10000000},
        {"shf.r.clamp.b32 r0, r1, r2, r3;", 'r', 5, 0x9abc, 32, 0x9abc},
        {"lop3.b32 r0, r1, r2, r3, 0x80;", 'r', 0xff, 0x3c, 0x18, 0x18},
        {"lop3.b32 r0, r1, r2, r3, 0x96;", 'r', 0xf0, 0xcc, 0xaa, 0x96},
        {"lop3.b32 r0, r1, r2, r3, 0xca;", 'r', 0xf0, 0x35, 0x5a, 0x3a},
        {"prmt.b32 r0, r1, r2, 0x7531;", 'r', 0x33221100, 0x77665544, 0, 0x77553311},
        {"prmt.b32 r0, r1, r2, 0x000b;", 'r', 0x80000000, 0, 0, 0x000000ff},
        {"prmt.b32.f4e r0, r1, r2, r3;", 'r', 0x33221100, 0x77665544, 1, 0x44332211},
        {"prmt.b32.rc16 r0, r1, r2, r3;", 'r', 0x33221100, 0, 1, 0x33223322},
        {"prmt.b32.ecl r0, r1, r2, r3;", 'r', 0x33221100, 0, 2, 0x33222222},
        {"prmt.b32.b4e r0, r1, r2, r3;", 'r', 0x33221100, 0x77665544, 0, 0x55667700},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void fields(void **state)
{
    static const struct row rows[] = {
        {"bfe.u32 r0, r1, r2, r3;", 'r', 0x12345678, 8, 8, 0x56},
        {"bfe.s32 r0, r1, r2, r3;", 'r', 0x0000f000, 8, 8, 0xfffffff0},
        {"bfe.s32 r0, r1, r2, r3;", 'r', 0x80000000, 28, 16, 0xfffffff8},
        {"bfe.u32 r0, r1, r2, r3;", 'r', 0xffffffff, 40, 8, 0},
        {"bfe.s32 r0, r1, r2, r3;", 'r', 0xffffffff, 0, 0, 0},
        {"bfe.u64 d0, d1, r2, r3;", 'd', N, 60, 64, 15},
        {"bfe.s64 d0, d1, r2, r3;", 'd', 0xf0, 4, 4, N},
        {"bfi.b32 r0, r1, r2, 8, 8;", 'r', 0xab, 0x12345678, 0, 0x1234ab78},
        {"bfi.b32 r0, r1, r2, 28, 16;", 'r', 0xff, 0, 0, 0xf0000000},
        {"bfi.b32 r0, r1, r2, 32, 4;", 'r', 0xff, 7, 0, 7},
        {"bfi.b64 d0, d1, d2, 0, 64;", 'd', 0x1234, N, 0, 0x1234},
        {"bfind.u32 r0, r1;", 'r', 0x00010000, 0, 0, 16},
        {"bfind.u32 r0, r1;", 'r', 0, 0, 0, 0xffffffff},
        {"bfind.s32 r0, r1;", 'r', 0xffffffff, 0, 0, 0xffffffff},
        {"bfind.s32 r0, r1;", 'r', 0xfffffff0, 0, 0, 3},
        {"bfind.shiftamt.u64 r0, d1;", 'r', 1, 0, 0, 63},
        {"brev.b32 r0, r1;", 'r', 1, 0, 0, 0x80000000},
        {"brev.b64 d0, d1;", 'd', 2, 0, 0, 0x4000000000000000},
        {"popc.b32 r0, r1;", 'r', 0xf0f0, 0, 0, 8},
        {"popc.b64 r0, d1;", 'r', N, 0, 0, 64},
        {"clz.b32 r0, r1;", 'r', 0, 0, 0, 32},
        {"clz.b64 r0, d1;", 'r', 1, 0, 0, 63},
        {"fns.b32 r0, r1, r2, r3;", 'r', 0xaaaaaaaa, 3, 1, 3},
        {"fns.b32 r0, r1, r2, r3;", 'r', 0xaaaaaaaa, 3, 2, 5},
        {"fns.b32 r0, r1, r2, r3;", 'r', 0xaaaaaaaa, 3, 0xffffffff, 3},
        {"fns.b32 r0, r1, r2, r3;", 'r', 0xaaaaaaaa, 2, 0, 0xffffffff},
        {"bmsk.clamp.b32 r0, r1, r2;", 'r', 4, 8, 0, 0xff0},
        {"bmsk.clamp.b32 r0, r1, r2;", 'r', 0, 40, 0, 0xffffffff},
        {"bmsk.wrap.b32 r0, r1, r2;", 'r', 33, 1, 0, 2},
        {"szext.clamp.s32 r0, r1, r2;", 'r', 0x80, 8, 0, 0xffffff80},
        {"szext.clamp.u32 r0, r1, r2;", 'r', 0xff80, 8, 0, 0x80},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void comparison(void **state)
{
    static const struct row rows[] = {
        {"setp.lt.s32 p0, r1, r2;", 'p', 0xffffffff, 0, 0, 1},
        {"setp.lt.u32 p0, r1, r2;", 'p', 0xffffffff, 0, 0, 0},
        {"setp.lo.u32 p0, r1, r2;", 'p', 0, 1, 0, 1},
        {"setp.hs.u16 p0, h1, h2;", 'p', 0x8000, 0x7fff, 0, 1},
        {"setp.ge.s16 p0, h1, h2;", 'p', 0x8000, 0x7fff, 0, 0},
        {"setp.eq.b64 p0, d1, d2;", 'p', N, N, 0, 1},
        {"setp.ne.s64 p0, d1, d2;", 'p', N, N - 1, 0, 1},
        {"setp.gt.s64 p0, d1, d2;", 'p', S64MIN, 0, 0, 0},
        {"setp.le.u64 p0, d1, d2;", 'p', S64MIN, 0, 0, 0},
        {"setp.eq.and.s32 p0, r1, r2, p3;", 'p', 1, 1, 0, 0},
        {"setp.eq.or.s32 p0, r1, r2, p3;", 'p', 1, 2, 1, 1},
        {"setp.eq.xor.s32 p0, r1, r2, !p3;", 'p', 1, 1, 0, 0},
        {"{ setp.eq.s32 p2|p0, r1, r2; }", 'p', 1, 1, 0, 0},
        {"{ setp.eq.and.s32 p2|p0, r1, r2, p3; }", 'p', 1, 2, 1, 1},
        {"{ setp.eq.s32 _|p0, r1, r2; }", 'p', 1, 2, 0, 1},
        {"{ set.lt.u32.s32 r0, r1, r2; }", 'r', 0xffffffff, 0, 0, 0xffffffff},
        {"{ set.lt.f32.s32 f0, r1, r2; }", 'f', 0xffffffff, 0, 0, 0x3f800000},
        {"{ set.gt.and.s32.u32 r0, r1, r2, p3; }", 'r', 5, 3, 0, 0},
        {"selp.b32 r0, r1, r2, p3;", 'r', 7, 9, 1, 7},
        {"selp.b64 d0, d1, d2, p3;", 'd', 7, 9, 0, 9},
        {"selp.b16 h0, h1, h2, !p3;", 'h', 7, 9, 0, 7},
        {"selp.f32 f0, f1, 0f40000000, p3;", 'f', 7, 9, 0, 0x40000000},
        {"slct.u32.s32 r0, r1, r2, r3;", 'r', 7, 9, 0xffffffff, 9},
        {"slct.u64.s32 d0, d1, d2, r3;", 'd', 7, 9, 0, 7},
        {"slct.b32.f32 r0, r1, r2, f3;", 'r', 7, 9, 0x80000000, 7},
        {"slct.b32.f32 r0, r1, r2, f3;", 'r', 7, 9, 0x7fc00000, 9},
        {"slct.ftz.b32.f32 r0, r1, r2, f3;", 'r', 7, 9, 0x80000001, 7},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

static void moves(void **state)
{
    static const struct row rows[] = {
        {"mov.b32 r0, {h1, h2};", 'r', 0x1111, 0x2222, 0, 0x22221111},
        {"mov.b64 d0, {r1, r2};", 'd', 0x11111111, 0x22222222, 0, 0x2222222211111111},
        {"mov.b64 d0, {h1, h2, h3, h1};", 'd', 1, 2, 3, 0x0001000300020001},
        {"{ mov.b32 {h2, h0}, r1; }", 'h', 0x11112222, 0, 0, 0x1111},
        {"{ mov.b64 {_, r0}, d1; }", 'r', 0x1111222233334444, 0, 0, 0x11112222},
        {"{ mov.b64 {h3, h0, h2, h1}, d1; }", 'h', 0x1111222233334444, 0, 0, 0x3333},
        {"mov.u32 r0, -1;", 'r', 0, 0, 0, 0xffffffff},
        {"mov.u64 d0, 0xffffffffffffffff;", 'd', 0, 0, 0, N},
        {"mov.s16 h0, -2;", 'h', 0, 0, 0, 0xfffe},
        {"mov.f32 f0, 1.5;", 'f', 0, 0, 0, 0x3fc00000},
        {"mov.f64 e0, 0d3FF8000000000000;", 'e', 0, 0, 0, 0x3ff8000000000000},
        {"mov.b32 r0, f1;", 'r', 0x7fc01234, 0, 0, 0x7fc01234},
        {"mov.pred p0, p1;", 'p', 1, 0, 0, 1},
        {"mov.u32 r0, (1 << 4) + 3 * 2;", 'r', 0, 0, 0, 22},
        {"mov.u32 r0, WARP_SZ;", 'r', 0, 0, 0, 32},
        {"mov.s64 d0, -7 / 2;", 'd', 0, 0, 0, N - 2},
        {"mov.u32 r0, 3 > 2 ? 0b101 : 017;", 'r', 0, 0, 0, 5},
        {"mov.u32 r0, %ntid.y;", 'r', 0, 0, 0, 1},
        {"mov.u64 d0, %ctaid.x;", 'd', 0, 0, 0, 0},
        {"mov.u16 h0, %ntid.z;", 'h', 0, 0, 0, 1},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(arithmetic, memory_fini),
        cmocka_unit_test_teardown(extended, memory_fini),
        cmocka_unit_test_teardown(logic_and_shifts, memory_fini),
        cmocka_unit_test_teardown(fields, memory_fini),
        cmocka_unit_test_teardown(comparison, memory_fini),
        cmocka_unit_test_teardown(moves, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
