/* The compact form that PTX is decoded to, and the module that holds it. Private to the engine.
 *
 * A warp of 32 lanes executes one instruction at a time for all its active lanes. A register is a plane: 32
 * values side by side in the frame of the function, one per lane, as wide as the register's type (predicates
 * are one bit per lane). Constants and the special registers that never change are planes too, filled when
 * the frame is made, so that every operand is just the offset of a plane. */
#ifndef SIMGPU_PTX_IR_H
#define SIMGPU_PTX_IR_H

#include "simgpu/ptx.h"
#include "simgpu/ptx_ops.h"

enum { PTX_LANES = 32 };
#define PTX_PLANE_NONE 0xffffffffu

enum ptx_type {
    PTX_TYPE_NONE,
    PTX_PRED,
    PTX_B8,
    PTX_B16,
    PTX_B32,
    PTX_B64,
    PTX_U8,
    PTX_U16,
    PTX_U32,
    PTX_U64,
    PTX_S8,
    PTX_S16,
    PTX_S32,
    PTX_S64,
    PTX_F16,
    PTX_F16X2,
    PTX_BF16,
    PTX_BF16X2,
    PTX_F32,
    PTX_F64,
    PTX_U16X2,
    PTX_S16X2,
    PTX_TF32,
    PTX_TYPE_COUNT,
};

/* Size in bits; 1 for predicates. */
unsigned ptx_type_bits(enum ptx_type type);
bool ptx_type_is_signed(enum ptx_type type);
bool ptx_type_is_float(enum ptx_type type);
bool ptx_type_is_integer(enum ptx_type type); /* .u and .s, not .b */
bool ptx_type_is_bits(enum ptx_type type);

enum ptx_space {
    PTX_SPACE_GENERIC,
    PTX_SPACE_GLOBAL, /* also .const */
    PTX_SPACE_SHARED,
    PTX_SPACE_LOCAL,
    PTX_SPACE_FRAME, /* the function's own part of local memory: no base register */
    PTX_SPACE_PARAM, /* the kernel's parameters, through a register */
};

struct ptx_warp;
struct ptx_insn;
typedef void (*ptx_handler)(struct ptx_warp *warp, const struct ptx_insn *insn);

/* One decoded instruction. d, a, b, c, e are offsets of planes in the frame unless the operation says
 * otherwise in ptx_ops.h. */
struct ptx_insn {
    ptx_handler run;
    uint64_t imm;
    uint32_t d, a, b, c, e;
    uint32_t line;
    uint16_t op;
    uint8_t k[6]; /* small arguments: what they mean is the operation's */
};

/* What a constant plane holds. */
enum ptx_constant_kind {
    PTX_CONSTANT_VALUE,
    PTX_CONSTANT_VARIABLE, /* address of variable `index`, plus value */
    PTX_CONSTANT_SHARED,   /* offset of shared variable `index` in the running kernel, plus value */
    PTX_CONSTANT_FUNCTION, /* address of function `index` in the function window */
    PTX_CONSTANT_PARAM,    /* the kernel's parameter at offset `value`, of enum ptx_type `index` */
    PTX_CONSTANT_SPECIAL,  /* special register `index` */
};

struct ptx_constant {
    enum ptx_constant_kind kind;
    uint16_t bits;
    uint32_t plane;
    uint32_t index;
    uint64_t value;
};

enum ptx_special {
    PTX_SPECIAL_TID_X,
    PTX_SPECIAL_TID_Y,
    PTX_SPECIAL_TID_Z,
    PTX_SPECIAL_NTID_X,
    PTX_SPECIAL_NTID_Y,
    PTX_SPECIAL_NTID_Z,
    PTX_SPECIAL_CTAID_X,
    PTX_SPECIAL_CTAID_Y,
    PTX_SPECIAL_CTAID_Z,
    PTX_SPECIAL_NCTAID_X,
    PTX_SPECIAL_NCTAID_Y,
    PTX_SPECIAL_NCTAID_Z,
    PTX_SPECIAL_LANEID,
    PTX_SPECIAL_WARPID,
    PTX_SPECIAL_NWARPID,
    PTX_SPECIAL_SMID,
    PTX_SPECIAL_NSMID,
    PTX_SPECIAL_GRIDID,
    PTX_SPECIAL_LANEMASK_EQ,
    PTX_SPECIAL_LANEMASK_LE,
    PTX_SPECIAL_LANEMASK_LT,
    PTX_SPECIAL_LANEMASK_GE,
    PTX_SPECIAL_LANEMASK_GT,
    PTX_SPECIAL_DYNAMIC_SHARED,
    PTX_SPECIAL_TOTAL_SHARED,
    PTX_SPECIAL_ZERO, /* position in a cluster of one block, environment registers not set */
    PTX_SPECIAL_ONE,  /* size of a cluster of one block */
    PTX_SPECIAL_ENVREG1,
    PTX_SPECIAL_ENVREG2,
    /* From here on they change while a kernel runs: instructions of their own, never planes. */
    PTX_SPECIAL_CLOCK,
    PTX_SPECIAL_CLOCK_HI,
    PTX_SPECIAL_CLOCK64,
    PTX_SPECIAL_TIMER,
    PTX_SPECIAL_TIMER_LO,
    PTX_SPECIAL_TIMER_HI,
    PTX_SPECIAL_COUNT,
};

