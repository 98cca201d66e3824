/* Joining the texts of a module: names resolved across them, shared memory laid out, what each kernel needs.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simgpu/ptx_compile.h"

/* ---- names ------------------------------------------------------------------------------------- */

static bool is_defined(const struct ptx_function *function)
{
    return function->code || function->alias;
}

static int compare_functions(const void *a, const void *b)
{
    const struct ptx_function *x = *(struct ptx_function *const *)a, *y = *(struct ptx_function *const *)b;
    int order = strcmp(x->name, y->name);
    if (order)
        return order;
    if (x->is_weak != y->is_weak)
        return x->is_weak ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

static int compare_data(const void *a, const void *b)
{
    const struct ptx_data *x = *(struct ptx_data *const *)a, *y = *(struct ptx_data *const *)b;
    int order = strcmp(x->public.name, y->public.name);
    if (order)
        return order;
    if (x->is_weak != y->is_weak)
        return x->is_weak ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

/* Visible definitions by name, the strong one of a name first. Externs and weaker ones become its aliases. */
static void resolve_functions(struct ptx_compiler *c)
{
    struct ptx_module *module = c->module;
    struct ptx_function **sorted = compile_alloc(c, module->function_count + 1, sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < module->function_count; i++)
        if (is_defined(module->functions[i]) && module->functions[i]->is_visible)
            sorted[count++] = module->functions[i];
    qsort(sorted, count, sizeof *sorted, compare_functions);
    for (size_t i = 1; i < count; i++) {
        struct ptx_function *first = sorted[i - 1], *other = sorted[i];
        if (strcmp(first->name, other->name) != 0)
            continue;
        if (!other->is_weak)
            compile_fail(c, 0, "Multiple definition of '%s'", other->name);
        other->alias = first;
        sorted[i] = first;
    }
    for (size_t i = 0; i < module->function_count; i++) {
        struct ptx_function *function = module->functions[i];
        if (is_defined(function) || function->builtin)
            continue;
        struct ptx_function key = *function, *key_pointer = &key;
        for (size_t low = 0, high = count; low < high;) {
            size_t middle = low + (high - low) / 2;
            int order = strcmp(key_pointer->name, sorted[middle]->name);
            if (order == 0) {
                function->alias = sorted[middle];
                break;
            }
            if (order < 0)
                high = middle;
            else
                low = middle + 1;
        }
    }
}

static void resolve_data(struct ptx_compiler *c)
{
    struct ptx_module *module = c->module;
    struct ptx_data **sorted = compile_alloc(c, module->data_count + 1, sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < module->data_count; i++)
        if (!module->data[i]->is_extern && module->data[i]->public.visible)
            sorted[count++] = module->data[i];
    qsort(sorted, count, sizeof *sorted, compare_data);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(sorted[i - 1]->public.name, sorted[i]->public.name) != 0)
            continue;
        if (!sorted[i]->is_weak)
            compile_fail(c, 0, "Multiple definition of '%s'", sorted[i]->public.name);
        sorted[i]->alias = sorted[i - 1];
        sorted[i] = sorted[i - 1];
    }
    for (size_t i = 0; i < module->data_count; i++) {
        struct ptx_data *data = module->data[i];
        if (!data->is_extern || data->is_dynamic)
            continue;
        for (size_t low = 0, high = count; low < high;) {
            size_t middle = low + (high - low) / 2;
            int order = strcmp(data->public.name, sorted[middle]->public.name);
            if (order == 0) {
                data->alias = sorted[middle];
                break;
            }
            if (order < 0)
                high = middle;
            else
                low = middle + 1;
        }
    }
}

/* What a name stands for in the end. Chains are short: an extern to a definition to an .alias's target. */
static uint32_t final_function(struct ptx_compiler *c, uint32_t index)
{
    struct ptx_function *function = c->module->functions[index];
    for (int i = 0; function->alias && i < 8; i++)
        function = function->alias;
    if (!function->code && !function->builtin)
        compile_fail_status(c, PTX_UNRESOLVED, 0, "Unresolved extern function '%s'", function->name);
    return function->index;
}

