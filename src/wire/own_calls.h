/* Requests and replies of the calls of our own between guest and worker (`internal` in cuda/calls.tbl). Those
 * of CUDA's functions are generated. A variable part follows the structure where the comment says so. */
#ifndef VGPU_WIRE_OWN_CALLS_H
#define VGPU_WIRE_OWN_CALLS_H

#include <stdint.h>

#include "base/blake2b.h"
#include "calls_generated.h"
#include "cuda/cuda_types.h"
#include "wire/graph_calls.h"
#include "wire/vm_exports.h"

#define DEVICE_ATTRIBUTES CU_DEVICE_ATTRIBUTE_MAX

/* Everything a program can ask of the VM's one device, fetched once. */
struct request_device_info {
    uint32_t device;
};
struct reply_device_info {
    int32_t init_result; /* of the worker's cuInit */
    int32_t driver_version;
    int32_t device_count;
    int32_t luid_result;
    uint64_t memory_bytes;
    uint32_t luid_node_mask;
    char luid[8];
    CUuuid uuid;
    CUuuid uuid_v2;
    char name[256];
    char pci_bus_id[32];
    CUdevprop properties;
    struct {
        int32_t result;
        int32_t value;
    } attributes[DEVICE_ATTRIBUTES];
};

/* Reply: the driver's text for the code, ending with NUL. */
struct request_error_string {
    int32_t error;
};

/* Part of a payload too large for one record, kept by the lane until the call that uses it. Variable part:
 * bytes from `offset` on. */
struct request_upload {
    uint64_t total_bytes;
    uint64_t offset;
};
#define UPLOAD_MAX_BYTES (2ull << 30)

/* Instead of the uploads of an image: CUDA_SUCCESS when the host has it, and then it is as if uploaded;
 * CUDA_ERROR_NOT_FOUND when it must be sent. */
struct request_image_find {
    uint8_t digest[BLAKE2B_BYTES];
    uint64_t image_bytes;
};

/* An image can be several fat binaries that are to be linked. Followed by as many sizes in bytes (uint64_t,
 * multiples of 8), then by the fat binaries. */
#define COLLECTION_MAGIC 0x6c6f6376u
#define COLLECTION_MAX   1024u
struct image_collection {
    uint32_t magic;
    uint32_t count;
};

/* One JIT or library option: `value` is the option's value where it is a number. */
struct option_value {
    uint32_t key;
    uint32_t reserved;
    uint64_t value;
};
#define OPTIONS_MAX   64u
#define LOG_MAX_BYTES (64u << 10)

/* Loading code. Variable part: option_count JIT options, library_option_count library options, then the image
 * (image_bytes), unless it was uploaded before. Reply: the structure, the JIT options' values after the
 * call (one uint64_t each), the info log, the error log; also when the call failed. */
struct request_module_load {
    uint64_t handle; /* the new one's name */
    uint64_t image_bytes;
    uint32_t image_uploaded;
    uint32_t option_count;
    uint32_t library_option_count;
    uint32_t info_log_bytes; /* room the program gave; 0: none */
    uint32_t error_log_bytes;
    uint32_t keep_image; /* was asked for by image_find and will be again */
};
struct reply_module_load {
    uint64_t handle;
    uint32_t option_count;
    uint32_t info_log_bytes;
    uint32_t error_log_bytes;
    uint32_t reserved;
};
#define request_library_load request_module_load

/* Linking. Options, data and logs as above; `link` is the name that link_create gave. */
struct request_link_create {
    uint64_t handle;
    uint32_t option_count;
    uint32_t info_log_bytes;
    uint32_t error_log_bytes;
    uint32_t reserved;
};
struct request_link_add {
    uint64_t link;
    uint64_t data_bytes;
    uint32_t data_uploaded;
    uint32_t type; /* CUjitInputType */
    uint32_t option_count;
    char name[132];
};
struct request_link_complete {
    uint64_t link;
    uint64_t offset; /* 0: complete, and the first part of the image; later ones fetch the rest */
};
/* Of link_create, link_add and link_complete. Variable part: info log, error log, part of the image. */
struct reply_link {
    uint64_t handle;
    uint64_t image_bytes; /* of the whole image */
    uint32_t info_log_bytes;
    uint32_t error_log_bytes;
    uint32_t part_bytes;
    uint32_t reserved;
};
struct request_link_destroy {
    uint64_t link;
};

