/* What is known of a GPU through NVML: the answers of all functions that nvml.tbl calls facts, for each
 * argument, in one structure. The daemon fills it in (inventory/nvml_reader.h), the guest's libnvidia-ml.so.1
 * answers from it. */
#ifndef VGPU_CUDA_NVML_FACTS_H
#define VGPU_CUDA_NVML_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "nvml_facts_generated.h"

#define NVML_FACT_ARGUMENTS 3
#define NVML_FACT_OUTPUTS   4

enum nvml_output_kind {
    NVML_OUTPUT_U32,
    NVML_OUTPUT_U64,
    NVML_OUTPUT_BYTES,
    NVML_OUTPUT_VERSIONED, /* a structure that begins with its version */
    NVML_OUTPUT_TEXT,      /* a buffer and its length */
    NVML_OUTPUT_STRING,    /* a buffer alone */
};

struct nvml_fact_function {
    const char *name;
    uint16_t first;  /* of its facts, one for each combination of arguments; the last argument runs fastest */
    uint32_t offset; /* of the first one's data; in it each output starts at a multiple of 8 */
    uint16_t count;
    uint16_t bytes; /* of one fact's data */
    bool live;      /* changes all the time */
    uint8_t argument_count, output_count;
    struct {
        uint8_t low, count;
    } arguments[NVML_FACT_ARGUMENTS];
    struct {
        uint8_t kind; /* enum nvml_output_kind */
        uint16_t bytes;
        uint8_t version;
    } outputs[NVML_FACT_OUTPUTS];
};
extern const struct nvml_fact_function nvml_fact_functions[NVML_FACT_FUNCTIONS];

/* Those of nvmlDeviceGetFieldValues that are known, rising. */
extern const uint16_t nvml_field_numbers[NVML_FIELDS];

struct nvml_field {
    int32_t result; /* nvmlReturn_t */
    uint32_t type;  /* nvmlValueType_t */
    uint64_t value; /* the bytes of nvmlValue_t */
};

/* NVML of the host itself. */
struct nvml_library_facts {
    char driver_version[80];
    char nvml_version[80];
    int32_t cuda_version; /* 1000 * major + 10 * minor; 0: not known */
    uint32_t unused;
};

struct nvml_facts {
    struct nvml_library_facts library;
    int16_t results[NVML_FACTS]; /* nvmlReturn_t */
    _Alignas(8) uint8_t data[NVML_FACT_BYTES];
    struct nvml_field fields[NVML_FIELDS];
};

/* Bytes of a versioned structure's first word. */
static inline uint32_t nvml_structure_version(uint32_t bytes, uint32_t version)
{
    return bytes | version << 24;
}

#endif
