/* Copies of boxes: between pageable, pinned and device memory and arrays, each way, with offsets and pitches;
 * rows and slices larger than any one message; between peers; many in one call. */
#include <stdlib.h>
#include <string.h>

#include "support/gpu.h"

#define KIB ((size_t)1 << 10)

enum place { PAGEABLE, PINNED, DEVICE, ARRAY, PLACES };
static const char *const place_names[] = {"pageable", "pinned", "device", "array"};

/* Memory of one kind that holds a box of bytes, PITCH x ROWS x SLICES. */
struct holder {
    enum place place;
    size_t pitch, rows, slices;
    uint8_t *host;
    CUdeviceptr device;
    CUarray array;
};

static size_t bytes_of(const struct holder *holder)
{
    return holder->pitch * holder->rows * holder->slices;
}

static struct holder hold(enum place place, size_t pitch, size_t rows, size_t slices)
{
    struct holder holder = {.place = place, .pitch = pitch, .rows = rows, .slices = slices};
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {.Width = pitch,
                                          .Height = rows,
                                          .Depth = slices,
                                          .Format = CU_AD_FORMAT_UNSIGNED_INT8,
                                          .NumChannels = 1};
    switch (place) {
    case PAGEABLE:
        holder.host = calloc(1, bytes_of(&holder));
        break;
    case PINNED:
        holder.host = host_allocate_pinned(bytes_of(&holder));
        break;
    case DEVICE:
        holder.device = gpu_allocate(bytes_of(&holder));
        break;
    default:
        REQUIRE(cuArray3DCreate(&holder.array, &descriptor));
    }
    return holder;
}

static void let_go(struct holder *holder)
{
    switch (holder->place) {
    case PAGEABLE:
        free(holder->host);
        break;
    case PINNED:
        REQUIRE(cuMemFreeHost(holder->host));
        break;
    case DEVICE:
        REQUIRE(cuMemFree(holder->device));
        break;
    default:
        REQUIRE(cuArrayDestroy(holder->array));
    }
}

struct offset {
    size_t x, y, z;
};

static void name_source(CUDA_MEMCPY3D *copy, const struct holder *holder, struct offset at)
{
    static const CUmemorytype types[] = {CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE,
                                         CU_MEMORYTYPE_ARRAY};
    copy->srcMemoryType = types[holder->place];
    copy->srcHost = holder->host;
    copy->srcDevice = holder->device;
    copy->srcArray = holder->array;
    copy->srcPitch = holder->pitch;
    copy->srcHeight = holder->rows;
    copy->srcXInBytes = at.x;
    copy->srcY = at.y;
    copy->srcZ = at.z;
}

static void name_target(CUDA_MEMCPY3D *copy, const struct holder *holder, struct offset at)
{
    static const CUmemorytype types[] = {CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE,
                                         CU_MEMORYTYPE_ARRAY};
    copy->dstMemoryType = types[holder->place];
    copy->dstHost = holder->host;
    copy->dstDevice = holder->device;
    copy->dstArray = holder->array;
    copy->dstPitch = holder->pitch;
    copy->dstHeight = holder->rows;
    copy->dstXInBytes = at.x;
    copy->dstY = at.y;
    copy->dstZ = at.z;
}

/* Fills all of it from a model that is laid out like it, or reads all of it into one. */
static void fill(const struct holder *holder, uint8_t *model)
{
    CUDA_MEMCPY3D copy = {.WidthInBytes = holder->pitch, .Height = holder->rows, .Depth = holder->slices};
    struct holder like = {.place = PAGEABLE,
                          .pitch = holder->pitch,
                          .rows = holder->rows,
                          .slices = holder->slices,
                          .host = model};
    name_source(&copy, &like, (struct offset){0, 0, 0});
    name_target(&copy, holder, (struct offset){0, 0, 0});
    REQUIRE(cuMemcpy3D(&copy));
    REQUIRE(
        cuStreamSynchronize(NULL)); /* pageable data may still be on its way, and other streams do not wait */
}

