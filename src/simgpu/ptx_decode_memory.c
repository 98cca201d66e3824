/* Loads, stores, atomics, address conversion and what belongs to memory. */
#include <string.h>

#include "simgpu/ptx_compile.h"

/* Words that say how a real memory system is to treat an access. Here every access is at least as strong as
 * any of them asks for (x86 keeps loads and stores in order, FENCE is a full fence), so they change nothing.
 */
static const char *const orderings[] = {
    "weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "mmio", "cta", "cluster", "gpu",
    "sys",  "ca",       "cg",      "cs",      "lu",      "cv",      "wb",   "wt",  "nc",      NULL};
static const char *const hints[] = {"L1::evict_normal", "L1::evict_unchanged",
                                    "L1::evict_first",  "L1::evict_last",
                                    "L1::no_allocate",  "L2::evict_normal",
                                    "L2::evict_first",  "L2::evict_last",
                                    "L2::64B",          "L2::128B",
                                    "L2::256B",         NULL};

/* Returns whether an operand with a cache policy follows. */
static bool take_ordering(struct instruction *in)
{
    while (mod_choice(in, orderings) >= 0 || mod_choice(in, hints) >= 0)
        continue;
    return mod_take(in, "L2::cache_hint");
}

enum named_space { NAMED_NONE, NAMED_GLOBAL, NAMED_CONST, NAMED_SHARED, NAMED_LOCAL, NAMED_PARAM };

static enum named_space take_space(struct instruction *in)
{
    static const char *const spaces[] = {"global", "const", "shared",       "shared::cta", "shared::cluster",
                                         "local",  "param", "param::entry", "param::func", NULL};
    static const enum named_space named[] = {NAMED_GLOBAL, NAMED_CONST,  NAMED_SHARED,
                                             NAMED_SHARED, NAMED_SHARED, NAMED_LOCAL,
                                             NAMED_PARAM,  NAMED_PARAM,  NAMED_PARAM};
    int choice = mod_choice(in, spaces);
    return choice < 0 ? NAMED_NONE : named[choice];
}

/* A decoded address: what LD, ST and ATOM need. */
struct address {
    enum ptx_space space;
    uint32_t base; /* plane */
    bool wide;     /* base is 64 bits */
    bool is_kernel_param;
    uint64_t offset;
};

static struct address address_of_symbol(struct ptx_compiler *c, const struct instruction *in,
                                        const struct operand *operand, enum named_space space)
{
    const struct symbol *symbol = operand->symbol;
    struct address address = {.base = PTX_PLANE_NONE, .offset = operand->value};
    if (symbol->kind == SYMBOL_DATA && symbol->data->is_shared &&
        (space == NAMED_SHARED || space == NAMED_NONE)) {
        address.space = PTX_SPACE_SHARED;
        address.base = plane_constant_of(c, PTX_CONSTANT_SHARED, 32, shared_use(c, symbol->data), 0);
    } else if (symbol->kind == SYMBOL_DATA && !symbol->data->is_shared &&
               (space == NAMED_NONE || space == NAMED_GLOBAL || space == NAMED_CONST)) {
        address.space = PTX_SPACE_GLOBAL;
        address.wide = true;
        address.base = plane_constant_of(c, PTX_CONSTANT_VARIABLE, 64, symbol->data->index, 0);
    } else if (symbol->kind == SYMBOL_LOCAL &&
               (space == NAMED_LOCAL || space == NAMED_PARAM || space == NAMED_NONE)) {
        address.space = PTX_SPACE_FRAME;
        address.offset += symbol->place;
    } else if (symbol->kind == SYMBOL_PARAM && space == NAMED_PARAM) {
        address.is_kernel_param = true;
        address.offset += symbol->place;
    } else {
        decode_mismatch(c, in);
    }
    return address;
}