/* A parameter or return value of a function: bytes in its frame, or a register. */
struct ptx_formal {
    bool is_register;
    enum ptx_type type;
    uint32_t place; /* offset in the frame's local part, or plane */
    uint32_t bytes;
    uint32_t align;
};

/* How one value gets from caller to callee or back. */
struct ptx_actual {
    bool is_register;
    enum ptx_type type;
    uint32_t place;
    uint32_t bytes;
};

struct ptx_call {
    struct ptx_actual *arguments;
    size_t argument_count;
    struct ptx_actual *results;
    size_t result_count;
};

/* Functions that the engine itself provides to device code. */
enum ptx_builtin {
    PTX_BUILTIN_NONE,
    PTX_BUILTIN_VPRINTF,
    PTX_BUILTIN_ASSERTFAIL,
    PTX_BUILTIN_MALLOC,
    PTX_BUILTIN_FREE,
};

struct ptx_function {
    const char *name;
    struct ptx_unit *unit; /* the text it came from; unresolved names are looked up there first */
    uint32_t index;        /* in module->functions */
    bool is_kernel;
    bool is_visible, is_weak, is_extern;
    enum ptx_builtin builtin;
    struct ptx_function *alias; /* .alias: what to run instead; also what an extern was resolved to */
    unsigned line;

    struct ptx_insn *code; /* NULL for a declaration */
    size_t code_count;
    struct ptx_constant *constants;
    size_t constant_count;
    size_t special_first; /* from here on special registers: filled for each activation */
    size_t block_first;   /* from here on those that differ between blocks */
    uint32_t **lists;     /* operand lists of vector instructions and branch tables */
    size_t list_count;
    struct ptx_call *calls;
    size_t call_count;
    uint32_t frame_bytes;
    uint32_t local_bytes; /* its .local variables and parameters */
    struct ptx_formal *params;
    size_t param_count;
    struct ptx_formal *results;
    size_t result_count;
    uint32_t registers; /* estimate */

    uint32_t *callees; /* indexes of functions called directly */
    size_t callee_count;
    bool calls_pointer;
    bool uses_alloca;
    bool needs_stack;      /* of a kernel: it or what it calls takes local memory as it runs */
    uint32_t *shared_used; /* indexes of shared variables named in the code */
    size_t shared_used_count;

    struct ptx_kernel kernel; /* for kernels */
    uint32_t *shared_offset;  /* for kernels: by index of the shared variable; PTX_PLANE_NONE: not used */
};

/* Part of a variable's initial value that is an address. */
struct ptx_pointer {
    uint64_t offset;
    uint32_t bytes; /* 8, or 1 for mask() */
    uint32_t shift; /* which byte of the address for mask() */
    bool is_function;
    uint32_t index; /* of variable or function */
    uint64_t addend;
};

struct ptx_data {
    struct ptx_variable public;
    struct ptx_unit *unit;
    struct ptx_data *alias; /* what an extern was resolved to */
    bool is_extern, is_weak, is_shared, is_dynamic;
    uint32_t index;
    uint32_t public_index; /* among placed variables */
    uint8_t *initial;
    size_t initial_bytes; /* rest is zero */
    struct ptx_pointer *pointers;
    size_t pointer_count;
};

/* One PTX text of a module. */
struct ptx_unit {
    uint32_t index;
    const char *name;
    unsigned version, target;
};

struct ptx_module {
    struct ptx_arena *arena;
    struct ptx_unit *units;
    size_t unit_count;
    struct ptx_function **functions;
    size_t function_count, function_capacity;
    struct ptx_data **data; /* global, const and shared variables */
    size_t data_count, data_capacity;
    struct ptx_function **kernels;
    size_t kernel_count;
    struct ptx_data **placed; /* those that the driver allocates */
    size_t placed_count;
};

/* Where a pointer to the function points: in the function window. */
uint64_t ptx_function_address(const struct ptx_function *function);

#endif
