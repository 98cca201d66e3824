/* What processes of one VM have exported for one another: memory, events, pools. The list lies behind the
 * VM's page (wire/vm_page.h), so that every worker of the VM sees it, and nobody else: a process of another
 * VM finds nothing in it, whatever it is handed.
 *
 * A program gets a name, not the driver's handle: 32 random bytes in its 64. The worker of whoever shows it
 * finds the driver's handle here, or where to fetch the descriptor. An entry is written once, by its owner,
 * and goes when the owner says so or ends. */
#ifndef VGPU_WIRE_VM_EXPORTS_H
#define VGPU_WIRE_VM_EXPORTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/vm_page.h"

#define VM_EXPORTS_MAX       4096u
#define VM_EXPORT_DATA_BYTES 64u

enum vm_export_kind {
    EXPORT_MEMORY = 1, /* data: CUipcMemHandle */
    EXPORT_EVENT,      /* data: CUipcEventHandle */
    EXPORT_ALLOCATION, /* of cuMemCreate: a descriptor, data: struct vm_export_door */
    EXPORT_POOL,       /* likewise */
    EXPORT_POINTER,    /* memory out of an exported pool. data: CUmemPoolPtrExportData */
};

/* Where a worker gives descriptors away: an abstract address of AF_UNIX, and what to say there. */
struct vm_export_door {
    uint64_t key[4];
    uint32_t address_bytes;
    char address[28];
};

struct vm_export_name {
    uint64_t words[4]; /* random; never all 0 */
};

struct vm_export {
    struct vm_export_name name;
    uint32_t kind;  /* enum vm_export_kind */
    uint32_t owner; /* pid of its worker */
    uint64_t bytes; /* of memory */
    _Alignas(8) uint8_t data[VM_EXPORT_DATA_BYTES];
};

struct vm_export_slot {
    /* Generation << 34 | owner << 2 | enum vm_export_state. Writers: who takes the slot, by compare-and-swap
     * from FREE; then its owner; the daemon once the owner has been reaped. Release; readers acquire it
     * before they copy the entry, and look again after. */
    _Atomic uint64_t state;
    struct vm_export export;
};

enum vm_export_state { EXPORT_FREE = 0, EXPORT_WRITING = 1, EXPORT_READY = 2 };

struct vm_exports {
    struct vm_export_slot slots[VM_EXPORTS_MAX];
};

/* What the descriptor of a VM's page holds. */
struct vm_segment {
    _Alignas(VM_PAGE_BYTES) struct vm_page page;
    _Alignas(VM_PAGE_BYTES) struct vm_exports exports;
};
#define VM_SEGMENT_BYTES sizeof(struct vm_segment)

/* False: every slot is taken. */
bool vm_exports_add(struct vm_exports *exports, const struct vm_export *entry);

/* What has this name. Any process of the VM. */
bool vm_exports_find(struct vm_exports *exports, const struct vm_export_name *name, struct vm_export *found);

/* The owner takes it back; nothing happens when it is not there. */
void vm_exports_remove(struct vm_exports *exports, uint32_t owner, const struct vm_export_name *name);

/* The owner has ended. */
void vm_exports_forget(struct vm_exports *exports, uint32_t owner);

#endif
