/* What the lanes of a warp do together, and that no thread keeps others from going on. */
#include "support.h"

#define HEAD                                                                                                 \
    HEADER ".visible .entry main(.param .u64 memory) {\n"                                                    \
           ".reg .pred %p<8>; .reg .b32 %r<32>; .reg .b64 %rd<16>;\n"                                        \
           "ld.param.u64 %rd1, [memory]; mov.u32 %r0, %tid.x; mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, "     \
           "%rd1, %rd2;\n"                                                                                   \
           "mov.u32 %r1, %laneid; add.u32 %r2, %r0, 100;\n"
#define STORE(REGISTER) " st.global.u32 [%rd3], " REGISTER "; ret; }"

static uint32_t *out_of(const char *text, uint32_t threads)
{
    uint32_t *out = memory_alloc(1024 * 4);
    run_text(text, 1, threads, out);
    return out;
}

static void shuffles(void **state)
{
    uint32_t *out = out_of(
        HEAD "shfl.sync.up.b32 %r3|%p1, %r2, 3, 0, -1; @!%p1 add.u32 %r3, %r3, 1000;" STORE("%r3"), 64);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(out[i], i % 32 >= 3 ? i - 3 + 100 : i + 1100);
    out = out_of(
        HEAD "shfl.sync.down.b32 %r3|%p1, %r2, 4, 31, -1; @!%p1 add.u32 %r3, %r3, 1000;" STORE("%r3"), 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i + 4 < 32 ? i + 104 : i + 1100);
    out = out_of(HEAD "shfl.sync.bfly.b32 %r3, %r2, 5, 31, -1;" STORE("%r3"), 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], (i ^ 5) + 100);
    /* Segments of eight lanes. */
    out = out_of(HEAD "shfl.sync.idx.b32 %r3, %r2, 2, 0x181f, -1;" STORE("%r3"), 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], (i & ~7u) + 2 + 100);
    out =
        out_of(HEAD "shfl.sync.down.b32 %r3|%p1, %r2, 1, 0x181f, -1; @!%p1 mov.u32 %r3, 7;" STORE("%r3"), 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i % 8 == 7 ? 7 : i + 101);
    /* Into the register it comes from. */
    out = out_of(HEAD "shfl.sync.idx.b32 %r2, %r2, 9, 31, -1;" STORE("%r2"), 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], 109);
}

static void votes(void **state)
{
    uint32_t *out =
        out_of(HEAD "setp.lt.u32 %p1, %r1, 5; vote.sync.ballot.b32 %r3, %p1, -1;" STORE("%r3"), 40);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(out[i], i < 32 ? 0x1f : 0x1f);
    out =
        out_of(HEAD "setp.lt.u32 %p1, %r1, 5; vote.sync.ballot.b32 %r3, !%p1, 0xffffffff;" STORE("%r3"), 40);
    assert_int_equal(out[0], 0xffffffe0);
    assert_int_equal(out[39], 0xe0);
    out = out_of(
        HEAD
        "setp.lt.u32 %p1, %r1, 32; vote.sync.all.pred %p2, %p1, -1; setp.eq.u32 %p3, %r1, 9;\n"
        "vote.sync.any.pred %p4, %p3, -1; vote.sync.uni.pred %p5, %p3, -1; selp.u32 %r3, 1, 0, %p2;\n"
        "selp.u32 %r4, 2, 0, %p4; selp.u32 %r5, 4, 0, %p5; or.b32 %r3, %r3, %r4; or.b32 %r3, %r3, %r5;" STORE(
            "%r3"),
        32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], 3);
}

static void matches(void **state)
{
    uint32_t *out = out_of(HEAD "and.b32 %r3, %r1, 3; match.any.sync.b32 %r4, %r3, -1;" STORE("%r4"), 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], 0x11111111u << (i & 3));
    out = out_of(
        HEAD "cvt.u64.u32 %rd4, %r1; match.all.sync.b64 %r4|%p1, %rd4, -1; mov.u64 %rd5, 7;\n"
             "match.all.sync.b64 %r5|%p2, %rd5, -1; selp.u32 %r6, 1, 0, %p1; selp.u32 %r7, 2, 0, %p2;\n"
             "popc.b32 %r5, %r5; add.u32 %r4, %r4, %r5; add.u32 %r4, %r4, %r6; add.u32 %r4, %r4, %r7;" STORE(
                 "%r4"),
        32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], 32 + 2);
}

static void reductions(void **state)
{
    uint32_t *out = out_of(
        HEAD "redux.sync.add.u32 %r3, %r1, -1; sub.u32 %r4, %r1, 10; redux.sync.min.s32 %r5, %r4, -1;\n"
             "redux.sync.max.u32 %r6, %r4, -1; redux.sync.or.b32 %r7, %r1, -1; add.u32 %r3, %r3, %r5;\n"
             "add.u32 %r3, %r3, %r6; add.u32 %r3, %r3, %r7;" STORE("%r3"),
        32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], 496u - 10u + 0xffffffffu + 31u);
    out = out_of(HEAD "elect.sync %r3|%p1, -1; selp.u32 %r4, 50, 0, %p1; add.u32 %r3, %r3, %r4;" STORE("%r3"),
                 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i == 0 ? 50 : 0);
}