static uint32_t final_data(struct ptx_compiler *c, uint32_t index)
{
    struct ptx_data *data = c->module->data[index];
    for (int i = 0; data->alias && i < 8; i++)
        data = data->alias;
    if (data->is_extern && !data->is_dynamic)
        compile_fail_status(c, PTX_UNRESOLVED, 0, "Unresolved extern variable '%s'", data->public.name);
    return data->index;
}

static bool same_formals(const struct ptx_formal *a, size_t a_count, const struct ptx_formal *b,
                         size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (a[i].bytes != b[i].bytes)
            return false;
    return true;
}

static void link_call(struct ptx_compiler *c, struct ptx_insn *insn)
{
    const struct ptx_function *declared = c->module->functions[(uint32_t)insn->imm];
    uint32_t index = final_function(c, declared->index);
    const struct ptx_function *target = c->module->functions[index];
    if (!same_formals(declared->params, declared->param_count, target->params, target->param_count) ||
        !same_formals(declared->results, declared->result_count, target->results, target->result_count))
        compile_fail(c, insn->line, "'%s' is declared with other parameters than it is defined with",
                     target->name);
    insn->imm = (insn->imm & ~0xffffffffull) | index;
}

static void link_function(struct ptx_compiler *c, struct ptx_function *function)
{
    for (size_t i = 0; i < function->code_count; i++) {
        struct ptx_insn *insn = &function->code[i];
        if (insn->op == PTX_OP_CALL)
            link_call(c, insn);
        else if (insn->op == PTX_OP_BRA || insn->op == PTX_OP_BRA_IF)
            insn->imm = (uint64_t)(uintptr_t)&function->code[insn->imm];
    }
    for (size_t i = 0; i < function->callee_count; i++)
        function->callees[i] = final_function(c, function->callees[i]);
    for (size_t i = 0; i < function->constant_count; i++) {
        struct ptx_constant *constant = &function->constants[i];
        if (constant->kind == PTX_CONSTANT_FUNCTION)
            constant->index = final_function(c, constant->index);
        else if (constant->kind == PTX_CONSTANT_VARIABLE || constant->kind == PTX_CONSTANT_SHARED)
            constant->index = final_data(c, constant->index);
    }
    for (size_t i = 0; i < function->shared_used_count; i++)
        function->shared_used[i] = final_data(c, function->shared_used[i]);
}

/* ---- kernels ----------------------------------------------------------------------------------- */

struct reach {
    uint8_t *seen;      /* functions */
    uint8_t *addressed; /* functions whose address is taken somewhere */
    uint32_t *stack;
    size_t count;
};

static void reach_push(struct reach *reach, uint32_t index)
{
    if (reach->seen[index])
        return;
    reach->seen[index] = 1;
    reach->stack[reach->count++] = index;
}

/* Everything that a kernel can call. */
static void reach_all(struct ptx_module *module, struct reach *reach, uint32_t kernel)
{
    memset(reach->seen, 0, module->function_count);
    reach->count = 0;
    reach_push(reach, kernel);
    while (reach->count) {
        const struct ptx_function *function = module->functions[reach->stack[--reach->count]];
        for (size_t i = 0; i < function->callee_count; i++)
            reach_push(reach, function->callees[i]);
        for (uint32_t i = 0; function->calls_pointer && i < module->function_count; i++)
            if (reach->addressed[i])
                reach_push(reach, i);
    }
}

