/* Loads, stores and atomics: every address is checked before it is used.
 *
 * Global memory is shared with other launches and with the host, so its scalars are read and written whole
 * (relaxed atomics, which are plain moves on x86); shared and local memory belong to this thread alone. */
#include <string.h>

#include "simgpu/ptx_exec.h"
#include "simgpu/ptx_ops_single.h"

/* ---- addresses --------------------------------------------------------------------------------- */

static bool in_range(const struct ptx_range *range, uint64_t address, uint32_t bytes, bool write)
{
    uint64_t offset = address - range->base;
    return range->bytes >= bytes && offset <= range->bytes - bytes && (range->writable || !write);
}

/* A range that reaches over the windows of the other spaces, without them. */
static struct ptx_range outside_windows(struct ptx_range range, uint64_t address)
{
    const uint64_t first = PTX_WINDOW_FUNCTION, end = PTX_WINDOW_PARAM + (1ull << 32);
    if (range.base < end && range.base + range.bytes > first) {
        if (address < first) {
            range.bytes = first - range.base;
        } else {
            range.bytes -= end - range.base;
            range.base = end;
        }
    }
    return range;
}

/* Looks the address up; the range becomes the hint of this instruction. */
static bool find_range(struct ptx_warp *w, const struct ptx_insn *i, unsigned lane, uint64_t address,
                       uint32_t bytes, uint32_t align, bool write)
{
    struct ptx_executor *x = w->executor;
    struct ptx_range *hint = &x->hints[((uintptr_t)i / sizeof *i) % PTX_HINTS];
    struct ptx_range found = {0};
    if (address & (align - 1)) {
        ptx_fault_raise(w, i, lane, PTX_FAULT_MISALIGNED_ADDRESS, address, bytes, write);
        return false;
    }
    if (in_range(hint, address, bytes, write))
        return true;
    if (!x->launch->find || !x->launch->find(x->launch->user, address, bytes, write, &found) ||
        !in_range(&found, address, bytes, write)) {
        ptx_fault_raise(w, i, lane, PTX_FAULT_ILLEGAL_ADDRESS, address, bytes, write);
        return false;
    }
    *hint = outside_windows(found, address);
    return true;
}

static bool resolve_global(struct ptx_warp *w, const struct ptx_insn *i, const uint64_t *addresses,
                           uint32_t bytes, uint32_t align, bool write, uint8_t **pointers)
{
    const struct ptx_range *hint = &w->executor->hints[((uintptr_t)i / sizeof *i) % PTX_HINTS];
    uint64_t base = hint->base, room = hint->bytes >= bytes ? hint->bytes - bytes : 0;
    uint64_t wrong = hint->bytes < bytes || (write && !hint->writable);
    PTX_FOR_LANES(w->mask, uint64_t address = addresses[lane];
                  wrong |= (uint64_t)(address - base > room) | (address & (align - 1));
                  pointers[lane] = (uint8_t *)(uintptr_t)address);
    if (!wrong)
        return true;
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        if (!find_range(w, i, lane, addresses[lane], bytes, align, write))
            return false;
    }
    return true;
}

static bool resolve_window(struct ptx_warp *w, const struct ptx_insn *i, const uint64_t *offsets,
                           uint8_t *memory, uint64_t stride, uint64_t size, uint32_t bytes, uint32_t align,
                           bool write, uint8_t **pointers)
{
    uint64_t room = size >= bytes ? size - bytes : 0, wrong = size < bytes;
    PTX_FOR_LANES(w->mask, uint64_t offset = offsets[lane];
                  wrong |= (uint64_t)(offset > room) | (offset & (align - 1));
                  pointers[lane] = memory + lane * stride + offset);
    if (!wrong)
        return true;
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        bool outside = size < bytes || offsets[lane] > room;
        if (!outside && !(offsets[lane] & (align - 1)))
            continue;
        ptx_fault_raise(w, i, lane, outside ? PTX_FAULT_ILLEGAL_ADDRESS : PTX_FAULT_MISALIGNED_ADDRESS,
                        offsets[lane], bytes, write);
        return false;
    }
    return true;
}

