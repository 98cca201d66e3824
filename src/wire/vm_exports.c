#include "wire/vm_exports.h"

#include <string.h>

static uint64_t state_word(uint64_t generation, uint32_t owner, enum vm_export_state state)
{
    return generation << 34 | (uint64_t)owner << 2 | state;
}

static enum vm_export_state state_of(uint64_t word)
{
    return (enum vm_export_state)(word & 3u);
}

static uint32_t owner_of(uint64_t word)
{
    return (uint32_t)(word >> 2);
}

static bool same_name(const struct vm_export_name *a, const struct vm_export_name *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool vm_exports_add(struct vm_exports *exports, const struct vm_export *entry)
{
    for (uint32_t i = 0; i < VM_EXPORTS_MAX; i++) {
        struct vm_export_slot *slot = &exports->slots[i];
        uint64_t word = atomic_load_explicit(&slot->state, memory_order_relaxed);
        uint64_t generation = word >> 34;
        if (state_of(word) != EXPORT_FREE ||
            !atomic_compare_exchange_strong_explicit(&slot->state, &word,
                                                     state_word(generation + 1, entry->owner, EXPORT_WRITING),
                                                     memory_order_acquire, memory_order_relaxed))
            continue;
        slot->export = *entry;
        atomic_store_explicit(&slot->state, state_word(generation + 1, entry->owner, EXPORT_READY),
                              memory_order_release);
        return true;
    }
    return false;
}

/* The slot that has this name, and its word. NULL: none. */
static struct vm_export_slot *find_slot(struct vm_exports *exports, const struct vm_export_name *name,
                                        uint64_t *word)
{
    for (uint32_t i = 0; i < VM_EXPORTS_MAX; i++) {
        struct vm_export_slot *slot = &exports->slots[i];
        *word = atomic_load_explicit(&slot->state, memory_order_acquire);
        if (state_of(*word) == EXPORT_READY && same_name(&slot->export.name, name))
            return slot;
    }
    return NULL;
}

bool vm_exports_find(struct vm_exports *exports, const struct vm_export_name *name, struct vm_export *found)
{
    uint64_t word;
    const struct vm_export_slot *slot = find_slot(exports, name, &word);
    if (slot == NULL)
        return false;
    *found = slot->export;
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&slot->state, memory_order_relaxed) == word && same_name(&found->name, name);
}

void vm_exports_remove(struct vm_exports *exports, uint32_t owner, const struct vm_export_name *name)
{
    uint64_t word;
    struct vm_export_slot *slot = find_slot(exports, name, &word);
    if (slot != NULL && owner_of(word) == owner)
        atomic_store_explicit(&slot->state, state_word(word >> 34, 0, EXPORT_FREE), memory_order_release);
}

void vm_exports_forget(struct vm_exports *exports, uint32_t owner)
{
    for (uint32_t i = 0; i < VM_EXPORTS_MAX; i++) {
        struct vm_export_slot *slot = &exports->slots[i];
        uint64_t word = atomic_load_explicit(&slot->state, memory_order_relaxed);
        if (state_of(word) != EXPORT_FREE && owner_of(word) == owner)
            atomic_store_explicit(&slot->state, state_word(word >> 34, 0, EXPORT_FREE), memory_order_release);
    }
}
