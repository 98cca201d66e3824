/* vgpu-worker: executes the CUDA calls of one guest process on the real driver.
 *
 * vgpud starts it with a control socket and the grant page (wire/grant.h), and says by CONTROL_SERVE which
 * guest it is for: at once, or, when it was started as a spare, once one has come; by then the driver is
 * loaded and a context made. The main thread greets the guest and then serves its connection; each thread of
 * the guest has a lane, and each lane a thread here (lane.c); one thread gives the GPU back when the daemon
 * asks (gate.c), and one listens to the daemon. When the guest goes, or the daemon does, the process ends,
 * and the driver frees everything that was the guest's. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/settings.h"
#include "driver_api.h"
#include "wire/control.h"
#include "wire/grant.h"
#include "wire/handshake.h"
#include "worker/connection.h"
#include "worker/device_text.h"
#include "worker/driver_ioctl.h"
#include "worker/gate.h"
#include "worker/host_memory.h"
#include "worker/image_store.h"
#include "worker/lane.h"
#include "worker/meeting.h"
#include "worker/serve.h"
#include "worker/shared_memory.h"
#include "worker/vm.h"
#include "worker/warm_context.h"

static char *option(int argc, char **argv, const char *name)
{
    size_t length = strlen(name);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            return argv[i] + length + 1;
    return NULL;
}

static void tell_daemon_with(enum control_type type, uint64_t value, const char *text)
{
    struct control_message message = {.type = type, .value = value};
    snprintf(message.text, sizeof message.text, "%s", text);
    (void)send(WORKER_FD_CONTROL, &message, sizeof message, MSG_NOSIGNAL);
}

static void tell_daemon(enum control_type type, const char *text)
{
    tell_daemon_with(type, 0, text);
}

/* Cannot serve: the daemon is told why, and tells the guest. */
__attribute__((noreturn)) static void give_up(const char *text)
{
    tell_daemon(CONTROL_FAILED, text);
    _exit(1);
}

/* The daemon's words; its end is ours. */
static void *listen_to_daemon(void *unused)
{
    for (;;) {
        struct control_message message;
        ssize_t got = recv(WORKER_FD_CONTROL, &message, sizeof message, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            connection_end("the host's vgpud has stopped; CUDA calls fail from now on");
        if (got == (ssize_t)sizeof message && message.type == CONTROL_BESIDE)
            gate_set_beside_us(message.value);
        if (got == (ssize_t)sizeof message && message.type == CONTROL_END) {
            message.text[sizeof message.text - 1] = '\0';
            connection_end(message.text);
        }
    }
    return unused;
}

/* driver_ioctl.c says no to it, but where the hardware itself walks the page tables there is nothing to say
 * no to. */
static void warn_of_pageable_access(void)
{
    CUdevice device;
    int reaches = 0;
    if (driver.cuDeviceGet(&device, 0) == CUDA_SUCCESS &&
        driver.cuDeviceGetAttribute(&reaches, CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, device) ==
            CUDA_SUCCESS &&
        reaches)
        log_warning(
            "this GPU reaches all memory of the processes that use it: kernels of a guest can read and "
            "change their own worker (load nvidia-uvm with uvm_disable_hmm=1 where that helps)");
}

static void load_driver(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        char text[240];
        snprintf(text, sizeof text, "the host's GPU driver cannot be loaded: %.180s", dlerror());
        give_up(text);
    }
    driver_ioctl_follow(library);
    driver_api_load(library);
    if (driver.cuInit == NULL || driver.cuCtxSynchronize == NULL || driver.cuMemHostRegister_v2 == NULL)
        give_up("the host's libcuda.so.1 lacks functions that vgpu needs: install driver 525 or newer");
    CUresult result = driver.cuInit(0);
    if (result != CUDA_SUCCESS)
        log_error("cuInit on the host returned %d", (int)result);
    serve_set_init_result(result);
    if (result == CUDA_SUCCESS)
        warn_of_pageable_access();
}

