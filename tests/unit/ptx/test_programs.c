/* What a real compiler makes of ordinary kernels (programs/programs.cu): plain, with fast arithmetic, and
 * unoptimised with debug information. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct ptx_module *module;

static int load(void **state)
{
    char path[4096];
    const char *folder = getenv("PTX_PROGRAMS");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "programs", (const char *)*state);
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    size_t room = 1 << 20;
    char *text = calloc(1, room);
    assert_non_null(text);
    size_t bytes = fread(text, 1, room - 1, file);
    fclose(file);
    assert_true(bytes > 0);
    module = compile(text);
    free(text);
    return 0;
}

static int unload(void **state)
{
    module_free(module);
    return memory_fini(state);
}

static void vector_add(void **state)
{
    enum { N = 10000 };
    float *a = memory_alloc(N * 4), *b = memory_alloc(N * 4), *c = memory_alloc(N * 4);
    for (int i = 0; i < N; i++) {
        a[i] = (float)i * 0.25f;
        b[i] = (float)(N - i) * 1.1f;
    }
    struct {
        float *a, *b, *c;
        int n;
    } params = {a, b, c, N};
    struct ptx_launch launch = launch_of(module, "vector_add", (N + 255) / 256, 256, &params, sizeof params);
    run(&launch);
    for (int i = 0; i < N; i++)
        assert_true(c[i] == a[i] + b[i]);
}

static void matrix_product(void **state)
{
    enum { N = 64 };
    float *a = memory_alloc(N * N * 4), *b = memory_alloc(N * N * 4), *c = memory_alloc(N * N * 4);
    for (int i = 0; i < N * N; i++) {
        a[i] = sinf((float)i);
        b[i] = cosf((float)i * 0.7f);
    }
    struct {
        float *a, *b, *c;
        int n;
    } params = {a, b, c, N};
    struct ptx_launch launch = launch_of(module, "matrix_product", 1, 1, &params, sizeof params);
    launch.grid[0] = launch.grid[1] = N / 16;
    launch.block[0] = launch.block[1] = 16;
    run(&launch);
    for (int y = 0; y < N; y++) {
        for (int x = 0; x < N; x++) {
            float fused = 0, plain = 0;
            for (int k = 0; k < N; k++) {
                fused = fmaf(a[y * N + k], b[k * N + x], fused);
                plain += a[y * N + k] * b[k * N + x];
            }
            /* Bit for bit: products and sums are fused, in debug code too only as the compiler says. */
            assert_true(c[y * N + x] == fused || c[y * N + x] == plain);
        }
    }
}

static void reduce(void **state)
{
    enum { N = 50000 };
    float *in = memory_alloc(N * 4), *out = memory_alloc(4);
    for (int i = 0; i < N; i++)
        in[i] = (float)(i % 100);
    struct {
        float *in, *out;
        int n;
    } params = {in, out, N};
    struct ptx_launch launch = launch_of(module, "reduce", 7, 256, &params, sizeof params);
    launch.dynamic_shared_bytes = 8 * 4;
    run(&launch);
    assert_true(*out == 49.5f * N);
}

static void scan(void **state)
{
    int *data = memory_alloc(3 * 256 * 4);
    for (int i = 0; i < 3 * 256; i++)
        data[i] = i;
    struct ptx_launch launch = launch_of(module, "scan", 3, 256, &data, sizeof data);
    run(&launch);
    for (int block = 0; block < 3; block++)
        for (int i = 0, sum = 0; i < 256; i++) {
            sum += block * 256 + i;
            assert_int_equal(data[block * 256 + i], sum);
        }
}

static void histogram(void **state)
{
    enum { N = 20000 };
    uint8_t *data = memory_alloc(N);
    uint32_t *bins = memory_alloc(256 * 4), expected[256] = {0};
    for (int i = 0; i < N; i++) {
        data[i] = (uint8_t)(i * i / 7);
        expected[data[i]]++; /* cppcheck-suppress arrayIndexOutOfBounds ; overlooks that it is a byte */
    }
    struct {
        uint8_t *data;
        uint32_t *bins;
        int n;
    } params = {data, bins, N};
    struct ptx_launch launch = launch_of(module, "histogram", 5, 96, &params, sizeof params);
    run(&launch);
    assert_memory_equal(bins, expected, sizeof expected);
}

static void transpose(void **state)
{
    enum { WIDTH = 50, HEIGHT = 37 };
    double *in = memory_alloc(WIDTH * HEIGHT * 8), *out = memory_alloc(WIDTH * HEIGHT * 8);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        in[i] = i * 1.5;
    struct {
        double *in, *out;
        int width, height;
    } params = {in, out, WIDTH, HEIGHT};
    struct ptx_launch launch = launch_of(module, "transpose", 4, 16, &params, sizeof params);
    launch.grid[1] = 3;
    launch.block[1] = 16;
    run(&launch);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            assert_true(out[x * HEIGHT + y] == in[y * WIDTH + x]);
}