/* Functions of a module, kernels of a library. Variable part: `count` new names. Reply: as many names. */
struct request_enumerate {
    uint64_t parent;
    uint32_t count;
    uint32_t reserved;
};
#define ENUMERATE_MAX 8192u

/* What device code has printed since the last time. Reply: the structure, text for stdout, text for stderr;
 * there is more as long as the reply says so (wire/record.h). */
struct request_device_text {
    uint32_t reserved;
};
struct reply_device_text {
    uint32_t output_bytes;
    uint32_t error_bytes;
};

/* How the GPU's multiprocessors hang together, in pairs: the group of each pair, and its number in the group.
 * Reply: the structure, the groups (one byte a pair), the numbers (likewise). */
struct request_processor_groups {
    uint32_t reserved;
};
struct reply_processor_groups {
    uint32_t pairs;
    uint32_t reserved;
};
#define PROCESSOR_PAIRS_MAX 256u

/* Reply: the name of a function or kernel, ending with NUL. */
struct request_name_of {
    uint64_t handle;
};

/* What the guest must know to launch a function (or a kernel standing in for one). */
struct request_function_info {
    uint64_t function;
};
struct parameter_place {
    uint32_t offset;
    uint32_t bytes;
};
struct function_attribute {
    int32_t result; /* CUresult: what the driver says to the question */
    int32_t value;
};
/* Variable part: parameter_count places. */
struct reply_function_info {
    uint32_t max_threads_per_block;
    uint32_t static_shared_bytes;
    uint32_t max_dynamic_shared_bytes;
    uint32_t parameter_count;
    uint32_t parameter_bytes;
    uint32_t parameters_known; /* 0: this driver does not tell (before CUDA 12.4) */
    struct function_attribute attributes[CU_FUNC_ATTRIBUTE_MAX];
};
#define PARAMETERS_MAX      4096u
#define PARAMETER_BYTES_MAX 32768u

/* Variable part: parameter_bytes of parameters as the kernel expects them, then attribute_count
 * CUlaunchAttribute, whose events are handles. */
struct request_launch {
    uint64_t function;
    uint64_t stream;
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t shared_bytes;
    uint32_t parameter_bytes;
    uint32_t attribute_count;
    uint32_t cooperative;
};
#define LAUNCH_ATTRIBUTES_MAX 32u

/* pool 0: of the device's graph memory. Values are 64 bits wide, also where the program's are 32. The reply
 * of pool_get_attribute is the value. */
struct request_pool_attribute {
    uint64_t pool;
    uint32_t attribute;
    uint32_t reserved;
    uint64_t value;
};
#define request_pool_get_attribute request_pool_attribute
#define request_pool_set_attribute request_pool_attribute

/* Between processes of one VM. object: an address, or a handle. */
struct request_export_object {
    uint64_t object;
    uint32_t kind; /* enum vm_export_kind */
    uint32_t reserved;
};
struct reply_export_object {
    struct vm_export_name name;
};
struct request_import_object {
    struct vm_export_name name;
    uint64_t handle; /* the new one's name, where it gets one */
    uint64_t pool;   /* that a pointer was allocated from */
    uint32_t kind;   /* enum vm_export_kind */
    uint32_t flags;  /* of cuIpcOpenMemHandle */
};
struct reply_import_object {
    uint64_t handle;
    CUdeviceptr address;
    uint64_t bytes;
};

/* Gives one use of an allocation back. */
struct request_memory_release {
    uint64_t handle;
};
struct reply_memory_release {
    uint32_t gone; /* that was the last: the handle names nothing any more */
    uint32_t reserved;
};