static void read_back(const struct holder *holder, uint8_t *model)
{
    CUDA_MEMCPY3D copy = {.WidthInBytes = holder->pitch, .Height = holder->rows, .Depth = holder->slices};
    struct holder like = {.place = PAGEABLE,
                          .pitch = holder->pitch,
                          .rows = holder->rows,
                          .slices = holder->slices,
                          .host = model};
    name_source(&copy, holder, (struct offset){0, 0, 0});
    name_target(&copy, &like, (struct offset){0, 0, 0});
    REQUIRE(cuMemcpy3D(&copy));
}

/* Copies a box from one holder to another, each first filled with a pattern of its own, and compares all of
 * the target. */
static void try_copy(enum place from_place, enum place to_place, CUstream stream, int asynchronous)
{
    struct holder from = hold(from_place, 96, 20, 9), to = hold(to_place, 160, 17, 11);
    const struct offset source = {13, 5, 2}, target = {31, 3, 4};
    const size_t width = 57, height = 11, depth = 6;
    uint8_t *from_model = malloc(bytes_of(&from)), *to_model = malloc(bytes_of(&to));
    uint8_t *seen = malloc(bytes_of(&to));
    fill_pattern(from_model, bytes_of(&from), 1000u + from_place);
    fill_pattern(to_model, bytes_of(&to), 2000u + to_place);
    fill(&from, from_model);
    fill(&to, to_model);
    CUDA_MEMCPY3D copy = {.WidthInBytes = width, .Height = height, .Depth = depth};
    name_source(&copy, &from, source);
    name_target(&copy, &to, target);
    say("%s to %s", place_names[from_place], place_names[to_place]);
    if (asynchronous)
        EXPECT(CUDA_SUCCESS, cuMemcpy3DAsync(&copy, stream));
    else
        EXPECT(CUDA_SUCCESS, cuMemcpy3D(&copy));
    REQUIRE(cuStreamSynchronize(stream));
    for (size_t z = 0; z < depth; z++)
        for (size_t y = 0; y < height; y++)
            memcpy(to_model + ((target.z + z) * to.rows + target.y + y) * to.pitch + target.x,
                   from_model + ((source.z + z) * from.rows + source.y + y) * from.pitch + source.x, width);
    read_back(&to, seen);
    CHECK(memcmp(seen, to_model, bytes_of(&to)) == 0);
    free(from_model);
    free(to_model);
    free(seen);
    let_go(&from);
    let_go(&to);
}

static void every_way(void)
{
    gpu_use();
    for (int from = 0; from < PLACES; from++)
        for (int to = 0; to < PLACES; to++)
            try_copy((enum place)from, (enum place)to, NULL, 0);
}

static void every_way_asynchronously(void)
{
    CUstream stream;
    gpu_use();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int from = 0; from < PLACES; from++)
        for (int to = 0; to < PLACES; to++)
            try_copy((enum place)from, (enum place)to, stream, 1);
    REQUIRE(cuStreamDestroy(stream));
}

