#include "attacks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A request followed by its variable part. */
struct long_request {
    uint8_t bytes[RECORD_MAX_BYTES];
    size_t used;
};

static void put(struct long_request *request, const void *data, size_t bytes)
{
    MUST(request->used + bytes <= sizeof request->bytes);
    memcpy(request->bytes + request->used, data, bytes);
    request->used += bytes;
}

static struct attack_lane *lane_of(struct attacker *attacker)
{
    struct attack_lane *lane = lane_start(attacker);
    MUST(lane != NULL);
    return lane;
}

/* Every call: no request at all, then bytes that are all the same. One is only answered when there is a
 * function of the program's to be called. */
static void every_call_with(struct attacker *attacker, int byte, size_t bytes)
{
    static uint8_t body[4096];
    struct attack_lane *lane = lane_of(attacker);
    memset(body, byte, sizeof body);
    for (unsigned number = CALL_INVALID + 1; number < CALL_COUNT; number++)
        MUST(number == CALL_callback_next || call(lane, number, body, bytes) != NO_ANSWER);
}

static void every_call_empty(struct attacker *attacker)
{
    every_call_with(attacker, 0, 0);
}

static void every_call_zeros(struct attacker *attacker)
{
    prepare(lane_of(attacker));
    every_call_with(attacker, 0, 512);
}

static void every_call_ones(struct attacker *attacker)
{
    prepare(lane_of(attacker));
    every_call_with(attacker, 0xff, 512);
}

/* Addresses of the worker's own memory where the GPU's are wanted. */
static void worker_addresses(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    uint64_t device = prepare(lane);
    uint64_t target = worker_address(attacker);
    MUST(target != 0);
    struct {
        struct request_copy_to_device request;
        uint64_t data;
    } to = {.request = {.device = target, .bytes = 8}};
    struct request_copy_from_device from = {.device = target, .bytes = 8};
    struct request_cuMemsetD8Async set = {.dstDevice = target, .N = 8};
    struct request_cuMemcpyDtoDAsync_v2 within = {.dstDevice = device, .srcDevice = target, .ByteCount = 8};
    struct request_cuMemcpyDtoDAsync_v2 back = {.dstDevice = target, .srcDevice = device, .ByteCount = 8};
    struct request_cuMemcpyPeerAsync peer = {.dstDevice = device,
                                             .dstContext = CONTEXT_NAME,
                                             .srcDevice = target,
                                             .srcContext = CONTEXT_NAME,
                                             .ByteCount = 8};
    struct request_cuStreamWriteValue32_v2 write = {.addr = target};
    struct request_cuMemFree_v2 release = {.dptr = target};
    struct request_copy_box box = {.copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                                            .srcHost = (void *)(uintptr_t)target,
                                            .srcPitch = 64,
                                            .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                                            .dstDevice = device,
                                            .dstPitch = 64,
                                            .WidthInBytes = 64,
                                            .Height = 2,
                                            .Depth = 1},
                                   .form = BOX_3D};
    struct request_texture_create texture = {
        .resource = {.resType = CU_RESOURCE_TYPE_LINEAR,
                     .res.linear = {target, CU_AD_FORMAT_UNSIGNED_INT8, 1, 64}}};
    struct request_cuTexObjectDestroy texture_end = {.texObject = 1};
    struct request_cuTexRefSetAddress_v2 reference = {.dptr = target, .bytes = 64};
    struct request_copy_shared shared = {.destination = device, .source = target, .bytes = 8, .to_device = 1};
    struct request_host_alloc alloc = {.address = target & ~4095ull, .bytes = 4096};
    MUST(call(lane, CALL_copy_to_device, &to, sizeof to) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_copy_from_device, &from, sizeof from) == CUDA_ERROR_INVALID_VALUE);
    MUST(lane->reply_bytes == 0);
    MUST(call(lane, CALL_cuMemsetD8Async, &set, sizeof set) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_cuMemcpyDtoDAsync_v2, &within, sizeof within) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_cuMemcpyDtoDAsync_v2, &back, sizeof back) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_cuMemcpyPeerAsync, &peer, sizeof peer) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_cuStreamWriteValue32_v2, &write, sizeof write) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_cuMemFree_v2, &release, sizeof release) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_copy_shared, &shared, sizeof shared) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_copy_box, &box, sizeof box) == CUDA_ERROR_INVALID_VALUE);
    box.copy.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
    box.copy.srcDevice = target;
    MUST(call(lane, CALL_copy_box, &box, sizeof box) == CUDA_ERROR_INVALID_VALUE);
    box.copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    MUST(call(lane, CALL_copy_box, &box, sizeof box) == CUDA_ERROR_INVALID_VALUE);
    box.copy.srcDevice = device;
    box.copy.Depth = SIZE_MAX; /* far beyond all memory */
    MUST(call(lane, CALL_copy_box, &box, sizeof box) == CUDA_ERROR_INVALID_VALUE);
    box.copy.Depth = 1;
    box.staging = BOX_IN_RECORD; /* of more than the record has */
    MUST(call(lane, CALL_copy_box, &box, sizeof box) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_texture_create, &texture, sizeof texture) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_cuTexObjectDestroy, &texture_end, sizeof texture_end) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_cuTexRefSetAddress_v2, &reference, sizeof reference) != CUDA_SUCCESS);
    MUST(call(lane, CALL_host_alloc, &alloc, sizeof alloc) == CUDA_ERROR_ALREADY_MAPPED);
}

