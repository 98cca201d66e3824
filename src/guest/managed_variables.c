#include "guest/managed_variables.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/reservation.h"
#include "cuda_api.h"
#include "guest/copy.h"
#include "guest/lock.h"

#define PAGE_BYTES 4096ull

struct variable {
    uint64_t address, bytes;
    uint8_t *seen;    /* what both sides had when they last met */
    uint8_t *fetched; /* room for what comes from the GPU */
    struct variable *next;
};

static struct lock lock;
static struct variable *variables;
static struct reserved_span *pages; /* where the program has memory of its own, of variables */
static size_t page_spans, page_room;
_Atomic uint32_t managed_variable_count;

static uint8_t *copy_of(const struct variable *variable)
{
    return (uint8_t *)(uintptr_t)variable->address;
}

/* Under the lock. A page may hold several variables. */
static bool has_page(uint64_t page)
{
    for (size_t i = 0; i < page_spans; i++)
        if (pages[i].start <= page && page < pages[i].end)
            return true;
    return false;
}

static bool map_pages(uint64_t address, uint64_t bytes)
{
    uint64_t end = (address + bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    for (uint64_t page = address & ~(PAGE_BYTES - 1); page < end; page += PAGE_BYTES) {
        if (has_page(page))
            continue;
        if (page_spans == page_room) {
            size_t room = page_room ? page_room * 2 : 16;
            struct reserved_span *grown = realloc(pages, room * sizeof *grown);
            if (grown == NULL)
                return false;
            pages = grown;
            page_room = room;
        }
        if (mmap((void *)(uintptr_t)page, PAGE_BYTES, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
            return false;
        pages[page_spans++] = (struct reserved_span){page, page + PAGE_BYTES};
        if (page_spans > 1 && pages[page_spans - 2].end == page) {
            pages[page_spans - 2].end = page + PAGE_BYTES;
            page_spans--;
        }
    }
    return true;
}

static void destroy(struct variable *variable)
{
    free(variable->seen);
    free(variable->fetched);
    free(variable);
}

/* Under the lock. NULL: out of memory. */
static struct variable *create(uint64_t address, uint64_t bytes)
{
    struct variable *variable = calloc(1, sizeof *variable);
    if (variable == NULL)
        return NULL;
    variable->address = address;
    variable->bytes = bytes;
    variable->seen = malloc(bytes);
    variable->fetched = malloc(bytes);
    if (variable->seen != NULL && variable->fetched != NULL && map_pages(address, bytes))
        return variable;
    destroy(variable);
    return NULL;
}

static struct variable *find(uint64_t address, uint64_t bytes)
{
    struct variable *variable = variables;
    while (variable != NULL && (variable->address != address || variable->bytes != bytes))
        variable = variable->next;
    return variable;
}

/* Takes what the GPU has, where the program has changed nothing. */
static CUresult fetch(struct variable *variable)
{
    uint8_t *copy = copy_of(variable);
    CUresult result = copy_from_device(variable->fetched, variable->address, variable->bytes, NULL, true);
    if (result != CUDA_SUCCESS)
        return result;
    for (uint64_t i = 0; i < variable->bytes; i++)
        if (copy[i] == variable->seen[i])
            copy[i] = variable->fetched[i];
    memcpy(variable->seen, variable->fetched, variable->bytes);
    return CUDA_SUCCESS;
}

/* One that is known may be another module's by now, at the same address. */
CUresult managed_variable_found(uint64_t address, uint64_t bytes)
{
    unsigned managed = 0;
    CUresult result = cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, address);
    if (result != CUDA_SUCCESS || !managed || bytes == 0)
        return CUDA_SUCCESS;
    lock_take(&lock);
    struct variable *variable = find(address, bytes);
    bool is_new = variable == NULL;
    if (is_new && (variable = create(address, bytes)) != NULL)
        memcpy(variable->seen, copy_of(variable), bytes);
    result = variable != NULL ? fetch(variable) : CUDA_ERROR_OUT_OF_MEMORY;
    if (is_new && result == CUDA_SUCCESS) {
        variable->next = variables;
        variables = variable;
        atomic_fetch_add(&managed_variable_count, 1);
    } else if (is_new && variable != NULL) {
        destroy(variable);
    }
    lock_give(&lock);
    return result;
}

/* Under the lock: the module has gone. The program keeps its copy. */
static void drop(struct variable **link)
{
    struct variable *variable = *link;
    *link = variable->next;
    destroy(variable);
    atomic_fetch_sub(&managed_variable_count, 1);
}

static CUresult send(struct variable *variable)
{
    if (memcmp(copy_of(variable), variable->seen, variable->bytes) == 0)
        return CUDA_SUCCESS;
    memcpy(variable->seen, copy_of(variable), variable->bytes);
    return copy_to_device(variable->address, variable->seen, variable->bytes, NULL, true);
}

static void each(CUresult (*act)(struct variable *variable))
{
    lock_take(&lock);
    for (struct variable **link = &variables; *link != NULL;) {
        if (act(*link) == CUDA_ERROR_INVALID_VALUE)
            drop(link);
        else
            link = &(*link)->next;
    }
    lock_give(&lock);
}

void managed_variables_send(void)
{
    each(send);
}

void managed_variables_fetch(void)
{
    each(fetch);
}