/* Boxes of every shape that has to be cut: long rows, many rows, many slices. */
static void large(void)
{
    static const struct {
        size_t width, height, depth;
    } shapes[] = {{3 * 1024 * KIB + 5, 2, 1}, {7, 40000, 2}, {513, 33, 300}, {100 * KIB + 1, 9, 5}};
    gpu_use();
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        struct holder device =
            hold(DEVICE, (shapes[i].width + 511) / 512 * 512, shapes[i].height + 1, shapes[i].depth);
        size_t bytes = shapes[i].width * shapes[i].height * shapes[i].depth;
        struct holder source = {
            PAGEABLE, shapes[i].width, shapes[i].height, shapes[i].depth, malloc(bytes), 0, NULL};
        struct holder back = source;
        back.host = malloc(bytes);
        memset(back.host, 0, bytes);
        fill_pattern(source.host, bytes, (uint32_t)i);
        CUDA_MEMCPY3D in = {
            .WidthInBytes = shapes[i].width, .Height = shapes[i].height, .Depth = shapes[i].depth};
        CUDA_MEMCPY3D out = in;
        name_source(&in, &source, (struct offset){0, 0, 0});
        name_target(&in, &device, (struct offset){3, 1, 0});
        in.dstXInBytes = device.pitch - shapes[i].width < 3 ? 0 : 3;
        name_source(&out, &device, (struct offset){in.dstXInBytes, 1, 0});
        name_target(&out, &back, (struct offset){0, 0, 0});
        EXPECT(CUDA_SUCCESS, cuMemcpy3D(&in));
        EXPECT(CUDA_SUCCESS, cuMemcpy3D(&out));
        say("checksum %016llx", (unsigned long long)checksum(back.host, bytes < 4096 ? bytes : 4096));
        CHECK(memcmp(source.host, back.host, bytes) == 0);
        free(source.host);
        free(back.host);
        let_go(&device);
    }
}

static void unified(void)
{
    uint8_t source[8 * 6 * 4], back[sizeof source];
    gpu_use();
    CUdeviceptr memory = gpu_allocate(sizeof source);
    fill_pattern(source, sizeof source, 3);
    CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_UNIFIED,
                          .srcDevice = (CUdeviceptr)(uintptr_t)source,
                          .srcPitch = 8,
                          .srcHeight = 6,
                          .dstMemoryType = CU_MEMORYTYPE_UNIFIED,
                          .dstDevice = memory,
                          .dstPitch = 8,
                          .dstHeight = 6,
                          .WidthInBytes = 8,
                          .Height = 6,
                          .Depth = 4};
    EXPECT(CUDA_SUCCESS, cuMemcpy3D(&copy));
    copy.srcDevice = memory;
    copy.dstDevice = (CUdeviceptr)(uintptr_t)back;
    EXPECT(CUDA_SUCCESS, cuMemcpy3D(&copy));
    CHECK(memcmp(source, back, sizeof source) == 0);
    REQUIRE(cuMemFree(memory));
}

/* A graph copies what the memory has when it is launched. */
static void captured(void)
{
    enum { ROWS = 5 };
    uint8_t source[ROWS * 32], back[ROWS * 32];
    CUstream stream;
    CUgraph graph;
    CUgraphExec exec;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(ROWS * 64);
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CUDA_MEMCPY3D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = source,
                        .srcPitch = 32,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstDevice = memory,
                        .dstPitch = 64,
                        .WidthInBytes = 20,
                        .Height = ROWS,
                        .Depth = 1};
    CUDA_MEMCPY3D out = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = memory,
                         .srcPitch = 64,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = back,
                         .dstPitch = 32,
                         .WidthInBytes = 20,
                         .Height = ROWS,
                         .Depth = 1};
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    CUresult result = cuMemcpy3DAsync(&in, stream);
    if (result == CUDA_SUCCESS)
        result = cuMemcpy3DAsync(&out, stream);
    REQUIRE(cuStreamEndCapture(stream, &graph));
    if (result == CUDA_ERROR_NOT_SUPPORTED)
        SKIP("no memory is shared here");
    CHECK(result == CUDA_SUCCESS);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    for (uint32_t i = 0; i < 3; i++) {
        fill_pattern(source, sizeof source, i);
        memset(back, 0, sizeof back);
        EXPECT(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
        EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
        for (size_t row = 0; row < ROWS; row++)
            CHECK(memcmp(source + row * 32, back + row * 32, 20) == 0);
    }
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(memory));
}