uint8_t *ptx_memory_generic(struct ptx_warp *w, const struct ptx_insn *i, unsigned lane, uint64_t address,
                            uint32_t bytes, uint32_t align, bool write)
{
    struct ptx_executor *x = w->executor;
    uint64_t window = address >> 32 << 32, offset = address & 0xffffffff, size;
    uint8_t *memory;
    if (window == PTX_WINDOW_SHARED) {
        memory = w->block->shared;
        size = x->shared_bytes;
    } else if (window == PTX_WINDOW_LOCAL) {
        memory = w->local + (uint64_t)lane * x->local_bytes;
        size = x->local_bytes;
    } else if (window == PTX_WINDOW_PARAM) {
        memory = x->params;
        size = write ? 0 : x->params_bytes;
    } else {
        return find_range(w, i, lane, address, bytes, align, write) ? (uint8_t *)(uintptr_t)address : NULL;
    }
    if (size < bytes || offset > size - bytes)
        ptx_fault_raise(w, i, lane, PTX_FAULT_ILLEGAL_ADDRESS, address, bytes, write);
    else if (offset & (align - 1))
        ptx_fault_raise(w, i, lane, PTX_FAULT_MISALIGNED_ADDRESS, address, bytes, write);
    else
        return memory + offset;
    return NULL;
}

static bool resolve_generic(struct ptx_warp *w, const struct ptx_insn *i, const uint64_t *addresses,
                            uint32_t bytes, uint32_t align, bool write, uint8_t **pointers)
{
    uint64_t windowed = 0;
    PTX_FOR_LANES(w->mask, windowed |= (uint64_t)((addresses[lane] - PTX_WINDOW_FUNCTION) >> 34 == 0));
    if (!windowed)
        return resolve_global(w, i, addresses, bytes, align, write, pointers);
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        pointers[lane] = ptx_memory_generic(w, i, lane, addresses[lane], bytes, align, write);
        if (!pointers[lane])
            return false;
    }
    return true;
}

bool ptx_memory_resolve(struct ptx_warp *w, const struct ptx_insn *i, enum ptx_space space, uint32_t base,
                        bool wide, uint64_t offset, uint32_t bytes, uint32_t align, bool write,
                        uint8_t **pointers)
{
    struct ptx_executor *x = w->executor;
    uint64_t addresses[PTX_LANES];
    if (space == PTX_SPACE_FRAME) {
        offset += w->frame->local_base;
        PTX_FOR_LANES(w->mask, addresses[lane] = offset);
    } else if (wide) {
        const uint64_t *plane = PTX_PLANE(w, uint64_t, base);
        PTX_FOR_LANES(w->mask, addresses[lane] = plane[lane] + offset);
    } else {
        const uint32_t *plane = PTX_PLANE(w, uint32_t, base);
        PTX_FOR_LANES(w->mask, addresses[lane] = (uint32_t)(plane[lane] + (uint32_t)offset));
    }
    switch (space) {
    case PTX_SPACE_GLOBAL:
        return resolve_global(w, i, addresses, bytes, align, write, pointers);
    case PTX_SPACE_SHARED:
        return resolve_window(w, i, addresses, w->block->shared, 0, x->shared_bytes, bytes, align, write,
                              pointers);
    case PTX_SPACE_LOCAL:
    case PTX_SPACE_FRAME:
        return resolve_window(w, i, addresses, w->local, x->local_bytes, x->local_bytes, bytes, align, write,
                              pointers);
    case PTX_SPACE_PARAM:
        PTX_FOR_LANES(w->mask, addresses[lane] += addresses[lane] >> 31 == 1
                                                      ? PTX_WINDOW_LOCAL - 0x80000000u
                                                      : (addresses[lane] >> 32 == 0 ? PTX_WINDOW_PARAM : 0));
        return resolve_generic(w, i, addresses, bytes, align, write, pointers);
    default:
        return resolve_generic(w, i, addresses, bytes, align, write, pointers);
    }
}

/* ---- loads ------------------------------------------------------------------------------------- */

#define LOAD(D, T)                                                                                           \
    PTX_FOR_LANES(w->mask, ((D *)d)[lane] = (D)__atomic_load_n(                                              \
                               (const T *)(const void *)(pointers[lane] + offset), __ATOMIC_RELAXED))

