/* vgpu-worker: executes the CUDA calls of one guest process on the real driver.
 *
 * vgpud starts one for each guest process, with the guest's connection, a control socket and the grant page
 * (wire/grant.h). The main thread greets the guest and then serves its connection; each thread of the guest
 * has a lane, and each lane a thread here (lane.c); one thread gives the GPU back when the daemon asks
 * (gate.c), and one listens to the daemon. When the guest goes, or the daemon does, the process ends, and the
 * driver frees everything that was the guest's. */
#include <dlfcn.h>
#include <errno.h>
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
#include "wire/grant.h"
#include "wire/handshake.h"
#include "worker/connection.h"
#include "worker/driver_ioctl.h"
#include "worker/gate.h"
#include "worker/host_memory.h"
#include "worker/lane.h"
#include "worker/meeting.h"
#include "worker/serve.h"
#include "worker/vm.h"

static const char *option(int argc, char **argv, const char *name)
{
    size_t length = strlen(name);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            return argv[i] + length + 1;
    return NULL;
}

static void tell_daemon(enum control_type type, const char *text)
{
    struct control_message message = {.type = type};
    snprintf(message.text, sizeof message.text, "%s", text);
    (void)send(WORKER_FD_CONTROL, &message, sizeof message, MSG_NOSIGNAL);
}

/* Cannot serve: the guest and the daemon are told why. */
__attribute__((noreturn)) static void give_up(const char *text)
{
    log_error("%s", text);
    connection_refuse(WORKER_FD_GUEST, HANDSHAKE_NO_DRIVER, text);
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
    settings_destroy(settings);
}

int main(int argc, char **argv)
{
    const char *driver_path = option(argc, argv, "--driver");
    if (driver_path == NULL || option(argc, argv, "--vm") == NULL || option(argc, argv, "--gpu") == NULL) {
        fprintf(stderr, "vgpu-worker: started by vgpud, not by hand\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    configure();
    host_memory_offer_process();
    load_driver(driver_path);
    meeting_open();
    pthread_t thread;
    if (!vm_bind(WORKER_FD_VM) || !gate_open(WORKER_FD_GRANT, WORKER_FD_CONTROL) ||
        pthread_create(&thread, NULL, listen_to_daemon, NULL) != 0)
        give_up("the host cannot start another worker");
    if (!connection_greet(WORKER_FD_GUEST))
        return 1;
    tell_daemon(CONTROL_READY, "");
    connection_serve();
    /* The guest has gone: no destructor of ours or the driver's has anything left to save. */
    _exit(0);
}
