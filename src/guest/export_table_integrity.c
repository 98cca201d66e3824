/* The runtime library sends the driver a time and expects a digest over that time, the process, the driver's
 * version, where some of its tables lie, and the devices. It computes the same and compares. */
#include "guest/export_table.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cuda_api.h"
#include "guest/md2.h"

static const uint8_t key[MD2_BYTES] = {0x14, 0x6a, 0xdd, 0xae, 0x53, 0xa9, 0xa7, 0x52,
                                       0xaa, 0x08, 0x41, 0x36, 0x0b, 0xf5, 0x5a, 0x9f};

/* What is digested, in this layout. */
struct caller {
    uint32_t driver_version;
    uint32_t runtime_version;
    uint32_t process;
    uint32_t thread;
    const void *runtime_table;
    const void *integrity_table;
    const void *function;
    uint64_t unix_seconds;
};

struct device {
    CUuuid uuid;
    int pci_domain;
    int pci_bus;
    int pci_device;
};

static CUresult add_device(struct md2_keyed *digest, int ordinal)
{
    struct device device;
    CUdevice handle = 0;
    CUresult result = cuDeviceGet(&handle, ordinal);
    if (result == CUDA_SUCCESS)
        result = cuDeviceGetUuid_v2(&device.uuid, handle);
    if (result == CUDA_SUCCESS)
        result = cuDeviceGetAttribute(&device.pci_domain, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, handle);
    if (result == CUDA_SUCCESS)
        result = cuDeviceGetAttribute(&device.pci_bus, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, handle);
    if (result == CUDA_SUCCESS)
        result = cuDeviceGetAttribute(&device.pci_device, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, handle);
    if (result == CUDA_SUCCESS)
        md2_keyed_add(digest, &device, sizeof device);
    return result;
}

/* Of versions whose last digit is 0 or 1 the answer is fixed. */
static bool fixed_answer(unsigned runtime_version, uint64_t answer[2])
{
    if (runtime_version % 10 > 1)
        return false;
    answer[0] = runtime_version % 10 == 0 ? 0x3341181c03cb675cull : 0x1841181c03cb675cull;
    answer[1] = 0x8ed383aa1f4cd1e8ull;
    return true;
}

static CUresult check(unsigned runtime_version, uint64_t unix_seconds, uint64_t answer[2])
{
    if (fixed_answer(runtime_version, answer))
        return CUDA_SUCCESS;
    int driver_version = 0, devices = 0;
    CUresult result = cuDriverGetVersion(&driver_version);
    if (result == CUDA_SUCCESS)
        result = cuDeviceGetCount(&devices);
    struct caller caller = {.driver_version = (uint32_t)driver_version,
                            .runtime_version = runtime_version,
                            .process = (uint32_t)getpid(),
                            .thread = (uint32_t)pthread_self(),
                            .runtime_table = export_table_runtime.slots,
                            .integrity_table = export_table_integrity.slots,
                            .function = export_table_integrity.slots[1],
                            .unix_seconds = unix_seconds};
    struct md2_keyed digest;
    md2_keyed_begin(&digest, key);
    md2_keyed_add(&digest, &caller, sizeof caller);
    for (int i = 0; i < devices && result == CUDA_SUCCESS; i++)
        result = add_device(&digest, i);
    uint8_t bytes[MD2_BYTES];
    md2_keyed_end(&digest, bytes);
    if (result == CUDA_SUCCESS)
        memcpy(answer, bytes, sizeof bytes);
    return result;
}

EXPORT_UNKNOWN_FUNCTIONS(integrity, 3);

static const struct export_function integrity_functions[] = {
    EXPORT_FUNCTION(1, check),
};
static const void *integrity_slots[3];

struct export_table export_table_integrity = {
    .id = {"\xd4\x08\x20\x55\xbd\xe6\x70\x4b\x8d\x34\xba\x12\x3c\x66\xe1\xf2"},
    .slots = integrity_slots,
    .count = 3,
    .functions = integrity_functions,
    .function_count = sizeof integrity_functions / sizeof integrity_functions[0],
    .unknown = export_unknown_integrity,
};
