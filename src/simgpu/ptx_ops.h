/* clang-format off */
/* The operations of the compact form. Private to the engine.
 *
 * Arithmetic lives in files that are compiled twice, once for any x86-64 and once for AVX2 with FMA; which
 * of the two runs is chosen when a module is made. Everything else is compiled once.
 *
 * Naming: OPERATION_type, where the type gives the width of the planes; S and U where the sign matters.
 * Operands: d is the destination, a, b, c the sources in PTX's order. k[] and what differs is said here:
 *
 *   ADDC, MADC    k[0]: PTX_CARRY_* flags; the carry is a bit per lane of the warp
 *   MUL24         k[0]: signed, k[1]: high part
 *   SHF           k[0]: right, k[1]: wrap      LOP3  imm: the table    PRMT  k[0]: enum ptx_prmt
 *   BFIND         k[0]: shift amount instead of position
 *   DP4A, DP2A    k[0]: a signed, k[1]: b signed, k[2]: high half (DP2A)
 *   SETP_*        d and e: predicate and its complement, PTX_PLANE_NONE for none; k[0]: enum ptx_combine,
 *                 c: the predicate combined with; k[1]: flags (PTX_FLOAT_FTZ); k[2]: complement c
 *   SETPH         as SETP; k[3]: enum ptx_compare, k[4]: bf16, k[5]: packed (d low, e high)
 *   SELP, SLCT    c: the selector; SLCT k[0]: c is f32
 *   PACK_n        planes of the parts in function->lists[imm]; UNPACK_n: same, PTX_PLANE_NONE for `_`
 *   CVT           k[0]: from, k[1]: to (enum ptx_type), k[2]: enum ptx_rounding, k[3]: PTX_FLOAT_* flags,
 *                 k[4], k[5]: bits of the source and destination registers
 *   *_X, MATH_*, HALF*    k[2]: enum ptx_rounding, k[3]: PTX_FLOAT_* flags; MATH, HALF k[0]: which function
 *   LD, ST        a: base plane, imm: offset added to it, k[0]: enum ptx_space, k[1]: enum ptx_type in
 *                 memory, k[2]: count (1, 2, 4, 8), k[3]: bits of the register, k[4]: base is 64 bits wide;
 *                 d: the register's plane or, when the count is over 1, the index of a list of planes
 *   LD_SHARED_n, LD_GLOBAL_n, ST_...    as LD and ST, for one value that fills its register
 *   LD_PARAM      as LD, from the launch's parameters at imm
 *   ATOM          as LD; k[5]: enum ptx_atom; b, c: operands; d: PTX_PLANE_NONE for red
 *   CP_ASYNC      a: shared base, imm: offset | bytes << 32, b: global base (64 bits), c: source size or
 *                 none, k[0]: space of a, k[4]: a is 64 bits wide; e: offset of b
 *   MBARRIER      a, imm, k[0], k[4]: address as for LD; k[5]: enum ptx_mbarrier; d: token or predicate;
 *                 b: count, token or parity, k[1]: bits of b
 *   TEX           d: list of 4 planes, a: object (64 bits), e: list of coordinates, b: level or none,
 *                 k[0]: enum ptx_geometry, k[1]: coordinates are whole numbers
 *   SURFACE       d: list of planes, k[1] of them, of k[2] bytes in memory and k[3] bits in registers; a, e, k[0]
 *                 as TEX; k[4]: enum ptx_surface_clamp; k[5]: store
 *   TXQ           d, a: object, k[0]: enum ptx_texture_query, k[1]: surface
 *   ALLOCA        k[5]: enum ptx_alloca, a: size or saved top, imm: alignment, d: pointer into local memory,
 *                 k[4]: a and d are 64 bits wide
 *   VABSDIFF4     k[0]: a signed, k[1]: b signed, k[2]: add the four differences to c
 *   BRA           imm: target
 *   BRA_IF        a: predicate, k[0]: complement, imm: target
 *   BRX           a: index, list imm of targets
 *   GUARD         a: predicate, k[0]: complement; the next instruction runs for the lanes that pass
 *   CALL          imm: function index | call index << 32
 *   CALL_POINTER  a: address, imm: call index << 32
 *   BAR           k[0]: enum ptx_barrier, a: number, b: threads or none, c: predicate, d: result,
 *                 k[1]: complement c
 *   SHFL, VOTE, MATCH, REDUX, ELECT, BAR_WARP    see ptx_ops_warp.c */
