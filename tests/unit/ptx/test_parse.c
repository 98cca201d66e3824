/* What is not PTX, or PTX that is not supported, is refused with the line and the reason. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static void refused(const char *text, enum ptx_status status, const char *needle)
{
    const char *log;
    enum ptx_status found = compile_error(text, &log);
    if (found != status || !strstr(log, needle))
        fail_msg("status %d, log %swanted status %d with '%s', for: %s", found, log, status, needle, text);
}

static void refused_in_kernel(const char *body, const char *needle)
{
    char text[2048];
    snprintf(
        text, sizeof text,
        HEADER
        ".global .u32 gvar; .func f(.param .b32 a) { ret; }\n.visible .entry main(.param .u64 memory) {\n"
        ".reg .pred %%p<4>; .reg .b16 %%h<4>; .reg .b32 %%r<4>; .reg .b64 %%rd<4>; .reg .f32 %%f<4>; .reg "
        ".f64 %%d<4>;\n%s\nret; }",
        body);
    refused(text, PTX_INVALID, needle);
    const char *log;
    compile_error(text, &log);
    if (!strstr(log, "line 7"))
        fail_msg("no line 7 in: %s", log);
}

static void versions(void **state)
{
    refused("", PTX_INVALID, "Missing .version");
    refused("hello", PTX_INVALID, "line 1");
    refused(".version 8.3", PTX_INVALID, ".target");
    refused(".version 99.0\n.target sm_90\n", PTX_UNSUPPORTED_VERSION, "99.0");
    refused(".version x", PTX_INVALID, ".version");
    refused(".version 8.3\n.target sm_100\n", PTX_NO_BINARY_FOR_GPU, "sm_100");
    refused(".version 8.3\n.target sm_80a\n", PTX_NO_BINARY_FOR_GPU, "sm_80a");
    refused(".version 8.3\n.target gpu_1\n", PTX_INVALID, ".target");
    refused(".version 8.3\n.target sm_90\n.address_size 32\n", PTX_INVALID, ".address_size");
    struct ptx_module *module = compile(".version 9.0\n.target sm_90a, debug\n");
    assert_int_equal(ptx_module_version(module), 90);
    assert_int_equal(ptx_module_target(module), 90);
    assert_int_equal(ptx_module_kernel_count(module), 0);
    assert_null(ptx_module_kernel(module, 0));
    module_free(module);
}

static void unsupported(void **state)
{
    refused_in_kernel("wgmma.fence.sync.aligned;", "not supported: 'wgmma.fence.sync.aligned'");
    refused_in_kernel("add.s32.wrong %r0, %r1, %r2;", ".wrong");
    refused_in_kernel("add.s128 %r0, %r1, %r2;", "add.s128");
    refused_in_kernel("frob %r0;", "frob");
    refused_in_kernel("tex.2d.v4.f32.f32 {%f0,%f1,%f2,%f3}, [%rd1, {%f0}];", "");
    refused_in_kernel("tld4.r.2d.v4.f32.f32 {%f0,%f1,%f2,%f3}, [%rd1, {%f0, %f1}];", "");
    refused_in_kernel("ld.global.f32 %f0, [%rd1, {%f1}];", "");
    refused_in_kernel("ld.global.b128 %rd0, [%rd1];", "ld.global.b128");
    refused_in_kernel("cvt.rn.e4m3x2.f32 %h0, %f0, %f1;", "cvt.rn.e4m3x2.f32");
    refused_in_kernel("shfl.up.b32 %r0, %r1, 1, 0;", ".sync");
    refused_in_kernel("add.sat.u32 %r0, %r1, %r2;", "add.sat.u32");
    refused_in_kernel("setp.lt.b32 %p0, %r1, %r2;", "setp.lt.b32");
    refused_in_kernel("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0}, {%r0}, {%r1}, {%f1};",
                      "mma.sync");
}

static void mismatched(void **state)
{
    refused_in_kernel("add.s32 %r0, %r1;", "Arguments mismatch");
    refused_in_kernel("add.s32 %r0, %r1, %rd2;", "Arguments mismatch");
    refused_in_kernel("add.s32 %rd0, %r1, %r2;", "Arguments mismatch");
    refused_in_kernel("add.f32 %f0, %f1, %d1;", "Arguments mismatch");
    refused_in_kernel("add.s64 %rd0, %rd1, %d1;", "Arguments mismatch");
    refused_in_kernel("add.s32 5, %r1, %r2;", "Arguments mismatch");
    refused_in_kernel("add.s32 %r0, %p1, %r2;", "Arguments mismatch");
    refused_in_kernel("add.s32 %r0, [%r1], %r2;", "Arguments mismatch");
    refused_in_kernel("ld.global.u32 %r0, %rd1;", "Arguments mismatch");
    refused_in_kernel("ld.global.u32 %r0, [%f1];", "Arguments mismatch");
    refused_in_kernel("ld.global.u32 %h0, [%rd1];", "Arguments mismatch");
    refused_in_kernel("ld.shared.u32 %r0, [gvar];", "Arguments mismatch");
    refused_in_kernel("ld.global.v2.u32 %r0, [%rd1];", "Arguments mismatch");
    refused_in_kernel("ld.global.v2.u32 {%r0, %r1, %r2}, [%rd1];", "Arguments mismatch");
    refused_in_kernel("ld.global.v2.u32 {%r0, %rd1}, [%rd1];", "Arguments mismatch");
    refused_in_kernel("st.const.u32 [%rd1], %r0;", "st.const.u32");
    refused_in_kernel("ld.param.u64 %rd1, [memory+8];", "parameters");
    refused_in_kernel("mov.b64 %rd0, {%r0, %h0};", "Arguments mismatch");
    refused_in_kernel("add.u32 %r0, %r1, 0f3f800000;", "Arguments mismatch");
    refused_in_kernel("mov.u32 %r0, gvar;", "Arguments mismatch");
    refused_in_kernel("cvt.f32.s32 %f0, %r0;", "Rounding modifier required");
    refused_in_kernel("call f, (%rd0);", "Arguments mismatch");
    refused_in_kernel("call f;", "Arguments mismatch");
    refused_in_kernel("call main, (%rd0);", "");
    refused_in_kernel("@%r0 add.u32 %r0, %r1, %r2;", "predicate");
}

static void unknown(void **state)
{
    refused_in_kernel("add.s32 %r0, %r1, %r9;", "Unknown symbol '%r9'");
    refused_in_kernel("add.s32 %r0, %r1, nothing;", "Unknown symbol 'nothing'");
    refused_in_kernel("bra NOWHERE;", "Unknown symbol 'NOWHERE'");
    refused_in_kernel("ld.global.u32 %r0, [nothing];", "Unknown symbol 'nothing'");
    refused_in_kernel(".reg .b32 %x; .reg .b64 %x;", "Duplicate definition of '%x'");
    refused_in_kernel("{ .reg .b32 inner; } mov.u32 inner, 1;", "inner");
    refused_in_kernel("{ IN: } bra IN;", "Unknown symbol 'IN'");
    refused_in_kernel("brx.idx %r0, TABLE;", ".branchtargets");
}

static void malformed(void **state)
{
    refused_in_kernel("add.s32 %r0 %r1;", "syntax error");
    refused_in_kernel("add.s32 %r0, %r1, %r2 }", "syntax error");
    refused_in_kernel("mov.u32 %r0, 0x;", "syntax error");
    refused_in_kernel("mov.u32 %r0, 12abc;", "syntax error");
    refused_in_kernel("mov.u32 %r0, 1 / 0;", "division by zero");
    refused_in_kernel("mov.u32 %r0, \"text\";", "syntax error");
    refused_in_kernel("mov.u32 %r0, (1;", "syntax error");
    refused_in_kernel("` ;", "syntax error");
    refused_in_kernel(".reg .b32 %q<99999999>;", "too many registers");
    refused_in_kernel(".local .b8 big[9999999];", "too much local memory");
    refused(HEADER ".entry main() { ret;", PTX_INVALID, "unexpected end");
    refused(HEADER ".entry main( { ret; }", PTX_INVALID, "line 4");
    refused(HEADER ".global .u32 x[2] = {1, 2, 3};", PTX_INVALID, "too many initializers");
    refused(HEADER ".global .u32 x = nothing;", PTX_INVALID, "Unknown symbol");
    refused(HEADER ".global .u32 x; .global .u32 x;", PTX_INVALID, "Duplicate");
    refused(HEADER ".entry k() { ret; } .entry k() { ret; }", PTX_INVALID, "Duplicate");
    refused(HEADER ".const .b8 x[70000];", PTX_INVALID, "constant data");
    refused(HEADER ".shared .b8 x[50000]; .entry k() { st.shared.u8 [x], 1; ret; }", PTX_INVALID,
            "too much shared data");
}

static void deep(void **state)
{
    enum { DEPTH = 100000 };
    char *text = malloc(DEPTH * 2 + 1000);
    const char *log;
    assert_non_null(text);
    for (int kind = 0; kind < 4; kind++) {
        static const char open[] = "({-{", *const starts[] = {"mov.u32 %r, ", "", "mov.u32 %r, ", ""};
        strcpy(text, HEADER);
        strcat(text, kind == 3 ? ".global .u32 x[2] = " : ".entry k() { .reg .b32 %r; ");
        strcat(text, starts[kind]);
        size_t length = strlen(text);
        memset(text + length, open[kind], DEPTH);
        text[length + DEPTH] = 0;
        assert_int_equal(compile_error(text, &log), PTX_INVALID);
        assert_non_null(strstr(log, "nested"));
    }
    free(text);
}

/* Comments, debug information and what else a compiler leaves in its output. */
static void ignored(void **state)
{
    module_free(
        compile("//\n/* a\n   comment */\n.version 8.3\n.target sm_90, debug\n.address_size 64\n"
                "\t.file\t1 \"/tmp/a.cu\"\n.file 2 \"b.cu\", 1234, 5678\n"
                ".visible .entry k() .maxntid 256, 1, 1 .minnctapersm 2 .pragma \"nounroll\"; {\n"
                ".loc\t1 7 3\n.loc 1 8 3, function_name $L__info_string0, inlined_at 1 5 2\n"
                ".pragma \"nounroll\";\n{\n.reg .b32 t;\nmov.u32 t, 1; // end\n}\n$L__tmp1:\nret;\n}\n"
                ".section .debug_str\n{\n$L__info_string0:\n.b8 95\n.b8 0\n}\n"
                ".section .debug_line { .b64 $L__tmp1 .b32 .debug_str+12 }\n"));
}

/* The end of the text is where its length says, or at a NUL. */
static void lengths(void **state)
{
    static const char text[] = HEADER ".visible .entry k() { ret; }\0garbage";
    struct ptx_options options = {.capability = 90};
    size_t whole = strlen(text);
    for (size_t bytes = 0; bytes <= sizeof text; bytes++) {
        char *copy = malloc(bytes ? bytes : 1); /* so that a read beyond is seen */
        assert_non_null(copy);
        memcpy(copy, text, bytes);
        struct ptx_input input = {copy, bytes, "a.ptx"};
        struct ptx_module *module;
        enum ptx_status status = ptx_module_create(&input, 1, &options, &module, NULL);
        if (bytes >= whole)
            assert_int_equal(status, PTX_OK);
        ptx_module_destroy(module);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions), cmocka_unit_test(unsupported), cmocka_unit_test(mismatched),
        cmocka_unit_test(unknown),  cmocka_unit_test(malformed),   cmocka_unit_test(deep),
        cmocka_unit_test(ignored),  cmocka_unit_test(lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
