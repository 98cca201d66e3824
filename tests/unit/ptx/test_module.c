/* What a module says of itself, its variables and their contents, and linking. */
#include "support.h"

static enum ptx_status link_all(const char *const *texts, size_t count, struct ptx_module **module,
                                struct ptx_log *log)
{
    struct ptx_input inputs[4];
    struct ptx_options options = {.capability = 90};
    for (size_t i = 0; i < count; i++)
        inputs[i] = (struct ptx_input){texts[i], strlen(texts[i]), i ? "second" : "first"};
    return ptx_module_create(inputs, count, &options, module, log);
}

static const struct ptx_variable *variable(const struct ptx_module *module, const char *name)
{
    for (size_t i = 0; i < ptx_module_variable_count(module); i++)
        if (strcmp(ptx_module_variable(module, i)->name, name) == 0)
            return ptx_module_variable(module, i);
    fail_msg("no variable %s", name);
    return NULL;
}

static const void *contents(const struct ptx_module *module, const char *name)
{
    return (const void *)(uintptr_t)variable(module, name)->address; // NOLINT(performance-no-int-to-ptr)
}

static void kernels(void **state)
{
    struct ptx_module *module = compile(
        HEADER
        ".shared .align 16 .b8 both[100]; .func deep() { .local .b64 x[4]; st.shared.u32 [both], 1; ret; }\n"
        ".visible .entry first(.param .u8 a, .param .u64 b) .reqntid 8, 4 .minnctapersm 3 { .shared .b32 y; "
        ".local .b8 z[5];\n"
        "st.shared.u32 [y], 1; call deep; ret; }\n"
        ".visible .entry second() { ret; }");
    assert_int_equal(ptx_module_kernel_count(module), 2);
    const struct ptx_kernel *kernel = ptx_module_find_kernel(module, "first");
    assert_ptr_equal(kernel, ptx_module_kernel(module, 0));
    assert_string_equal(kernel->name, "first");
    assert_int_equal(kernel->params_bytes, 16);
    assert_int_equal(kernel->shared_bytes, 104);
    assert_int_equal(kernel->local_bytes, 16 + 32);
    assert_int_equal(kernel->req_ntid[0], 8);
    assert_int_equal(kernel->req_ntid[1], 4);
    assert_int_equal(kernel->req_ntid[2], 1);
    assert_int_equal(kernel->max_threads, 32);
    assert_int_equal(kernel->min_blocks, 3);
    assert_in_range(kernel->registers, 10, 255);
    assert_int_equal(ptx_module_find_kernel(module, "second")->shared_bytes, 0);
    assert_int_equal(ptx_module_find_kernel(module, "second")->max_threads, 1024);
    assert_null(ptx_module_find_kernel(module, "deep"));
    module_free(module);
}

static void initial_values(void **state)
{
    struct ptx_module *module =
        compile(HEADER ".func f() { ret; }\n"
                       ".visible .global .align 8 .u32 words[4] = {1, -2, 0x10};\n"
                       ".global .f32 floats[3] = {1.5, 0f40000000, 3};\n"
                       ".const .align 8 .f64 number = 0d4000000000000000;\n"
                       ".global .u8 rows[2][3] = {{1, 2}, {3}};\n"
                       ".global .align 8 .u64 where[3] = {words, generic(words)+8, f};\n"
                       ".global .align 8 .b8 packed[16] = {1, 0, 0xFF(words), 0xFF00(words), "
                       "0xFF0000(words), 0xFF000000(words), 0xFF00000000(words), "
                       "0xFF0000000000(words), 0xFF000000000000(words), 0xFF00000000000000(words), 9};\n"
                       ".global .b8 text[] = {104, 105, 0};\n"
                       ".visible .global .align 256 .b8 zeros[1000];\n"
                       ".visible .entry k() { ret; }");
    const uint32_t *words = contents(module, "words");
    assert_int_equal(words[0], 1);
    assert_int_equal(words[1], 0xfffffffe);
    assert_int_equal(words[2], 16);
    assert_int_equal(words[3], 0);
    const float *floats = contents(module, "floats");
    assert_true(floats[0] == 1.5f && floats[1] == 2.0f && floats[2] == 3.0f);
    assert_true(*(const double *)contents(module, "number") == 2.0);
    assert_memory_equal(contents(module, "rows"), "\1\2\0\3\0\0", 6);
    const uint64_t *where = contents(module, "where");
    assert_int_equal(where[0], (uint64_t)(uintptr_t)words);
    assert_int_equal(where[1], (uint64_t)(uintptr_t)words + 8);
    assert_int_equal(where[2] >> 32, PTX_WINDOW_FUNCTION >> 32);
    uint64_t spliced;
    memcpy(&spliced, (const char *)contents(module, "packed") + 2, 8);
    assert_int_equal(spliced, (uint64_t)(uintptr_t)words);
    assert_int_equal(((const uint8_t *)contents(module, "packed"))[10], 9);
    assert_int_equal(variable(module, "text")->bytes, 3);
    assert_int_equal(variable(module, "zeros")->bytes, 1000);
    assert_int_equal(variable(module, "zeros")->align, 256);
    assert_false(variable(module, "zeros")->has_initial);
    assert_true(variable(module, "zeros")->visible);
    assert_false(variable(module, "floats")->visible);
    assert_int_equal(variable(module, "number")->space, PTX_VARIABLE_CONST);
    assert_int_equal(ptx_module_find_kernel(module, "k")->const_bytes, 8);
    module_free(module);
}

