/* Branches, calls, barriers, and what lanes of a warp do together. */
#include <string.h>

#include "simgpu/ptx_compile.h"

/* ---- calls ------------------------------------------------------------------------------------- */

static struct ptx_actual actual_of(struct ptx_compiler *c, struct instruction *in,
                                   const struct operand *operand)
{
    struct ptx_actual actual = {.is_register = true};
    if (operand->kind == OPERAND_SYMBOL && operand->symbol->kind == SYMBOL_LOCAL && operand->value == 0) {
        actual.is_register = false;
        actual.type = operand->symbol->type;
        actual.place = (uint32_t)operand->symbol->place;
        actual.bytes = (uint32_t)operand->symbol->bytes;
        return actual;
    }
    if (operand->kind == OPERAND_REGISTER && operand->type != PTX_PRED && !operand->has_pair) {
        actual.type = operand->type;
        actual.place = operand->plane;
        actual.bytes = operand_bits(operand) / 8;
        return actual;
    }
    decode_mismatch(c, in);
}

static struct ptx_actual *parse_actuals(struct ptx_compiler *c, struct instruction *in, size_t *count)
{
    struct ptx_actual *actuals = NULL;
    size_t capacity = 0;
    token_expect(c, '(');
    while (!token_punct(c, ')')) {
        struct operand operand;
        parse_operand(c, &operand);
        actuals = compile_grow(c, actuals, *count, &capacity, sizeof *actuals);
        actuals[(*count)++] = actual_of(c, in, &operand);
        if (!token_accept(c, ','))
            break;
    }
    token_expect(c, ')');
    return actuals;
}

static void note_callee(struct ptx_compiler *c, uint32_t index)
{
    struct ptx_function *function = c->builder.function;
    function->callees = compile_grow(c, function->callees, function->callee_count,
                                     &c->builder.callee_capacity, sizeof *function->callees);
    function->callees[function->callee_count++] = index;
}

static bool same_shape(const struct ptx_actual *actuals, size_t count, const struct ptx_formal *formals,
                       size_t expected)
{
    if (count != expected)
        return false;
    for (size_t i = 0; i < count; i++)
        if (actuals[i].bytes != formals[i].bytes)
            return false;
    return true;
}

/* call{.uni} (results), name or register, (arguments), prototype or list of targets; */
void parse_call(struct ptx_compiler *c, struct instruction *in)
{
    struct ptx_call call = {0};
    struct operand target;
    struct ptx_function *function = c->builder.function;
    size_t first = function->code_count;
    mod_take(in, "uni");
    if (mod_next(in))
        decode_unsupported(c, in);
    if (token_punct(c, '(')) {
        call.results = parse_actuals(c, in, &call.result_count);
        token_expect(c, ',');
    }
    parse_operand(c, &target);
    bool is_direct = target.kind == OPERAND_SYMBOL && target.symbol->kind == SYMBOL_FUNCTION;
    if (!is_direct && !(target.kind == OPERAND_REGISTER && operand_bits(&target) == 64))
        compile_fail(c, in->line, "Call target not recognized");
    if (token_accept(c, ',')) {
        if (token_punct(c, '(')) {
            call.arguments = parse_actuals(c, in, &call.argument_count);
            if (token_accept(c, ','))
                token_take_name(c);
        } else {
            token_take_name(c);
        }
    }
    token_expect(c, ';');
    function->calls =
        compile_grow(c, function->calls, function->call_count, &c->builder.call_capacity, sizeof call);
    function->calls[function->call_count] = call;
    struct ptx_insn *insn = emit(c, in, is_direct ? PTX_OP_CALL : PTX_OP_CALL_POINTER);
    insn->imm = (uint64_t)function->call_count++ << 32;
    if (is_direct) {
        const struct ptx_function *callee = target.symbol->function;
        if (callee->is_kernel ||
            !same_shape(call.arguments, call.argument_count, callee->params, callee->param_count) ||
            !same_shape(call.results, call.result_count, callee->results, callee->result_count))
            compile_fail(c, in->line, "Arguments mismatch in the call of '%s'", callee->name);
        insn->imm |= callee->index;
        note_callee(c, callee->index);
    } else {
        insn->a = target.plane;
        function->calls_pointer = true;
    }
    if (in->has_guard) {
        struct instruction skip = *in;
        skip.root = "call";
        decode_guarded(c, &skip, first);
    }
}