/* Numbers in the place of handles: small, random, of another kind, of an object that is gone. */
static void forged_handles(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    prepare(lane);
    const uint64_t forged[] = {3,
                               0x7fff12345678,
                               UINT64_MAX,
                               CONTEXT_NAME,
                               STREAM_NAME + 1,
                               handle_value(HANDLE_STREAM, HANDLE_MAX_INDEX, 65535),
                               handle_value(HANDLE_EVENT, 0, 0)};
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        struct request_cuStreamSynchronize wait = {.hStream = forged[i]};
        MUST(call(lane, CALL_cuStreamSynchronize, &wait, sizeof wait) == CUDA_ERROR_INVALID_HANDLE);
        struct request_cuStreamDestroy_v2 destroy = {.hStream = forged[i]};
        MUST(call(lane, CALL_cuStreamDestroy_v2, &destroy, sizeof destroy) == CUDA_ERROR_INVALID_HANDLE);
    }
    struct request_cuStreamDestroy_v2 destroy = {.hStream = STREAM_NAME};
    struct request_cuStreamSynchronize wait = {.hStream = STREAM_NAME};
    MUST(call(lane, CALL_cuStreamDestroy_v2, &destroy, sizeof destroy) == CUDA_SUCCESS);
    MUST(call(lane, CALL_cuStreamDestroy_v2, &destroy, sizeof destroy) == CUDA_ERROR_INVALID_HANDLE);
    MUST(call(lane, CALL_cuStreamSynchronize, &wait, sizeof wait) == CUDA_ERROR_INVALID_HANDLE);
}

/* Names for new objects that are none, or in use. */
static void bad_names(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    prepare(lane);
    const uint64_t names[] = {0, 1, UINT64_MAX, CONTEXT_NAME, STREAM_NAME};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct request_cuStreamCreate request = {.phStream = names[i]};
        MUST(call(lane, CALL_cuStreamCreate, &request, sizeof request) == CUDA_ERROR_INVALID_VALUE);
        struct request_cuCtxCreate_v2 create = {.pctx = names[i]};
        MUST(call(lane, CALL_cuCtxCreate_v2, &create, sizeof create) == CUDA_ERROR_INVALID_VALUE);
    }
}

/* Names far apart, so that each takes a piece of the map. */
static void sparse_names(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    prepare(lane);
    unsigned refused = 0;
    for (uint32_t index = 0; index < HANDLE_MAX_INDEX; index += 4096) {
        struct request_cuEventCreate request = {.phEvent = handle_value(HANDLE_EVENT, index, 0)};
        refused += call(lane, CALL_cuEventCreate, &request, sizeof request) == CUDA_ERROR_OUT_OF_MEMORY;
    }
    MUST(refused > 900);
}