static struct address decode_address(struct ptx_compiler *c, const struct instruction *in,
                                     const struct operand *operand, enum named_space space)
{
    static const enum ptx_space spaces[] = {
        [NAMED_NONE] = PTX_SPACE_GENERIC, [NAMED_GLOBAL] = PTX_SPACE_GLOBAL,
        [NAMED_CONST] = PTX_SPACE_GLOBAL, [NAMED_SHARED] = PTX_SPACE_SHARED,
        [NAMED_LOCAL] = PTX_SPACE_LOCAL,  [NAMED_PARAM] = PTX_SPACE_PARAM};
    if (!operand->is_address || operand->count > 0)
        decode_mismatch(c, in);
    if (operand->kind == OPERAND_SYMBOL)
        return address_of_symbol(c, in, operand, space);
    struct address address = {.space = spaces[space], .offset = operand->value};
    unsigned bits = operand_bits(operand);
    if (operand->kind == OPERAND_INTEGER) {
        address.base = plane_constant(c, 64, operand->value);
        address.offset = 0;
        address.wide = true;
    } else if ((bits == 32 || bits == 64) && operand->type != PTX_F32 && operand->type != PTX_F64) {
        address.base = operand->plane;
        address.wide = bits == 64;
    } else {
        decode_mismatch(c, in);
    }
    return address;
}

static unsigned take_vector(struct instruction *in)
{
    static const char *const vectors[] = {"v2", "v4", "v8", NULL};
    int choice = mod_choice(in, vectors);
    return choice < 0 ? 1 : 2u << choice;
}

/* The register of one element; its width goes to *bits, the same for all elements. */
static uint32_t element(struct ptx_compiler *c, const struct instruction *in, const struct operand *part,
                        enum ptx_type type, bool is_store, unsigned *bits)
{
    unsigned least = ptx_type_bits(type) == 8 ? 16 : ptx_type_bits(type);
    unsigned have = operand_bits(part);
    if (part->kind != OPERAND_REGISTER) {
        if (*bits == 0)
            *bits = least;
        if (is_store && part->kind != OPERAND_SINK) {
            if (ptx_type_is_float(type) && least != 16 && *bits == least)
                return source(c, in, part, type);
            return source_bits(c, in, part, *bits);
        }
        return part->kind == OPERAND_SINK && !is_store ? plane_alloc(c, *bits)
                                                       : (decode_mismatch(c, in), PTX_PLANE_NONE);
    }
    bool exact = type == PTX_F32 || type == PTX_F64;
    if (part->type == PTX_PRED || part->is_address || part->is_negated || part->has_pair || have < least ||
        (exact && have != least) || (*bits && *bits != have))
        decode_mismatch(c, in);
    *bits = have;
    return part->plane;
}

/* The forms for one value of 32 or 64 bits that fills its register. A generic address that lies in the range
 * seen last is a global one, so those go the same way. */
static enum ptx_op access_op(const struct address *address, enum ptx_type type, unsigned count, unsigned bits,
                             bool is_store)
{
    static const enum ptx_op shared[] = {PTX_OP_LD_SHARED_32, PTX_OP_ST_SHARED_32};
    static const enum ptx_op global[] = {PTX_OP_LD_GLOBAL_32, PTX_OP_ST_GLOBAL_32};
    if (address->is_kernel_param)
        return PTX_OP_LD_PARAM;
    if (count == 1 && bits >= 32 && bits == ptx_type_bits(type)) {
        if (address->space == PTX_SPACE_SHARED && !address->wide)
            return (enum ptx_op)(shared[is_store] + (bits == 64));
        if (address->wide && (address->space == PTX_SPACE_GLOBAL || address->space == PTX_SPACE_GENERIC))
            return (enum ptx_op)(global[is_store] + (bits == 64));
    }
    return is_store ? PTX_OP_ST : PTX_OP_LD;
}

static void check_param(struct ptx_compiler *c, const struct instruction *in, uint64_t offset, uint32_t bytes)
{
    const struct ptx_kernel *kernel = &c->builder.function->kernel;
    if (offset > kernel->params_bytes || bytes > kernel->params_bytes - offset)
        compile_fail(c, in->line, "the access goes beyond the kernel's parameters");
    if (bytes == 0 || offset % bytes)
        compile_fail(c, in->line, "the access to the kernel's parameters is misaligned");
}

