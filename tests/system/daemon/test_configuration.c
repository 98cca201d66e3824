/* What administrators do while vgpud runs, and what guests are told. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include <cmocka.h>

static void expect_refusal(int guest, enum handshake_status status, const char *text)
{
    struct server_welcome welcome = guest_welcome(guest);
    assert_int_equal(welcome.status, status);
    if (!strstr(welcome.text, text))
        fail_msg("'%s' does not say '%s'", welcome.text, text);
    guest_expect_end(guest);
}

static void set_gpu_status(struct fixture *fixture, int gpu_id, enum vgpu_gpu_status status)
{
    struct vgpu_error err;
    struct vgpu_gpu gpu;
    assert_int_equal(vgpu_get_gpu(fixture->vgpu, gpu_id, &gpu, &err), VGPU_OK);
    gpu.status = status;
    snprintf(gpu.reason, sizeof gpu.reason, "%s", status == VGPU_GPU_ONLINE ? "" : "it fell out");
    assert_int_equal(vgpu_register_gpu(fixture->vgpu, &gpu, NULL, &err), VGPU_OK);
}

static void vms_come_and_go(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_error err;
    fixture->options[0] = "--quantum=60s";
    daemon_start(fixture);
    assert_int_equal(guest_try_connect(fixture, "abc123"), -1);
    assert_int_equal(errno, ENOENT);
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    int guest = guest_open(fixture, "abc123"); /* the socket is there when register-vm returns */
    assert_int_equal(vgpu_remove_vm(fixture->vgpu, "abc123", NULL, &err), VGPU_OK);
    assert_int_equal(guest_try_connect(fixture, "abc123"), -1);
    assert_int_equal(errno, ENOENT);
    guest_expect(guest, "end VM abc123 is not registered any more; ask the host's administrator");
    guest_expect_end(guest);

    /* It comes back while its last process is still ending. */
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    guest = guest_open(fixture, "abc123");
    guest_command(guest, "Iw");
    guest_expect(guest, "held");
    assert_int_equal(vgpu_remove_vm(fixture->vgpu, "abc123", NULL, &err), VGPU_OK);
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    int next = guest_open(fixture, "abc123");
    guest_command(next, "w");
    guest_expect(guest, "contended");
    close(guest);
    guest_expect(next, "held");
    close(next);
}

/* As psql, sqlite3 or an administrator whose tools know another run directory. */
static void changes_of_others_are_seen(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_error err;
    struct vgpu *other;
    daemon_start(fixture);
    const struct vgpu_options options = {.config_file = "/dev/null",
                                         .state_dir = fixture->state_dir,
                                         .run_dir = "/nonexistent",
                                         .driver = "nvidia"};
    assert_int_equal(vgpu_open(&options, &other, &err), VGPU_OK);
    const struct vgpu_vm_registration vm = {.vm_uuid = "abc123", .pool = 'A'};
    assert_int_equal(vgpu_register_vm(other, &vm, NULL, &err), VGPU_OK);
    int guest = -1;
    for (int tries = 0; guest < 0 && tries < 4000; tries++) {
        usleep(5000);
        guest = guest_try_connect(fixture, "abc123");
    }
    guest_knock(guest);
    assert_int_equal(guest_welcome(guest).status, HANDSHAKE_OK);
    close(guest);
    vgpu_close(other);
}

static void a_pool_without_gpu_refuses_in_words(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_error err;
    assert_int_equal(vgpu_assign_gpu_to_pools(fixture->vgpu, 0, "", &err), VGPU_OK);
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    expect_refusal(guest_connect(fixture, "abc123"), HANDSHAKE_NO_GPU, "VM abc123: pool A has no GPU");
    assert_int_equal(vgpu_assign_gpu_to_pool(fixture->vgpu, 0, 'A', &err), VGPU_OK);
    close(guest_open(fixture, "abc123"));
}