/* What a context owned is gone with it. */
static void objects_of_a_dead_context(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    prepare(lane);
    struct request_cuEventCreate event = {.phEvent = handle_value(HANDLE_EVENT, 7, 7)};
    MUST(call(lane, CALL_cuEventCreate, &event, sizeof event) == CUDA_SUCCESS);
    struct request_cuCtxDestroy_v2 destroy = {.ctx = CONTEXT_NAME};
    MUST(call(lane, CALL_cuCtxDestroy_v2, &destroy, sizeof destroy) == CUDA_SUCCESS);
    struct request_cuStreamSynchronize wait = {.hStream = STREAM_NAME};
    struct request_cuEventQuery query = {.hEvent = event.phEvent};
    struct request_cuCtxSetCurrent set = {.ctx = CONTEXT_NAME};
    MUST(call(lane, CALL_cuStreamSynchronize, &wait, sizeof wait) == CUDA_ERROR_INVALID_HANDLE);
    MUST(call(lane, CALL_cuEventQuery, &query, sizeof query) == CUDA_ERROR_INVALID_HANDLE);
    MUST(call(lane, CALL_cuCtxSetCurrent, &set, sizeof set) == CUDA_ERROR_INVALID_CONTEXT);
}

static void core_dumps(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    struct request_cuCtxCreate_v2 create = {.pctx = CONTEXT_NAME, .flags = CU_CTX_COREDUMP_ENABLE};
    MUST(call(lane, CALL_cuCtxCreate_v2, &create, sizeof create) == CUDA_ERROR_NOT_SUPPORTED);
    struct request_cuDevicePrimaryCtxSetFlags_v2 set = {.flags = CU_CTX_USER_COREDUMP_ENABLE};
    MUST(call(lane, CALL_cuDevicePrimaryCtxSetFlags_v2, &set, sizeof set) == CUDA_ERROR_NOT_SUPPORTED);
}

static void uploads_that_lie(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker), *second = lane_of(attacker);
    static const struct {
        uint64_t total, offset;
    } lies[] = {{0, 0},       {UINT64_MAX, 0},        {UPLOAD_MAX_BYTES + 1, 0},
                {4096, 4096}, {4096, UINT64_MAX - 7}, {8, 0}};
    struct {
        struct request_upload request;
        uint8_t data[64];
    } upload = {0};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        upload.request = (struct request_upload){.total_bytes = lies[i].total, .offset = lies[i].offset};
        MUST(call(lane, CALL_upload, &upload, sizeof upload) == CUDA_ERROR_INVALID_VALUE);
    }
    upload.request = (struct request_upload){.total_bytes = UPLOAD_MAX_BYTES};
    int first = call(lane, CALL_upload, &upload, sizeof upload);
    MUST(first == CUDA_SUCCESS || first == CUDA_ERROR_OUT_OF_MEMORY); /* as the host has memory */
    int more = call(second, CALL_upload, &upload, sizeof upload);
    MUST(first != CUDA_SUCCESS || more == CUDA_ERROR_OUT_OF_MEMORY);
    /* Fewer bytes have come than the load says. */
    struct request_module_load load = {
        .handle = handle_value(HANDLE_MODULE, 0, 0), .image_bytes = 1 << 20, .image_uploaded = 1};
    MUST(call(lane, CALL_module_load, &load, sizeof load) == CUDA_ERROR_INVALID_IMAGE);
}

/* Code whose headers say that there is more of it than there is, and random code. */
static void broken_images(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    prepare(lane);
    static struct long_request request;
    static const uint32_t magics[] = {0x464c457f, 0xba55ed50, 0x466243b1, 0x2f2f0a2e, 0};
    for (unsigned round = 0; round < 300; round++) {
        uint8_t image[512];
        unsigned seed = round;
        for (size_t i = 0; i < sizeof image; i++)
            image[i] = (uint8_t)(round % 3 == 0 ? 0xff : rand_r(&seed));
        memcpy(image, &magics[round % 5], 4);
        image[4] = 2;
        struct request_module_load load = {.handle = handle_value(HANDLE_MODULE, round, 0),
                                           .image_bytes = sizeof image,
                                           .info_log_bytes = UINT32_MAX,
                                           .error_log_bytes = 100};
        request.used = 0;
        put(&request, &load, sizeof load);
        put(&request, image, sizeof image);
        int result =
            call(lane, round % 2 ? CALL_module_load : CALL_library_load, request.bytes, request.used);
        MUST(result != NO_ANSWER);
    }
}