/* Halves of the warp, each with its own mask, one instruction. */
static void groups(void **state)
{
    uint32_t *out = out_of(HEAD "setp.lt.u32 %p1, %r1, 16; selp.u32 %r3, 0xffff, 0xffff0000, %p1;\n"
                                "redux.sync.add.u32 %r4, %r1, %r3;" STORE("%r4"),
                           32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i < 16 ? 120 : 376);
}

/* Lanes that have parted meet at instructions of their own. */
static void meeting_apart(void **state)
{
    uint32_t *out = out_of(HEAD "and.b32 %r3, %r1, 1; setp.eq.u32 %p1, %r3, 0; @%p1 bra EVEN;\n"
                                "add.u32 %r5, %r1, 1000; shfl.sync.bfly.b32 %r6, %r5, 1, 31, -1; bra JOIN;\n"
                                "EVEN: add.u32 %r7, %r1, 2000; shfl.sync.bfly.b32 %r6, %r7, 1, 31, -1;\n"
                                "JOIN:" STORE("%r6"),
                           32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i & 1 ? i - 1 + 2000 : i + 1 + 1000);
}

/* One lane comes later than the others, after a loop of its own. */
static void late_lane(void **state)
{
    uint32_t *out = out_of(
        HEAD
        "mov.u32 %r4, 0; setp.ne.u32 %p1, %r1, 13; @%p1 bra READY;\n"
        "LOOP: add.u32 %r4, %r4, 1; setp.lt.u32 %p2, %r4, 5000; @%p2 bra LOOP;\n"
        "READY: bar.warp.sync -1; vote.sync.ballot.b32 %r5, %p1, -1; add.u32 %r5, %r5, %r4;" STORE("%r5"),
        32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], 0xffffdfffu + (i == 13 ? 5000 : 0));
}

/* A lane that has exited is not waited for. */
static void exited_lanes(void **state)
{
    uint32_t *out =
        out_of(HEAD "setp.gt.u32 %p1, %r1, 20; @%p1 exit; vote.sync.ballot.b32 %r5, 1, -1;" STORE("%r5"), 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i <= 20 ? 0x1fffff : 0);
}

static void active_mask(void **state)
{
    uint32_t *out =
        out_of(HEAD "mov.u32 %r3, 0; setp.lt.u32 %p1, %r1, 3; @%p1 activemask.b32 %r3;" STORE("%r3"), 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i < 3 ? 7 : 0);
}

static void lane_masks(void **state)
{
    uint32_t *out =
        out_of(HEAD "mov.u32 %r3, %lanemask_lt; mov.u32 %r4, %lanemask_eq; add.u32 %r3, %r3, %r4;\n"
                    "mov.u32 %r5, %lanemask_gt; add.u32 %r3, %r3, %r5; mov.u32 %r6, %lanemask_le;\n"
                    "mov.u32 %r7, %lanemask_ge; and.b32 %r6, %r6, %r7; xor.b32 %r3, %r3, %r6;" STORE("%r3"),
               32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], ~(1u << i));
}

/* Every lane takes the same lock by spinning, the others' progress depends on the one that has it. */
static void lock_in_a_warp(void **state)
{
    uint32_t *memory = memory_alloc(64);
    run_text(
        HEAD
        "LOCK: atom.global.cas.b32 %r3, [%rd1], 0, 1; setp.ne.u32 %p1, %r3, 0; @%p1 bra LOCK;\n"
        "ld.volatile.global.u32 %r4, [%rd1+4]; add.u32 %r4, %r4, %r0; st.volatile.global.u32 [%rd1+4], %r4;\n"
        "membar.gl; atom.global.exch.b32 %r5, [%rd1], 0; ret; }",
        1, 64, memory);
    assert_int_equal(memory[1], 64 * 63 / 2);
}

/* The first block waits for the last one: blocks that wait let others start. */
static void waiting_blocks(void **state)
{
    uint32_t *memory = memory_alloc(64);
    run_text(
        HEADER
        ".visible .entry main(.param .u64 memory) { .reg .pred %p; .reg .b32 %r<8>; .reg .b64 %rd;\n"
        "ld.param.u64 %rd, [memory]; mov.u32 %r1, %nctaid.x; mov.u32 %r2, %tid.x; setp.ne.u32 %p, %r2, 0;\n"
        "@%p bra JOIN; atom.global.add.u32 %r3, [%rd], 1;\n"
        "SPIN: ld.acquire.gpu.global.u32 %r4, [%rd]; setp.lt.u32 %p, %r4, %r1; @%p bra SPIN;\n"
        "JOIN: bar.sync 0; red.global.add.u32 [%rd+4], 1; ret; }",
        24, 64, memory);
    assert_int_equal(memory[1], 24 * 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(shuffles, memory_fini),
        cmocka_unit_test_teardown(votes, memory_fini),
        cmocka_unit_test_teardown(matches, memory_fini),
        cmocka_unit_test_teardown(reductions, memory_fini),
        cmocka_unit_test_teardown(groups, memory_fini),
        cmocka_unit_test_teardown(meeting_apart, memory_fini),
        cmocka_unit_test_teardown(late_lane, memory_fini),
        cmocka_unit_test_teardown(exited_lanes, memory_fini),
        cmocka_unit_test_teardown(active_mask, memory_fini),
        cmocka_unit_test_teardown(lane_masks, memory_fini),
        cmocka_unit_test_teardown(lock_in_a_warp, memory_fini),
        cmocka_unit_test_teardown(waiting_blocks, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
