#include "guest/connection.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/address.h"
#include "guest/arena.h"
#include "guest/diagnostics.h"
#include "guest/lock.h"
#include "guest/pages.h"
#include "guest/thread.h"
#include "guest/window.h"
#include "wire/handshake.h"
#include "wire/lane.h"

/*                open            worker gone
 *   UNOPENED ───────────► OPEN ───────────────► LOST
 *       │ fork in a process that was OPEN or LOST
 *       └──────────────────────► FORKED                */
enum connection_phase { PHASE_UNOPENED, PHASE_OPEN, PHASE_LOST, PHASE_FORKED };

static struct {
    _Atomic int phase; /* enum connection_phase; release when it becomes OPEN */
    int fd;
    bool shares_memory;
    struct process_shared *process; /* NULL over a stream socket */
    struct lock opening;
    struct lock exchange; /* connection_lock() */
    struct lock sending;
    _Atomic uint32_t lanes;
    _Atomic bool refusal_said;
    _Atomic int lost_result; /* CUresult, once LOST; 0: CUDA_ERROR_DEVICE_UNAVAILABLE */
} connection = {.fd = -1};

extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                             void *dso_handle);
extern void *__dso_handle;

/* Nothing keeps the window's pages for this process any longer: those in the place of its own, where it had
 * registered memory, become that again. What it has allocated through CUDA stays as it is. */
static void leave_window(void)
{
    uint64_t start, end;
    if (!window_is_open())
        return;
    arena_bounds(&start, &end);
    (void)(pages_leave_window(0, start) && pages_leave_window(end, UINT64_MAX));
}

/* The child has neither the parent's worker nor its lanes: CUDA does not survive a fork. The descriptor must
 * go, or the worker would outlive the parent. */
static void forget_in_child(void)
{
    if (atomic_load(&connection.phase) == PHASE_UNOPENED)
        return;
    leave_window(); /* nobody else is given it while the descriptor is open */
    window_close();
    if (connection.fd >= 0)
        close(connection.fd);
    connection.fd = -1;
    atomic_store(&connection.phase, PHASE_FORKED);
    thread_forget();
}

static CUresult error_of_refusal(uint32_t status)
{
    switch (status) {
    case HANDSHAKE_NO_GPU:
    case HANDSHAKE_NO_VM:
    case HANDSHAKE_QUARANTINED:
        return CUDA_ERROR_NO_DEVICE;
    case HANDSHAKE_BUSY:
        return CUDA_ERROR_DEVICE_UNAVAILABLE;
    case HANDSHAKE_VERSION_MISMATCH:
        return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
    default:
        return CUDA_ERROR_SYSTEM_NOT_READY;
    }
}

static void say_refusal(const char *text)
{
    if (!atomic_exchange(&connection.refusal_said, true))
        diagnostics_say("%s", text);
}

static void program_name(char *name, size_t bytes)
{
    FILE *file = fopen("/proc/self/comm", "re");
    memset(name, 0, bytes);
    if (file == NULL)
        return;
    size_t got = fread(name, 1, bytes - 1, file);
    fclose(file);
    if (got > 0 && name[got - 1] == '\n')
        name[got - 1] = '\0';
}

/* What goes out in one piece. */
struct greeting {
    struct guest_hello hello;
    uint8_t window_key[WINDOW_KEY_BYTES]; /* with HANDSHAKE_WINDOW */
};

static struct greeting compose_greeting(bool can_pass_descriptors)
{
    struct greeting greeting = {
        .hello = {.magic = HANDSHAKE_MAGIC, .version = HANDSHAKE_VERSION, .pid = (uint32_t)getpid()}};
    program_name(greeting.hello.program, sizeof greeting.hello.program);
    if (can_pass_descriptors)
        greeting.hello.flags = HANDSHAKE_SHARED_MEMORY;
    else if (!address_wants_stream() && window_open(greeting.window_key))
        greeting.hello.flags = HANDSHAKE_WINDOW;
    return greeting;
}

