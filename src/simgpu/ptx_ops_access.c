/* The loads and stores that kernels make most: a whole warp, one 32- or 64-bit value per lane, in shared
 * memory or, in global memory, side by side or all the same. Anything else, and anything that could fault,
 * goes to the general LD and ST. Compiled once for each instruction set.
 *
 * A block copy of values side by side moves each of them whole: x86 does so for aligned parts of vectors. */
#include "simgpu/ptx_ops_single.h"
#include "simgpu/ptx_ops_vector.h"

/* Offsets in shared memory, when all 32 are inside and aligned. */
static inline bool shared_offsets(const struct ptx_warp *w, const struct ptx_insn *i, uint32_t bytes,
                                  uint32_t *offsets)
{
    const uint32_t *base = PTX_PLANE(w, uint32_t, i->a);
    uint32_t size = w->executor->shared_bytes, room = size - bytes, wrong = 0, added = (uint32_t)i->imm;
    if (w->mask != PTX_ALL_LANES || size < bytes)
        return false;
    for (unsigned lane = 0; lane < PTX_LANES; lane++) {
        uint32_t offset = base[lane] + added;
        offsets[lane] = offset;
        wrong |= (uint32_t)(offset > room) | (offset & (bytes - 1));
    }
    return !wrong;
}

/* The address of lane 0, when the others follow it side by side or, with *same set, are equal to it. 0 when
 * neither, or when the range seen last does not hold them all. */
static inline uint64_t global_address(const struct ptx_warp *w, const struct ptx_insn *i, uint32_t bytes,
                                      bool write, bool *same)
{
    const uint64_t *base = PTX_PLANE(w, uint64_t, i->a);
    const struct ptx_range *hint = &w->executor->hints[((uintptr_t)i / sizeof *i) % PTX_HINTS];
    uint64_t first = base[0], apart = 0, differ = 0;
    if (w->mask != PTX_ALL_LANES)
        return 0;
    for (unsigned lane = 0; lane < PTX_LANES; lane++) {
        apart |= base[lane] ^ (first + (uint64_t)lane * bytes);
        differ |= base[lane] ^ first;
    }
    *same = differ == 0;
    if (apart && differ)
        return 0;
    first += i->imm;
    uint64_t span = *same ? bytes : (uint64_t)bytes * PTX_LANES, offset = first - hint->base;
    if (hint->bytes < span || offset > hint->bytes - span || (first & (bytes - 1)) ||
        (write && !hint->writable))
        return 0;
    return first;
}

#define ACCESS(BITS)                                                                                         \
    void PTX_RUN(LD_SHARED_##BITS)(struct ptx_warp * w, const struct ptx_insn *i)                            \
    {                                                                                                        \
        uint32_t offsets[PTX_LANES];                                                                         \
        if (!shared_offsets(w, i, BITS / 8, offsets)) {                                                      \
            ptx_run_LD(w, i);                                                                                \
            return;                                                                                          \
        }                                                                                                    \
        uint##BITS##_t *d = PTX_PLANE(w, uint##BITS##_t, i->d);                                              \
        const uint8_t *shared = w->block->shared;                                                            \
        _Pragma("GCC ivdep") for (unsigned lane = 0; lane < PTX_LANES; lane++) d[lane] =                     \
            *(const uint##BITS##_t *)(const void *)(shared + offsets[lane]);                                 \
    }                                                                                                        \
    void PTX_RUN(ST_SHARED_##BITS)(struct ptx_warp * w, const struct ptx_insn *i)                            \
    {                                                                                                        \
        uint32_t offsets[PTX_LANES];                                                                         \
        if (!shared_offsets(w, i, BITS / 8, offsets)) {                                                      \
            ptx_run_ST(w, i);                                                                                \
            return;                                                                                          \
        }                                                                                                    \
        const uint##BITS##_t *d = PTX_PLANE(w, uint##BITS##_t, i->d);                                        \
        uint8_t *shared = w->block->shared;                                                                  \
        for (unsigned lane = 0; lane < PTX_LANES; lane++)                                                    \
            *(uint##BITS##_t *)(void *)(shared + offsets[lane]) = d[lane];                                   \
    }                                                                                                        \
    void PTX_RUN(LD_GLOBAL_##BITS)(struct ptx_warp * w, const struct ptx_insn *i)                            \
    {                                                                                                        \
        bool same;                                                                                           \
        uint64_t address = global_address(w, i, BITS / 8, false, &same);                                     \
        uint##BITS##_t *d = PTX_PLANE(w, uint##BITS##_t, i->d);                                              \
        const uint##BITS##_t *from = (const uint##BITS##_t *)(uintptr_t)address;                             \
        if (!address) {                                                                                      \
            ptx_run_LD(w, i);                                                                                \
        } else if (same) {                                                                                   \
            uint##BITS##_t value = __atomic_load_n(from, __ATOMIC_RELAXED);                                  \
            for (unsigned lane = 0; lane < PTX_LANES; lane++)                                                \
                d[lane] = value;                                                                             \
        } else {                                                                                             \
            memcpy(d, from, PTX_LANES * sizeof *d);                                                          \
        }                                                                                                    \
    }                                                                                                        \
    void PTX_RUN(ST_GLOBAL_##BITS)(struct ptx_warp * w, const struct ptx_insn *i)                            \
    {                                                                                                        \
        bool same;                                                                                           \
        uint64_t address = global_address(w, i, BITS / 8, true, &same);                                      \
        if (!address || same)                                                                                \
            ptx_run_ST(w, i);                                                                                \
        else                                                                                                 \
            memcpy((void *)(uintptr_t)address, PTX_PLANE(w, uint##BITS##_t, i->d), PTX_LANES *BITS / 8);     \
    }
ACCESS(32)
ACCESS(64)