/* ---- branches ---------------------------------------------------------------------------------- */

static void decode_bra(struct ptx_compiler *c, struct instruction *in)
{
    mod_take(in, "uni");
    decode_count(c, in, 1, 1);
    if (in->operands[0].kind != OPERAND_NAME && in->operands[0].kind != OPERAND_SYMBOL)
        decode_mismatch(c, in);
    struct ptx_insn *insn = emit(c, in, in->has_guard ? PTX_OP_BRA_IF : PTX_OP_BRA);
    if (in->has_guard) {
        insn->a = in->guard;
        insn->k[0] = in->guard_negated;
        in->has_guard = false;
    }
    emit_target(c, &in->operands[0].name);
}

static void decode_brx(struct ptx_compiler *c, struct instruction *in)
{
    mod_take(in, "uni");
    if (!mod_take(in, "idx"))
        decode_unsupported(c, in);
    decode_count(c, in, 2, 2);
    const struct ptx_token *name = &in->operands[1].name;
    struct symbol *table =
        in->operands[1].kind == OPERAND_NAME ? symbol_find(c, name->text, name->length) : NULL;
    if (!table || table->kind != SYMBOL_TARGETS)
        compile_fail(c, in->line, "a label of .branchtargets is expected for '%s'", in->opcode);
    uint32_t a = source_bits(c, in, &in->operands[0], 32);
    uint32_t *zeros = compile_alloc(c, table->count + 1, sizeof *zeros);
    uint32_t list = list_add(c, zeros, table->count);
    for (uint32_t i = 0; i < table->count; i++) {
        struct fixup *fixup = compile_alloc(c, 1, sizeof *fixup);
        *fixup = (struct fixup){.next = c->builder.fixups,
                                .name = table->targets[i],
                                .slot = &c->builder.function->lists[list][i],
                                .scope = c->scope};
        c->builder.fixups = fixup;
    }
    struct ptx_insn *insn = emit(c, in, PTX_OP_BRX);
    insn->a = a;
    insn->imm = list | (uint64_t)table->count << 32;
}

/* ---- barriers ---------------------------------------------------------------------------------- */

static void emit_barrier(struct ptx_compiler *c, struct instruction *in, enum ptx_barrier kind,
                         uint32_t number, uint32_t threads, uint32_t predicate, uint32_t d)
{
    struct ptx_insn *insn = emit(c, in, PTX_OP_BAR);
    insn->k[0] = (uint8_t)kind;
    insn->a = number;
    insn->b = threads;
    insn->c = predicate;
    insn->d = d;
}

static void decode_barrier_red(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const operations[] = {"and", "or", "popc", NULL};
    int operation = mod_choice(in, operations);
    enum ptx_type type = mod_type(c, in);
    if (operation < 0 || (type != PTX_PRED) != (operation == 2))
        decode_unsupported(c, in);
    decode_count(c, in, 3, 4);
    bool has_threads = in->operand_count == 4;
    uint32_t number = source_bits(c, in, &in->operands[1], 32);
    uint32_t threads = has_threads ? source_bits(c, in, &in->operands[2], 32) : PTX_PLANE_NONE;
    uint32_t predicate = source_predicate(c, in, &in->operands[has_threads ? 3 : 2]);
    uint32_t d = destination(c, in, &in->operands[0], operation == 2 ? PTX_B32 : PTX_PRED);
    emit_barrier(c, in, (enum ptx_barrier)(PTX_BARRIER_AND + operation), number, threads, predicate, d);
}

