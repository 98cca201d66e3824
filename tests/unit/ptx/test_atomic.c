/* atom and red: what they leave in memory and give back, and that launches at the same time lose nothing. */
#include "support.h"

#include <pthread.h>
#include <stdio.h>

struct atomic_row {
    const char *operation; /* with type: add.u32 */
    const char *operands;
    char class;
    uint64_t before, b, c, after;
};

/* One thread; the value before comes back. A shared variable starts with what global memory holds and is
 * copied back there. */
static void check(const struct atomic_row *row, const char *space)
{
    static const char *const types[] = {
        ['h'] = "u16", ['r'] = "u32", ['d'] = "u64", ['f'] = "f32", ['e'] = "f64"};
    bool shared = strcmp(space, ".shared") == 0;
    char text[2048];
    snprintf(
        text, sizeof text,
        HEADER
        ".visible .entry main(.param .u64 memory) { .reg .b16 h<4>; .reg .b32 r<4>; .reg .b64 d<4>, m, s;\n"
        ".reg .f32 f<4>; .reg .f64 e<4>; .shared .align 8 .b8 room[8];\n"
        "ld.param.u64 m, [memory]; ld.global.u64 d0, [m]; st.shared.u64 [room], d0;\n"
        "ld.global.u16 h2, [m+8]; ld.global.u32 r2, [m+8]; ld.global.u64 d2, [m+8];\n"
        "ld.global.f32 f2, [m+8]; ld.global.f64 e2, [m+8];\n"
        "ld.global.u16 h3, [m+16]; ld.global.u32 r3, [m+16]; ld.global.u64 d3, [m+16];\n"
        "mov.u64 s, %s; atom%s.%s %c0, [s], %s; st.global.%s [m+24], %c0;\n"
        "ld.shared.u64 d1, [room]; %s ret; }",
        shared ? "room" : "m", space, row->operation, row->class, row->operands, types[(int)row->class],
        row->class, shared ? "st.global.u64 [m], d1;" : "");
    uint64_t *memory = memory_alloc(64);
    memory[0] = row->before;
    memory[1] = row->b;
    memory[2] = row->c;
    run_text(text, 1, 1, memory);
    if (memory[0] != row->after || memory[3] != row->before)
        fail_msg("atom%s.%s: 0x%llx becomes 0x%llx, gives 0x%llx", space, row->operation,
                 (unsigned long long)row->before, (unsigned long long)memory[0],
                 (unsigned long long)memory[3]);
}

static void operations(void **state)
{
    static const struct atomic_row rows[] = {
        {"add.u32", "r2", 'r', 0xffffffff, 2, 0, 1},
        {"add.u64", "d2", 'd', 5, ~0ull, 0, 4},
        {"add.f32", "f2", 'f', 0x3f800000, 0x40000000, 0, 0x40400000},
        {"add.f64", "e2", 'e', 0x3ff0000000000000, 0x3ff0000000000000, 0, 0x4000000000000000},
        {"add.noftz.f16x2", "r2", 'r', 0x3c004000, 0x3c003c00, 0, 0x40004200},
        {"add.noftz.f16", "h2", 'h', 0x3c00, 0x3c00, 0, 0x4000},
        {"add.noftz.bf16x2", "r2", 'r', 0x3f803f80, 0x3f803f80, 0, 0x40004000},
        {"min.s32", "r2", 'r', 1, 0xffffffff, 0, 0xffffffff},
        {"min.u32", "r2", 'r', 1, 0xffffffff, 0, 1},
        {"max.s64", "d2", 'd', 1, ~0ull, 0, 1},
        {"max.u64", "d2", 'd', 1, ~0ull, 0, ~0ull},
        {"and.b32", "r2", 'r', 0xff, 0x0f, 0, 0x0f},
        {"or.b64", "d2", 'd', 0xf0, 0x0f, 0, 0xff},
        {"xor.b32", "r2", 'r', 0xff, 0x0f, 0, 0xf0},
        {"exch.b32", "r2", 'r', 7, 9, 0, 9},
        {"exch.b64", "d2", 'd', 7, 9, 0, 9},
        {"cas.b32", "r2, r3", 'r', 7, 7, 9, 9},
        {"cas.b32", "r2, r3", 'r', 7, 8, 9, 7},
        {"cas.b64", "d2, d3", 'd', 7, 7, 9, 9},
        {"cas.b16", "h2, h3", 'h', 7, 7, 9, 9},
        {"inc.u32", "r2", 'r', 5, 5, 0, 0},
        {"inc.u32", "r2", 'r', 4, 5, 0, 5},
        {"dec.u32", "r2", 'r', 0, 5, 0, 5},
        {"dec.u32", "r2", 'r', 9, 5, 0, 5},
        {"dec.u32", "r2", 'r', 3, 5, 0, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(&rows[i], ".global");
        check(&rows[i], ".shared");
        check(&rows[i], "");
    }
}

/* Every thread adds to the same places, with the same instruction for the whole warp. */
static void contention(void **state)
{
    uint32_t *memory = memory_alloc(64);
    run_text(
        HEADER
        ".visible .entry main(.param .u64 memory) { .reg .b32 %r<8>; .reg .b64 %m; .reg .f32 %f; .shared "
        ".u32 count; .reg .pred %p;\n"
        "ld.param.u64 %m, [memory]; mov.u32 %r1, %tid.x; setp.eq.u32 %p, %r1, 0; @%p st.shared.u32 [count], "
        "0; bar.sync 0;\n"
        "atom.shared.add.u32 %r2, [count], 1; red.global.add.u32 [%m], 1; red.global.max.u32 [%m+4], %r2;\n"
        "red.relaxed.gpu.global.add.f32 [%m+8], 0f3f800000; bar.sync 0; @%p ld.shared.u32 %r3, [count]; @%p "
        "red.global.add.u32 [%m+12], %r3; ret; }",
        5, 300, memory);
    float sum;
    memcpy(&sum, &memory[2], 4);
    assert_int_equal(memory[0], 1500);
    assert_int_equal(memory[1], 299);
    assert_true(sum == 1500.0f);
    assert_int_equal(memory[3], 1500);
}

static void *launch_thread(void *launch)
{
    struct ptx_result result;
    return ptx_launch_run(launch, &result) ? launch : NULL;
}

static void launches_at_once(void **state)
{
    struct ptx_module *module = compile(
        HEADER ".visible .entry main(.param .u64 memory) { .reg .b32 %r<8>; .reg .b64 %m; .reg .pred %p;\n"
               "ld.param.u64 %m, [memory]; mov.u32 %r1, 0;\n"
               "LOOP: atom.global.add.u32 %r2, [%m], 1; red.global.add.f64 [%m+8], 0d3ff0000000000000; "
               "add.u32 %r1, %r1, 1;\n"
               "setp.lt.u32 %p, %r1, 200; @%p bra LOOP; ret; }");
    uint64_t *memory = memory_alloc(64);
    struct ptx_launch launch = launch_of(module, "main", 4, 128, &memory, sizeof memory);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, launch_thread, &launch), 0);
    for (int i = 0; i < 3; i++) {
        void *fine;
        pthread_join(threads[i], &fine);
        assert_non_null(fine);
    }
    double sum;
    memcpy(&sum, &memory[1], 8);
    assert_int_equal(memory[0], 3 * 4 * 128 * 200);
    assert_true(sum == 3.0 * 4 * 128 * 200);
    module_free(module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(operations, memory_fini),
        cmocka_unit_test_teardown(contention, memory_fini),
        cmocka_unit_test_teardown(launches_at_once, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