static void lay_out_shared(struct ptx_compiler *c, struct ptx_function *kernel, const struct reach *reach)
{
    struct ptx_module *module = c->module;
    uint32_t *offsets = compile_alloc(c, module->data_count + 1, sizeof *offsets);
    memset(offsets, 0xff, module->data_count * sizeof *offsets);
    uint64_t bytes = 0, dynamic_align = 16;
    for (size_t f = 0; f < module->function_count; f++) {
        const struct ptx_function *function = module->functions[f];
        for (size_t i = 0; reach->seen[f] && i < function->shared_used_count; i++) {
            const struct ptx_data *data = module->data[function->shared_used[i]];
            uint64_t align = data->public.align ? data->public.align : 1;
            if (data->is_dynamic) {
                dynamic_align = align > dynamic_align ? align : dynamic_align;
            } else if (offsets[data->index] == PTX_PLANE_NONE) {
                bytes = (bytes + align - 1) / align * align;
                offsets[data->index] = (uint32_t)bytes;
                bytes += data->public.bytes;
                uint64_t most = c->options->max_shared_bytes ? c->options->max_shared_bytes : 49152;
                if (bytes > most)
                    compile_fail(c, kernel->line,
                                 "Entry function '%s' uses too much shared data (0x%llx bytes, 0x%llx max)",
                                 kernel->name, (unsigned long long)bytes, (unsigned long long)most);
            }
        }
    }
    bool has_dynamic = false;
    uint64_t dynamic = (bytes + dynamic_align - 1) / dynamic_align * dynamic_align;
    for (size_t i = 0; i < module->data_count; i++) {
        if (module->data[i]->is_dynamic) {
            offsets[i] = (uint32_t)dynamic;
            has_dynamic = true;
        }
    }
    kernel->shared_offset = offsets;
    kernel->kernel.shared_bytes = (uint32_t)(has_dynamic && bytes ? dynamic : bytes);
}

/* Local memory of the deepest chain of calls; a recursive call counts once, and a chain is
 * followed for 1000 calls. */
static uint64_t chain_local(const struct ptx_module *module, uint32_t index, uint8_t *active, uint64_t *known,
                            unsigned depth)
{
    if (active[index] || depth > 1000)
        return 0;
    if (known[index])
        return known[index] - 1;
    const struct ptx_function *function = module->functions[index];
    active[index] = 1;
    uint64_t deepest = 0;
    for (size_t i = 0; i < function->callee_count; i++) {
        uint64_t local = chain_local(module, function->callees[i], active, known, depth + 1);
        deepest = local > deepest ? local : deepest;
    }
    active[index] = 0;
    known[index] = function->local_bytes + deepest + 1;
    return known[index] - 1;
}

static uint32_t product(const uint32_t extents[3])
{
    uint64_t all = (uint64_t)extents[0] * extents[1] * extents[2];
    return all > 1024 ? 1024 : (uint32_t)all;
}

static void describe_kernel(struct ptx_compiler *c, struct ptx_function *function, struct reach *reach)
{
    struct ptx_module *module = c->module;
    struct ptx_kernel *kernel = &function->kernel;
    reach_all(module, reach, function->index);
    lay_out_shared(c, function, reach);
    uint64_t *known = compile_alloc(c, module->function_count, sizeof *known);
    uint8_t *active = compile_alloc(c, module->function_count, 1);
    uint64_t local = chain_local(module, function->index, active, known, 0);
    uint32_t registers = function->registers, pointed = 0;
    for (size_t i = 0; i < module->function_count; i++) {
        const struct ptx_function *callee = module->functions[i];
        if (!reach->seen[i])
            continue;
        function->needs_stack |= callee->uses_alloca;
        registers = callee->registers > registers ? callee->registers : registers;
        if (reach->addressed[i] && callee->local_bytes > pointed)
            pointed = callee->local_bytes;
    }
    kernel->name = function->name;
    kernel->module = module;
    kernel->local_bytes = (uint32_t)(local + pointed);
    kernel->registers = registers;
    kernel->target = function->unit->target;
    uint32_t threads = 65536 / ((registers + 7) / 8 * 8) / 32 * 32;
    kernel->max_threads = threads > 1024 ? 1024 : threads;
    uint32_t limit = kernel->req_ntid[0]   ? product(kernel->req_ntid)
                     : kernel->max_ntid[0] ? product(kernel->max_ntid)
                                           : 0;
    if (limit)
        kernel->max_threads = limit;
}