static void decode_bar(struct ptx_compiler *c, struct instruction *in)
{
    bool cluster = mod_take(in, "cluster");
    mod_take(in, "aligned");
    mod_take(in, "cta");
    if (cluster) { /* a cluster here is one block: arriving costs nothing, waiting is the block's barrier */
        mod_take(in, "release");
        mod_take(in, "relaxed");
        mod_take(in, "acquire");
        if (mod_take(in, "arrive"))
            emit(c, in, PTX_OP_FENCE);
        else if (mod_take(in, "wait"))
            emit_barrier(c, in, PTX_BARRIER_SYNC, plane_constant(c, 32, 16), PTX_PLANE_NONE, PTX_PLANE_NONE,
                         PTX_PLANE_NONE);
        else
            decode_unsupported(c, in);
        return;
    }
    if (mod_take(in, "warp")) {
        if (!mod_take(in, "sync"))
            decode_unsupported(c, in);
        decode_count(c, in, 1, 1);
        uint32_t member = source_bits(c, in, &in->operands[0], 32);
        emit(c, in, PTX_OP_BAR_WARP)->b = member;
        return;
    }
    if (mod_take(in, "red")) {
        decode_barrier_red(c, in);
        return;
    }
    bool arrive = mod_take(in, "arrive");
    if (!arrive && !mod_take(in, "sync"))
        decode_unsupported(c, in);
    decode_count(c, in, arrive ? 2 : 1, 2);
    uint32_t number = source_bits(c, in, &in->operands[0], 32);
    uint32_t threads = in->operand_count == 2 ? source_bits(c, in, &in->operands[1], 32) : PTX_PLANE_NONE;
    emit_barrier(c, in, arrive ? PTX_BARRIER_ARRIVE : PTX_BARRIER_SYNC, number, threads, PTX_PLANE_NONE,
                 PTX_PLANE_NONE);
}

static void decode_nanosleep(struct ptx_compiler *c, struct instruction *in)
{
    if (mod_type(c, in) != PTX_U32)
        decode_unsupported(c, in);
    decode_count(c, in, 1, 1);
    uint32_t a = source(c, in, &in->operands[0], PTX_U32);
    emit(c, in, PTX_OP_NANOSLEEP)->a = a;
}

bool decode_flow(struct ptx_compiler *c, struct instruction *in)
{
    const char *root = in->root;
    if (strcmp(root, "bra") == 0) {
        decode_bra(c, in);
    } else if (strcmp(root, "brx") == 0) {
        decode_brx(c, in);
    } else if (strcmp(root, "ret") == 0) {
        mod_take(in, "uni");
        decode_count(c, in, 0, 0);
        emit(c, in, PTX_OP_RET);
    } else if (strcmp(root, "exit") == 0) {
        decode_count(c, in, 0, 0);
        emit(c, in, PTX_OP_EXIT);
    } else if (strcmp(root, "trap") == 0 || strcmp(root, "brkpt") == 0) {
        decode_count(c, in, 0, 0);
        emit(c, in, PTX_OP_TRAP);
    } else if (strcmp(root, "bar") == 0 || strcmp(root, "barrier") == 0) {
        decode_bar(c, in);
    } else if (strcmp(root, "nanosleep") == 0) {
        decode_nanosleep(c, in);
    } else if (strcmp(root, "pmevent") == 0 || strcmp(root, "griddepcontrol") == 0) {
        mod_take(in, "mask");
        mod_take(in, "wait");
        mod_take(in, "launch_dependents");
        emit(c, in, PTX_OP_NOP);
    } else {
        return false;
    }
    return true;
}

/* ---- lanes together ---------------------------------------------------------------------------- */

/* Instructions without .sync went with compute capability 7.0. */
static bool take_sync(struct ptx_compiler *c, struct instruction *in)
{
    if (mod_take(in, "sync"))
        return true;
    if (c->unit->target >= 70 && c->unit->version >= 64)
        compile_fail(c, in->line,
                     "Instruction '%s' without '.sync' is not supported on .target sm_70 and higher from PTX "
                     "ISA version 6.4",
                     in->root);
    return false;
}

static void take_pair(struct ptx_compiler *c, struct instruction *in, enum ptx_type type, uint32_t *d,
                      uint32_t *p)
{
    struct operand *out = &in->operands[0];
    *p = out->pair_plane;
    out->has_pair = false;
    *d = destination(c, in, out, type);
}

static void decode_shfl(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const modes[] = {"up", "down", "bfly", "idx", NULL};
    bool sync = take_sync(c, in);
    int mode = mod_choice(in, modes);
    if (mode < 0 || mod_type(c, in) != PTX_B32)
        decode_unsupported(c, in);
    decode_count(c, in, sync ? 5 : 4, sync ? 5 : 4);
    uint32_t a = source(c, in, &in->operands[1], PTX_B32), b = source_bits(c, in, &in->operands[2], 32);
    uint32_t clamp = source_bits(c, in, &in->operands[3], 32);
    uint32_t member = sync ? source_bits(c, in, &in->operands[4], 32) : PTX_PLANE_NONE;
    uint32_t d, p;
    take_pair(c, in, PTX_B32, &d, &p);
    struct ptx_insn *insn = emit(c, in, PTX_OP_SHFL);
    insn->d = d;
    insn->e = p;
    insn->a = a;
    insn->b = member;
    insn->c = b;
    insn->imm = clamp;
    insn->k[0] = (uint8_t)mode;
}