/* The answer must reach a guest that has said hello already, which the daemon never reads. */
static void a_refusal_survives_an_unread_hello(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_error err;
    struct guest_hello hello = {.magic = HANDSHAKE_MAGIC};
    assert_int_equal(vgpu_assign_gpu_to_pools(fixture->vgpu, 0, "", &err), VGPU_OK);
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    for (int i = 0; i < 20; i++) {
        int guest = guest_connect(fixture, "abc123");
        assert_int_equal(send(guest, &hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
        expect_refusal(guest, HANDSHAKE_NO_GPU, "no GPU");
    }
}

static void a_gpu_that_vanishes_ends_its_guests_in_words(void **state)
{
    struct fixture *fixture = *state;
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "other", 'B', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int guest = guest_open(fixture, "abc123");
    int other = guest_open(fixture, "other");
    guest_command(guest, "w");
    guest_expect(guest, "held");
    set_gpu_status(fixture, 0, VGPU_GPU_OFFLINE);
    guest_expect(guest, "end GPU 0 is not online any more: it fell out; ask the host's administrator");
    guest_expect_end(guest);
    expect_refusal(guest_connect(fixture, "abc123"), HANDSHAKE_NO_GPU, "it fell out");
    set_gpu_status(fixture, 0, VGPU_GPU_ONLINE);
    guest = guest_open(fixture, "abc123");
    guest_command(guest, "w");
    guest_expect(guest, "held");
    close(guest);
    guest_command(other, "w"); /* did not notice */
    guest_expect(other, "held");
    close(other);
}

static size_t gpus_with(struct fixture *fixture, enum vgpu_gpu_status status)
{
    struct vgpu_error err;
    struct vgpu_gpu *gpus;
    size_t count;
    size_t found = 0;
    assert_int_equal(vgpu_list_gpus(fixture->vgpu, 0, &gpus, &count, &err), VGPU_OK);
    for (size_t i = 0; i < count; i++)
        found += gpus[i].status == status;
    vgpu_free(gpus);
    return found;
}

static void gpus_wait(struct fixture *fixture, size_t online, size_t offline)
{
    for (int tries = 0;
         gpus_with(fixture, VGPU_GPU_ONLINE) != online || gpus_with(fixture, VGPU_GPU_OFFLINE) != offline;
         tries++) {
        if (tries == 4000)
            fail_msg("the daemon does not see what GPUs there are");
        usleep(5000);
    }
}

static void the_daemon_looks_for_gpus_itself(void **state)
{
    struct fixture *fixture = *state;
    char directory[128];
    char path[160];
    snprintf(directory, sizeof directory, "VGPU_SIMULATED_DIR=%s", fixture->dir);
    snprintf(path, sizeof path, "%s/libnvidia-ml.so.1", fixture->dir);
    const char *nvml = getenv("TEST_NVML");
    assert_non_null(nvml);
    assert_int_equal(symlink(nvml ? nvml : "", path), 0);
    snprintf(path, sizeof path, "%s/libcuda.so.1", fixture->dir); /* vgpud never loads that */
    close(open(path, O_CREAT | O_WRONLY, 0600));
    fixture->environment[2] = directory;
    fixture->options[0] = "--driver=simulated";
    fixture->options[1] = "--gpu_rescan=50ms";
    fixture->environment[0] = "VGPU_SIM_GPUS=3";
    fixture->environment[1] = "VGPU_SIM_HIDE=";
    daemon_start(fixture);
    gpus_wait(fixture, 3, 2); /* the two of the fixture are not there */
    assert_int_equal(daemon_stop(fixture), 0);
    fixture->environment[1] = "VGPU_SIM_HIDE=1";
    daemon_start(fixture);
    gpus_wait(fixture, 2, 3);
}

static void expect_argument(int guest, const char *argument)
{
    char line[9000];
    guest_command(guest, "a");
    assert_true(guest_line(guest, line, sizeof line));
    if (!strstr(line, argument))
        fail_msg("'%s' lacks '%s'", line, argument);
}

static void a_moved_vm_starts_new_processes_on_the_new_gpu(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_error err;
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int old = guest_open(fixture, "abc123");
    guest_command(old, "w");
    guest_expect(old, "held");
    const struct vgpu_vm_update move = {.fields = VGPU_VM_POOL, .pool = 'B'};
    assert_int_equal(vgpu_update_vm(fixture->vgpu, "abc123", &move, NULL, &err), VGPU_OK);
    int new = guest_open(fixture, "abc123");
    expect_argument(new, "--gpu=GPU-00000000-0000-0000-0000-000000000001");
    expect_argument(old, "--gpu=GPU-00000000-0000-0000-0000-000000000000"); /* goes on where it is */
    guest_command(new, "w");
    guest_expect(new, "held");
    guest_command(old, "r");
    close(old);
    close(new);
}

static bool no_processes(const json_t *state, const void *argument)
{
    return state_vm(state, argument, "processes") == 0;
}

static void guest_processes_are_limited(void **state)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--max_guests_per_vm=2";
    fixture->options[1] = "--max_guests=3";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "def456", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int first = guest_open(fixture, "abc123");
    int second = guest_open(fixture, "abc123");
    expect_refusal(guest_connect(fixture, "abc123"), HANDSHAKE_BUSY, "VM abc123 has 2 guest processes");
    int third = guest_open(fixture, "def456");
    expect_refusal(guest_connect(fixture, "def456"), HANDSHAKE_BUSY, "the host serves 3 guest processes");
    close(first);
    close(second);
    admin_wait(fixture, no_processes, "abc123");
    close(guest_open(fixture, "def456"));
    close(third);
}

static void workers_get_what_they_need_and_no_more(void **state)
{
    struct fixture *fixture = *state;
    char line[9000];
    fixture->environment[0] = "VGPU_SIM_GPUS=2";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int guest = guest_open(fixture, "abc123");
    expect_argument(guest,
                    " --driver=libcuda.so.1 --gpu=GPU-00000000-0000-0000-0000-000000000000 --vm=abc123");
    guest_command(guest, "e");
    assert_true(guest_line(guest, line, sizeof line));
    assert_non_null(strstr(line, " CUDA_VISIBLE_DEVICES=GPU-00000000-0000-0000-0000-000000000000"));
    assert_non_null(strstr(line, " CUDA_DEVICE_ORDER=PCI_BUS_ID"));
    assert_non_null(strstr(line, " VGPU_SIM_GPUS=2"));
    assert_non_null(strstr(line, " PATH="));
    assert_null(strstr(line, "SECRET"));
    assert_null(strstr(line, "NOTIFY_SOCKET"));
    close(guest);
}

static void a_worker_that_cannot_start_is_said_to_the_guest(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment[0] = "VGPU_DEBUG_FAKE_WORKER=crash-at-start";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    expect_refusal(guest_connect(fixture, "abc123"), HANDSHAKE_NO_DRIVER, "was ended by signal 6");
    assert_int_equal(daemon_stop(fixture), 0);
    fixture->environment[0] = "VGPU_WORKER=/dev/null"; /* is there, and cannot be run */
    daemon_start(fixture);
    expect_refusal(guest_connect(fixture, "abc123"), HANDSHAKE_BUSY, "could not start a worker");
}

static void descriptors_limit(const struct fixture *fixture, rlim_t soft)
{
    struct rlimit limit;
    assert_int_equal(prlimit(fixture->daemon, RLIMIT_NOFILE, NULL, &limit), 0);
    limit.rlim_cur = soft ? soft : limit.rlim_max;
    assert_int_equal(prlimit(fixture->daemon, RLIMIT_NOFILE, &limit, NULL), 0);
}

static void running_out_of_descriptors_is_survived(void **state)
{
    struct fixture *fixture = *state;
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    descriptors_limit(fixture, 3);
    int guest = guest_connect(fixture, "abc123");
    while (!daemon_has_logged(fixture, "cannot accept a connection now"))
        usleep(5000);
    descriptors_limit(fixture, 0);
    assert_int_equal(guest_welcome(guest).status, HANDSHAKE_OK); /* it was kept waiting, not lost */
    close(guest);
}

/* A port that nobody else gets while *reserved, to be closed, is open; whoever says SO_REUSEADDR may listen
 * there. */
static int free_port(int *reserved)
{
    const int yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    *reserved = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(*reserved, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    assert_int_equal(bind(*reserved, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(*reserved, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

static int tcp_connect(int port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void who_reaches_a_tcp_port_is_its_vm(void **state)
{
    struct fixture *fixture = *state;
    struct guest_hello hello = {.magic = HANDSHAKE_MAGIC};
    char option[128];
    int reserved[2];
    int known = free_port(&reserved[0]);
    int unknown = free_port(&reserved[1]);
    snprintf(option, sizeof option, "--listen_tcp=127.0.0.1:%d=abc123, 127.0.0.1:%d=nobody", known, unknown);
    fixture->options[0] = option;
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int guest = tcp_connect(known);
    guest_knock(guest);
    assert_int_equal(guest_welcome(guest).status, HANDSHAKE_OK);
    expect_argument(guest, "--vm=abc123");
    close(guest);
    guest = tcp_connect(unknown);
    assert_int_equal(send(guest, &hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
    expect_refusal(guest, HANDSHAKE_NO_VM, "nobody is no registered VM");
    close(reserved[0]);
    close(reserved[1]);
}

static void an_unknown_cid_is_refused_in_words(void **state)
{
    struct fixture *fixture = *state;
    char option[64];
    unsigned port = 20000u + (unsigned)getpid();
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = port, .svm_cid = VMADDR_CID_LOCAL};
    int guest = socket(AF_VSOCK, SOCK_STREAM, 0);
    int probe = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (guest < 0 || bind(probe, (struct sockaddr *)&address, sizeof address) < 0)
        skip(); /* this kernel has no vsock, or none within itself */
    close(probe);
    snprintf(option, sizeof option, "--listen_vsock_port=%u", port);
    fixture->options[0] = option;
    daemon_start(fixture);
    assert_int_equal(connect(guest, (struct sockaddr *)&address, sizeof address), 0);
    expect_refusal(guest, HANDSHAKE_NO_VM, "vsock CID 1 is no registered VM");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(vms_come_and_go),
        TEST(changes_of_others_are_seen),
        TEST(a_pool_without_gpu_refuses_in_words),
        TEST(a_refusal_survives_an_unread_hello),
        TEST(a_gpu_that_vanishes_ends_its_guests_in_words),
        TEST(the_daemon_looks_for_gpus_itself),
        TEST(a_moved_vm_starts_new_processes_on_the_new_gpu),
        TEST(guest_processes_are_limited),
        TEST(workers_get_what_they_need_and_no_more),
        TEST(a_worker_that_cannot_start_is_said_to_the_guest),
        TEST(running_out_of_descriptors_is_survived),
        TEST(who_reaches_a_tcp_port_is_its_vm),
        TEST(an_unknown_cid_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