/* Variable part: count CUmemAccessDesc. */
struct request_set_access {
    uint64_t object; /* a pool, or the first address of mapped memory */
    uint64_t bytes;  /* of mapped memory */
    uint32_t count;
    uint32_t reserved;
};
#define request_pool_set_access   request_set_access
#define request_memory_set_access request_set_access
#define ACCESS_MAX                64u

/* cuOccupancyMaxActiveClusters and cuOccupancyMaxPotentialClusterSize. Variable part: attribute_count
 * CUlaunchAttribute, as of a launch. Reply: an int32_t. */
struct request_cluster_occupancy {
    uint64_t function;
    uint64_t stream;
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t shared_bytes;
    uint32_t attribute_count;
    uint32_t largest_cluster; /* the second of the two functions */
    uint32_t reserved;
};

/* The functions that make a tensor map; what one of them has no use for is 0. Reply: CUtensorMap. */
enum tensor_map_kind {
    TENSOR_MAP_TILED = 0,
    TENSOR_MAP_IM2COL,
    TENSOR_MAP_IM2COL_WIDE,
    TENSOR_MAP_REPLACE_ADDRESS,
};
#define TENSOR_MAP_RANK_MAX 5u
struct request_tensor_map {
    cuuint64_t map[CU_TENSOR_MAP_NUM_QWORDS]; /* to have its address replaced */
    uint64_t address;
    cuuint64_t dimensions[TENSOR_MAP_RANK_MAX];
    cuuint64_t strides[TENSOR_MAP_RANK_MAX];
    uint32_t box[TENSOR_MAP_RANK_MAX];                              /* tiled */
    int32_t lower[TENSOR_MAP_RANK_MAX], upper[TENSOR_MAP_RANK_MAX]; /* im2col; of wide ones [0] alone */
    uint32_t element_strides[TENSOR_MAP_RANK_MAX];
    uint32_t kind; /* enum tensor_map_kind */
    uint32_t data_type;
    uint32_t rank;
    uint32_t channels_per_pixel;
    uint32_t pixels_per_column;
    uint32_t interleave;
    uint32_t wide_mode;
    uint32_t swizzle;
    uint32_t l2_promotion;
    uint32_t out_of_bounds_fill;
};

/* Reply: the attribute's bytes, at most 16. */
struct request_pointer_attribute {
    uint64_t pointer;
    uint32_t attribute;
    uint32_t reserved;
};

struct request_pointer_set_attribute {
    uint64_t pointer;
    uint32_t attribute;
    uint32_t value;
};

/* Variable part: count CUatomicOperation. Reply: count words of CUatomicOperationCapability. */
struct request_atomic_capabilities {
    uint32_t count;
    uint32_t of_peer; /* between two devices; otherwise between the first one and the host */
    int32_t devices[2];
};
#define ATOMIC_OPERATIONS_MAX 64u

/* Host memory at one address in guest and worker. address 0: anywhere in the arena, for a new
 * allocation; otherwise the guest's own memory at that address becomes shared. A descriptor follows on the
 * connection when the call succeeded and memory is shared. */
#define SEGMENT_NAME "vgpu-host-memory" /* of its descriptor, as /proc/self/maps shows it */
struct request_host_alloc {
    uint64_t address;
    uint64_t bytes;
    uint32_t flags; /* of cuMemHostAlloc or cuMemHostRegister */
    uint32_t reserved;
};
struct reply_host_alloc {
    uint64_t address;
    uint64_t segment_bytes; /* of the descriptor: bytes rounded up to pages */
    uint64_t window_offset; /* where it lies, in a window, from which no descriptors are passed */
};
struct request_host_free {
    uint64_t address;
};

/* The lane's staging area (STAGING_BYTES), shared like host memory. Reply: reply_host_alloc. */
struct request_staging_open {
    uint32_t reserved;
};

/* Bulk data in the record or the reply. A sync copy has returned to the program when its data is safe. */
struct request_copy_to_device {
    uint64_t device;
    uint64_t stream;
    uint64_t bytes; /* of data: the variable part */
};
struct request_copy_from_device {
    uint64_t device;
    uint64_t stream;
    uint64_t bytes; /* of data: the reply */
};