static void between_peers(void)
{
    uint8_t source[16 * 4], back[sizeof source];
    CUcontext context;
    gpu_use();
    REQUIRE(cuCtxGetCurrent(&context));
    CUdeviceptr first = gpu_allocate(sizeof source), second = gpu_allocate(sizeof source);
    fill_pattern(source, sizeof source, 4);
    REQUIRE(cuMemcpyHtoD(first, source, sizeof source));
    CUDA_MEMCPY3D_PEER copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                               .srcDevice = first,
                               .srcContext = context,
                               .srcPitch = 16,
                               .srcHeight = 2,
                               .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                               .dstDevice = second,
                               .dstContext = context,
                               .dstPitch = 16,
                               .dstHeight = 2,
                               .WidthInBytes = 16,
                               .Height = 2,
                               .Depth = 2};
    EXPECT(CUDA_SUCCESS, cuMemcpy3DPeer(&copy));
    REQUIRE(cuMemcpyDtoH(back, second, sizeof back));
    CHECK(memcmp(source, back, sizeof back) == 0);
    REQUIRE(cuMemsetD8(second, 0, sizeof back));
    EXPECT(CUDA_SUCCESS, cuMemcpy3DPeerAsync(&copy, NULL));
    REQUIRE(cuMemcpyDtoH(back, second, sizeof back));
    CHECK(memcmp(source, back, sizeof back) == 0);
    REQUIRE(cuMemFree(first));
    REQUIRE(cuMemFree(second));
}

static void refused(void)
{
    static uint8_t host[4096];
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4096);
    const CUDA_MEMCPY3D good = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                                .srcHost = host,
                                .srcPitch = 16,
                                .srcHeight = 4,
                                .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                                .dstDevice = memory,
                                .dstPitch = 16,
                                .dstHeight = 4,
                                .WidthInBytes = 16,
                                .Height = 4,
                                .Depth = 4};
    CUDA_MEMCPY3D bad = good;
    EXPECT(CUDA_SUCCESS, cuMemcpy3D(&good));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpy3D(NULL));
    bad.srcPitch = 15;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpy3D(&bad));
    bad = good;
    bad.dstXInBytes = 1;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpy3D(&bad));
    bad = good;
    bad.srcHeight = 3;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpy3D(&bad));
    bad = good;
    bad.srcMemoryType = (CUmemorytype)9;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpy3D(&bad));
    bad = good;
    bad.srcHost = NULL;
    NOTE(cuMemcpy3D(&bad));
    bad = good;
    bad.srcLOD = 1; /* not looked at */
    EXPECT(CUDA_SUCCESS, cuMemcpy3D(&bad));
    bad = good;
    bad.reserved0 = host;
    EXPECT(CUDA_SUCCESS, cuMemcpy3D(&bad));
    bad = good;
    bad.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    NOTE(cuMemcpy3D(&bad));
    bad = good;
    bad.Depth = 0;
    NOTE(cuMemcpy3D(&bad));
    bad = good;
    bad.dstDevice = 0x1000;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpy3D(&bad));
    REQUIRE(cuMemFree(memory));
}