/* Greets until the worker accepts the address range or refuses. */
static CUresult greet(int fd, bool can_pass_descriptors, struct server_welcome *welcome)
{
    struct greeting greeting = compose_greeting(can_pass_descriptors);
    struct guest_hello *hello = &greeting.hello;
    bool can_share = hello->flags != 0;
    size_t bytes = hello->flags & HANDSHAKE_WINDOW ? sizeof greeting : sizeof *hello;
    for (unsigned attempt = 0; attempt < ARENA_CANDIDATES; attempt++) {
        if (can_share && !arena_reserve(attempt, &hello->arena_base, &hello->arena_bytes))
            continue;
        /* A refusing daemon may have written its welcome and closed already: what counts is what can be read.
         */
        (void)send(fd, &greeting, bytes, MSG_NOSIGNAL);
        if (frame_read(fd, welcome, sizeof *welcome) != 0) {
            say_refusal("the host closed the connection; ask its administrator to look at vgpud's log");
            return CUDA_ERROR_SYSTEM_NOT_READY;
        }
        welcome->text[sizeof welcome->text - 1] = '\0';
        if (welcome->magic != HANDSHAKE_MAGIC) {
            say_refusal("the server is not a vgpu daemon: check VGPU_SERVER");
            return CUDA_ERROR_SYSTEM_NOT_READY;
        }
        bool accepted = welcome->status == HANDSHAKE_OK;
        if (can_share && !(accepted && (welcome->flags & HANDSHAKE_SHARED_MEMORY)))
            arena_release();
        if (accepted)
            return CUDA_SUCCESS;
        if (welcome->status != HANDSHAKE_RETRY) {
            say_refusal(welcome->text);
            return error_of_refusal(welcome->status);
        }
    }
    say_refusal("no address range is free in both the program and its worker");
    return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult map_process_page(int fd)
{
    struct frame_header header;
    int page = -1;
    uint64_t offset = 0;
    if (!window_is_open() && frame_read_descriptor(fd, &header, &page) != 0)
        return CUDA_ERROR_SYSTEM_NOT_READY;
    if (window_is_open() && frame_read(fd, &header, sizeof header) == 0) {
        offset = header.value * WINDOW_BLOCK_BYTES;
        page = window_descriptor(&offset);
    }
    if (page < 0)
        return CUDA_ERROR_SYSTEM_NOT_READY;
    void *memory = mmap(NULL, PROCESS_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, page, (off_t)offset);
    close(page);
    if (memory == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    connection.process = memory;
    return CUDA_SUCCESS;
}

static CUresult open_locked(void)
{
    static bool fork_watched;
    if (!fork_watched) {
        __register_atfork(NULL, NULL, forget_in_child, &__dso_handle);
        fork_watched = true;
    }
    char why[300];
    bool can_share;
    int fd = address_connect(&can_share, why, sizeof why);
    if (fd < 0) {
        say_refusal(why);
        return CUDA_ERROR_NO_DEVICE;
    }
    struct server_welcome welcome;
    CUresult result = greet(fd, can_share, &welcome);
    connection.shares_memory = result == CUDA_SUCCESS && (welcome.flags & HANDSHAKE_SHARED_MEMORY) != 0;
    if (result != CUDA_SUCCESS || !(welcome.flags & HANDSHAKE_WINDOW))
        window_close();
    if (connection.shares_memory)
        result = map_process_page(fd);
    if (result != CUDA_SUCCESS) {
        close(fd);
        return result;
    }
    connection.fd = fd;
    atomic_store_explicit(&connection.phase, PHASE_OPEN, memory_order_release);
    return CUDA_SUCCESS;
}

CUresult connection_open(void)
{
    lock_take(&connection.opening);
    CUresult result = connection_state();
    if (atomic_load(&connection.phase) == PHASE_UNOPENED)
        result = open_locked();
    lock_give(&connection.opening);
    return result;
}

CUresult connection_state(void)
{
    switch (atomic_load_explicit(&connection.phase, memory_order_acquire)) {
    case PHASE_OPEN:
        return CUDA_SUCCESS;
    case PHASE_LOST: {
        int result = atomic_load(&connection.lost_result);
        return result != 0 ? (CUresult)result : CUDA_ERROR_DEVICE_UNAVAILABLE;
    }
    default:
        return CUDA_ERROR_NOT_INITIALIZED;
    }
}

bool connection_shares_memory(void)
{
    return connection.shares_memory;
}

void connection_lost(const char *why)
{
    connection_lost_with(CUDA_SUCCESS, why);
}

void connection_lost_with(CUresult result, const char *why)
{
    int open_phase = PHASE_OPEN, none = 0;
    uint32_t ended = connection.process != NULL
                         ? atomic_load_explicit(&connection.process->ended, memory_order_acquire)
                         : 0;
    atomic_compare_exchange_strong(&connection.lost_result, &none, ended != 0 ? (int)ended : (int)result);
    if (!atomic_compare_exchange_strong(&connection.phase, &open_phase, PHASE_LOST))
        return;
    char text[sizeof connection.process->text] = "";
    if (ended != 0) {
        memcpy(text, connection.process->text, sizeof text - 1);
        why = text;
    }
    diagnostics_say("%s", why != NULL && why[0] != '\0'
                              ? why
                              : "the GPU worker of this program is gone; CUDA calls fail from now on");
    leave_window();
}

CUresult connection_check(void)
{
    if (connection_state() != CUDA_SUCCESS || !connection.shares_memory)
        return connection_state();
    struct pollfd look = {.fd = connection.fd, .events = POLLRDHUP};
    if (poll(&look, 1, 0) > 0 || atomic_load_explicit(&connection.process->ended, memory_order_acquire))
        connection_lost(NULL);
    return connection_state();
}

void connection_lock(void)
{
    lock_take(&connection.exchange);
}

void connection_unlock(void)
{
    lock_give(&connection.exchange);
}

int connection_send(const struct frame_header *header, const void *body, size_t body_bytes)
{
    lock_take(&connection.sending);
    int result =
        connection_state() == CUDA_SUCCESS ? frame_write(connection.fd, header, body, body_bytes) : -1;
    lock_give(&connection.sending);
    if (result != 0)
        connection_lost(NULL);
    return result;
}

int connection_receive_descriptor(uint32_t type, struct frame_header *header, int *fd)
{
    if (frame_read_descriptor(connection.fd, header, fd) == 0 && header->type == type && *fd >= 0)
        return 0;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    connection_lost(NULL);
    return -1;
}

int connection_read(void *buffer, size_t bytes)
{
    if (frame_read(connection.fd, buffer, bytes) == 0)
        return 0;
    connection_lost(NULL);
    return -1;
}

uint32_t connection_lane_number(void)
{
    return atomic_fetch_add(&connection.lanes, 1);
}
