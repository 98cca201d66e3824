#include "support.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- memory ------------------------------------------------------------------------------------------ */

struct allocation {
    struct allocation *next;
    uint8_t *base;
    size_t bytes;
    bool writable;
};

static struct allocation *allocations;

static void *allocate(size_t bytes, bool writable)
{
    struct allocation *allocation = malloc(sizeof *allocation);
    assert_non_null(allocation);
    size_t room = (bytes + 255) / 256 * 256 + 256;
    uint8_t *base = aligned_alloc(256, room);
    assert_non_null(base);
    memset(base, 0, room);
    *allocation = (struct allocation){allocations, base, bytes, writable};
    allocations = allocation;
    return base;
}

void *memory_alloc(size_t bytes)
{
    return allocate(bytes, true);
}

void *memory_alloc_read_only(size_t bytes)
{
    return allocate(bytes, false);
}

int memory_fini(void **state)
{
    while (allocations) {
        struct allocation *next = allocations->next;
        free(allocations->base);
        free(allocations);
        allocations = next;
    }
    return 0;
}

bool memory_find(void *user, uint64_t address, uint64_t bytes, bool write, struct ptx_range *out)
{
    for (struct allocation *allocation = allocations; allocation; allocation = allocation->next) {
        uint64_t base = (uint64_t)(uintptr_t)allocation->base;
        if (address >= base && address + bytes <= base + allocation->bytes &&
            (allocation->writable || !write)) {
            *out = (struct ptx_range){base, allocation->bytes, allocation->writable};
            return true;
        }
    }
    return false;
}

/* ---- modules ----------------------------------------------------------------------------------------- */

struct ptx_module *compile_plain(const char *text, bool plain)
{
    struct ptx_input input = {text, strlen(text), NULL};
    struct ptx_options options = {.capability = 90, .plain = plain};
    struct ptx_module *module;
    struct ptx_log log;
    enum ptx_status status = ptx_module_create(&input, 1, &options, &module, &log);
    if (status != PTX_OK)
        print_error("%s", log.error);
    ptx_log_fini(&log);
    assert_int_equal(status, PTX_OK);
    for (size_t i = 0; i < ptx_module_variable_count(module); i++) {
        void *place = memory_alloc(ptx_module_variable(module, i)->bytes);
        ptx_module_place_variable(module, i, (uint64_t)(uintptr_t)place);
    }
    for (size_t i = 0; i < ptx_module_variable_count(module); i++) {
        void *place =
            (void *)(uintptr_t)ptx_module_variable(module, i)->address; // NOLINT(performance-no-int-to-ptr)
        ptx_variable_initial(module, i, place);
    }
    return module;
}

struct ptx_module *compile(const char *text)
{
    return compile_plain(text, false);
}

void module_free(struct ptx_module *module)
{
    ptx_module_destroy(module);
}

enum ptx_status compile_error(const char *text, const char **log)
{
    static char kept[2048];
    struct ptx_input input = {text, strlen(text), NULL};
    struct ptx_options options = {.capability = 90};
    struct ptx_module *module;
    struct ptx_log found;
    enum ptx_status status = ptx_module_create(&input, 1, &options, &module, &found);
    assert_null(status == PTX_OK ? NULL : module);
    snprintf(kept, sizeof kept, "%s", found.error);
    *log = kept;
    ptx_log_fini(&found);
    ptx_module_destroy(module);
    return status;
}

/* ---- launches ---------------------------------------------------------------------------------------- */

struct ptx_launch launch_of(struct ptx_module *module, const char *kernel, uint32_t blocks, uint32_t threads,
                            const void *params, size_t bytes)
{
    struct ptx_launch launch = {.kernel = ptx_module_find_kernel(module, kernel),
                                .grid = {blocks, 1, 1},
                                .block = {threads, 1, 1},
                                .params = params,
                                .params_bytes = bytes,
                                .find = memory_find};
    assert_non_null(launch.kernel);
    return launch;
}

uint64_t run(const struct ptx_launch *launch)
{
    struct ptx_result result;
    if (!ptx_launch_run(launch, &result))
        fail_msg("%s at line %u, thread %u, address 0x%llx", ptx_fault_name(result.fault.kind),
                 result.fault.line, result.fault.thread[0], (unsigned long long)result.fault.address);
    return result.instructions;
}

void run_text(const char *text, uint32_t blocks, uint32_t threads, void *memory)
{
    struct ptx_module *module = compile(text);
    struct ptx_launch launch = launch_of(module, "main", blocks, threads, &memory, sizeof memory);
    run(&launch);
    module_free(module);
}

