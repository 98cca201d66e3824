/* What the files of the PTX compiler share. Private to the engine.
 *
 * An error ends the compilation at once: compile_fail writes the log and jumps back to ptx_module_create,
 * which frees the arena and with it everything. No function here returns an error. */
#ifndef SIMGPU_PTX_COMPILE_H
#define SIMGPU_PTX_COMPILE_H

#include <setjmp.h>

#include "simgpu/ptx_arena.h"
#include "simgpu/ptx_ir.h"
#include "simgpu/ptx_lex.h"

enum {
    MAX_REGISTERS = 1 << 20,      /* declared by one .reg */
    MAX_UNIT_REGISTERS = 1 << 23, /* declared by one text */
    MAX_FRAME_BYTES = 64 << 20,   /* of the planes of one function */
    MAX_LOCAL_BYTES = 512 * 1024, /* per thread, as on hardware */
    MAX_NESTING = 64,             /* of blocks, parentheses and braces */
    MAX_OPERANDS = 10,
    MAX_MODIFIERS = 16,
    MAX_VECTOR = 8,
    MAX_DIMENSIONS = 8,
    MAX_KERNEL_PARAMS_BYTES = 32764,
};

enum symbol_kind {
    SYMBOL_REGISTER,
    SYMBOL_RANGE, /* %r<100>: name is "%r", found by taking the digits off the end */
    SYMBOL_DATA,
    SYMBOL_FUNCTION,
    SYMBOL_LOCAL, /* .local variable or .param of a function: bytes in its frame */
    SYMBOL_PARAM, /* parameter of a kernel */
    SYMBOL_LABEL,
    SYMBOL_TARGETS,   /* .branchtargets */
    SYMBOL_PROTOTYPE, /* .callprototype, .calltargets */
};

struct symbol {
    const char *name;
    size_t length;
    enum symbol_kind kind;
    unsigned scope;
    struct symbol *next_in_bucket, *next_in_scope;
    enum ptx_type type;
    uint32_t plane;   /* register, PTX_PLANE_NONE until first used */
    uint32_t *planes; /* range */
    uint32_t count;   /* range */
    uint64_t place;   /* local and parameter: offset; label: instruction */
    uint64_t bytes;
    struct ptx_data *data;
    struct ptx_function *function;
    const struct ptx_token *targets; /* .branchtargets: count of them */
};

enum operand_kind {
    OPERAND_REGISTER,
    OPERAND_INTEGER,
    OPERAND_F32,
    OPERAND_F64,
    OPERAND_SYMBOL, /* variable, function or parameter, plus value */
    OPERAND_SPECIAL,
    OPERAND_SINK,   /* `_` */
    OPERAND_VECTOR, /* parts */
    OPERAND_NAME,   /* not known as anything: a label further down */
};

struct operand {
    enum operand_kind kind;
    bool is_address; /* in [ ] */
    bool is_negated; /* ! */
    bool has_pair;   /* a|b: the second is in pair_plane */
    enum ptx_type type;
    uint32_t plane;
    uint32_t pair_plane;
    uint64_t value;
    struct symbol *symbol;
    enum ptx_special special;
    struct ptx_token name;
    unsigned count; /* of a vector, or of the coordinates that follow an address */
    struct operand *parts;
};

/* One instruction as read, before it is decoded. */
struct instruction {
    unsigned line;
    const char *opcode; /* with modifiers, as written */
    const char *root;
    const char *modifiers[MAX_MODIFIERS];
    bool taken[MAX_MODIFIERS];
    unsigned modifier_count;
    bool has_guard, guard_negated;
    uint32_t guard;
    struct operand operands[MAX_OPERANDS];
    unsigned operand_count;
};

struct fixup {
    struct fixup *next;
    struct ptx_token name;
    uint32_t insn;  /* whose imm becomes the target, or */
    uint32_t *slot; /* where the target is stored */
    unsigned scope;
};

/* The function being compiled. */
struct builder {
    struct ptx_function *function;
    size_t code_capacity, constant_capacity, list_capacity, call_capacity, callee_capacity, shared_capacity;
    uint32_t frame_bytes;
    uint32_t predicate_plane, predicates_left;
    struct fixup *fixups;
    uint32_t register_count[4]; /* used: predicates, 16, 32, 64 bits */
};