/* A parameter of a kernel never changes: it is a constant of the launch. */
static void emit_param(struct ptx_compiler *c, const struct instruction *in, uint32_t d, unsigned bits,
                       enum ptx_type type, uint64_t offset)
{
    uint32_t a = plane_constant_of(c, PTX_CONSTANT_PARAM, bits, type, offset);
    struct ptx_insn *insn = emit(c, in,
                                 bits == 16   ? PTX_OP_MOV_16
                                 : bits == 32 ? PTX_OP_MOV_32
                                              : PTX_OP_MOV_64);
    insn->d = d;
    insn->a = a;
}

static void decode_access(struct ptx_compiler *c, struct instruction *in, bool is_store)
{
    bool policy = take_ordering(in);
    enum named_space space = take_space(in);
    unsigned count = take_vector(in);
    enum ptx_type type = mod_type(c, in);
    take_ordering(in);
    decode_count(c, in, 2, policy ? 3 : 2);
    const struct operand *value = &in->operands[is_store ? 1 : 0], *where = &in->operands[is_store ? 0 : 1];
    if (count == 1 && value->kind == OPERAND_VECTOR && value->count == 1)
        value = &value->parts[0]; /* braces around one register */
    if (type == PTX_PRED || ptx_type_bits(type) / 8 * count > 32 ||
        (count > 1) != (value->kind == OPERAND_VECTOR) || (count > 1 && value->count != count))
        decode_mismatch(c, in);
    if (is_store && (space == NAMED_CONST))
        decode_unsupported(c, in);
    struct address address = decode_address(c, in, where, space);
    if (is_store && address.is_kernel_param)
        decode_mismatch(c, in);
    uint32_t planes[8] = {0};
    unsigned bits = 0;
    for (unsigned i = 0; i < count && count > 1; i++)
        if (value->parts[i].kind == OPERAND_REGISTER)
            bits = operand_bits(&value->parts[i]);
    for (unsigned i = 0; i < count; i++)
        planes[i] = element(c, in, count > 1 ? &value->parts[i] : value, type, is_store, &bits);
    if (address.is_kernel_param)
        check_param(c, in, address.offset, ptx_type_bits(type) / 8 * count);
    if (address.is_kernel_param && count == 1) {
        emit_param(c, in, planes[0], bits, type, address.offset);
        return;
    }
    uint32_t list = count > 1 ? list_add(c, planes, count) : planes[0];
    struct ptx_insn *insn = emit(c, in, access_op(&address, type, count, bits, is_store));
    insn->d = list;
    insn->a = address.base;
    insn->imm = address.offset;
    insn->k[0] = (uint8_t)address.space;
    insn->k[1] = (uint8_t)type;
    insn->k[2] = (uint8_t)count;
    insn->k[3] = (uint8_t)bits;
    insn->k[4] = address.wide;
}

/* ---- atomics ----------------------------------------------------------------------------------- */

static bool atom_allowed(enum ptx_atom atom, enum ptx_type type)
{
    unsigned bits = ptx_type_bits(type);
    switch (atom) {
    case PTX_ATOM_ADD:
        return ptx_type_is_float(type)
                   ? type != PTX_TF32
                   : type == PTX_U32 || type == PTX_S32 || type == PTX_U64 || type == PTX_S64;
    case PTX_ATOM_MIN:
    case PTX_ATOM_MAX:
        return (ptx_type_is_integer(type) && bits >= 32) ||
               (ptx_type_is_float(type) && bits <= 32 && type != PTX_F32 && type != PTX_TF32);
    case PTX_ATOM_AND:
    case PTX_ATOM_OR:
    case PTX_ATOM_XOR:
    case PTX_ATOM_EXCH:
        return bits >= 32 && !ptx_type_is_float(type);
    case PTX_ATOM_CAS:
        return bits >= 16 && !ptx_type_is_float(type);
    case PTX_ATOM_INC:
    case PTX_ATOM_DEC:
        return type == PTX_U32;
    }
    return false;
}

