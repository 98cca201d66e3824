/* PTX in software: PTX text in, a module out; kernels of it executed on the CPU.
 *
 * The engine knows nothing of CUDA contexts, streams or allocations. Whoever uses it (the simulated driver)
 * allocates device memory, tells the engine where a module's variables lie, and answers which addresses are
 * alive. A device pointer is a host address of this process, so a load that passed the check is a plain
 * load.
 *
 * Source of the semantics: NVIDIA's "Parallel Thread Execution ISA", versions up to PTX_VERSION_MAX.
 *
 * Threads: a module is immutable once its variables have addresses; any number of threads may then launch
 * kernels of it at once. Creating, placing and destroying need that nobody else uses the module. */
#ifndef SIMGPU_PTX_H
#define SIMGPU_PTX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Newest `.version` understood, times ten: 90 is PTX ISA 9.0 (CUDA 13.0). */
enum { PTX_VERSION_MAX = 90 };

/* Windows of 4 GiB in the generic address space that stand for memory which is not global. The engine alone
 * resolves them. No allocation of the process ever lies there, so device memory must not be put there. */
#define PTX_WINDOW_FUNCTION 0xfc00000000u
#define PTX_WINDOW_SHARED   0xfd00000000u
#define PTX_WINDOW_LOCAL    0xfe00000000u
#define PTX_WINDOW_PARAM    0xff00000000u

/* ---- modules ----------------------------------------------------------------------------------- */

enum ptx_status {
    PTX_OK = 0,
    PTX_INVALID,             /* not PTX, or PTX this engine lacks: CUDA_ERROR_INVALID_PTX */
    PTX_NO_BINARY_FOR_GPU,   /* .target is newer than the device: CUDA_ERROR_NO_BINARY_FOR_GPU */
    PTX_UNSUPPORTED_VERSION, /* .version is newer than PTX_VERSION_MAX: CUDA_ERROR_UNSUPPORTED_PTX_VERSION */
    PTX_UNRESOLVED,          /* an extern function or variable nobody defines: CUDA_ERROR_INVALID_IMAGE from a
                                module load, CUDA_ERROR_INVALID_PTX or _NO_BINARY from a link */
    PTX_NO_MEMORY,           /* out of host memory */
};

/* One PTX text. It ends at `bytes` or at the first NUL, whichever comes first, and is not kept. */
struct ptx_input {
    const char *text;
    size_t bytes;
    const char *name; /* stands in front of messages; NULL for none */
};

struct ptx_options {
    unsigned capability;       /* of the device, times ten: 90 is compute capability 9.0 */
    unsigned max_shared_bytes; /* static shared memory a kernel may use; 0 for 49152 */
    bool plain; /* use no extensions of the host's processor; slower, the results are the same */
};

/* What ptxas would print. Both are NUL-terminated, never NULL after ptx_module_create, and freed by
 * ptx_log_fini. */
struct ptx_log {
    char *error; /* "ptxas application ptx input, line 12; error   : ..." lines; empty on success */
    char *info;  /* "ptxas info    : ..." lines: resources of each kernel, warnings */
};

struct ptx_module;

/* Compiles and links `count` (>= 1) texts into one module: an extern name of one is resolved by a visible
 * or weak definition in another. On PTX_OK *out is a module that the caller destroys; otherwise *out is NULL
 * and log->error names line and reason. log may be NULL. */
enum ptx_status ptx_module_create(const struct ptx_input *inputs, size_t count,
                                  const struct ptx_options *options, struct ptx_module **out,
                                  struct ptx_log *log);
void ptx_module_destroy(struct ptx_module *module); /* NULL is allowed; no launch may be running */
void ptx_log_fini(struct ptx_log *log);             /* leaves both pointers NULL */

/* Of the (first) text: `.version` and the number of `.target sm_NN`, both times ten as 83 and 90. */
unsigned ptx_module_version(const struct ptx_module *module);
unsigned ptx_module_target(const struct ptx_module *module);

/* ---- kernels ----------------------------------------------------------------------------------- */

struct ptx_param {
    uint32_t offset; /* in the parameter buffer */
    uint32_t bytes;
    uint32_t align;
};