/* clang-format on */
#ifndef SIMGPU_PTX_OPS_H
#define SIMGPU_PTX_OPS_H

#define PTX_FOR_B(X, NAME) X(NAME##_16) X(NAME##_32) X(NAME##_64)
#define PTX_FOR_SU(X, NAME)                                                                                  \
    X(NAME##_S16) X(NAME##_S32) X(NAME##_S64) X(NAME##_U16) X(NAME##_U32) X(NAME##_U64)
#define PTX_FOR_WIDE(X, NAME)  X(NAME##_S16) X(NAME##_S32) X(NAME##_U16) X(NAME##_U32)
#define PTX_FOR_SU32(X, NAME)  X(NAME##_S32) X(NAME##_S64) X(NAME##_U32) X(NAME##_U64)
#define PTX_FOR_FLOAT(X, NAME) X(NAME##_F32) X(NAME##_F64)

/* clang-format off */
#define PTX_INTEGER_OPS(X) \
    PTX_FOR_B(X, ADD) PTX_FOR_B(X, SUB) PTX_FOR_B(X, MUL) PTX_FOR_B(X, MAD) \
    PTX_FOR_SU(X, MULHI) PTX_FOR_SU(X, MADHI) PTX_FOR_WIDE(X, MULWIDE) PTX_FOR_WIDE(X, MADWIDE) \
    PTX_FOR_SU(X, DIV) PTX_FOR_SU(X, REM) PTX_FOR_SU(X, MIN) PTX_FOR_SU(X, MAX) PTX_FOR_SU(X, SAD) \
    PTX_FOR_B(X, ABS) PTX_FOR_B(X, NEG) \
    PTX_FOR_B(X, AND) PTX_FOR_B(X, OR) PTX_FOR_B(X, XOR) PTX_FOR_B(X, NOT) PTX_FOR_B(X, CNOT) \
    PTX_FOR_B(X, SHL) PTX_FOR_SU(X, SHR) \
    X(ADDSAT_S32) X(SUBSAT_S32) X(MADHISAT_S32) X(MUL24) \
    X(ADDC_32) X(ADDC_64) X(MADC_32) X(MADC_64) \
    X(AND_P) X(OR_P) X(XOR_P) X(NOT_P) X(MOV_P) \
    X(SHF) X(LOP3) X(PRMT) PTX_FOR_SU32(X, BFE) X(BFI_32) X(BFI_64) PTX_FOR_SU32(X, BFIND) X(BREV_32) X(BREV_64) \
    X(POPC_32) X(POPC_64) X(CLZ_32) X(CLZ_64) X(FNS) X(DP4A) X(DP2A) X(BMSK) X(SZEXT) \
    X(ADD_X2) X(SUB_X2) X(MIN_S16X2) X(MAX_S16X2) X(MIN_U16X2) X(MAX_U16X2) X(NEG_X2) X(VABSDIFF4) \
    PTX_FOR_B(X, SELP) PTX_FOR_B(X, SLCT) PTX_FOR_B(X, MOV) \
    X(PACK_16X2) X(PACK_16X4) X(PACK_32X2) X(UNPACK_16X2) X(UNPACK_16X4) X(UNPACK_32X2) \
    X(CVT_U64_U32) X(CVT_S64_S32) X(CVT_B32_B64)

#define PTX_COMPARE_OPS(X) \
    PTX_FOR_B(X, SETP_EQ) PTX_FOR_B(X, SETP_NE) \
    PTX_FOR_SU(X, SETP_LT) PTX_FOR_SU(X, SETP_LE) PTX_FOR_SU(X, SETP_GT) PTX_FOR_SU(X, SETP_GE) \
    PTX_FOR_FLOAT(X, SETP_EQ) PTX_FOR_FLOAT(X, SETP_NE) PTX_FOR_FLOAT(X, SETP_LT) PTX_FOR_FLOAT(X, SETP_LE) \
    PTX_FOR_FLOAT(X, SETP_GT) PTX_FOR_FLOAT(X, SETP_GE) PTX_FOR_FLOAT(X, SETP_EQU) PTX_FOR_FLOAT(X, SETP_NEU) \
    PTX_FOR_FLOAT(X, SETP_LTU) PTX_FOR_FLOAT(X, SETP_LEU) PTX_FOR_FLOAT(X, SETP_GTU) PTX_FOR_FLOAT(X, SETP_GEU) \
    PTX_FOR_FLOAT(X, SETP_ISNUM) PTX_FOR_FLOAT(X, SETP_ISNAN) X(SETPH)

#define PTX_FLOAT_OPS(X) \
    PTX_FOR_FLOAT(X, ADD) PTX_FOR_FLOAT(X, SUB) PTX_FOR_FLOAT(X, MUL) PTX_FOR_FLOAT(X, FMA) PTX_FOR_FLOAT(X, DIV) \
    X(ADD_F32_X) X(SUB_F32_X) X(MUL_F32_X) X(FMA_F32_X) X(DIV_F32_X) \
    X(ADD_F64_X) X(SUB_F64_X) X(MUL_F64_X) X(FMA_F64_X) X(DIV_F64_X) \
    PTX_FOR_FLOAT(X, MIN) PTX_FOR_FLOAT(X, MAX) PTX_FOR_FLOAT(X, ABS) PTX_FOR_FLOAT(X, NEG) \
    PTX_FOR_FLOAT(X, COPYSIGN) PTX_FOR_FLOAT(X, TESTP) PTX_FOR_FLOAT(X, MATH)

#define PTX_CONVERT_OPS(X) X(CVT) X(CVT_PACK)
#define PTX_ACCESS_OPS(X) \
    X(LD_SHARED_32) X(LD_SHARED_64) X(ST_SHARED_32) X(ST_SHARED_64) X(LD_GLOBAL_32) X(LD_GLOBAL_64) X(ST_GLOBAL_32) X(ST_GLOBAL_64)
#define PTX_HALF_OPS(X) X(HALF1) X(HALF2) X(HALF3)

#define PTX_MEMORY_OPS(X) \
    X(LD) X(ST) X(LD_PARAM) X(ATOM) X(CP_ASYNC) X(CVTA_PARAM) X(MOV_LOCAL) X(ISSPACEP) X(FENCE) X(NOP) X(MBARRIER) X(ALLOCA) \
    X(TEX) X(SURFACE) X(TXQ)

#define PTX_FLOW_OPS(X) \
    X(BRA) X(BRA_IF) X(BRX) X(GUARD) X(CALL) X(CALL_POINTER) X(RET) X(EXIT) X(TRAP) X(CLOCK) X(NANOSLEEP) \
    X(BAR) X(END)

#define PTX_WARP_OPS(X) X(SHFL) X(VOTE) X(MATCH) X(REDUX) X(ELECT) X(BAR_WARP) X(ACTIVEMASK)
/* clang-format on */

#define PTX_VECTOR_OPS(X)                                                                                    \
    PTX_INTEGER_OPS(X)                                                                                       \
    PTX_COMPARE_OPS(X) PTX_FLOAT_OPS(X) PTX_CONVERT_OPS(X) PTX_HALF_OPS(X) PTX_ACCESS_OPS(X)
#define PTX_SINGLE_OPS(X) PTX_MEMORY_OPS(X) PTX_FLOW_OPS(X) PTX_WARP_OPS(X)

enum ptx_op {
#define PTX_ENUM(NAME) PTX_OP_##NAME,
    PTX_VECTOR_OPS(PTX_ENUM) PTX_SINGLE_OPS(PTX_ENUM)
#undef PTX_ENUM
        PTX_OP_COUNT
};

enum {
    PTX_CARRY_IN = 1,
    PTX_CARRY_OUT = 2,
    PTX_CARRY_SUBTRACT = 4,
    PTX_CARRY_HIGH = 8,
    PTX_CARRY_SIGNED = 16
};

enum ptx_prmt {
    PTX_PRMT_INDEX,
    PTX_PRMT_F4E,
    PTX_PRMT_B4E,
    PTX_PRMT_RC8,
    PTX_PRMT_ECL,
    PTX_PRMT_ECR,
    PTX_PRMT_RC16
};

enum ptx_combine { PTX_COMBINE_NONE, PTX_COMBINE_AND, PTX_COMBINE_OR, PTX_COMBINE_XOR };

enum ptx_compare {
    PTX_EQ,
    PTX_NE,
    PTX_LT,
    PTX_LE,
    PTX_GT,
    PTX_GE,
    PTX_EQU,
    PTX_NEU,
    PTX_LTU,
    PTX_LEU,
    PTX_GTU,
    PTX_GEU,
    PTX_NUM,
    PTX_NAN,
};

enum ptx_rounding { PTX_RN, PTX_RZ, PTX_RM, PTX_RP, PTX_RNI, PTX_RZI, PTX_RMI, PTX_RPI, PTX_RNA };

enum {
    PTX_FLOAT_FTZ = 1,
    PTX_FLOAT_SAT = 2,
    PTX_FLOAT_NAN = 4, /* min and max: a NaN operand gives NaN */
    PTX_FLOAT_RELU = 8,
    PTX_FLOAT_XORSIGN = 16, /* min and max .xorsign.abs */
    PTX_FLOAT_PACKED = 32,  /* two halves in 32 bits */
    PTX_FLOAT_BF16 = 64,
    PTX_FLOAT_OOB = 128,
};

enum ptx_math {
    PTX_MATH_RCP,
    PTX_MATH_SQRT,
    PTX_MATH_RSQRT,
    PTX_MATH_SIN,
    PTX_MATH_COS,
    PTX_MATH_EX2,
    PTX_MATH_LG2,
    PTX_MATH_TANH,
    PTX_MATH_RCP_APPROX,   /* f64: upper 32 bits only */
    PTX_MATH_RSQRT_APPROX, /* f64: upper 32 bits only */
};

enum ptx_testp {
    PTX_TESTP_FINITE,
    PTX_TESTP_INFINITE,
    PTX_TESTP_NUMBER,
    PTX_TESTP_NAN,
    PTX_TESTP_NORMAL,
    PTX_TESTP_SUBNORMAL
};

enum ptx_half {
    PTX_HALF_ADD,
    PTX_HALF_SUB,
    PTX_HALF_MUL,
    PTX_HALF_FMA,
    PTX_HALF_NEG,
    PTX_HALF_ABS,
    PTX_HALF_MIN,
    PTX_HALF_MAX,
    PTX_HALF_EX2,
    PTX_HALF_TANH,
    PTX_HALF_MIN3,
    PTX_HALF_MAX3,
};

enum ptx_atom {
    PTX_ATOM_ADD,
    PTX_ATOM_MIN,
    PTX_ATOM_MAX,
    PTX_ATOM_AND,
    PTX_ATOM_OR,
    PTX_ATOM_XOR,
    PTX_ATOM_EXCH,
    PTX_ATOM_CAS,
    PTX_ATOM_INC,
    PTX_ATOM_DEC,
};

enum ptx_alloca { PTX_ALLOCA_TAKE, PTX_ALLOCA_SAVE, PTX_ALLOCA_RESTORE };

enum ptx_mbarrier {
    PTX_MBARRIER_INIT,
    PTX_MBARRIER_INVAL,
    PTX_MBARRIER_ARRIVE,
    PTX_MBARRIER_DROP,
    PTX_MBARRIER_TEST,
    PTX_MBARRIER_PARITY,
};

enum ptx_barrier { PTX_BARRIER_SYNC, PTX_BARRIER_ARRIVE, PTX_BARRIER_AND, PTX_BARRIER_OR, PTX_BARRIER_POPC };

enum ptx_shfl { PTX_SHFL_UP, PTX_SHFL_DOWN, PTX_SHFL_BFLY, PTX_SHFL_IDX };
enum ptx_vote { PTX_VOTE_ALL, PTX_VOTE_ANY, PTX_VOTE_UNI, PTX_VOTE_BALLOT };
enum ptx_redux { PTX_REDUX_ADD, PTX_REDUX_MIN, PTX_REDUX_MAX, PTX_REDUX_AND, PTX_REDUX_OR, PTX_REDUX_XOR };

#endif