static void options_that_lie(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    prepare(lane);
    static struct long_request request;
    for (uint32_t key = 0; key < 64; key++) {
        struct request_module_load load = {
            .handle = handle_value(HANDLE_MODULE, key, 0), .image_bytes = 2, .option_count = 1};
        struct option_value option = {.key = key, .value = 0x4141414141414141};
        request.used = 0;
        put(&request, &load, sizeof load);
        put(&request, &option, sizeof option);
        put(&request, "/", 2);
        MUST(call(lane, CALL_module_load, request.bytes, request.used) != NO_ANSWER);
        load.option_count = UINT32_MAX;
        memcpy(request.bytes, &load, sizeof load);
        MUST(call(lane, CALL_module_load, request.bytes, request.used) == CUDA_ERROR_INVALID_VALUE);
    }
}

static void segments_that_lie(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    uint64_t device = prepare(lane);
    const struct {
        uint64_t address, bytes;
    } lies[] = {{0, 0},
                {0, UINT64_MAX},
                {0, 1ull << 39},
                {4096, 4096},
                {1234567, 4096},
                {attacker->arena_base + 4096, 4096},
                {UINT64_MAX & ~4095ull, 8192},
                {1ull << 47, 4096}};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct request_host_alloc request = {.address = lies[i].address, .bytes = lies[i].bytes};
        int result = call(lane, CALL_host_alloc, &request, sizeof request);
        MUST(result == CUDA_ERROR_INVALID_VALUE || result == CUDA_ERROR_OUT_OF_MEMORY);
    }
    struct request_host_alloc request = {.bytes = 8192};
    MUST(call(lane, CALL_host_alloc, &request, sizeof request) == CUDA_SUCCESS);
    struct reply_host_alloc made;
    memcpy(&made, lane->reply, sizeof made);
    struct frame_header header;
    int fd;
    MUST(frame_read_descriptor(attacker->fd, &header, &fd) == 0 && fd >= 0);
    close(fd);
    struct request_copy_shared copy = {.destination = device,
                                       .source = made.address + 4096,
                                       .bytes = 8192,
                                       .to_device = 1,
                                       .synchronous = 1};
    MUST(call(lane, CALL_copy_shared, &copy, sizeof copy) == CUDA_ERROR_INVALID_VALUE);
    copy.bytes = UINT64_MAX - 4095;
    MUST(call(lane, CALL_copy_shared, &copy, sizeof copy) == CUDA_ERROR_INVALID_VALUE);
    copy.bytes = 4096;
    MUST(call(lane, CALL_copy_shared, &copy, sizeof copy) == CUDA_SUCCESS);
    struct request_host_free inside = {.address = made.address + 4096};
    MUST(call(lane, CALL_host_free, &inside, sizeof inside) != CUDA_SUCCESS);
    struct request_host_free release = {.address = made.address};
    MUST(call(lane, CALL_host_free, &release, sizeof release) == CUDA_SUCCESS);
    MUST(call(lane, CALL_host_free, &release, sizeof release) == CUDA_ERROR_INVALID_VALUE);
    MUST(call(lane, CALL_copy_shared, &copy, sizeof copy) == CUDA_ERROR_INVALID_VALUE);
}

static uint64_t open_staging(struct attack_lane *lane)
{
    struct request_staging_open open = {0};
    MUST(call(lane, CALL_staging_open, &open, sizeof open) == CUDA_SUCCESS);
    struct reply_host_alloc made;
    memcpy(&made, lane->reply, sizeof made);
    struct frame_header header;
    int fd;
    MUST(frame_read_descriptor(lane->attacker->fd, &header, &fd) == 0 && fd >= 0);
    close(fd);
    return made.address;
}