/* What memory holds, widened to the register as its sign says. */
static void load_plane(struct ptx_warp *w, void *d, enum ptx_type type, unsigned bits,
                       uint8_t *const *pointers, unsigned offset)
{
    unsigned width = ptx_type_bytes[type] * 8u;
    bool sign = ptx_type_is_signed(type);
    if (width == 8) {
        if (bits == 16) {
            if (sign)
                LOAD(int16_t, int8_t);
            else
                LOAD(uint16_t, uint8_t);
        } else if (bits == 32) {
            if (sign)
                LOAD(int32_t, int8_t);
            else
                LOAD(uint32_t, uint8_t);
        } else {
            if (sign)
                LOAD(int64_t, int8_t);
            else
                LOAD(uint64_t, uint8_t);
        }
    } else if (width == 16) {
        if (bits == 16) {
            LOAD(uint16_t, uint16_t);
        } else if (bits == 32) {
            if (sign)
                LOAD(int32_t, int16_t);
            else
                LOAD(uint32_t, uint16_t);
        } else {
            if (sign)
                LOAD(int64_t, int16_t);
            else
                LOAD(uint64_t, uint16_t);
        }
    } else if (width == 32) {
        if (bits == 32)
            LOAD(uint32_t, uint32_t);
        else if (sign)
            LOAD(int64_t, int32_t);
        else
            LOAD(uint64_t, uint32_t);
    } else {
        LOAD(uint64_t, uint64_t);
    }
}

void ptx_run_LD(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint8_t *pointers[PTX_LANES];
    enum ptx_type type = (enum ptx_type)i->k[1];
    unsigned size = ptx_type_bytes[type], count = i->k[2], bytes = size * count;
    if (!ptx_memory_resolve(w, i, (enum ptx_space)i->k[0], i->a, i->k[4], i->imm, bytes, bytes, false,
                            pointers))
        return;
    if (count == 1) {
        if (size == 4 && i->k[3] == 32)
            PTX_FOR_LANES(w->mask, PTX_PLANE(w, uint32_t, i->d)[lane] = __atomic_load_n(
                                       (const uint32_t *)(const void *)pointers[lane], __ATOMIC_RELAXED));
        else
            load_plane(w, w->regs + i->d, type, i->k[3], pointers, 0);
        return;
    }
    const uint32_t *list = w->frame->function->lists[i->d];
    for (unsigned part = 0; part < count; part++)
        load_plane(w, w->regs + list[part], type, i->k[3], pointers, part * size);
}

void ptx_run_LD_PARAM(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint8_t *pointers[PTX_LANES];
    enum ptx_type type = (enum ptx_type)i->k[1];
    unsigned size = ptx_type_bytes[type], count = i->k[2];
    for (unsigned lane = 0; lane < PTX_LANES; lane++)
        pointers[lane] = w->executor->params + i->imm;
    const uint32_t *list = count > 1 ? w->frame->function->lists[i->d] : &i->d;
    for (unsigned part = 0; part < count; part++)
        load_plane(w, w->regs + list[part], type, i->k[3], pointers, part * size);
}

/* ---- stores ------------------------------------------------------------------------------------ */

#define STORE(S, T)                                                                                          \
    PTX_FOR_LANES(w->mask, __atomic_store_n((T *)(void *)(pointers[lane] + offset), (T)((const S *)s)[lane], \
                                            __ATOMIC_RELAXED))

static void store_plane(struct ptx_warp *w, const void *s, unsigned width, unsigned bits,
                        uint8_t *const *pointers, unsigned offset)
{
    if (width == 8) {
        if (bits == 16)
            STORE(uint16_t, uint8_t);
        else if (bits == 32)
            STORE(uint32_t, uint8_t);
        else
            STORE(uint64_t, uint8_t);
    } else if (width == 16) {
        if (bits == 16)
            STORE(uint16_t, uint16_t);
        else if (bits == 32)
            STORE(uint32_t, uint16_t);
        else
            STORE(uint64_t, uint16_t);
    } else if (width == 32) {
        if (bits == 32)
            STORE(uint32_t, uint32_t);
        else
            STORE(uint64_t, uint32_t);
    } else {
        STORE(uint64_t, uint64_t);
    }
}