static void bodies(void **state)
{
    enum { N = 70 };
    float(*position)[4] = memory_alloc(N * 16), (*acceleration)[4] = memory_alloc(N * 16);
    for (int i = 0; i < N; i++)
        for (int n = 0; n < 4; n++)
            position[i][n] = sinf((float)(i * 4 + n)) + (n == 3 ? 2.0f : 0.0f);
    struct {
        void *position, *acceleration;
        int n;
    } params = {position, acceleration, N};
    struct ptx_launch launch = launch_of(module, "bodies", 3, 32, &params, sizeof params);
    run(&launch);
    for (int i = 0; i < N; i++) {
        double sum[3] = {0};
        for (int j = 0; j < N; j++) {
            double d[3], square = 0.01;
            for (int n = 0; n < 3; n++) {
                d[n] = (double)position[j][n] - (double)position[i][n];
                square += d[n] * d[n];
            }
            for (int n = 0; n < 3; n++)
                sum[n] += d[n] * (double)position[j][3] / (square * sqrt(square));
        }
        for (int n = 0; n < 3; n++)
            assert_true(fabs(sum[n] - (double)acceleration[i][n]) < 1e-3 * (1 + fabs(sum[n])));
    }
}

static void softmax(void **state)
{
    enum { ROWS = 5, COLUMNS = 77 };
    float *in = memory_alloc(ROWS * COLUMNS * 4), *out = memory_alloc(ROWS * COLUMNS * 4);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        in[i] = sinf((float)i) * 8;
    struct {
        float *in, *out;
        int columns;
    } params = {in, out, COLUMNS};
    struct ptx_launch launch = launch_of(module, "softmax", ROWS, 32, &params, sizeof params);
    run(&launch);
    for (int row = 0; row < ROWS; row++) {
        double most = -1e9, sum = 0;
        for (int i = 0; i < COLUMNS; i++)
            most = fmax(most, (double)in[row * COLUMNS + i]);
        for (int i = 0; i < COLUMNS; i++)
            sum += exp((double)in[row * COLUMNS + i] - most);
        for (int i = 0; i < COLUMNS; i++)
            assert_true(fabs((double)out[row * COLUMNS + i] -
                             exp((double)in[row * COLUMNS + i] - most) / sum) < 1e-6);
    }
}

static int fibonacci(int n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static void mixed(void **state)
{
    static const int weights[4] = {1, 10, 100, 1000};
    int *out = memory_alloc(100 * 4);
    struct {
        int *out;
        struct {
            int a;
            double b;
        } p;
        int k;
    } params = {out, {5, 2.5}, 7};
    struct ptx_launch launch = launch_of(module, "mixed", 1, 100, &params, sizeof params);
    run(&launch);
    for (int t = 0; t < 100; t++) {
        int r, k = params.k;
        switch (t % 6) {
        case 0:
            r = __builtin_popcount((unsigned)t * 77);
            break;
        case 1:
            r = t / k + t % k;
            break;
        case 2:
            r = fibonacci(k + t % 5);
            break;
        case 3:
            r = __builtin_ffs(t) * __builtin_clz((unsigned)k);
            break;
        case 4:
            r = (t >> 3) & 1 ? t * 3 : t + 1;
            break;
        default:
            r = weights[t & 3];
        }
        assert_int_equal(out[t], (t * 5 & 15) * k + r + params.p.a + t + (int)(params.p.b * t));
    }
}

static void halves(void **state)
{
    uint16_t *a = memory_alloc(64), *b = memory_alloc(128), *c = memory_alloc(64);
    int64_t *d = memory_alloc(256);
    for (int i = 0; i < 32; i++) {
        a[i] = (uint16_t)(0x4000 + i * 16); /* 2 and up */
        b[2 * i] = b[2 * i + 1] = 0x3c00;   /* 1: squared plus a half is 1.5, and 1.5 * 1.5 = 2.25 */
    }
    struct {
        void *a, *b, *c, *d;
    } params = {a, b, c, d};
    struct ptx_launch launch = launch_of(module, "halves", 1, 32, &params, sizeof params);
    run(&launch);
    for (int i = 0; i < 32; i++) {
        double sum = 2.0 + i / 32.0 + 2.25; /* 4.25 to 5.22: in steps of 2^-8, so exact */
        assert_int_equal(c[i], 0x4400 + (int)((sum - 4.0) * 256));
        assert_int_equal(d[i], (int64_t)rint(sum) * 1000003 % 97);
    }
}

static void keep(void *user, const char *text, size_t bytes, bool is_error)
{
    strncat(user, text, bytes < 100 ? bytes : 100);
}

static void print(void **state)
{
    char output[300] = "";
    int k = 3;
    struct ptx_launch launch = launch_of(module, "print", 2, 40, &k, sizeof k);
    launch.print = keep;
    launch.user = output;
    run(&launch);
    assert_string_equal(output, "thread 1 of block:  4.50\nthread 1 of block:  4.50\n");
}

#define ALL(FILE)                                                                                            \
    {"vector_add " FILE, vector_add, load, unload, (void *)FILE},                                            \
        {"matrix_product " FILE, matrix_product, load, unload, (void *)FILE},                                \
        {"reduce " FILE, reduce, load, unload, (void *)FILE},                                                \
        {"scan " FILE, scan, load, unload, (void *)FILE},                                                    \
        {"histogram " FILE, histogram, load, unload, (void *)FILE},                                          \
        {"transpose " FILE, transpose, load, unload, (void *)FILE},                                          \
        {"bodies " FILE, bodies, load, unload, (void *)FILE},                                                \
        {"softmax " FILE, softmax, load, unload, (void *)FILE},                                              \
        {"mixed " FILE, mixed, load, unload, (void *)FILE},                                                  \
        {"halves " FILE, halves, load, unload, (void *)FILE},                                                \
    {                                                                                                        \
        "print " FILE, print, load, unload, (void *)FILE                                                     \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {ALL("programs-75.ptx"), ALL("programs-90.ptx"),
                                       ALL("programs-debug.ptx")};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