bool decode_atomic(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const names[] = {"add",  "min", "max", "and", "or", "xor",
                                        "exch", "cas", "inc", "dec", NULL};
    bool is_red = strcmp(in->root, "red") == 0;
    if (!is_red && strcmp(in->root, "atom") != 0)
        return false;
    bool policy = take_ordering(in);
    enum named_space space = take_space(in);
    int atom = mod_choice(in, names);
    mod_take(in, "noftz");
    policy |= take_ordering(in);
    if (atom < 0)
        decode_unsupported(c, in);
    enum ptx_type type = mod_type(c, in);
    if (!atom_allowed((enum ptx_atom)atom, type) ||
        (is_red && (atom == PTX_ATOM_CAS || atom == PTX_ATOM_EXCH)) || space == NAMED_CONST ||
        space == NAMED_LOCAL || space == NAMED_PARAM)
        decode_unsupported(c, in);
    unsigned first = is_red ? 0 : 1, operands = first + 2 + (atom == PTX_ATOM_CAS);
    decode_count(c, in, operands, operands + policy);
    struct address address = decode_address(c, in, &in->operands[first], space);
    if (address.space == PTX_SPACE_FRAME)
        decode_mismatch(c, in);
    uint32_t b = source(c, in, &in->operands[first + 1], type);
    uint32_t swap = atom == PTX_ATOM_CAS ? source(c, in, &in->operands[first + 2], type) : PTX_PLANE_NONE;
    uint32_t d = is_red || in->operands[0].kind == OPERAND_SINK ? PTX_PLANE_NONE
                                                                : destination(c, in, &in->operands[0], type);
    struct ptx_insn *insn = emit(c, in, PTX_OP_ATOM);
    insn->d = d;
    insn->a = address.base;
    insn->b = b;
    insn->c = swap;
    insn->imm = address.offset;
    insn->k[0] = (uint8_t)address.space;
    insn->k[1] = (uint8_t)type;
    insn->k[2] = 1;
    insn->k[3] = (uint8_t)ptx_type_bits(type);
    insn->k[4] = address.wide;
    insn->k[5] = (uint8_t)atom;
    return true;
}

/* ---- copies, addresses, fences ----------------------------------------------------------------- */

/* The copy is made at once, so that waiting for a group is no work. */
static void decode_copy(struct ptx_compiler *c, struct instruction *in)
{
    if (!mod_take(in, "async"))
        decode_unsupported(c, in);
    if (mod_take(in, "commit_group") || mod_take(in, "wait_all")) {
        decode_count(c, in, 0, 0);
        return;
    }
    if (mod_take(in, "wait_group")) {
        decode_count(c, in, 1, 1);
        return;
    }
    if (mod_is_next(in, "bulk") || mod_is_next(in, "mbarrier"))
        decode_unsupported(c, in);
    bool policy = take_ordering(in);
    enum named_space to_space = take_space(in), from_space = take_space(in);
    if (to_space != NAMED_SHARED || from_space != NAMED_GLOBAL)
        decode_unsupported(c, in);
    policy |= take_ordering(in);
    decode_count(c, in, 3, 4u + policy);
    uint64_t bytes = in->operands[2].value;
    if (in->operands[2].kind != OPERAND_INTEGER || (bytes != 4 && bytes != 8 && bytes != 16))
        decode_mismatch(c, in);
    struct address to = decode_address(c, in, &in->operands[0], NAMED_SHARED);
    struct address from = decode_address(c, in, &in->operands[1], NAMED_GLOBAL);
    if (!from.wide || to.space != PTX_SPACE_SHARED || from.space != PTX_SPACE_GLOBAL)
        decode_mismatch(c, in);
    uint32_t size = PTX_PLANE_NONE;
    if (in->operand_count > 3u + policy) {
        if (operand_bits(&in->operands[3]) == 1)
            decode_unsupported(c, in);
        size = source_bits(c, in, &in->operands[3], 32);
    }
    struct ptx_insn *insn = emit(c, in, PTX_OP_CP_ASYNC);
    insn->a = to.base;
    insn->b = from.base;
    insn->c = size;
    insn->e = (uint32_t)from.offset;
    insn->imm = (to.offset & 0xffffffff) | bytes << 32;
    insn->k[0] = PTX_SPACE_SHARED;
    insn->k[4] = to.wide;
}

