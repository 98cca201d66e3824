#include "base/prefix.h"
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *folder;

static int enter(void **state)
{
    folder = scratch_enter();
    unsetenv("VGPU_WORKER");
    unsetenv("VGPU_GUEST_DIR");
    unsetenv("VGPU_SIMULATED_DIR");
    return 0;
}

static int leave(void **state)
{
    scratch_leave();
    return 0;
}

/* Looks for item from a program at folder/program; expects folder/expected, or nothing where NULL. */
static void expect(const char *program, enum prefix_item item, const char *expected)
{
    char program_path[PATH_MAX], path[PATH_MAX], expected_path[PATH_MAX];
    struct vgpu_error err = {0};
    snprintf(program_path, sizeof program_path, "%s/%s", folder, program);
    enum vgpu_status status = prefix_find_from(program_path, item, path, &err);
    if (expected == NULL) {
        assert_int_equal(status, VGPU_ERR_NOT_FOUND);
        assert_int_equal(err.status, VGPU_ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(status, VGPU_OK);
    snprintf(expected_path, sizeof expected_path, "%s/%s", folder, expected);
    assert_string_equal(path, expected_path);
}

static void finds_everything_in_an_installation(void **state)
{
    scratch_write("opt/libexec/vgpu/vgpu-worker", "");
    scratch_write("opt/lib/vgpu/guest/libcuda.so.1", "");
    scratch_write("opt/lib/vgpu/simulated/libcuda.so.1", "");
    scratch_write("opt/lib/vgpu/simulated/libnvidia-ml.so.1", "");
    static const char *const programs[] = {"opt/bin/vgpu-admin", "opt/sbin/vgpud", "opt/lib/libvgpu.so.0",
                                           "opt/libexec/vgpu/vgpu-worker"};
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        expect(programs[i], PREFIX_WORKER, "opt/libexec/vgpu/vgpu-worker");
        expect(programs[i], PREFIX_GUEST_DIR, "opt/lib/vgpu/guest");
        expect(programs[i], PREFIX_SIMULATED_DIR, "opt/lib/vgpu/simulated");
        expect(programs[i], PREFIX_SIMULATED_CUDA, "opt/lib/vgpu/simulated/libcuda.so.1");
        expect(programs[i], PREFIX_SIMULATED_NVML, "opt/lib/vgpu/simulated/libnvidia-ml.so.1");
    }
}

static void finds_everything_in_a_build_tree(void **state)
{
    scratch_write("build/meson-private/coredata.dat", "");
    scratch_write("build/src/worker/vgpu-worker", "");
    scratch_write("build/src/guest/libcuda.so.1", "");
    scratch_write("build/src/simgpu/libnvidia-ml.so.1", "");
    expect("build/src/daemon/vgpud", PREFIX_WORKER, "build/src/worker/vgpu-worker");
    expect("build/tests/unit/base/test-prefix", PREFIX_GUEST_DIR, "build/src/guest");
    expect("build/tests/unit/base/test-prefix", PREFIX_SIMULATED_NVML, "build/src/simgpu/libnvidia-ml.so.1");
    expect("build/tests/unit/base/test-prefix", PREFIX_SIMULATED_CUDA, NULL);
}

/* Whoever can write to a folder above the prefix must not be able to offer a worker to a daemon. */
static void looks_nowhere_above_the_prefix(void **state)
{
    scratch_write("libexec/vgpu/vgpu-worker", "");
    expect("opt/sbin/vgpud", PREFIX_WORKER, NULL);
    expect("opt/other/vgpud", PREFIX_WORKER, NULL);
}

static void environment_names_it_outright(void **state)
{
    char path[PATH_MAX], expected[PATH_MAX];
    struct vgpu_error err = {0};
    scratch_write("mine/libcuda.so.1", "");
    setenv("VGPU_SIMULATED_DIR", "mine", 1);
    assert_int_equal(prefix_find(PREFIX_SIMULATED_CUDA, path, &err), VGPU_OK);
    snprintf(expected, sizeof expected, "%s/mine/libcuda.so.1", folder);
    assert_string_equal(path, expected);
    assert_int_equal(prefix_find(PREFIX_SIMULATED_NVML, path, &err), VGPU_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "VGPU_SIMULATED_DIR"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_everything_in_an_installation, enter, leave),
        cmocka_unit_test_setup_teardown(finds_everything_in_a_build_tree, enter, leave),
        cmocka_unit_test_setup_teardown(looks_nowhere_above_the_prefix, enter, leave),
        cmocka_unit_test_setup_teardown(environment_names_it_outright, enter, leave),
    };
    return cmocka_run_group_tests_name("prefix", tests, NULL, NULL);
}
