#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 60000

static struct sockaddr_un socket_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    return address;
}

static int socket_bound(const char *path, int type)
{
    struct sockaddr_un address = socket_address(path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void readable_wait(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, PATIENCE_MS) != 1)
        fail_msg("nothing came within %d ms", PATIENCE_MS);
}

static void gpu_register(struct fixture *fixture, int id)
{
    struct vgpu_error err;
    struct vgpu_gpu gpu = {.gpu_id = id, .status = VGPU_GPU_ONLINE};
    snprintf(gpu.gpu_uuid, sizeof gpu.gpu_uuid, "GPU-00000000-0000-0000-0000-00000000000%d", id);
    snprintf(gpu.gpu_name, sizeof gpu.gpu_name, "Test GPU");
    snprintf(gpu.pci_address, sizeof gpu.pci_address, "0000:0%d:00.0", id + 1);
    if (vgpu_register_gpu(fixture->vgpu, &gpu, NULL, &err) != VGPU_OK ||
        vgpu_assign_gpu_to_pool(fixture->vgpu, id, (char)('A' + id), &err) != VGPU_OK)
        fail_msg("%s", err.message);
}

int fixture_setup(void **state)
{
    struct vgpu_error err;
    char path[128];
    struct fixture *fixture = calloc(1, sizeof *fixture);
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/vgpud-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    snprintf(fixture->run_dir, sizeof fixture->run_dir, "%s/run", fixture->dir);
    snprintf(fixture->state_dir, sizeof fixture->state_dir, "%s/state", fixture->dir);
    snprintf(fixture->log_path, sizeof fixture->log_path, "%s/log", fixture->dir);
    snprintf(path, sizeof path, "%s/notify", fixture->dir);
    fixture->notify_fd = socket_bound(path, SOCK_DGRAM);
    const struct vgpu_options options = {.config_file = "/dev/null",
                                         .state_dir = fixture->state_dir,
                                         .run_dir = fixture->run_dir,
                                         .driver = "nvidia"};
    if (vgpu_open(&options, &fixture->vgpu, &err) != VGPU_OK)
        fail_msg("%s", err.message);
    gpu_register(fixture, 0);
    gpu_register(fixture, 1);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[128];
    int status = fixture->daemon ? daemon_stop(fixture) : 0;
    vgpu_close(fixture->vgpu);
    close(fixture->notify_fd);
    if (status)
        fprintf(stderr, "vgpud ended with %d; its log is %s\n", status, fixture->log_path);
    snprintf(command, sizeof command, "rm -rf '%s'", fixture->dir);
    if (!status && system(command) != 0)
        status = -1;
    free(fixture);
    return status;
}