static void slots_that_lie(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    uint64_t device = prepare(lane);
    struct request_copy_staged_to_device early = {.device = device, .bytes = 8};
    MUST(call(lane, CALL_copy_staged_to_device, &early, sizeof early) == CUDA_ERROR_INVALID_VALUE);
    uint64_t made = open_staging(lane);
    struct request_staging_open open = {0};
    MUST(call(lane, CALL_staging_open, &open, sizeof open) == CUDA_ERROR_INVALID_VALUE);
    struct request_host_free release = {.address = made};
    MUST(call(lane, CALL_host_free, &release, sizeof release) == CUDA_ERROR_INVALID_VALUE);
    struct request_copy_staged_to_device copy = {.device = device, .slot = 5, .bytes = 8};
    MUST(call(lane, CALL_copy_staged_to_device, &copy, sizeof copy) == CUDA_ERROR_INVALID_VALUE);
    copy = (struct request_copy_staged_to_device){.device = device, .bytes = STAGING_SLOT_BYTES + 1};
    MUST(call(lane, CALL_copy_staged_to_device, &copy, sizeof copy) == CUDA_ERROR_INVALID_VALUE);
    struct request_copy_staged_from_device back = {.device = device, .bytes = UINT64_MAX};
    MUST(call(lane, CALL_copy_staged_from_device, &back, sizeof back) != NO_ANSWER);
}

/* The context goes while slots are on their way, and another comes. */
static void slots_of_a_dead_context(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker), *other = lane_of(attacker);
    uint64_t device = prepare(lane);
    open_staging(lane);
    struct request_cuCtxSetCurrent set = {.ctx = CONTEXT_NAME};
    struct request_cuCtxDestroy_v2 destroy = {.ctx = CONTEXT_NAME};
    struct request_copy_staged_to_device copy = {.device = device, .bytes = STAGING_SLOT_BYTES};
    MUST(call(other, CALL_cuCtxSetCurrent, &set, sizeof set) == CUDA_SUCCESS);
    for (; copy.slot < 6; copy.slot++)
        MUST(forget(lane, CALL_copy_staged_to_device, &copy, sizeof copy));
    MUST(call(other, CALL_cuCtxDestroy_v2, &destroy, sizeof destroy) == CUDA_SUCCESS);
    MUST(call(lane, CALL_copy_staged_to_device, &copy, sizeof copy) != CUDA_SUCCESS);
    copy.slot++;
    copy.device = prepare(lane);
    MUST(call(lane, CALL_copy_staged_to_device, &copy, sizeof copy) == CUDA_SUCCESS);
    struct request_copy_staged_from_device back = {.device = copy.device, .bytes = 1024};
    MUST(call(lane, CALL_copy_staged_from_device, &back, sizeof back) == CUDA_SUCCESS);
}

/* Has a copy from the GPU wait for it, and takes nothing. */
static void takes_no_slot(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    prepare(lane);
    struct request_cuMemAlloc_v2 allocate = {.bytesize = 16 << 20};
    MUST(call(lane, CALL_cuMemAlloc_v2, &allocate, sizeof allocate) == CUDA_SUCCESS);
    uint64_t device;
    memcpy(&device, lane->reply, sizeof device);
    open_staging(lane);
    struct request_copy_staged_from_device back = {.device = device, .bytes = 16 << 20};
    struct record_header header = {.bytes = sizeof header + sizeof back,
                                   .call = CALL_copy_staged_from_device,
                                   .flags = RECORD_WANTS_REPLY,
                                   .body_bytes = sizeof back};
    MUST(send_record(lane, &header, &back));
    sleep(1);
}