struct ptx_fault run_fault(const char *text, uint32_t blocks, uint32_t threads, void *memory,
                           enum ptx_fault_kind kind)
{
    struct ptx_module *module = compile(text);
    struct ptx_launch launch = launch_of(module, "main", blocks, threads, &memory, sizeof memory);
    struct ptx_result result;
    assert_false(ptx_launch_run(&launch, &result));
    if (result.fault.kind != kind)
        fail_msg("fault is \"%s\", not \"%s\"", ptx_fault_name(result.fault.kind), ptx_fault_name(kind));
    result.fault.function = NULL; /* goes with the module */
    module_free(module);
    return result.fault;
}

/* ---- tables of instructions -------------------------------------------------------------------------- */

static const char prologue[] =
    ".visible .entry k%zu(.param .u64 memory)\n{\n"
    ".reg .b64 in, out, lane; .reg .b32 thread; .reg .pred all;\n"
    ".reg .b16 h<4>; .reg .b32 r<8>; .reg .b64 d<8>; .reg .f32 f<4>; .reg .f64 e<4>; .reg .pred p<4>;\n"
    "ld.param.u64 in, [memory];\n"
    "mov.u32 thread, %%tid.x; mul.wide.u32 lane, thread, 8; add.s64 out, in, lane;\n"
    "setp.ne.u64 all, in, 0;\n"
    "ld.global.u16 h1, [in]; ld.global.u16 h2, [in+8]; ld.global.u16 h3, [in+16];\n"
    "ld.global.u32 r1, [in]; ld.global.u32 r2, [in+8]; ld.global.u32 r3, [in+16];\n"
    "ld.global.u64 d1, [in]; ld.global.u64 d2, [in+8]; ld.global.u64 d3, [in+16];\n"
    "ld.global.f32 f1, [in]; ld.global.f32 f2, [in+8]; ld.global.f32 f3, [in+16];\n"
    "ld.global.f64 e1, [in]; ld.global.f64 e2, [in+8]; ld.global.f64 e3, [in+16];\n"
    "setp.ne.s64 p1, d1, 0; setp.ne.s64 p2, d2, 0; setp.ne.s64 p3, d3, 0;\n";

static void append(char **text, size_t *length, const char *more)
{
    size_t added = strlen(more);
    *text = realloc(*text, *length + added + 1);
    assert_non_null(*text);
    memcpy(*text + *length, more, added + 1);
    *length += added;
}

static char *text_of(const struct row *rows, size_t count, bool guarded)
{
    char *text = NULL, line[4096];
    size_t length = 0;
    append(&text, &length, HEADER);
    for (size_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, prologue, i);
        append(&text, &length, line);
        if (guarded && rows[i].text[0] != '{')
            append(&text, &length, "@all ");
        append(&text, &length, rows[i].text);
        switch (rows[i].result) {
        case 'h':
            append(&text, &length, "\ncvt.u64.u16 d0, h0;");
            break;
        case 'r':
            append(&text, &length, "\ncvt.u64.u32 d0, r0;");
            break;
        case 'f':
            append(&text, &length, "\nmov.b32 r0, f0; cvt.u64.u32 d0, r0;");
            break;
        case 'e':
            append(&text, &length, "\nmov.b64 d0, e0;");
            break;
        case 'p':
            append(&text, &length, "\nselp.u64 d0, 1, 0, p0;");
            break;
        default:
            break;
        }
        append(&text, &length, "\nst.global.u64 [out+64], d0;\nret;\n}\n");
    }
    return text;
}

static void check_with(const struct row *rows, size_t count, bool plain, bool guarded, uint32_t threads)
{
    char *text = text_of(rows, count, guarded);
    struct ptx_module *module = compile_plain(text, plain);
    uint64_t *memory = memory_alloc((8 + 64) * 8);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "k%zu", i);
        memset(memory, 0xa5, (8 + 64) * 8);
        memory[0] = rows[i].a;
        memory[1] = rows[i].b;
        memory[2] = rows[i].c;
        struct ptx_launch launch = launch_of(module, name, 1, threads, &memory, sizeof memory);
        run(&launch);
        for (uint32_t thread = 0; thread < threads; thread++)
            if (memory[8 + thread] != rows[i].expected)
                fail_msg("%s with a 0x%llx, b 0x%llx, c 0x%llx gives 0x%llx, not 0x%llx (thread %u of %u%s)",
                         rows[i].text, (unsigned long long)rows[i].a, (unsigned long long)rows[i].b,
                         (unsigned long long)rows[i].c, (unsigned long long)memory[8 + thread],
                         (unsigned long long)rows[i].expected, thread, threads, plain ? ", plain" : "");
        assert_int_equal(memory[8 + threads], 0xa5a5a5a5a5a5a5a5ull);
    }
    module_free(module);
    free(text);
}

void check_rows(const struct row *rows, size_t count)
{
    for (int plain = 0; plain < 2; plain++) {
        check_with(rows, count, plain, false, 32);
        check_with(rows, count, plain, false, 5);
        check_with(rows, count, plain, true, 37);
    }
}
