/* PTX comes from a guest: whatever the bytes are, the engine answers with an error or runs them within
 * bounds. Valid texts are damaged some thousand times, compiled, and run when they still compile. */
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A little of everything, so that damage reaches every part of the compiler. */
static const char sample[] = HEADER
    ".extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);\n"
    ".visible .global .align 8 .u32 words[4] = {1, -2, 0x10};\n.const .align 4 .f32 table[2] = {1.5, "
    "0f40000000};\n"
    ".global .align 8 .u64 where[2] = {words, generic(words)+4};\n.extern .shared .align 16 .b8 room[];\n"
    ".func (.param .b32 r) fib(.param .b32 n) { .reg .pred %p; .reg .b32 %r<5>; ld.param.u32 %r1, [n];\n"
    "setp.lt.u32 %p, %r1, 2; @%p bra LEAF; add.u32 %r2, %r1, -1; { .param .b32 a; .param .b32 b; "
    "st.param.b32 [a], %r2;\n"
    "call.uni (b), fib, (a); ld.param.b32 %r3, [b]; } add.u32 %r1, %r3, 1; LEAF: st.param.b32 [r], %r1; ret; "
    "}\n"
    ".visible .entry main(.param .u64 memory, .param .align 8 .b8 s[16]) .maxntid 64, 1, 1 {\n"
    ".reg .pred %p<5>; .reg .b16 %h<5>; .reg .b32 %r<20>; .reg .b64 %rd<12>; .reg .f32 %f<9>; .reg .f64 "
    "%d<4>;\n"
    ".shared .align 8 .b8 own[256]; .local .align 8 .b8 depot[32];\n"
    "ld.param.u64 %rd1, [memory]; ld.param.v2.u32 {%r1, %r2}, [s]; mov.u32 %r3, %tid.x; mul.wide.u32 %rd2, "
    "%r3, 4;\n"
    "add.s64 %rd3, %rd1, %rd2; cvta.to.global.u64 %rd4, %rd3; ld.global.nc.L1::no_allocate.f32 %f1, [%rd4];\n"
    "fma.rn.f32 %f2, %f1, 0f3f800000, %f1; sqrt.rn.f32 %f3, %f2; cvt.rzi.s32.f32 %r4, %f3; cvt.f64.f32 %d1, "
    "%f3;\n"
    "div.rn.f64 %d2, %d1, 0d4008000000000000; cvt.rn.f16.f32 %h1, %f2; add.f16 %h2, %h1, %h1; mov.b32 %r5, "
    "{%h1, %h2};\n"
    "mov.u32 %r6, own; shl.b32 %r7, %r3, 2; add.u32 %r6, %r6, %r7; st.shared.u32 [%r6], %r4; bar.sync 0;\n"
    "shfl.sync.bfly.b32 %r8|%p1, %r4, 1, 31, -1; vote.sync.ballot.b32 %r9, %p1, -1; lop3.b32 %r10, %r8, %r9, "
    "%r4, 0x96;\n"
    "atom.global.add.u32 %r11, [%rd1+64], 1; red.shared.max.s32 [own+128], %r11; atom.global.cas.b32 %r12, "
    "[%rd1+68], 0, 1;\n"
    "setp.gt.and.s32 %p2|%p3, %r8, %r4, !%p1; @%p2 st.global.v2.u32 [%rd1+128], {%r8, %r9}; selp.b32 %r13, "
    "%r8, %r9, %p3;\n"
    "mov.u64 %rd5, depot; cvta.local.u64 %rd6, %rd5; st.local.u32 [depot+4], %r13; ld.u32 %r14, [%rd6+4];\n"
    "and.b32 %r15, %r3, 1; T: .branchtargets A, B; brx.idx %r15, T; A: prmt.b32 %r14, %r14, %r13, 0x3210; B: "
    "bfe.u32 %r14, %r14, 2, 9;\n"
    "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r15; call.uni (b), fib, (a); ld.param.b32 %r16, [b]; "
    "}\n"
    "mov.u32 %r17, 0; L: add.u32 %r17, %r17, 1; setp.lt.u32 %p4, %r17, %r3; @%p4 bra L; "
    "cp.async.ca.shared.global [own], [%rd1], 16;\n"
    "ld.const.f32 %f4, [table+4]; mov.u64 %rd7, where; ld.global.u64 %rd8, [%rd7]; ld.u32 %r18, [%rd8]; "
    "bar.warp.sync -1;\n"
    "st.global.u32 [%rd4], %r18; membar.gl; ret; }\n";

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static size_t below(size_t limit)
{
    return limit ? (size_t)(random_number() % limit) : 0;
}

/* The statement around a place: from behind one semicolon to the next. */
static size_t statement(const char *text, size_t length, size_t at, size_t *end)
{
    size_t start = at;
    while (start > 0 && text[start - 1] != ';')
        start--;
    for (*end = at; *end < length && text[*end] != ';'; ++*end)
        continue;
    *end += *end < length;
    return start;
}

static size_t insert(char *text, size_t length, size_t room, size_t at, const char *more, size_t count)
{
    if (length + count > room)
        return length;
    memmove(text + at + count, text + at, length - at);
    memcpy(text + at, more, count);
    return length + count;
}