static void mark_addressed(struct ptx_module *module, uint8_t *addressed)
{
    for (size_t f = 0; f < module->function_count; f++)
        for (size_t i = 0; i < module->functions[f]->constant_count; i++)
            if (module->functions[f]->constants[i].kind == PTX_CONSTANT_FUNCTION)
                addressed[module->functions[f]->constants[i].index] = 1;
    for (size_t d = 0; d < module->data_count; d++)
        for (size_t i = 0; i < module->data[d]->pointer_count; i++)
            if (module->data[d]->pointers[i].is_function)
                addressed[module->data[d]->pointers[i].index] = 1;
}

static void append(struct ptx_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The information log is dropped when there is no memory for it. */
static void append(struct ptx_log *log, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    size_t old = strlen(log->info), more = strlen(line);
    if (old > 256 * 1024)
        return;
    char *larger = realloc(log->info, old + more + 1);
    if (!larger)
        return;
    memcpy(larger + old, line, more + 1);
    log->info = larger;
}

static void write_info(struct ptx_module *module, struct ptx_log *log, uint64_t global_bytes, unsigned device)
{
    append(log, "ptxas info    : %llu bytes gmem\n", (unsigned long long)global_bytes);
    for (size_t i = 0; i < module->kernel_count; i++) {
        const struct ptx_kernel *kernel = &module->kernels[i]->kernel;
        append(log, "ptxas info    : Compiling entry function '%.300s' for 'sm_%u'\n", kernel->name, device);
        append(log, "ptxas info    : Used %u registers, %u bytes smem, %u bytes lmem, %u bytes cmem[0]\n",
               kernel->registers, kernel->shared_bytes, kernel->local_bytes, kernel->params_bytes);
    }
}

static void list_data(struct ptx_compiler *c, uint64_t *global_bytes, uint64_t *const_bytes)
{
    struct ptx_module *module = c->module;
    module->placed = compile_alloc(c, module->data_count + 1, sizeof *module->placed);
    for (size_t i = 0; i < module->data_count; i++) {
        struct ptx_data *data = module->data[i];
        for (size_t p = 0; p < data->pointer_count; p++) {
            struct ptx_pointer *pointer = &data->pointers[p];
            pointer->index =
                pointer->is_function ? final_function(c, pointer->index) : final_data(c, pointer->index);
        }
        if (data->is_shared || data->is_extern || data->alias)
            continue;
        data->public_index = (uint32_t)module->placed_count;
        module->placed[module->placed_count++] = data;
        *(data->public.space == PTX_VARIABLE_CONST ? const_bytes : global_bytes) += data->public.bytes;
    }
    if (*const_bytes > 65536)
        compile_fail(c, 0, "File uses too much global constant data (0x%llx bytes, 0x10000 max)",
                     (unsigned long long)*const_bytes);
}

void link_module(struct ptx_compiler *c, struct ptx_log *log)
{
    struct ptx_module *module = c->module;
    resolve_functions(c);
    resolve_data(c);
    uint64_t global_bytes = 0, const_bytes = 0;
    list_data(c, &global_bytes, &const_bytes);
    for (size_t i = 0; i < module->function_count; i++)
        if (module->functions[i]->code)
            link_function(c, module->functions[i]);
    struct reach reach = {.seen = compile_alloc(c, module->function_count + 1, 1),
                          .addressed = compile_alloc(c, module->function_count + 1, 1),
                          .stack = compile_alloc(c, module->function_count + 1, sizeof *reach.stack)};
    mark_addressed(module, reach.addressed);
    module->kernels = compile_alloc(c, module->function_count + 1, sizeof *module->kernels);
    for (size_t i = 0; i < module->function_count; i++) {
        struct ptx_function *function = module->functions[i];
        if (!function->is_kernel || !function->code || function->alias)
            continue;
        describe_kernel(c, function, &reach);
        function->kernel.const_bytes = (uint32_t)const_bytes;
        function->kernel.index = module->kernel_count;
        module->kernels[module->kernel_count++] = function;
    }
    if (log && log->info)
        write_info(module, log, global_bytes, c->options->capability);
}