/* Owned by the module, valid until it is destroyed. */
struct ptx_kernel {
    const char *name;
    const struct ptx_module *module;
    size_t index; /* as in ptx_module_kernel */
    const struct ptx_param *params;
    size_t param_count;
    uint32_t params_bytes; /* size of the parameter buffer */
    uint32_t shared_bytes; /* static shared memory, with that of the functions it calls */
    uint32_t local_bytes;  /* per thread, with the deepest chain of calls that is known */
    uint32_t const_bytes;  /* of the module's .const variables */
    uint32_t registers;    /* per thread: an estimate of what ptxas would use, 10 to 255 */
    uint32_t max_ntid[3];  /* .maxntid, 0 where not given */
    uint32_t req_ntid[3];  /* .reqntid, 0 where not given */
    uint32_t max_threads;  /* per block: from .maxntid, .reqntid and the register estimate, at most 1024 */
    uint32_t min_blocks;   /* .minnctapersm, 0 where not given */
    unsigned target;       /* `.target` of the text it came from, times ten as 90 */
};

size_t ptx_module_kernel_count(const struct ptx_module *module);
const struct ptx_kernel *ptx_module_kernel(const struct ptx_module *module, size_t index);
const struct ptx_kernel *ptx_module_find_kernel(const struct ptx_module *module,
                                                const char *name); /* or NULL */

/* ---- variables --------------------------------------------------------------------------------- */

enum ptx_variable_space { PTX_VARIABLE_GLOBAL, PTX_VARIABLE_CONST };

/* A module-scope .global or .const variable. Owned by the module. */
struct ptx_variable {
    const char *name;
    enum ptx_variable_space space;
    uint64_t bytes;
    uint32_t align;
    bool visible;     /* other texts of the module see it by its name */
    bool managed;     /* .attribute(.managed): the host may touch it too */
    bool has_initial; /* false: starts as zeros */
    uint64_t address; /* 0 until placed */
};

size_t ptx_module_variable_count(const struct ptx_module *module);
const struct ptx_variable *ptx_module_variable(const struct ptx_module *module, size_t index);

/* Says where variable `index` lies in device memory. Every variable must be placed before
 * ptx_variable_initial and before the first launch. */
void ptx_module_place_variable(struct ptx_module *module, size_t index, uint64_t address);

/* Writes the initial contents of variable `index` into out (its `bytes` bytes), with the addresses of other
 * variables and of functions filled in. */
void ptx_variable_initial(const struct ptx_module *module, size_t index, void *out);

/* ---- launch ------------------------------------------------------------------------------------ */

/* A live allocation: [base, base + bytes). */
struct ptx_range {
    uint64_t base;
    uint64_t bytes;
    bool writable;
};

enum ptx_fault_kind {
    PTX_FAULT_NONE = 0,
    PTX_FAULT_ILLEGAL_ADDRESS,
    PTX_FAULT_MISALIGNED_ADDRESS,
    PTX_FAULT_ILLEGAL_INSTRUCTION, /* a call through a pointer that is no function, a bad barrier number, ...
                                    */
    PTX_FAULT_TRAP,                /* trap, brkpt */
    PTX_FAULT_ASSERT,              /* __assertfail; its message went to `print` */
    PTX_FAULT_OUT_OF_RESOURCES,    /* block too large, too much shared memory; found before anything ran */
    PTX_FAULT_STACK_OVERFLOW,
    PTX_FAULT_DEADLOCK, /* every remaining thread waits for a barrier that cannot complete; hardware
                           would hang, so treat it as a timeout */
    PTX_FAULT_CANCELLED,
    PTX_FAULT_NO_MEMORY, /* the host ran out of memory */
};

struct ptx_fault {
    enum ptx_fault_kind kind;
    uint64_t address; /* of the access, for address faults */
    uint32_t bytes;   /* of the access */
    bool is_write;
    uint32_t block[3];    /* %ctaid */
    uint32_t thread[3];   /* %tid */
    unsigned line;        /* of the PTX text */
    const char *function; /* in which it happened; owned by the module */
};

/* ---- textures and surfaces: numbers that a kernel is given, and the driver knows ------------------- */

enum ptx_geometry {
    PTX_GEOMETRY_1D,
    PTX_GEOMETRY_2D,
    PTX_GEOMETRY_3D,
    PTX_GEOMETRY_1D_LAYERED,
    PTX_GEOMETRY_2D_LAYERED,
    PTX_GEOMETRY_CUBE,
    PTX_GEOMETRY_CUBE_LAYERED,
};