static void launches_that_lie(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    prepare(lane);
    static const char ptx[] = ".version 7.0\n.target sm_52\n.address_size 64\n"
                              ".visible .entry f(.param .u64 p, .param .u64 q) { ret; }\n";
    static struct long_request load, name;
    struct request_module_load request = {.handle = handle_value(HANDLE_MODULE, 0, 0),
                                          .image_bytes = sizeof ptx};
    put(&load, &request, sizeof request);
    put(&load, ptx, sizeof ptx);
    MUST(call(lane, CALL_module_load, load.bytes, load.used) == CUDA_SUCCESS);
    struct request_cuModuleGetFunction get = {.hfunc = handle_value(HANDLE_FUNCTION, 0, 0),
                                              .hmod = request.handle};
    put(&name, &get, sizeof get);
    put(&name, "f", 2);
    MUST(call(lane, CALL_cuModuleGetFunction, name.bytes, name.used) == CUDA_SUCCESS);
    MUST(call(lane, CALL_cuModuleGetFunction, name.bytes, name.used - 1) == CUDA_ERROR_INVALID_VALUE);
    struct request_launch launch = {.function = get.hfunc, .grid = {1, 1, 1}, .block = {1, 1, 1}};
    const uint32_t lies[] = {0, 1, 8, 24, PARAMETER_BYTES_MAX, PARAMETER_BYTES_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        launch.parameter_bytes = lies[i];
        MUST(call(lane, CALL_launch, &launch, sizeof launch) != CUDA_SUCCESS);
    }
    static struct long_request with;
    launch.parameter_bytes = 16;
    launch.attribute_count = 1;
    for (unsigned id = 0; id < 40; id++) {
        CUlaunchAttribute attribute = {.id = (CUlaunchAttributeID)id};
        uint64_t parameters[2] = {0};
        memset(&attribute.value, 0x41, sizeof attribute.value);
        with.used = 0;
        put(&with, &launch, sizeof launch);
        put(&with, parameters, sizeof parameters);
        put(&with, &attribute, sizeof attribute);
        MUST(call(lane, CALL_launch, with.bytes, with.used) != NO_ANSWER);
    }
    struct request_cuModuleUnload unload = {.hmod = request.handle};
    MUST(call(lane, CALL_cuModuleUnload, &unload, sizeof unload) == CUDA_SUCCESS);
    launch.attribute_count = 0;
    MUST(call(lane, CALL_launch, &launch, sizeof launch) == CUDA_ERROR_INVALID_HANDLE);
}

struct rival {
    struct attack_lane *lane;
    _Atomic bool stop;
};

/* Uses what the other lane destroys. */
static void *rival_main(void *argument)
{
    struct rival *rival = argument;
    struct request_cuCtxSetCurrent set = {.ctx = CONTEXT_NAME};
    MUST(call(rival->lane, CALL_cuCtxSetCurrent, &set, sizeof set) == CUDA_SUCCESS);
    while (!rival->stop) {
        struct request_cuEventRecord record = {.hEvent = handle_value(HANDLE_EVENT, 1, 0),
                                               .hStream = handle_value(HANDLE_STREAM, 1, 0)};
        MUST(call(rival->lane, CALL_cuEventRecord, &record, sizeof record) != NO_ANSWER);
        struct request_cuStreamQuery query = {.hStream = handle_value(HANDLE_STREAM, 1, 0)};
        MUST(call(rival->lane, CALL_cuStreamQuery, &query, sizeof query) != NO_ANSWER);
        struct request_link_complete link = {.link = handle_value(HANDLE_LINK, 1, 0)};
        MUST(call(rival->lane, CALL_link_complete, &link, sizeof link) != NO_ANSWER);
    }
    return NULL;
}