static uint64_t window_of(enum named_space space)
{
    return space == NAMED_SHARED ? PTX_WINDOW_SHARED : space == NAMED_LOCAL ? PTX_WINDOW_LOCAL : 0;
}

static void decode_cvta(struct ptx_compiler *c, struct instruction *in)
{
    bool to = mod_take(in, "to");
    enum named_space space = take_space(in);
    enum ptx_type type = mod_type(c, in);
    if (space == NAMED_NONE || type != PTX_U64)
        decode_unsupported(c, in);
    decode_count(c, in, 2, 2);
    uint32_t a = source(c, in, &in->operands[1], type), d = destination(c, in, &in->operands[0], type);
    uint64_t window = window_of(space);
    uint32_t b = plane_constant(c, 64, window);
    enum ptx_op op = to ? PTX_OP_SUB_64 : PTX_OP_ADD_64;
    if (space == NAMED_PARAM)
        op = PTX_OP_CVTA_PARAM;
    else if (!window)
        op = PTX_OP_MOV_64;
    struct ptx_insn *insn = emit(c, in, op);
    insn->d = d;
    insn->a = a;
    insn->b = b;
    insn->k[0] = to;
}

static void decode_isspacep(struct ptx_compiler *c, struct instruction *in)
{
    enum named_space space = take_space(in);
    decode_count(c, in, 2, 2);
    if (space == NAMED_NONE)
        decode_unsupported(c, in);
    uint32_t a = source_bits(c, in, &in->operands[1], 64), d = destination(c, in, &in->operands[0], PTX_PRED);
    static const uint64_t windows[] = {[NAMED_SHARED] = PTX_WINDOW_SHARED,
                                       [NAMED_LOCAL] = PTX_WINDOW_LOCAL,
                                       [NAMED_PARAM] = PTX_WINDOW_PARAM};
    struct ptx_insn *insn = emit(c, in, PTX_OP_ISSPACEP);
    insn->d = d;
    insn->a = a;
    insn->imm = space == NAMED_GLOBAL || space == NAMED_CONST ? 0 : windows[space];
    insn->k[0] = space == NAMED_CONST;
}

static void decode_fence(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const words[] = {"sc",
                                        "acq_rel",
                                        "acquire",
                                        "release",
                                        "cta",
                                        "cluster",
                                        "gpu",
                                        "sys",
                                        "gl",
                                        "proxy",
                                        "alias",
                                        "async",
                                        "async::global",
                                        "async::shared::cta",
                                        "tensormap::generic",
                                        "async::shared::cluster",
                                        "mbarrier_init",
                                        "sync_restrict::shared::cta",
                                        "sync_restrict::shared::cluster",
                                        "async::generic",
                                        "generic",
                                        "global",
                                        NULL};
    while (mod_choice(in, words) >= 0)
        continue;
    emit(c, in, PTX_OP_FENCE);
}

/* Hints to the caches. A hint may name any address. */
static void decode_prefetch(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const words[] = {"L1", "L2", "L2::evict_normal", "L2::evict_last", "tensormap", NULL};
    if (take_space(in) == NAMED_PARAM)
        decode_unsupported(c, in);
    while (mod_choice(in, words) >= 0)
        continue;
    emit(c, in, PTX_OP_NOP);
}

/* The forms that count bytes of bulk copies (.expect_tx, .complete_tx) are not there, as bulk copies are not.
 */
