/* A module: made from text, asked about what is in it, destroyed. */
#include <stdlib.h>
#include <string.h>

#include "simgpu/ptx_compile.h"

/* Everything between here and the jump buffer may be left by compile_fail. */
static void compile_all(struct ptx_compiler *c, const struct ptx_input *inputs, size_t count,
                        struct ptx_log *log)
{
    struct ptx_module *module = c->module;
    module->units = compile_alloc(c, count, sizeof *module->units);
    module->unit_count = count;
    for (size_t i = 0; i < count; i++) {
        c->unit = &module->units[i];
        c->unit->index = (uint32_t)i;
        if (inputs[i].name)
            c->unit->name = compile_copy(c, inputs[i].name, strlen(inputs[i].name));
        parse_unit(c, &inputs[i]);
    }
    if (count > 1)
        c->unit = NULL;
    link_module(c, log);
}

static char *empty_text(void)
{
    return calloc(1, 1);
}

static void report(const struct ptx_compiler *c, struct ptx_log *log)
{
    static const char last[] = "ptxas fatal   : Ptx assembly aborted due to errors\n";
    size_t length = strlen(c->error);
    char *text = realloc(log->error, length + sizeof last);
    if (!text)
        return;
    memcpy(text, c->error, length);
    memcpy(text + length, last, sizeof last);
    log->error = text;
}

enum ptx_status ptx_module_create(const struct ptx_input *inputs, size_t count,
                                  const struct ptx_options *options, struct ptx_module **out,
                                  struct ptx_log *log)
{
    struct ptx_log unwanted = {0};
    struct ptx_log *used = log ? log : &unwanted;
    *out = NULL;
    *used = (struct ptx_log){empty_text(), empty_text()};
    struct ptx_compiler *c = calloc(1, sizeof *c);
    struct ptx_module *module = calloc(1, sizeof *module);
    if (module)
        module->arena = ptx_arena_create();
    enum ptx_status status = PTX_NO_MEMORY;
    if (c && module && module->arena && used->error && used->info) {
        c->module = module;
        c->options = options;
        c->status = PTX_OK;
        if (setjmp(c->failed) == 0)
            compile_all(c, inputs, count, used);
        status = c->status;
        if (status != PTX_OK)
            report(c, used);
    }
    if (status == PTX_OK)
        *out = module;
    else
        ptx_module_destroy(module);
    free(c);
    if (!log)
        ptx_log_fini(&unwanted);
    return status;
}

void ptx_module_destroy(struct ptx_module *module)
{
    if (!module)
        return;
    ptx_arena_destroy(module->arena);
    free(module);
}

void ptx_log_fini(struct ptx_log *log)
{
    free(log->error);
    free(log->info);
    log->error = NULL;
    log->info = NULL;
}

unsigned ptx_module_version(const struct ptx_module *module)
{
    return module->units[0].version;
}

unsigned ptx_module_target(const struct ptx_module *module)
{
    return module->units[0].target;
}

size_t ptx_module_kernel_count(const struct ptx_module *module)
{
    return module->kernel_count;
}

const struct ptx_kernel *ptx_module_kernel(const struct ptx_module *module, size_t index)
{
    return index < module->kernel_count ? &module->kernels[index]->kernel : NULL;
}

const struct ptx_kernel *ptx_module_find_kernel(const struct ptx_module *module, const char *name)
{
    for (size_t i = 0; i < module->kernel_count; i++)
        if (strcmp(module->kernels[i]->name, name) == 0)
            return &module->kernels[i]->kernel;
    return NULL;
}

size_t ptx_module_variable_count(const struct ptx_module *module)
{
    return module->placed_count;
}

const struct ptx_variable *ptx_module_variable(const struct ptx_module *module, size_t index)
{
    return index < module->placed_count ? &module->placed[index]->public : NULL;
}

void ptx_module_place_variable(struct ptx_module *module, size_t index, uint64_t address)
{
    if (index < module->placed_count)
        module->placed[index]->public.address = address;
}

uint64_t ptx_function_address(const struct ptx_function *function)
{
    return PTX_WINDOW_FUNCTION + ((uint64_t)function->index + 1) * 16;
}

void ptx_variable_initial(const struct ptx_module *module, size_t index, void *out)
{
    if (index >= module->placed_count)
        return;
    const struct ptx_data *data = module->placed[index];
    uint8_t *bytes = out;
    memset(bytes, 0, data->public.bytes);
    if (data->initial_bytes)
        memcpy(bytes, data->initial, data->initial_bytes);
    for (size_t i = 0; i < data->pointer_count; i++) {
        const struct ptx_pointer *pointer = &data->pointers[i];
        uint64_t address = pointer->is_function ? ptx_function_address(module->functions[pointer->index])
                                                : module->data[pointer->index]->public.address;
        address = (address + pointer->addend) >> pointer->shift;
        memcpy(bytes + pointer->offset, &address, pointer->bytes);
    }
}