static void batches(void)
{
    enum { COUNT = 5, BYTES = 3000 };
    static uint8_t source[COUNT][BYTES], back[COUNT][BYTES];
    CUdeviceptr to[COUNT], from[COUNT], again[COUNT];
    size_t sizes[COUNT], failed = 77, first = 0;
    CUmemcpyAttributes attributes = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
    CUstream stream;
    gpu_use();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    fill_pattern(source, sizeof source, 5);
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = BYTES - (size_t)i * 100;
        to[i] = gpu_allocate(BYTES);
        from[i] = (CUdeviceptr)(uintptr_t)source[i];
        again[i] = (CUdeviceptr)(uintptr_t)back[i];
    }
    EXPECT(CUDA_SUCCESS, cuMemcpyBatchAsync(to, from, sizes, COUNT, &attributes, &first, 1, &failed, stream));
    attributes.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_ANY;
    EXPECT(CUDA_SUCCESS, cuMemcpyBatchAsync_v2(again, to, sizes, COUNT, &attributes, &first, 1, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    for (int i = 0; i < COUNT; i++)
        CHECK(memcmp(source[i], back[i], sizes[i]) == 0);
    NOTE(cuMemcpyBatchAsync_v2(again, to, sizes, COUNT, &attributes, &first, 1, NULL));
    NOTE(cuMemcpyBatchAsync(NULL, to, sizes, COUNT, &attributes, &first, 1, &failed, stream));
    NOTE(cuMemcpyBatchAsync(again, to, sizes, 0, &attributes, &first, 1, &failed, stream));
    NOTE(cuMemcpyBatchAsync(again, to, sizes, COUNT, &attributes, &first, 0, &failed, stream));
    attributes.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_INVALID;
    NOTE(cuMemcpyBatchAsync(again, to, sizes, COUNT, &attributes, &first, 1, &failed, stream));
    attributes.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
    sizes[2] = 0;
    NOTE(cuMemcpyBatchAsync(again, to, sizes, COUNT, &attributes, &first, 1, &failed, stream));
    REQUIRE(cuStreamSynchronize(stream));
    for (int i = 0; i < COUNT; i++)
        REQUIRE(cuMemFree(to[i]));
    REQUIRE(cuStreamDestroy(stream));
}

static void batches_of_boxes(void)
{
    enum { WIDTH = 8, HEIGHT = 6, DEPTH = 3 };
    float source[DEPTH][HEIGHT][WIDTH], back[DEPTH][HEIGHT][WIDTH];
    CUarray array;
    CUstream stream;
    gpu_use();
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {
        .Width = WIDTH, .Height = HEIGHT, .Depth = DEPTH, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
    REQUIRE(cuArray3DCreate(&array, &descriptor));
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    fill_pattern(source, sizeof source, 6);
    memset(back, 0, sizeof back);
    CUmemcpy3DOperand in_memory = {
        .type = CU_MEMCPY_OPERAND_TYPE_POINTER,
        .op.ptr = {.ptr = (CUdeviceptr)(uintptr_t)source, .rowLength = WIDTH, .layerHeight = HEIGHT}};
    CUmemcpy3DOperand in_array = {.type = CU_MEMCPY_OPERAND_TYPE_ARRAY, .op.array = {.array = array}};
    CUDA_MEMCPY3D_BATCH_OP operation = {.src = in_memory,
                                        .dst = in_array,
                                        .extent = {WIDTH, HEIGHT, DEPTH},
                                        .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
    EXPECT(CUDA_SUCCESS, cuMemcpy3DBatchAsync_v2(1, &operation, 0, stream));
    in_memory.op.ptr.ptr = (CUdeviceptr)(uintptr_t)back;
    operation.src = in_array;
    operation.dst = in_memory;
    operation.src.op.array.offset = (CUoffset3D){2, 1, 1};
    operation.extent = (CUextent3D){WIDTH - 2, HEIGHT - 1, DEPTH - 1};
    EXPECT(CUDA_SUCCESS, cuMemcpy3DBatchAsync_v2(1, &operation, 0, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    for (int z = 0; z < DEPTH - 1; z++)
        for (int y = 0; y < HEIGHT - 1; y++)
            for (int x = 0; x < WIDTH - 2; x++)
                CHECK(back[z][y][x] == source[z + 1][y + 1][x + 2]);
    NOTE(cuMemcpy3DBatchAsync_v2(0, &operation, 0, stream));
    NOTE(cuMemcpy3DBatchAsync_v2(1, NULL, 0, stream));
    NOTE(cuMemcpy3DBatchAsync_v2(1, &operation, 0, NULL));
    operation.extent.width = 0;
    NOTE(cuMemcpy3DBatchAsync_v2(1, &operation, 0, stream));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuArrayDestroy(array));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CASE(every_way),
        CASE(every_way_asynchronously),
        CASE(large),
        CASE(unified),
        CASE(between_peers),
        CASE(captured),
        CASE(refused),
        CASE(batches),
        CASE(batches_of_boxes),
    };
    return suite_main("box", cases, COUNT_OF(cases), argc, argv);
}