void ptx_run_ST(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint8_t *pointers[PTX_LANES];
    unsigned size = ptx_type_bytes[i->k[1]], count = i->k[2], bytes = size * count;
    if (!ptx_memory_resolve(w, i, (enum ptx_space)i->k[0], i->a, i->k[4], i->imm, bytes, bytes, true,
                            pointers))
        return;
    const uint32_t *list = count > 1 ? w->frame->function->lists[i->d] : &i->d;
    for (unsigned part = 0; part < count; part++)
        store_plane(w, w->regs + list[part], size * 8, i->k[3], pointers, part * size);
}

/* ---- the rest ---------------------------------------------------------------------------------- */

void ptx_run_CP_ASYNC(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint8_t *to[PTX_LANES], *from[PTX_LANES];
    uint32_t bytes = (uint32_t)(i->imm >> 32);
    if (!ptx_memory_resolve(w, i, PTX_SPACE_SHARED, i->a, i->k[4], (uint64_t)(int64_t)(int32_t)i->imm, bytes,
                            bytes, true, to))
        return;
    const uint32_t *sizes = i->c == PTX_PLANE_NONE ? NULL : PTX_PLANE(w, uint32_t, i->c);
    uint32_t mask = w->mask, copying = 0;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        copying |= (uint32_t)(!sizes || sizes[lane] > 0) << lane;
    }
    /* A source of size 0 is not touched: the destination is filled with zeros. */
    w->mask = copying;
    bool fine =
        copying == 0 || ptx_memory_resolve(w, i, PTX_SPACE_GLOBAL, i->b, true,
                                           (uint64_t)(int64_t)(int32_t)i->e, bytes, bytes, false, from);
    w->mask = mask;
    if (!fine)
        return;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        uint32_t size = sizes && sizes[lane] < bytes ? sizes[lane] : bytes;
        if (size)
            memcpy(to[lane], from[lane], size);
        memset(to[lane] + size, 0, bytes - size);
    }
}

/* A kernel's parameters have a window; those of a function lie in local memory, marked by the top bit. */
void ptx_run_CVTA_PARAM(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint64_t *d = PTX_PLANE(w, uint64_t, i->d);
    const uint64_t *a = PTX_PLANE(w, uint64_t, i->a);
    bool to = i->k[0];
    PTX_FOR_LANES(w->mask, uint64_t x = a[lane]; uint64_t window = x >> 32 << 32;
                  if (to) d[lane] =
                      window == PTX_WINDOW_LOCAL ? (x - window) | 0x80000000u : x - PTX_WINDOW_PARAM;
                  else d[lane] = x >> 31 == 1 ? PTX_WINDOW_LOCAL + (x & 0x7fffffff) : x + PTX_WINDOW_PARAM);
}

void ptx_run_MOV_LOCAL(struct ptx_warp *w, const struct ptx_insn *i)
{
    uint64_t offset = w->frame->local_base + i->imm;
    if (i->k[0] == 64)
        PTX_FOR_LANES(w->mask, PTX_PLANE(w, uint64_t, i->d)[lane] = offset);
    else
        PTX_FOR_LANES(w->mask, PTX_PLANE(w, uint32_t, i->d)[lane] = (uint32_t)offset);
}

static bool is_const(const struct ptx_module *module, uint64_t address)
{
    for (size_t i = 0; i < module->placed_count; i++) {
        const struct ptx_variable *variable = &module->placed[i]->public;
        if (variable->space == PTX_VARIABLE_CONST && address - variable->address < variable->bytes)
            return true;
    }
    return false;
}

void ptx_run_ISSPACEP(struct ptx_warp *w, const struct ptx_insn *i)
{
    const uint64_t *a = PTX_PLANE(w, uint64_t, i->a);
    uint32_t *d = PTX_PLANE(w, uint32_t, i->d), outcome = 0;
    for (unsigned lane = 0; lane < PTX_LANES; lane++) {
        bool windowed = (a[lane] - PTX_WINDOW_FUNCTION) >> 34 == 0, inside;
        if (i->k[0])
            inside = is_const(w->executor->module, a[lane]);
        else
            inside = i->imm ? a[lane] >> 32 == i->imm >> 32 : !windowed;
        outcome |= (uint32_t)inside << lane;
    }
    *d = (*d & ~w->mask) | (outcome & w->mask);
}

void ptx_run_FENCE(struct ptx_warp *w, const struct ptx_insn *i)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void ptx_run_NOP(struct ptx_warp *w, const struct ptx_insn *i)
{
}