int socket_activate(const struct fixture *fixture, const char *name)
{
    char path[200];
    mkdir(fixture->run_dir, 0755);
    snprintf(path, sizeof path, "%s/guests", fixture->run_dir);
    mkdir(path, 0711);
    snprintf(path, sizeof path, "%s/%s", fixture->run_dir, name);
    int fd = socket_bound(path, SOCK_STREAM);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

/* ---- The daemon ---- */

/* As sd_listen_fds(3) says: descriptors 3 and up, and two variables. */
static void sockets_hand_over(const struct fixture *fixture)
{
    char text[16];
    int copies[4];
    for (unsigned i = 0; i < fixture->listen_count; i++)
        copies[i] = fcntl(fixture->listen_fds[i], F_DUPFD_CLOEXEC, 100);
    for (unsigned i = 0; i < fixture->listen_count; i++)
        dup2(copies[i], 3 + (int)i);
    snprintf(text, sizeof text, "%d", (int)getpid());
    setenv("LISTEN_PID", text, 1);
    snprintf(text, sizeof text, "%u", fixture->listen_count);
    setenv("LISTEN_FDS", text, 1);
}

static char *test_program(const char *variable)
{
    char *path = getenv(variable);
    if (!path) {
        fprintf(stderr, "%s is not set: run this test through meson\n", variable);
        _exit(127);
    }
    return path;
}

static _Noreturn void daemon_exec(const struct fixture *fixture, int stderr_fd)
{
    char *arguments[32] = {test_program("TEST_VGPUD"), "--config=/dev/null", "--gpu_rescan=0",
                           "--driver=nvidia", "--log_level=debug"};
    size_t count = 5;
    char text[128];
    setenv("VGPU_RUN_DIR", fixture->run_dir, 1);
    setenv("VGPU_STATE_DIR", fixture->state_dir, 1);
    setenv("VGPU_WORKER", test_program("TEST_WORKER"), 1);
    setenv("VGPU_WARM_WORKERS", "0", 1); /* a test that wants them says so */
    snprintf(text, sizeof text, "%s/notify", fixture->dir);
    setenv("NOTIFY_SOCKET", text, 1);
    setenv("SECRET_OF_THE_DAEMON", "1", 1);
    for (size_t i = 0; fixture->environment[i]; i++)
        putenv((char *)(uintptr_t)fixture->environment[i]);
    for (size_t i = 0; fixture->options[i]; i++)
        arguments[count++] = (char *)(uintptr_t)fixture->options[i];
    dup2(stderr_fd, STDERR_FILENO);
    if (fixture->listen_count)
        sockets_hand_over(fixture);
    execv(arguments[0], arguments);
    _exit(127);
}

static void daemon_fork(struct fixture *fixture)
{
    int log_fd = open(fixture->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(log_fd >= 0);
    fixture->daemon = fork();
    assert_true(fixture->daemon >= 0);
    if (fixture->daemon == 0)
        daemon_exec(fixture, log_fd);
    close(log_fd);
}

static void log_last_line(const struct fixture *fixture, char line[1024])
{
    FILE *log = fopen(fixture->log_path, "r");
    assert_non_null(log);
    line[0] = '\0';
    while (fgets(line, 1024, log))
        ;
    fclose(log);
    line[strcspn(line, "\n")] = '\0';
}

/* Waits for something from the daemon, and fails with its last words if it ends instead. */
static void notice_wait(struct fixture *fixture)
{
    struct pollfd ready = {.fd = fixture->notify_fd, .events = POLLIN};
    for (int left_ms = PATIENCE_MS; left_ms > 0; left_ms -= 50) {
        if (poll(&ready, 1, 50) == 1)
            return;
        if (waitpid(fixture->daemon, NULL, WNOHANG) == fixture->daemon) {
            char line[1024];
            fixture->daemon = 0;
            log_last_line(fixture, line);
            fail_msg("vgpud has ended: %s", line);
        }
    }
    fail_msg("vgpud says nothing within %d ms", PATIENCE_MS);
}

void daemon_expect_notice(struct fixture *fixture, const char *state)
{
    char got[256];
    do {
        notice_wait(fixture);
        ssize_t bytes = recv(fixture->notify_fd, got, sizeof got - 1, 0);
        assert_true(bytes >= 0);
        got[bytes] = '\0';
    } while (strcmp(got, state) != 0);
}

void daemon_start(struct fixture *fixture)
{
    daemon_fork(fixture);
    daemon_expect_notice(fixture, "READY=1");
}

int daemon_wait(struct fixture *fixture)
{
    int status;
    assert_int_equal(waitpid(fixture->daemon, &status, 0), fixture->daemon);
    fixture->daemon = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

int daemon_stop(struct fixture *fixture)
{
    kill(fixture->daemon, SIGTERM);
    return daemon_wait(fixture);
}

int daemon_refuses(struct fixture *fixture, char line[1024])
{
    pid_t running = fixture->daemon;
    unlink(fixture->log_path);
    daemon_fork(fixture);
    int status = daemon_wait(fixture);
    fixture->daemon = running;
    log_last_line(fixture, line);
    return status;
}

bool daemon_has_logged(const struct fixture *fixture, const char *text)
{
    char line[2048];
    bool found = false;
    FILE *log = fopen(fixture->log_path, "r");
    assert_non_null(log);
    while (fgets(line, sizeof line, log))
        found = found || strstr(line, text);
    fclose(log);
    return found;
}

void vm_register(struct fixture *fixture, const char *vm_uuid, char pool, enum vgpu_priority priority)
{
    struct vgpu_error err;
    const struct vgpu_vm_registration vm = {.vm_uuid = vm_uuid, .pool = pool, .priority = priority};
    if (vgpu_register_vm(fixture->vgpu, &vm, NULL, &err) != VGPU_OK)
        fail_msg("%s", err.message);
}

/* ---- Guests ---- */

static int socket_connect(const char *path)
{
    struct sockaddr_un address = socket_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int guest_try_connect(const struct fixture *fixture, const char *vm_uuid)
{
    char path[200];
    snprintf(path, sizeof path, "%s/guests/%s.sock", fixture->run_dir, vm_uuid);
    return socket_connect(path);
}

void guest_knock(int guest)
{
    const char first = HANDSHAKE_MAGIC & 0xff; /* the fake worker has no use for more */
    (void)!send(guest, &first, 1, MSG_NOSIGNAL);
}

int guest_connect(const struct fixture *fixture, const char *vm_uuid)
{
    int guest = guest_try_connect(fixture, vm_uuid);
    if (guest < 0)
        fail_msg("VM %s: %s", vm_uuid, strerror(errno));
    guest_knock(guest);
    return guest;
}

struct server_welcome guest_welcome(int guest)
{
    struct server_welcome welcome;
    size_t got = 0;
    while (got < sizeof welcome) {
        readable_wait(guest);
        ssize_t bytes = read(guest, (char *)&welcome + got, sizeof welcome - got);
        assert_true(bytes > 0);
        got += (size_t)bytes;
    }
    assert_int_equal(welcome.magic, HANDSHAKE_MAGIC);
    return welcome;
}

int guest_open(const struct fixture *fixture, const char *vm_uuid)
{
    int guest = guest_connect(fixture, vm_uuid);
    struct server_welcome welcome = guest_welcome(guest);
    if (welcome.status != HANDSHAKE_OK)
        fail_msg("refused: %s", welcome.text);
    return guest;
}

void guest_command(int guest, const char *commands)
{
    assert_int_equal(write(guest, commands, strlen(commands)), (ssize_t)strlen(commands));
}

bool guest_line(int guest, char *line, size_t line_bytes)
{
    size_t used = 0;
    for (;;) {
        readable_wait(guest);
        assert_true(used < line_bytes);
        ssize_t got = recv(guest, line + used, 1, 0);
        if (got <= 0)
            return false;
        if (line[used] == '\n') {
            line[used] = '\0';
            return true;
        }
        used++;
    }
}

void guest_expect(int guest, const char *line)
{
    char got[9000] = "";
    if (!guest_line(guest, got, sizeof got))
        fail_msg("'%s' was to come, not the end", line);
    assert_string_equal(got, line);
}

void guest_await(int guest, const char *line)
{
    char got[9000] = "";
    do {
        if (!guest_line(guest, got, sizeof got))
            fail_msg("'%s' was to come, not the end", line);
    } while (strcmp(got, line) != 0 && (strcmp(got, "held") == 0 || strcmp(got, "contended") == 0));
    assert_string_equal(got, line);
}

void guest_expect_end(int guest)
{
    char got[9000] = "";
    if (guest_line(guest, got, sizeof got))
        fail_msg("the end was to come, not '%s'", got);
    close(guest);
}

void guest_expect_silence(int guest)
{
    struct pollfd ready = {.fd = guest, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 0), 0);
}

/* ---- The administrator ---- */

json_t *admin_ask(const struct fixture *fixture, const char *request)
{
    char path[200];
    json_error_t error;
    snprintf(path, sizeof path, "%s/admin.sock", fixture->run_dir);
    int fd = socket_connect(path);
    assert_true(fd >= 0);
    guest_command(fd, request);
    guest_command(fd, "\n");
    readable_wait(fd);
    json_t *answer = json_loadfd(fd, JSON_DISABLE_EOF_CHECK, &error);
    close(fd);
    if (!answer)
        fail_msg("no JSON: %s", error.text);
    return answer;
}

void admin_wait(const struct fixture *fixture, bool (*found)(const json_t *state, const void *argument),
                const void *argument)
{
    for (int left_ms = PATIENCE_MS; left_ms > 0; left_ms -= 5) {
        json_t *state = admin_ask(fixture, "{\"op\":\"state\"}");
        bool yes = found(state, argument);
        json_decref(state);
        if (yes)
            return;
        usleep(5000);
    }
    fail_msg("the daemon's state is not what it should be");
}

json_int_t state_vm(const json_t *state, const char *vm_uuid, const char *member)
{
    size_t index;
    json_t *vm;
    json_array_foreach(json_object_get(state, "vms"), index, vm)
    {
        if (strcmp(json_string_value(json_object_get(vm, "vm_uuid")), vm_uuid) == 0)
            return json_integer_value(json_object_get(vm, member));
    }
    return -1;
}