static void decode_mbarrier(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const kinds[] = {"init",      "inval",    "arrive", "arrive_drop",
                                        "test_wait", "try_wait", NULL};
    int kind = mod_choice(in, kinds);
    bool parity = mod_take(in, "parity");
    mod_take(in, "noComplete");
    take_ordering(in);
    enum named_space space = take_space(in);
    bool waits = kind >= PTX_MBARRIER_TEST,
         arrives = kind == PTX_MBARRIER_ARRIVE || kind == PTX_MBARRIER_DROP;
    if (kind < 0 || mod_type(c, in) != PTX_B64 || (parity && !waits) ||
        (space != NAMED_SHARED && space != NAMED_NONE))
        decode_unsupported(c, in);
    unsigned first = waits || arrives ? 1 : 0;
    decode_count(c, in, first + (waits || kind == PTX_MBARRIER_INIT ? 2 : 1), first + 3);
    struct address address = decode_address(c, in, &in->operands[first], space);
    unsigned bits = waits && !parity ? 64 : 32;
    uint32_t b = PTX_PLANE_NONE, d = PTX_PLANE_NONE;
    if (in->operand_count > first + 1)
        b = source_bits(c, in, &in->operands[first + 1], bits);
    if (waits)
        d = destination(c, in, &in->operands[0], PTX_PRED);
    else if (arrives && in->operands[0].kind != OPERAND_SINK)
        d = destination(c, in, &in->operands[0], PTX_B64);
    struct ptx_insn *insn = emit(c, in, PTX_OP_MBARRIER);
    insn->d = d;
    insn->a = address.base;
    insn->b = b;
    insn->imm = address.offset;
    insn->k[0] = (uint8_t)address.space;
    insn->k[1] = (uint8_t)bits;
    insn->k[4] = address.wide;
    insn->k[5] = waits ? (parity ? PTX_MBARRIER_PARITY : PTX_MBARRIER_TEST) : (uint8_t)kind;
}

static void decode_alloca(struct ptx_compiler *c, struct instruction *in, enum ptx_alloca kind)
{
    enum ptx_type type = mod_type(c, in);
    uint64_t align = 16;
    if (type != PTX_U64 && type != PTX_U32)
        decode_unsupported(c, in);
    decode_count(c, in, kind == PTX_ALLOCA_TAKE ? 2 : 1, kind == PTX_ALLOCA_TAKE ? 3 : 1);
    if (in->operand_count == 3) {
        align = in->operands[2].value;
        if (in->operands[2].kind != OPERAND_INTEGER || align == 0 || align > 4096 || (align & (align - 1)))
            decode_mismatch(c, in);
    }
    uint32_t a = PTX_PLANE_NONE, d = PTX_PLANE_NONE;
    if (kind != PTX_ALLOCA_SAVE)
        a = source(c, in, &in->operands[kind == PTX_ALLOCA_TAKE], type);
    if (kind != PTX_ALLOCA_RESTORE)
        d = destination(c, in, &in->operands[0], type);
    c->builder.function->uses_alloca = true;
    struct ptx_insn *insn = emit(c, in, PTX_OP_ALLOCA);
    insn->d = d;
    insn->a = a;
    insn->imm = align < 16 ? 16 : align;
    insn->k[4] = type == PTX_U64;
    insn->k[5] = (uint8_t)kind;
}

bool decode_memory(struct ptx_compiler *c, struct instruction *in)
{
    const char *root = in->root;
    if (strcmp(root, "ld") == 0 || strcmp(root, "ldu") == 0 || strcmp(root, "st") == 0) {
        decode_access(c, in, root[0] == 's');
    } else if (strcmp(root, "cp") == 0) {
        decode_copy(c, in);
    } else if (strcmp(root, "alloca") == 0) {
        decode_alloca(c, in, PTX_ALLOCA_TAKE);
    } else if (strcmp(root, "stacksave") == 0) {
        decode_alloca(c, in, PTX_ALLOCA_SAVE);
    } else if (strcmp(root, "stackrestore") == 0) {
        decode_alloca(c, in, PTX_ALLOCA_RESTORE);
    } else if (strcmp(root, "mbarrier") == 0) {
        decode_mbarrier(c, in);
    } else if (strcmp(root, "cvta") == 0) {
        decode_cvta(c, in);
    } else if (strcmp(root, "isspacep") == 0) {
        decode_isspacep(c, in);
    } else if (strcmp(root, "fence") == 0 || strcmp(root, "membar") == 0) {
        decode_fence(c, in);
    } else if (strcmp(root, "prefetch") == 0 || strcmp(root, "prefetchu") == 0) {
        decode_prefetch(c, in);
    } else {
        return false;
    }
    return true;
}
