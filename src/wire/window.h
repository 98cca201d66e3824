/* The window: memory of the host that a virtual machine sees as a PCI device (QEMU's ivshmem-plain)
 * or as persistent memory (its nvdimm), and through which its guest processes share memory with their
 * workers. A connection over vsock or TCP then carries what opens lanes and wakes sleepers, and no call.
 *
 * The host's side is one file a VM, made by the daemon and given to the hypervisor by name. It begins with a
 * head, by which a guest process knows the device for what it is; what comes after it is handed out to
 * workers. The guest can write all of it at any time. Who has which block therefore stands in a table of its
 * own, which the daemon and the VM's workers share, and no guest sees.
 *
 * Of persistent memory the guest's kernel keeps the first 2 MiB for itself, and its device (device-dax, see
 * Documentation/driver-api/nvdimm in Linux) begins behind them: there is a second head, which says so. What
 * lies between the two is the guest's, also while no daemon runs. */
#ifndef VGPU_WIRE_WINDOW_H
#define VGPU_WIRE_WINDOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_MAGIC       "VGPUwin1"
#define WINDOW_BLOCK_BYTES (64ull << 10)
#define WINDOW_KEY_BYTES   32u

/* The sizes that a window can have: a PCI device's memory is a power of two. */
#define WINDOW_MIN_BYTES (64ull << 20)
#define WINDOW_MAX_BYTES (1ull << 40)

/* QEMU's shared memory device: docs/specs/ivshmem-spec in its sources. Its memory is BAR 2. */
#define WINDOW_PCI_VENDOR 0x1af4u
#define WINDOW_PCI_DEVICE 0x1110u

/* Where heads are, and behind which parts are handed out. */
#define WINDOW_SECOND_HEAD (2ull << 20)
#define WINDOW_FIRST_PART  (WINDOW_SECOND_HEAD + WINDOW_BLOCK_BYTES)

/* Writer: the daemon, before it lets a guest in. */
struct window_head {
    char magic[8];   /* WINDOW_MAGIC, without its NUL */
    uint64_t bytes;  /* of the window, from its start */
    uint64_t offset; /* of this head in the window */
    uint8_t
        key[WINDOW_KEY_BYTES]; /* random, anew with each start of the daemon: who names it sees this window */
};

/* Who has which block. */
struct window_table {
    uint64_t bytes; /* of the window */
    uint64_t block_count;
    uint8_t key[WINDOW_KEY_BYTES];
    /* By block: WINDOW_FREE, or the number of the guest process whose worker has it. Writers: who takes a
     * free one, by compare-and-swap; then its owner alone, and the daemon once the owner is gone. */
    _Alignas(64) _Atomic uint32_t owners[];
};
#define WINDOW_FREE     0u
#define WINDOW_RESERVED UINT32_MAX /* owner of the blocks before WINDOW_FIRST_PART */

/* Of a table for a window of so many bytes. */
static inline size_t window_table_bytes(uint64_t window_bytes)
{
    return sizeof(struct window_table) + (size_t)(window_bytes / WINDOW_BLOCK_BYTES) * sizeof(uint32_t);
}

/* Of a window of so many bytes: all is free but the heads. The table is zero before. */
void window_table_begin(struct window_table *table, uint64_t window_bytes);

/* Takes blocks in a row for at least `bytes`; what they hold is anything. From 2 MiB on they begin at a
 * multiple of that, for huge pages. False: there are not so many. Any worker of the VM, any thread. */
bool window_take(struct window_table *table, uint32_t owner, uint64_t bytes, uint64_t *offset);

/* Gives back what was taken for `bytes` at offset. */
void window_give(struct window_table *table, uint32_t owner, uint64_t offset, uint64_t bytes);

/* The first blocks in a row at or behind *offset that are owner's: sets *offset and *bytes. False: there are
 * none. */
bool window_find(const struct window_table *table, uint32_t owner, uint64_t *offset, uint64_t *bytes);

#endif
