/* Virtual memory management: addresses are reserved, memory is allocated without any, and mapped there. The
 * addresses lie in a range of their own; what is not mapped cannot be touched. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cuda_api.h"
#include "simgpu/arena.h"
#include "simgpu/handle.h"
#include "simgpu/shared_memory.h"
#include "simgpu/stream.h"

#define GRANULARITY (2ull << 20)

#if defined(__SANITIZE_THREAD__)
#define AREA_BYTES (1ull << 36)
#define AREA_HINT  NULL
#else
#define AREA_BYTES (1ull << 43)
#define AREA_HINT  ((void *)(ARENA_BASE + (1ull << 43)))
#endif

struct reservation {
    uint64_t base, bytes;
};

struct allocation {
    struct sim_device *device;
    CUmemAllocationProp properties;
    uint64_t bytes;
    uint64_t charged_bytes; /* of the device's memory: none of what another process has allocated */
    int fd;
    unsigned int uses;
    unsigned int mappings;
};

struct mapping {
    uint64_t base;
    struct allocation *allocation;
    struct mapping *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all that follows */
static uint64_t area_base, cursor;
static struct reservation *reservations; /* by address */
static size_t reservation_count, reservation_room;
static struct mapping *mappings;

/* --- addresses. Under the lock --- */

static bool open_area(void)
{
    if (area_base)
        return true;
    void *base = mmap(AREA_HINT, AREA_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return false;
    madvise(base, AREA_BYTES, MADV_DONTDUMP);
    area_base = ((uint64_t)(uintptr_t)base + GRANULARITY - 1) / GRANULARITY * GRANULARITY;
    cursor = area_base;
    return true;
}

static uint64_t area_end(void)
{
    return area_base + AREA_BYTES - GRANULARITY;
}

/* Index of the first reservation that ends after address. */
static size_t reservation_after(uint64_t address)
{
    size_t i = 0;
    while (i < reservation_count && reservations[i].base + reservations[i].bytes <= address)
        i++;
    return i;
}

static bool is_free(uint64_t base, uint64_t bytes)
{
    size_t i = reservation_after(base);
    return base >= area_base && base < area_end() && bytes <= area_end() - base &&
           (i == reservation_count || reservations[i].base >= base + bytes);
}

/* 0: there is no room from here on. */
static uint64_t free_from(uint64_t from, uint64_t bytes, uint64_t alignment)
{
    for (;;) {
        from = (from + alignment - 1) / alignment * alignment;
        if (from >= area_end() || bytes > area_end() - from)
            return 0;
        if (is_free(from, bytes))
            return from;
        size_t i = reservation_after(from);
        from = reservations[i].base + reservations[i].bytes;
    }
}

static bool insert_reservation(uint64_t base, uint64_t bytes)
{
    if (reservation_count == reservation_room) {
        size_t room = reservation_room ? reservation_room * 2 : 16;
        struct reservation *grown = realloc(reservations, room * sizeof *grown);
        if (!grown)
            return false;
        reservations = grown;
        reservation_room = room;
    }
    size_t i = reservation_after(base);
    memmove(&reservations[i + 1], &reservations[i], (reservation_count - i) * sizeof *reservations);
    reservations[i] = (struct reservation){base, bytes};
    reservation_count++;
    return true;
}

static void count_mapped(struct region *region, void *user)
{
    (*(size_t *)user)++;
}

CUresult cuMemAddressReserve(CUdeviceptr *ptr, size_t size, size_t alignment, CUdeviceptr addr,
                             unsigned long long flags)
{
    CUresult result = driver_check();
    if (!result && (!ptr || !size || size % GRANULARITY || flags || (alignment & (alignment - 1))))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    alignment = alignment > GRANULARITY ? alignment : GRANULARITY;
    pthread_mutex_lock(&lock);
    uint64_t base = 0;
    if (size <= AREA_BYTES / 2 && alignment <= AREA_BYTES / 2 && open_area()) {
        base =
            addr && addr % alignment == 0 && is_free(addr, size) ? addr : free_from(cursor, size, alignment);
        base = base ? base : free_from(area_base, size, alignment);
    }
    if (!base || !insert_reservation(base, size)) {
        result = CUDA_ERROR_OUT_OF_MEMORY;
    } else {
        *ptr = base;
        if (base != addr)
            cursor = base + size + GRANULARITY; /* a stray pointer finds nothing */
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuMemAddressFree(CUdeviceptr ptr, size_t size)
{
    CUresult result = driver_check();
    if (result)
        return result;
    size_t mapped = 0;
    pthread_mutex_lock(&lock);
    size_t i = reservation_after(ptr);
    if (i == reservation_count || reservations[i].base != ptr || reservations[i].bytes != size) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else if (arena_each_mapped(ptr, size, count_mapped, &mapped), mapped) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        memmove(&reservations[i], &reservations[i + 1], (reservation_count - i - 1) * sizeof *reservations);
        reservation_count--;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* --- memory --- */

static struct allocation *allocation_of(CUmemGenericAllocationHandle handle)
{
    struct allocation *allocation = (struct allocation *)(uintptr_t)handle;
    return handle_is(allocation, HANDLE_ALLOCATION) ? allocation : NULL;
}

static CUresult check_properties(const CUmemAllocationProp *properties, struct sim_device **device)
{
    const unsigned int exportable = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    CUresult result = driver_check();
    if (result)
        return result;
    if (!properties || properties->type != CU_MEM_ALLOCATION_TYPE_PINNED ||
        properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    if ((unsigned int)properties->requestedHandleTypes & ~exportable)
        return CUDA_ERROR_NOT_SUPPORTED;
    *device = driver_device(properties->location.id);
    return *device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *prop,
                                       CUmemAllocationGranularity_flags option)
{
    struct sim_device *device;
    CUresult result = check_properties(prop, &device);
    if (!result && (!granularity || option > CU_MEM_ALLOC_GRANULARITY_RECOMMENDED))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *granularity = GRANULARITY;
    return result;
}

/* Takes over fd. NULL: out of host memory. */
static struct allocation *make(struct sim_device *device, const CUmemAllocationProp *properties,
                               uint64_t bytes, uint64_t charged_bytes, int fd)
{
    struct allocation *made = calloc(1, sizeof *made);
    if (made && handle_add(made, HANDLE_ALLOCATION)) {
        *made = (struct allocation){.device = device,
                                    .properties = *properties,
                                    .bytes = bytes,
                                    .charged_bytes = charged_bytes,
                                    .fd = fd,
                                    .uses = 1};
        return made;
    }
    free(made);
    close(fd);
    return NULL;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size, const CUmemAllocationProp *prop,
                     unsigned long long flags)
{
    struct sim_device *device;
    CUresult result = check_properties(prop, &device);
    if (!result && (!handle || !size || size % GRANULARITY || flags))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = driver_device_reserve_apart(device, size);
    if (result)
        return result;
    int fd = shared_memory_create(device, size);
    struct allocation *made = fd >= 0 ? make(device, prop, size, size, fd) : NULL;
    if (!made) {
        driver_device_release_apart(device, size);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *handle = (uintptr_t)made;
    return CUDA_SUCCESS;
}

/* Under the lock. */
static void free_if_unused(struct allocation *allocation)
{
    if (allocation->uses || allocation->mappings)
        return;
    close(allocation->fd);
    driver_device_release_apart(allocation->device, allocation->charged_bytes);
    free(allocation);
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
    CUresult result = driver_check();
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    struct allocation *allocation = allocation_of(handle);
    if (!allocation) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else if (--allocation->uses == 0) {
        handle_remove(allocation);
        free_if_unused(allocation);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop,
                                                CUmemGenericAllocationHandle handle)
{
    CUresult result = driver_check();
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    const struct allocation *allocation = allocation_of(handle);
    if (!allocation || !prop)
        result = CUDA_ERROR_INVALID_VALUE;
    else
        *prop = allocation->properties;
    pthread_mutex_unlock(&lock);
    return result;
}

/* --- one behind the other --- */

static bool is_mapped_within(uint64_t base, uint64_t bytes)
{
    struct region there;
    size_t count = 0;
    arena_each_mapped(base, bytes, count_mapped, &count);
    return count || arena_find(base, 1, &there) || arena_find(base + bytes - 1, 1, &there);
}

CUresult cuMemMap(CUdeviceptr ptr, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags)
{
    CUresult result = driver_check();
    if (result)
        return result;
    struct mapping *mapping = calloc(1, sizeof *mapping);
    pthread_mutex_lock(&lock);
    struct allocation *allocation = allocation_of(handle);
    size_t i = reservation_after(ptr);
    bool is_reserved = i < reservation_count && reservations[i].base <= ptr &&
                       size <= reservations[i].base + reservations[i].bytes - ptr;
    if (!allocation || !is_reserved || !size || ptr % GRANULARITY || size % GRANULARITY || offset ||
        size > allocation->bytes || flags) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else if (is_mapped_within(ptr, size)) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        struct region region = {.base = ptr,
                                .bytes = size,
                                .kind = REGION_DEVICE,
                                .device = allocation->device,
                                .is_mapped = true};
        if (!mapping || !shared_memory_map(allocation->fd, ptr, size, offset) || !arena_add_mapped(&region)) {
            result = CUDA_ERROR_OUT_OF_MEMORY;
        } else {
            *mapping = (struct mapping){ptr, allocation, mappings};
            mappings = mapping;
            allocation->mappings++;
            mapping = NULL;
        }
    }
    pthread_mutex_unlock(&lock);
    free(mapping);
    return result;
}

/* Under the lock. */
static struct mapping **mapping_at(uint64_t base)
{
    struct mapping **link = &mappings;
    while (*link && (*link)->base != base)
        link = &(*link)->next;
    return link;
}

/* Under the lock. */
static void unmap_at(uint64_t base)
{
    struct region removed;
    struct mapping **link = mapping_at(base), *mapping = *link;
    arena_remove(base, &removed);
    *link = mapping->next;
    mapping->allocation->mappings--;
    free_if_unused(mapping->allocation);
    free(mapping);
}

static void first_base(struct region *region, void *user)
{
    uint64_t *base = user;
    if (!*base)
        *base = region->base;
}

/* All of the range must be whole mappings. Work that still uses it is waited for: the real driver does not,
 * and the program loses its context. */
CUresult cuMemUnmap(CUdeviceptr ptr, size_t size)
{
    struct CUctx_st *context;
    CUresult result = driver_check();
    if (result)
        return result;
    if (!context_current(&context))
        stream_wait_all(context);
    size_t count = 0;
    pthread_mutex_lock(&lock);
    if (!size || ptr + size < ptr || arena_each_mapped(ptr, size, count_mapped, &count) != size) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        for (; count > 0; count--) {
            uint64_t base = 0;
            arena_each_mapped(ptr, size, first_base, &base);
            unmap_at(base);
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static void set_access(struct region *region, void *user)
{
    const CUmemAccessDesc *access = user;
    unsigned int bit = 1u << access->location.id;
    bool reads = access->flags != CU_MEM_ACCESS_FLAGS_PROT_NONE;
    bool writes = access->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    region->readers = reads ? region->readers | bit : region->readers & ~bit;
    region->writers = writes ? region->writers | bit : region->writers & ~bit;
}

CUresult cuMemSetAccess(CUdeviceptr ptr, size_t size, const CUmemAccessDesc *desc, size_t count)
{
    CUresult result = driver_check();
    if (!result && (!desc || !count || !size || ptr + size < ptr))
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; !result && i < count; i++) {
        bool known = desc[i].flags == CU_MEM_ACCESS_FLAGS_PROT_NONE ||
                     desc[i].flags == CU_MEM_ACCESS_FLAGS_PROT_READ ||
                     desc[i].flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        if (desc[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE || !known)
            result = CUDA_ERROR_INVALID_VALUE;
        else if (!driver_device(desc[i].location.id))
            result = CUDA_ERROR_INVALID_DEVICE;
    }
    size_t mapped = 0;
    if (!result && arena_each_mapped(ptr, size, count_mapped, &mapped) != size)
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; !result && i < count; i++) {
        CUmemAccessDesc access = desc[i];
        arena_each_mapped(ptr, size, set_access, &access);
    }
    return result;
}

CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr ptr)
{
    struct region region;
    CUresult result = driver_check();
    if (!result && (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE ||
                    !driver_device(location->id) || !arena_find(ptr, 1, &region) || !region.is_mapped))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    bool reads = region.readers >> location->id & 1, writes = region.writers >> location->id & 1;
    *flags = writes  ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
             : reads ? CU_MEM_ACCESS_FLAGS_PROT_READ
                     : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return CUDA_SUCCESS;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *addr)
{
    struct region region;
    CUresult result = driver_check();
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    if (!handle || !arena_find((uintptr_t)addr, 1, &region) || !region.is_mapped) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        const struct mapping *mapping = *mapping_at(region.base);
        struct allocation *allocation = mapping ? mapping->allocation : NULL;
        if (!allocation)
            result = CUDA_ERROR_INVALID_VALUE;
        else if (allocation->uses == 0 && !handle_add(allocation, HANDLE_ALLOCATION))
            result = CUDA_ERROR_OUT_OF_MEMORY;
        else
            allocation->uses++;
        *handle = (uintptr_t)allocation;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* --- to other processes --- */

CUresult cuMemExportToShareableHandle(void *shareableHandle, CUmemGenericAllocationHandle handle,
                                      CUmemAllocationHandleType handleType, unsigned long long flags)
{
    CUresult result = driver_check();
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    const struct allocation *allocation = allocation_of(handle);
    if (!shareableHandle || !allocation || flags || handleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
        !(allocation->properties.requestedHandleTypes & CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        int fd = fcntl(allocation->fd, F_DUPFD_CLOEXEC, 0);
        memcpy(shareableHandle, &fd, sizeof fd);
        result = fd >= 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* The memory counts for the process that allocated it. */
CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *osHandle,
                                        CUmemAllocationHandleType shHandleType)
{
    struct sim_device *device;
    uint64_t bytes;
    CUresult result = driver_check();
    int given = (int)(intptr_t)osHandle;
    if (!result && (!handle || shHandleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
                    !shared_memory_identify(given, &device, &bytes)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = driver_device_reserve_apart(device, 0);
    if (result)
        return result;
    CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                      .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                      .location = {CU_MEM_LOCATION_TYPE_DEVICE, device->ordinal}};
    int fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
    struct allocation *made = fd >= 0 ? make(device, &properties, bytes, 0, fd) : NULL;
    if (!made) {
        driver_device_release_apart(device, 0);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *handle = (uintptr_t)made;
    return CUDA_SUCCESS;
}
