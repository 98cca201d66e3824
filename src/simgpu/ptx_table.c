/* From an operation to the function that runs it. */
#include "simgpu/ptx_compile.h"
#include "simgpu/ptx_ops_single.h"

#define PTX_DECLARE(NAME)                                                                                    \
    void ptx_run_##NAME##_base(struct ptx_warp *w, const struct ptx_insn *i);                                \
    void ptx_run_##NAME##_avx2(struct ptx_warp *w, const struct ptx_insn *i);
PTX_VECTOR_OPS(PTX_DECLARE)
#undef PTX_DECLARE

static const ptx_handler base[] = {
#define PTX_ENTRY(NAME) [PTX_OP_##NAME] = ptx_run_##NAME##_base,
    PTX_VECTOR_OPS(PTX_ENTRY)
#undef PTX_ENTRY
};

#if defined(__x86_64__)
static const ptx_handler avx2[] = {
#define PTX_ENTRY(NAME) [PTX_OP_##NAME] = ptx_run_##NAME##_avx2,
    PTX_VECTOR_OPS(PTX_ENTRY)
#undef PTX_ENTRY
};
#endif

static const ptx_handler single[] = {
#define PTX_ENTRY(NAME) [PTX_OP_##NAME] = ptx_run_##NAME,
    PTX_SINGLE_OPS(PTX_ENTRY)
#undef PTX_ENTRY
};

static const ptx_handler *choose(bool plain)
{
#if defined(__x86_64__)
    if (!plain && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return avx2;
#endif
    return base;
}

ptx_handler ptx_handler_of(enum ptx_op op, bool plain)
{
    if ((size_t)op < sizeof base / sizeof base[0])
        return choose(plain)[op];
    return single[op];
}

const uint8_t ptx_type_bytes[PTX_TYPE_COUNT] = {
    [PTX_B8] = 1,    [PTX_B16] = 2,   [PTX_B32] = 4,  [PTX_B64] = 8,    [PTX_U8] = 1,  [PTX_U16] = 2,
    [PTX_U32] = 4,   [PTX_U64] = 8,   [PTX_S8] = 1,   [PTX_S16] = 2,    [PTX_S32] = 4, [PTX_S64] = 8,
    [PTX_F16] = 2,   [PTX_F16X2] = 4, [PTX_BF16] = 2, [PTX_BF16X2] = 4, [PTX_F32] = 4, [PTX_F64] = 8,
    [PTX_U16X2] = 4, [PTX_S16X2] = 4, [PTX_TF32] = 4,
};