static void destroyed_while_used(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker);
    struct rival rival = {.lane = lane_of(attacker)};
    pthread_t thread;
    prepare(lane);
    MUST(pthread_create(&thread, NULL, rival_main, &rival) == 0);
    for (int i = 0; i < 2000; i++) {
        struct request_cuStreamCreate stream = {.phStream = handle_value(HANDLE_STREAM, 1, 0)};
        struct request_cuEventCreate event = {.phEvent = handle_value(HANDLE_EVENT, 1, 0)};
        struct request_link_create link = {.handle = handle_value(HANDLE_LINK, 1, 0), .info_log_bytes = 100};
        struct request_cuStreamDestroy_v2 no_stream = {.hStream = stream.phStream};
        struct request_cuEventDestroy_v2 no_event = {.hEvent = event.phEvent};
        struct request_link_destroy no_link = {.link = link.handle};
        MUST(call(lane, CALL_cuStreamCreate, &stream, sizeof stream) == CUDA_SUCCESS);
        MUST(call(lane, CALL_cuEventCreate, &event, sizeof event) == CUDA_SUCCESS);
        MUST(call(lane, CALL_link_create, &link, sizeof link) == CUDA_SUCCESS);
        MUST(call(lane, CALL_cuStreamDestroy_v2, &no_stream, sizeof no_stream) == CUDA_SUCCESS);
        MUST(call(lane, CALL_cuEventDestroy_v2, &no_event, sizeof no_event) == CUDA_SUCCESS);
        MUST(call(lane, CALL_link_destroy, &no_link, sizeof no_link) == CUDA_SUCCESS);
    }
    rival.stop = true;
    pthread_join(thread, NULL);
}

/* Tickets out of order, twice, and of the far future. */
static void tickets_that_lie(struct attacker *attacker)
{
    struct attack_lane *lane = lane_of(attacker), *stuck = lane_of(attacker);
    prepare(lane);
    struct request_cuMemAlloc_v2 request = {.bytesize = 512};
    const uint64_t tickets[] = {0, 0, 1, 0, 1, 2, 3, 0, 1};
    struct record_header header = {.bytes = sizeof header + 8, .call = CALL_cuMemAlloc_v2, .body_bytes = 8};
    struct record_header never = header;
    never.ticket = UINT64_MAX;
    MUST(send_record(stuck, &never, &request));
    for (size_t i = 0; i < sizeof tickets / sizeof tickets[0]; i++) {
        header.ticket = tickets[i];
        MUST(send_record(lane, &header, &request));
    }
    attacker->tickets = 0;
    struct request_cuStreamSynchronize wait = {0};
    MUST(call(lane, CALL_cuStreamSynchronize, &wait, sizeof wait) == CUDA_SUCCESS);
    lane_stop(stuck);
}

const struct attack call_attacks[] = {
    {.name = "every_call_empty", .outcome = ANSWERS, .make = every_call_empty},
    {.name = "every_call_zeros", .outcome = EITHER_WAY, .make = every_call_zeros},
    {.name = "every_call_ones", .outcome = ANSWERS, .make = every_call_ones},
    {.name = "every_call_empty_stream", .outcome = ANSWERS, .make = every_call_empty, .stream = true},
    {.name = "every_call_ones_stream", .outcome = ANSWERS, .make = every_call_ones, .stream = true},
    {.name = "worker_addresses", .outcome = ANSWERS, .make = worker_addresses},
    {.name = "forged_handles", .outcome = ANSWERS, .make = forged_handles},
    {.name = "bad_names", .outcome = ANSWERS, .make = bad_names},
    {.name = "sparse_names", .outcome = ANSWERS, .make = sparse_names},
    {.name = "objects_of_a_dead_context", .outcome = ANSWERS, .make = objects_of_a_dead_context},
    {.name = "core_dumps", .outcome = ANSWERS, .make = core_dumps},
    {.name = "uploads_that_lie", .outcome = ANSWERS, .make = uploads_that_lie},
    {.name = "broken_images", .outcome = ANSWERS, .make = broken_images},
    {.name = "options_that_lie", .outcome = ANSWERS, .make = options_that_lie},
    {.name = "segments_that_lie", .outcome = ANSWERS, .make = segments_that_lie},
    {.name = "slots_that_lie", .outcome = ANSWERS, .make = slots_that_lie},
    {.name = "slots_of_a_dead_context", .outcome = ANSWERS, .make = slots_of_a_dead_context},
    {.name = "takes_no_slot", .outcome = EITHER_WAY, .make = takes_no_slot},
    {.name = "launches_that_lie", .outcome = ANSWERS, .make = launches_that_lie},
    {.name = "destroyed_while_used", .outcome = ANSWERS, .make = destroyed_while_used},
    {.name = "tickets_that_lie", .outcome = ANSWERS, .make = tickets_that_lie},
};
const size_t call_attack_count = sizeof call_attacks / sizeof call_attacks[0];