enum { SYMBOL_BUCKETS = 1024 };

struct ptx_compiler {
    jmp_buf failed;
    enum ptx_status status;
    char error[1024];
    const struct ptx_options *options;
    struct ptx_module *module;
    struct ptx_unit *unit;
    struct ptx_lexer lexer;
    struct ptx_token token; /* the one to be looked at next */
    unsigned scope;         /* 0: module */
    unsigned unit_registers;
    struct symbol *buckets[SYMBOL_BUCKETS];
    struct symbol *scopes[MAX_NESTING + 2];
    struct builder builder;
};

/* ---- ptx_compile.c: errors, memory, tokens ----------------------------------------------------- */

_Noreturn void compile_fail(struct ptx_compiler *c, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void compile_fail_status(struct ptx_compiler *c, enum ptx_status status, unsigned line,
                                   const char *format, ...) __attribute__((format(printf, 4, 5)));
void *compile_alloc(struct ptx_compiler *c, size_t count, size_t size);
/* Makes room for one more element in an array of the arena. */
void *compile_grow(struct ptx_compiler *c, void *array, size_t count, size_t *capacity, size_t size);
char *compile_copy(struct ptx_compiler *c, const char *text, size_t length);

void token_advance(struct ptx_compiler *c);
bool token_punct(const struct ptx_compiler *c, unsigned punct);
bool token_word(const struct ptx_compiler *c, const char *word);
bool token_accept(struct ptx_compiler *c, unsigned punct);
bool token_accept_word(struct ptx_compiler *c, const char *word);
void token_expect(struct ptx_compiler *c, unsigned punct);
struct ptx_token token_take_name(struct ptx_compiler *c);
_Noreturn void token_unexpected(struct ptx_compiler *c);
enum ptx_type type_named(const char *text, size_t length); /* without the dot; PTX_TYPE_NONE */
enum ptx_type token_take_type(struct ptx_compiler *c);     /* .u32 */

/* ---- ptx_symbol.c ------------------------------------------------------------------------------ */

void scope_enter(struct ptx_compiler *c);
void scope_leave(struct ptx_compiler *c);
struct symbol *symbol_add(struct ptx_compiler *c, const struct ptx_token *name, enum symbol_kind kind);
struct symbol *symbol_find(const struct ptx_compiler *c, const char *name, size_t length);
struct symbol *symbol_find_in_scope(const struct ptx_compiler *c, const char *name, size_t length);
/* The symbol of a range and the number of the register in it, or NULL. */
struct symbol *symbol_find_range(const struct ptx_compiler *c, const char *name, size_t length,
                                 uint32_t *number);

/* ---- ptx_operand.c ----------------------------------------------------------------------------- */

uint64_t parse_integer_expression(struct ptx_compiler *c);
/* A number or constant expression as an operand: integer, f32 or f64. */
void parse_constant(struct ptx_compiler *c, struct operand *operand);
void parse_operand(struct ptx_compiler *c, struct operand *operand);
bool special_named(const char *text, size_t length, enum ptx_special *special);

/* ---- ptx_parse.c, ptx_parse_data.c, ptx_parse_function.c --------------------------------------- */

void parse_unit(struct ptx_compiler *c, const struct ptx_input *input);

struct linkage {
    bool is_visible, is_extern, is_weak;
};
void parse_data(struct ptx_compiler *c, const struct linkage *linkage);
void parse_function(struct ptx_compiler *c, const struct linkage *linkage, bool is_kernel);
void parse_alias(struct ptx_compiler *c);
/* `.align n`, `.type`, `name`, `[n]...` of a variable or parameter. Dimensions left empty count as 0. */
struct declaration {
    struct ptx_token name;
    enum ptx_type type;
    unsigned vector; /* 1, 2, 4 */
    uint32_t align;
    uint64_t bytes;
    bool is_array, is_open; /* [] */
    bool is_managed;        /* .attribute(.managed) */
    uint64_t extents[MAX_DIMENSIONS];
    unsigned dimensions;
};
void parse_declaration(struct ptx_compiler *c, struct declaration *out);
void parse_body(struct ptx_compiler *c);
void parse_call(struct ptx_compiler *c, struct instruction *in);

/* ---- ptx_emit.c -------------------------------------------------------------------------------- */

uint32_t plane_alloc(struct ptx_compiler *c, unsigned bits);
uint32_t plane_constant(struct ptx_compiler *c, unsigned bits, uint64_t value);
uint32_t plane_constant_of(struct ptx_compiler *c, enum ptx_constant_kind kind, unsigned bits, uint32_t index,
                           uint64_t value);
uint32_t list_add(struct ptx_compiler *c, const uint32_t *planes, size_t count);
struct ptx_insn *emit(struct ptx_compiler *c, const struct instruction *in, enum ptx_op op);
/* Records that the imm of the last instruction is the place of this label. */
void emit_target(struct ptx_compiler *c, const struct ptx_token *label);
uint32_t local_alloc(struct ptx_compiler *c, uint64_t bytes, uint32_t align);
uint32_t shared_use(struct ptx_compiler *c, struct ptx_data *data);
void builder_begin(struct ptx_compiler *c, struct ptx_function *function);
void builder_end(struct ptx_compiler *c);
/* At the end of a block: labels that are defined in it are settled, others are left to the block around. */
void fixups_settle(struct ptx_compiler *c);

/* ---- ptx_decode.c and ptx_decode_*.c ----------------------------------------------------------- */

bool mod_take(struct instruction *in, const char *modifier);
bool mod_is_next(const struct instruction *in, const char *modifier);
const char *mod_next(const struct instruction *in); /* first one not taken, or NULL */
enum ptx_type mod_type(struct ptx_compiler *c, struct instruction *in);
/* The place of the modifier in a NULL-terminated table, taken; or -1. */
int mod_choice(struct instruction *in, const char *const *table);
_Noreturn void decode_unsupported(struct ptx_compiler *c, const struct instruction *in);
_Noreturn void decode_mismatch(struct ptx_compiler *c, const struct instruction *in);
void decode_count(struct ptx_compiler *c, const struct instruction *in, unsigned least, unsigned most);
uint32_t source(struct ptx_compiler *c, const struct instruction *in, const struct operand *operand,
                enum ptx_type type);
uint32_t source_bits(struct ptx_compiler *c, const struct instruction *in, const struct operand *operand,
                     unsigned bits);
uint32_t source_predicate(struct ptx_compiler *c, const struct instruction *in,
                          const struct operand *operand);
uint32_t destination(struct ptx_compiler *c, const struct instruction *in, const struct operand *operand,
                     enum ptx_type type);
unsigned operand_bits(const struct operand *operand); /* of a register; 0 otherwise */
/* Puts the instruction's guard in front of what was emitted since instruction `first`. */
void decode_guarded(struct ptx_compiler *c, const struct instruction *in, size_t first);
void decode_instruction(struct ptx_compiler *c, struct instruction *in);

/* Each returns false when the root is not of its family. */
bool decode_integer(struct ptx_compiler *c, struct instruction *in);
bool decode_bits(struct ptx_compiler *c, struct instruction *in);
bool decode_float(struct ptx_compiler *c, struct instruction *in);
bool decode_half(struct ptx_compiler *c, struct instruction *in);
bool decode_compare(struct ptx_compiler *c, struct instruction *in);
bool decode_move(struct ptx_compiler *c, struct instruction *in);
bool decode_convert(struct ptx_compiler *c, struct instruction *in);
bool decode_memory(struct ptx_compiler *c, struct instruction *in);
bool decode_atomic(struct ptx_compiler *c, struct instruction *in);
bool decode_flow(struct ptx_compiler *c, struct instruction *in);
bool decode_warp(struct ptx_compiler *c, struct instruction *in);
bool decode_texture(struct ptx_compiler *c, struct instruction *in);

/* ---- ptx_link.c -------------------------------------------------------------------------------- */

void link_module(struct ptx_compiler *c, struct ptx_log *log);

/* ---- ptx_table.c ------------------------------------------------------------------------------- */

/* plain: of the form for any processor. */
ptx_handler ptx_handler_of(enum ptx_op op, bool plain);

#endif