static const char *const halves[] = {
    HEADER
    ".extern .func (.param .b32 r) twice(.param .b32 a);\n.extern .global .u32 base;\n"
    ".weak .func (.param .b32 r) odd() { st.param.b32 [r], 1; ret; }\n.func hidden() { ret; }\n"
    ".visible .entry main(.param .u64 memory) { .reg .b32 %r<8>; .reg .b64 %rd<2>; ld.param.u64 %rd1, "
    "[memory];\n"
    "ld.global.u32 %r1, [base]; { .param .b32 a; .param .b32 b; st.param.b32 [a], %r1; call (b), twice, (a); "
    "ld.param.b32 %r2, [b];\n"
    "call (b), odd, (); ld.param.b32 %r3, [b]; } add.u32 %r2, %r2, %r3; st.global.u32 [%rd1], %r2; ret; }",
    HEADER
    ".visible .global .u32 base = 20;\n.visible .func (.param .b32 r) twice(.param .b32 a) { .reg .b32 %r;\n"
    "ld.param.b32 %r, [a]; shl.b32 %r, %r, 1; st.param.b32 [r], %r; ret; }\n"
    ".visible .func (.param .b32 r) odd() { st.param.b32 [r], 3; ret; }\n.func hidden() { ret; }",
};

/* Names of one text are found in the other; a weak definition gives way; what is not visible stays apart. */
static void linking(void **state)
{
    struct ptx_module *module;
    assert_int_equal(link_all(halves, 2, &module, NULL), PTX_OK);
    assert_int_equal(ptx_module_variable_count(module), 1);
    uint32_t *memory = memory_alloc(64);
    ptx_module_place_variable(module, 0, (uint64_t)(uintptr_t)memory + 4);
    ptx_variable_initial(module, 0, memory + 1);
    struct ptx_launch launch = launch_of(module, "main", 1, 1, &memory, sizeof memory);
    run(&launch);
    assert_int_equal(memory[0], 43);
    module_free(module);
}

static void unresolved(void **state)
{
    struct ptx_module *module;
    struct ptx_log log;
    assert_int_equal(link_all(halves, 1, &module, &log), PTX_UNRESOLVED);
    assert_null(module);
    assert_non_null(strstr(log.error, "Unresolved extern"));
    ptx_log_fini(&log);
    const char *const twice[] = {halves[1], halves[1]};
    assert_int_equal(link_all(twice, 2, &module, &log), PTX_INVALID);
    assert_non_null(strstr(log.error, "Multiple definition of"));
    ptx_log_fini(&log);
    const char *const other[] = {halves[0],
                                 HEADER ".visible .global .u32 base;\n.visible .func twice() { ret; }"};
    assert_int_equal(link_all(other, 2, &module, &log), PTX_INVALID);
    assert_non_null(strstr(log.error, "other parameters"));
    ptx_log_fini(&log);
    /* Declared and never used is no error. */
    module_free(compile(HEADER ".extern .func f(); .extern .global .u32 x; .visible .entry k() { ret; }"));
}

static void logs(void **state)
{
    static const char *const text[] = {HEADER ".visible .entry kernel_one() { ret; }", HEADER "\nnonsense\n"};
    struct ptx_module *module;
    struct ptx_log log;
    assert_int_equal(link_all(text, 1, &module, &log), PTX_OK);
    assert_string_equal(log.error, "");
    assert_non_null(strstr(log.info, "Compiling entry function 'kernel_one' for 'sm_90'"));
    ptx_log_fini(&log);
    module_free(module);
    assert_int_equal(link_all(text, 2, &module, &log), PTX_INVALID);
    assert_non_null(strstr(log.error, "ptxas second, line 5; error   : "));
    assert_non_null(strstr(log.error, "ptxas fatal   : Ptx assembly aborted due to errors"));
    ptx_log_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(kernels, memory_fini),
        cmocka_unit_test_teardown(initial_values, memory_fini),
        cmocka_unit_test_teardown(linking, memory_fini),
        cmocka_unit_test_teardown(unresolved, memory_fini),
        cmocka_unit_test_teardown(logs, memory_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
