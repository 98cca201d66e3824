#include "guest/nvml_host.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "guest/address.h"
#include "guest/diagnostics.h"
#include "guest/lock.h"
#include "wire/frame.h"
#include "wire/handshake.h"

/* As often as the host reads it. */
#define FRESH_NS UINT64_C(100000000)

/* A host that does not answer for so long is gone. */
#define PATIENCE_S 10

const char nvml_the_device[] = "the GPU of this VM";

static struct {
    struct lock lock; /* over all of it */
    unsigned users;
    int fd;           /* -1: not connected */
    pid_t owner;      /* of the connection: a forked child makes its own */
    uint64_t read_ns; /* when the answer came; 0: never */
    bool complained;
    struct nvml_state state;
} host = {.fd = -1};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void complain(const char *text)
{
    if (!host.complained)
        diagnostics_say("%s", text);
    host.complained = true;
}

/* ---- The connection; under the lock ---- */

static void hang_up(void)
{
    if (host.fd >= 0)
        close(host.fd);
    host.fd = -1;
    host.read_ns = 0;
}

static nvmlReturn_t dial(void)
{
    char why[300];
    bool can_share;
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    if (host.fd >= 0 && host.owner == getpid())
        return NVML_SUCCESS;
    hang_up();
    host.fd = address_connect(&can_share, why, sizeof why);
    if (host.fd < 0) {
        complain(why);
        return NVML_ERROR_DRIVER_NOT_LOADED;
    }
    host.owner = getpid();
    setsockopt(host.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(host.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return NVML_SUCCESS;
}

/* The host has sent its word for guest processes that it does not serve. */
static nvmlReturn_t read_refusal(void)
{
    struct server_welcome welcome;
    memcpy(&welcome, &host.state.head, sizeof welcome);
    welcome.text[sizeof welcome.text - 1] = '\0';
    complain(welcome.text);
    return NVML_ERROR_DRIVER_NOT_LOADED;
}

/* A refusal is shorter than an answer: how much to read stands in the first word. */
static nvmlReturn_t read_answer(void)
{
    uint8_t *at = (uint8_t *)&host.state.head;
    const size_t first = sizeof host.state.head.magic;
    if (frame_read(host.fd, at, first) != 0)
        return NVML_ERROR_GPU_IS_LOST;
    if (host.state.head.magic == HANDSHAKE_MAGIC)
        return frame_read(host.fd, at + first, sizeof(struct server_welcome) - first) == 0
                   ? read_refusal()
                   : NVML_ERROR_DRIVER_NOT_LOADED;
    if (host.state.head.magic != MONITOR_MAGIC ||
        frame_read(host.fd, at + first, sizeof host.state.head - first) != 0 ||
        host.state.head.process_count > MONITOR_PROCESSES_MAX)
        return NVML_ERROR_GPU_IS_LOST;
    size_t bytes = host.state.head.process_count * sizeof host.state.processes[0];
    return bytes == 0 || frame_read(host.fd, host.state.processes, bytes) == 0 ? NVML_SUCCESS
                                                                               : NVML_ERROR_GPU_IS_LOST;
}

static nvmlReturn_t ask(void)
{
    const struct monitor_question question = {.magic = MONITOR_MAGIC, .layout = NVML_FACT_LAYOUT};
    nvmlReturn_t result = dial();
    if (result != NVML_SUCCESS)
        return result;
    /* A host that refuses may have written why and closed already: what counts is what can be read. */
    (void)send(host.fd, &question, sizeof question, MSG_NOSIGNAL);
    result = read_answer();
    if (result == NVML_SUCCESS && host.state.head.status == MONITOR_OTHER_LAYOUT) {
        complain("the guest's libnvidia-ml.so.1 and the host's vgpu are of different versions: install the "
                 "same on "
                 "both");
        result = NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    }
    if (result == NVML_SUCCESS)
        host.read_ns = now_ns();
    else
        hang_up();
    return result;
}

/* A connection that the host has closed since the last question, because it was started anew, say, is no
 * reason to fail: the second attempt is over a new one. */
static nvmlReturn_t refresh(void)
{
    bool had = host.fd >= 0;
    if (host.read_ns != 0 && host.owner == getpid() && now_ns() - host.read_ns < FRESH_NS)
        return NVML_SUCCESS;
    nvmlReturn_t result = ask();
    return result == NVML_ERROR_GPU_IS_LOST && had ? ask() : result;
}

/* ---- Use ---- */

nvmlReturn_t nvml_host_begin(void)
{
    lock_take(&host.lock);
    nvmlReturn_t result = host.users > 0 ? NVML_SUCCESS : refresh();
    if (result == NVML_SUCCESS)
        host.users++;
    else if (result == NVML_ERROR_GPU_IS_LOST)
        result = NVML_ERROR_DRIVER_NOT_LOADED;
    lock_give(&host.lock);
    return result;
}

nvmlReturn_t nvml_host_end(void)
{
    nvmlReturn_t result = NVML_SUCCESS;
    lock_take(&host.lock);
    if (host.users == 0)
        result = NVML_ERROR_UNINITIALIZED;
    else if (--host.users == 0)
        hang_up();
    lock_give(&host.lock);
    return result;
}

nvmlReturn_t nvml_host_take_any(const struct nvml_state **state)
{
    lock_take(&host.lock);
    nvmlReturn_t result = host.users == 0 ? NVML_ERROR_UNINITIALIZED : refresh();
    *state = &host.state;
    if (result != NVML_SUCCESS)
        lock_give(&host.lock);
    return result;
}

nvmlReturn_t nvml_host_take(nvmlDevice_t device, const struct nvml_state **state)
{
    nvmlReturn_t result = nvml_host_check(device);
    if (result != NVML_SUCCESS)
        return result;
    result = nvml_host_take_any(state);
    if (result != NVML_SUCCESS || (*state)->head.status == MONITOR_OK)
        return result;
    result = (*state)->head.status == MONITOR_NO_GPU ? NVML_ERROR_GPU_IS_LOST : NVML_ERROR_UNKNOWN;
    nvml_host_release();
    return result;
}

void nvml_host_release(void)
{
    lock_give(&host.lock);
}

nvmlReturn_t nvml_host_check(nvmlDevice_t device)
{
    lock_take(&host.lock);
    nvmlReturn_t result = host.users == 0             ? NVML_ERROR_UNINITIALIZED
                          : device == NVML_THE_DEVICE ? NVML_SUCCESS
                                                      : NVML_ERROR_INVALID_ARGUMENT;
    lock_give(&host.lock);
    return result;
}