static void configure(void)
{
    struct settings *settings;
    struct vgpu_error error;
    if (settings_load(&settings, NULL, &error) != VGPU_OK)
        give_up(error.message);
    log_init("vgpu-worker", (enum log_level)settings_choice(settings, SETTING_LOG_LEVEL));
    lane_set_spin_us((uint64_t)settings_integer(settings, SETTING_SPIN_US));
    image_store_open(settings_text(settings, SETTING_RUN_DIR),
                     settings_size_bytes(settings, SETTING_IMAGE_STORE));
    settings_destroy(settings);
}

static void warm_up(void)
{
    CUresult result = serve_init_result();
    if (result == CUDA_SUCCESS)
        result = warm_context_make();
    if (result != CUDA_SUCCESS) {
        const char *name = NULL;
        char text[200];
        driver.cuGetErrorName(result, &name);
        snprintf(text, sizeof text, "a context cannot be made beforehand: %.100s",
                 name != NULL ? name : "unknown error");
        give_up(text);
    }
    tell_daemon(CONTROL_WARM, "");
}

/* Waits for the guest; vm_argument is where its VM's name goes. Returns the descriptor of the VM's page. */
static int await_guest(char *vm_argument)
{
    struct control_message message;
    int fds[CONTROL_FDS_MAX];
    size_t fd_count;
    if (control_receive_fds(WORKER_FD_CONTROL, &message, fds, &fd_count) != 1 ||
        message.type != CONTROL_SERVE || (fd_count != SERVE_FDS && fd_count != SERVE_FDS_WINDOW))
        _exit(0); /* the daemon has gone, or has no use for this worker any more */
    message.text[sizeof message.text - 1] = '\0';
    size_t room = strlen(vm_argument);
    memset(vm_argument, 0, room);
    memcpy(vm_argument, message.text, strnlen(message.text, room));
    if (dup3(fds[SERVE_FD_GUEST], WORKER_FD_GUEST, O_CLOEXEC) < 0)
        give_up("the host cannot take another guest process");
    close(fds[SERVE_FD_GUEST]);
    if (fd_count == SERVE_FDS_WINDOW &&
        !shared_memory_bind_window(fds[SERVE_FD_WINDOW], fds[SERVE_FD_WINDOW_TABLE], (uint32_t)message.value))
        give_up("the VM's window cannot be opened on the host");
    tell_daemon(CONTROL_TAKEN, "");
    return fds[SERVE_FD_VM];
}

/* So that nothing of the driver's takes the number before the guest does. */
static void keep_guest_number(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fd != WORKER_FD_GUEST) {
        dup3(fd, WORKER_FD_GUEST, O_CLOEXEC);
        close(fd);
    }
}

int main(int argc, char **argv)
{
    const char *driver_path = option(argc, argv, "--driver");
    char *vm_argument = option(argc, argv, "--vm");
    if (driver_path == NULL || vm_argument == NULL || option(argc, argv, "--gpu") == NULL) {
        fprintf(stderr, "vgpu-worker: started by vgpud, not by hand\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1); /* for all threads to come: their short sleeps are short */
    keep_guest_number();
    configure();
    host_memory_offer_process();
    meeting_open(); /* takes milliseconds once there are threads */
    if (!device_text_open())
        give_up("the host is out of memory");
    load_driver(driver_path);
    if (strcmp(argv[argc - 2], "--warm") == 0)
        warm_up();
    int vm_fd = await_guest(vm_argument);
    pthread_t thread;
    if (!vm_bind(vm_fd) || !gate_open(WORKER_FD_GRANT, WORKER_FD_CONTROL) ||
        pthread_create(&thread, NULL, listen_to_daemon, NULL) != 0)
        give_up("the host cannot start another worker");
    if (!connection_greet(WORKER_FD_GUEST))
        return 1;
    tell_daemon_with(CONTROL_READY, shared_memory_in_window(), "");
    connection_serve();
    /* The guest has gone: no destructor of ours or the driver's has anything left to save. */
    _exit(0);
}