/* Changes that mostly leave the text valid: another digit, a statement more, less or elsewhere. */
static size_t damage_softly(char *text, size_t length, size_t room)
{
    size_t at = below(length), from, end;
    if (below(2)) {
        while (at < length && (text[at] < '0' || text[at] > '9'))
            at++;
        if (at < length)
            text[at] = (char)('0' + below(10));
        return length;
    }
    from = statement(text, length, at, &end);
    if (below(2)) {
        memmove(text + from, text + end, length - end);
        return length - (end - from);
    }
    char *copy = malloc(end - from + 1);
    assert_non_null(copy);
    memcpy(copy, text + from, end - from);
    size_t ignored;
    length = insert(text, length, room, statement(text, length, below(length), &ignored), copy, end - from);
    free(copy);
    return length;
}

/* One change to text[0..length), which has room for twice that. Returns the new length. */
static size_t damage(char *text, size_t length, size_t room)
{
    static const char *const words[] = {"0",          "-1",          "4294967295", "18446744073709551615",
                                        "0x80000000", "%r1",         "%rd1",       "%p1",
                                        "%f1",        "{",           "}",          ";",
                                        "[",          "]",           "_",          "|",
                                        ".u8",        ".u64",        ".f16x2",     ".v4",
                                        ".sat",       "!",           "@%p1",       "%tid.x",
                                        "%clock64",   "own",         "words",      "fib",
                                        "main",       "depot",       "room",       "L",
                                        "ret;",       "bar.sync 0;", "bra L;",     "trap;",
                                        "0f7fc00000", ".shared",     ".local"};
    if (below(4))
        return damage_softly(text, length, room);
    size_t at = below(length), span = 1 + below(24);
    span = span < length - at ? span : length - at;
    switch (below(6)) {
    case 0:
        text[at] = (char)random_number();
        return length;
    case 1:
        text[at] = " ;,.[]{}()<>%@!|+-*/\"\n0123456789abfxr_$"[below(40)];
        return length;
    case 2:
        memmove(text + at, text + at + span, length - at - span);
        return length - span;
    case 3: { /* something from elsewhere again */
        char copy[32];
        memcpy(copy, text + below(length - span + 1), span);
        return insert(text, length, room, at, copy, span);
    }
    default: { /* a word instead of a word */
        const char *word = words[below(sizeof words / sizeof words[0])];
        size_t new = strlen(word), old = 0;
        while (at + old < length && strchr(" ,;[]{}()\n", text[at + old]) == NULL)
            old++;
        if (length + new > room)
            return length;
        memmove(text + at + new, text + at + old, length - at - old);
        memcpy(text + at, word, new);
        return length + new - old;
    }
    }
}

static atomic_bool cancel, finished;

static void *keep_cancelling(void *unused)
{
    while (!atomic_load(&finished)) {
        usleep(3000);
        atomic_store(&cancel, true);
    }
    return NULL;
}

static void run_anything(struct ptx_module *module, void *memory)
{
    uint64_t params[64];
    for (size_t i = 0; i < 64; i++)
        params[i] = (uint64_t)(uintptr_t)memory;
    for (size_t i = 0; i < ptx_module_variable_count(module); i++) {
        const struct ptx_variable *variable = ptx_module_variable(module, i);
        ptx_module_place_variable(module, i, (uint64_t)(uintptr_t)memory);
        if (variable->bytes > 4096)
            return;
        ptx_variable_initial(module, i, memory);
    }
    for (size_t i = 0; i < ptx_module_kernel_count(module); i++) {
        struct ptx_launch launch = {.kernel = ptx_module_kernel(module, i),
                                    .grid = {2, 1, 1},
                                    .block = {40, 1, 1},
                                    .dynamic_shared_bytes = 100,
                                    .params = params,
                                    .params_bytes = sizeof params,
                                    .find = memory_find,
                                    .cancel = &cancel};
        struct ptx_result result;
        atomic_store(&cancel, false);
        ptx_launch_run(&launch, &result);
    }
}

static void damaged(void **state)
{
    enum { TIMES = 6000 };
    const char *more = getenv("PTX_MUTATIONS");
    long times = more ? strtol(more, NULL, 10) : TIMES;
    char *memory = memory_alloc(4096 + 16);
    pthread_t thread;
    size_t room = 2 * sizeof sample, accepted = 0;
    assert_int_equal(pthread_create(&thread, NULL, keep_cancelling, NULL), 0);
    for (long i = 0; i < times; i++) {
        char *text = malloc(room);
        assert_non_null(text);
        size_t length = sizeof sample - 1;
        memcpy(text, sample, length);
        for (size_t changes = i == 0 ? 0 : 1 + below(3); changes && length; changes--)
            length = damage(text, length, room);
        text = realloc(text, length ? length : 1); /* so that a read beyond is seen */
        struct ptx_input input = {text, length, NULL};
        struct ptx_options options = {.capability = 90, .plain = i & 1};
        struct ptx_module *module;
        struct ptx_log log;
        enum ptx_status status = ptx_module_create(&input, 1, &options, &module, &log);
        assert_true((status == PTX_OK) == (module != NULL));
        if (status != PTX_OK && status != PTX_NO_MEMORY)
            assert_non_null(strstr(log.error, "error"));
        if (module) {
            accepted++;
            run_anything(module, memory);
        }
        assert_true(i != 0 || status == PTX_OK);
        ptx_log_fini(&log);
        ptx_module_destroy(module);
        free(text);
    }
    atomic_store(&finished, true);
    pthread_join(thread, NULL);
    assert_true((long)accepted > times / 8); /* else it only tests the first lines of the parser */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(damaged, memory_fini)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