struct ptx_texture_fetch {
    uint64_t object;
    enum ptx_geometry geometry;
    bool is_whole; /* coordinates are numbers of texels: `texel`; otherwise `at` */
    float at[3];
    int32_t texel[3];
    uint32_t layer;
    float level;       /* of detail; 0 where the instruction names none */
    uint32_t value[4]; /* filled in: the bits of floats, or integers, as the texture is read */
};

/* What happens beyond the edge of a surface. */
enum ptx_surface_clamp { PTX_SURFACE_TRAP, PTX_SURFACE_CLAMP, PTX_SURFACE_ZERO };

struct ptx_surface_access {
    uint64_t object;
    enum ptx_geometry geometry;
    int32_t x_bytes, y, z;
    uint32_t layer;
    uint32_t bytes;
    enum ptx_surface_clamp clamp;
    bool is_write;
    uint8_t data[16];
};

enum ptx_texture_query {
    PTX_QUERY_WIDTH,
    PTX_QUERY_HEIGHT,
    PTX_QUERY_DEPTH,
    PTX_QUERY_LAYERS,
    PTX_QUERY_LEVELS,
};

struct ptx_launch {
    const struct ptx_kernel *kernel;
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t dynamic_shared_bytes;
    const void *params; /* laid out as kernel->params say; read before anything runs */
    size_t params_bytes;

    /* Device memory. find fills in the live allocation that holds all of [address, address + bytes) and
     * returns true, or returns false. It is called from the launching thread, on the first access to a
     * range; what it said is used until the launch ends, so an allocation must not go while a kernel that
     * may touch it runs. */
    bool (*find)(void *user, uint64_t address, uint64_t bytes, bool write, struct ptx_range *out);
    /* printf of device code, and of assert what it is to say as an error. NULL: dropped. */
    void (*print)(void *user, const char *text, size_t bytes, bool is_error);
    /* malloc and free of device code. heap_alloc returns 0 when there is none; NULL: always none. */
    uint64_t (*heap_alloc)(void *user, uint64_t bytes);
    void (*heap_free)(void *user, uint64_t address);
    /* Textures and surfaces. Each returns false when there is no such object, or the access goes where it
     * must not. NULL: there are none. */
    bool (*fetch)(void *user, struct ptx_texture_fetch *fetch);
    bool (*surface)(void *user, struct ptx_surface_access *access);
    bool (*query)(void *user, uint64_t object, bool is_surface, enum ptx_texture_query query,
                  uint32_t *value);
    /* Nanoseconds for %globaltimer. NULL: the host's real-time clock. */
    uint64_t (*timer_ns)(void *user);
    /* Called again and again while the kernel runs, at least every some tens of microseconds; what runs
     * stands still until it returns. NULL: never. */
    void (*turn)(void *user);
    void *user;

    /* Set to true by any thread (relaxed is enough) to end the launch with PTX_FAULT_CANCELLED within
     * about a millisecond. NULL: cannot be cancelled. */
    const atomic_bool *cancel;

    uint32_t sm_count;    /* %nsmid; blocks are numbered over %smid round robin; 0 for 1 */
    uint32_t clock_khz;   /* rate of %clock and %clock64; 0 for 1,000,000 */
    uint32_t stack_bytes; /* local memory per thread beyond kernel->local_bytes, for recursion; 0: 1024 */
    uint32_t max_shared_bytes; /* static + dynamic per block; 0 for 233472 - 1024 */
    uint32_t resident_blocks;  /* blocks that run interleaved when they wait for each other; a cooperative
                                  launch passes the whole grid; 0 for 64 */
    uint64_t grid_workspace;   /* %envreg1:%envreg2 of a cooperative launch, else 0 */
    uint64_t grid_id;          /* %gridid */
};

/* Filled whether or not the launch faulted. */
struct ptx_result {
    struct ptx_fault fault; /* kind PTX_FAULT_NONE when all threads ended */
    uint64_t instructions;  /* executed, counted per thread */
};

/* Runs the launch to its end in the calling thread. Returns true when all threads ended without a fault.
 * Memory written before a fault stays written, as on hardware. */
bool ptx_launch_run(const struct ptx_launch *launch, struct ptx_result *result);

/* "illegal address" and so on; never NULL. */
const char *ptx_fault_name(enum ptx_fault_kind kind);

#endif