static void decode_vote(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const modes[] = {"all", "any", "uni", "ballot", NULL};
    bool sync = take_sync(c, in);
    int mode = mod_choice(in, modes);
    enum ptx_type type = mod_type(c, in);
    if (mode < 0 || type != (mode == PTX_VOTE_BALLOT ? PTX_B32 : PTX_PRED))
        decode_unsupported(c, in);
    decode_count(c, in, sync ? 3 : 2, sync ? 3 : 2);
    uint32_t a = source_predicate(c, in, &in->operands[1]);
    uint32_t member = sync ? source_bits(c, in, &in->operands[2], 32) : PTX_PLANE_NONE;
    uint32_t d = destination(c, in, &in->operands[0], type);
    struct ptx_insn *insn = emit(c, in, PTX_OP_VOTE);
    insn->d = d;
    insn->a = a;
    insn->b = member;
    insn->k[0] = (uint8_t)mode;
}

static void decode_match(struct ptx_compiler *c, struct instruction *in)
{
    bool all = mod_take(in, "all");
    if ((!all && !mod_take(in, "any")) || !mod_take(in, "sync"))
        decode_unsupported(c, in);
    enum ptx_type type = mod_type(c, in);
    if (type != PTX_B32 && type != PTX_B64)
        decode_unsupported(c, in);
    decode_count(c, in, 3, 3);
    uint32_t a = source(c, in, &in->operands[1], type), member = source_bits(c, in, &in->operands[2], 32), d,
             p;
    take_pair(c, in, PTX_B32, &d, &p);
    struct ptx_insn *insn = emit(c, in, PTX_OP_MATCH);
    insn->d = d;
    insn->e = p;
    insn->a = a;
    insn->b = member;
    insn->k[0] = all;
    insn->k[1] = type == PTX_B64;
}

static void decode_redux(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const operations[] = {"add", "min", "max", "and", "or", "xor", NULL};
    bool sync = mod_take(in, "sync");
    int operation = mod_choice(in, operations);
    enum ptx_type type = mod_type(c, in);
    bool bitwise = operation >= PTX_REDUX_AND;
    if (!sync || operation < 0 || ptx_type_bits(type) != 32 || (bitwise != (type == PTX_B32)) ||
        type == PTX_F32)
        decode_unsupported(c, in);
    decode_count(c, in, 3, 3);
    uint32_t a = source(c, in, &in->operands[1], type), member = source_bits(c, in, &in->operands[2], 32);
    uint32_t d = destination(c, in, &in->operands[0], type);
    struct ptx_insn *insn = emit(c, in, PTX_OP_REDUX);
    insn->d = d;
    insn->a = a;
    insn->b = member;
    insn->k[0] = (uint8_t)operation;
    insn->k[1] = type == PTX_S32;
}

bool decode_warp(struct ptx_compiler *c, struct instruction *in)
{
    const char *root = in->root;
    if (strcmp(root, "shfl") == 0) {
        decode_shfl(c, in);
    } else if (strcmp(root, "vote") == 0) {
        decode_vote(c, in);
    } else if (strcmp(root, "match") == 0) {
        decode_match(c, in);
    } else if (strcmp(root, "redux") == 0) {
        decode_redux(c, in);
    } else if (strcmp(root, "elect") == 0) {
        if (!mod_take(in, "sync"))
            decode_unsupported(c, in);
        decode_count(c, in, 2, 2);
        uint32_t member = source_bits(c, in, &in->operands[1], 32), d, p;
        take_pair(c, in, PTX_B32, &d, &p);
        struct ptx_insn *insn = emit(c, in, PTX_OP_ELECT);
        insn->d = d;
        insn->e = p;
        insn->b = member;
    } else if (strcmp(root, "activemask") == 0) {
        if (mod_type(c, in) != PTX_B32)
            decode_unsupported(c, in);
        decode_count(c, in, 1, 1);
        uint32_t d = destination(c, in, &in->operands[0], PTX_B32);
        emit(c, in, PTX_OP_ACTIVEMASK)->d = d;
    } else {
        return false;
    }
    return true;
}