/* One slot of the staging area to the device. */
struct request_copy_staged_to_device {
    uint64_t device;
    uint64_t stream;
    uint32_t slot; /* counted up for ever */
    uint32_t bytes;
};
/* A whole copy, slot by slot from `slot` on; the reply comes when the last slot is filled. */
struct request_copy_staged_from_device {
    uint64_t device;
    uint64_t stream;
    uint64_t bytes;
    uint32_t slot;
    uint32_t reserved;
};

/* Between the device and host memory that both sides share. */
struct request_copy_shared {
    uint64_t destination;
    uint64_t source;
    uint64_t bytes;
    uint64_t stream;
    uint32_t to_device;
    uint32_t synchronous;
};

/* A copy of two or three dimensions. A host side is shared memory, or rows packed without gaps: in the slot
 * `slot` on the way to the device, in the staging area on the way back (then the answer comes when they are
 * there), or in the record's variable part or the reply. Offsets have been added to addresses; those into
 * arrays stand where CUDA has them, and arrays are handles. */
enum box_staging {
    BOX_SHARED = 0,
    BOX_STAGED_TO_DEVICE,
    BOX_STAGED_FROM_DEVICE,
    BOX_IN_RECORD,
    BOX_IN_REPLY,
};
struct request_copy_box {
    CUDA_MEMCPY3D copy;
    uint64_t stream;
    uint64_t from_context, to_context; /* of a copy between peers */
    uint32_t form;                     /* enum box_form */
    uint32_t synchronous;
    uint32_t staging; /* enum box_staging */
    uint32_t slot;
};
/* Which of CUDA's functions it is: their limits differ. */
enum box_form {
    BOX_2D, /* of cuMemcpy2D */
    BOX_3D,
    BOX_PEER, /* of cuMemcpy3DPeer */
};

/* Makes a texture or surface object. Arrays are handles. Reply: a uint64_t, the driver's number. */
struct request_texture_create {
    CUDA_RESOURCE_DESC resource;
    CUDA_TEXTURE_DESC texture;
    CUDA_RESOURCE_VIEW_DESC view;
    uint32_t has_view;
    uint32_t is_surface; /* texture and view are empty */
};
/* Reply: CUDA_RESOURCE_DESC, with arrays by their handles. */
struct request_texture_resource {
    uint64_t object;
    uint32_t is_surface;
    uint32_t reserved;
};
/* Reply: four floats. */
struct request_texture_border {
    uint64_t reference;
    uint32_t set; /* 0: get */
    float colour[4];
    uint32_t reserved;
};

/* Parts of a device (CUdevResource). What the driver keeps in one is the worker's: the guest has a number in
 * its place. Reply of resource_get: a CUdevResource. */
enum resource_owner { RESOURCE_OF_DEVICE = 0, RESOURCE_OF_CONTEXT, RESOURCE_OF_GREEN_CONTEXT };
struct request_resource_get {
    uint64_t object; /* the context */
    uint32_t owner;  /* enum resource_owner */
    uint32_t type;   /* CUdevResourceType */
};
/* Reply: reply_resource_split, then `groups` CUdevResource where wanted. */
struct request_resource_split {
    CUdevResource input;
    uint32_t groups; /* room for so many */
    uint32_t flags;
    uint32_t least; /* multiprocessors of a group */
    uint32_t wants_groups, wants_remaining;
    uint32_t reserved;
};
struct reply_resource_split {
    CUdevResource remaining;
    uint32_t groups;
    uint32_t reserved;
};
#define RESOURCE_GROUPS_MAX 512u
/* Variable part: count CUdevResource. Reply: the name. */
struct request_resource_describe {
    uint64_t handle;
    uint32_t count;
    uint32_t reserved;
};

/* The driver's log from `iterator` on, or all of it. Reply: reply_logs_dump and the text. */
struct request_logs_dump {
    uint32_t iterator;
    uint32_t has_iterator;
    uint32_t flags;
    uint32_t room;
};
struct reply_logs_dump {
    uint32_t iterator;
    uint32_t text_bytes;
};
#define LOGS_MAX_BYTES (25600u)

#endif
