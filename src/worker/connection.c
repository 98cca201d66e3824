#include "worker/connection.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "wire/frame.h"
#include "wire/handshake.h"
#include "wire/lane.h"
#include "worker/gate.h"
#include "worker/lane.h"
#include "worker/segment.h"
#include "worker/shared_memory.h"
#include "worker/vm.h"

#define GREETINGS  16 /* a guest that proposes address ranges without end is not one of ours */
#define GREETING_S 10 /* nor is one that has nothing to say */

/* How long the last word to a guest that takes nothing may delay the end. */
#define LAST_WORD_MS 200

/* What a guest's first thread takes of a window: a process that finds less is better off without. */
#define FIRST_NEEDS_BYTES (LANE_SEGMENT_BYTES + STAGING_BYTES + PROCESS_PAGE_BYTES + 4 * WINDOW_BLOCK_BYTES)

static struct {
    int fd;
    bool shares_memory;
    struct process_shared *process; /* the page that tells the guest of the end; NULL over a stream */
    pthread_mutex_t sending;
    pthread_mutex_t lanes_lock;
    struct lane *lanes;
    unsigned lane_count;
} connection = {.fd = -1, .sending = PTHREAD_MUTEX_INITIALIZER, .lanes_lock = PTHREAD_MUTEX_INITIALIZER};

static bool send_welcome(int fd, uint32_t status, uint32_t flags, const char *text)
{
    struct server_welcome welcome = {
        .magic = HANDSHAKE_MAGIC, .version = HANDSHAKE_VERSION, .status = status, .flags = flags};
    snprintf(welcome.text, sizeof welcome.text, "%s", text);
    return send(fd, &welcome, sizeof welcome, MSG_NOSIGNAL) == (ssize_t)sizeof welcome;
}

void connection_refuse(int fd, uint32_t status, const char *text)
{
    send_welcome(fd, status, 0, text);
}

/* Tells the guest where a piece of shared memory is to be had. */
static bool pass(int fd, struct frame_header header, const struct shared_memory *memory)
{
    if (!shared_memory_in_window())
        return frame_write_descriptor(fd, &header, memory->fd) == 0;
    header.value = (uint32_t)(memory->offset / WINDOW_BLOCK_BYTES);
    return frame_write(fd, &header, NULL, 0) == 0;
}

static bool make_process_page(struct shared_memory *page)
{
    if (shared_memory_in_window() && !shared_memory_window_has(FIRST_NEEDS_BYTES))
        return false;
    if (!shared_memory_make("vgpu-process", PROCESS_PAGE_BYTES, page))
        return false;
    void *mapped = mmap(NULL, page->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, page->fd, (off_t)page->offset);
    if (mapped == MAP_FAILED) {
        shared_memory_passed(page);
        shared_memory_free(page);
        return false;
    }
    connection.process = mapped;
    return true;
}

/* The peer is on this kernel: descriptors can be passed. */
static bool is_local(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof address;
    return getsockname(fd, (struct sockaddr *)&address, &bytes) == 0 && address.ss_family == AF_UNIX;
}

static void limit_waiting(int fd, int option, time_t seconds, long milliseconds)
{
    struct timeval limit = {.tv_sec = seconds, .tv_usec = milliseconds * 1000};
    setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit);
}

/* Whether memory can be shared with the guest, and how: enum handshake_flags. -1: it has gone. */
static int agree_on_memory(int fd, const struct guest_hello *hello)
{
    uint8_t key[WINDOW_KEY_BYTES];
    shared_memory_leave_window(); /* which it may have named in a greeting before */
    if ((hello->flags & HANDSHAKE_SHARED_MEMORY) != 0 && is_local(fd))
        return HANDSHAKE_SHARED_MEMORY;
    if ((hello->flags & HANDSHAKE_WINDOW) == 0)
        return 0;
    if (frame_read(fd, key, sizeof key) != 0)
        return -1;
    return shared_memory_use_window(key) ? HANDSHAKE_SHARED_MEMORY | HANDSHAKE_WINDOW : 0;
}

static const char *memory_in_words(int flags)
{
    if (flags & HANDSHAKE_WINDOW)
        return "shared memory, in a window";
    return flags & HANDSHAKE_SHARED_MEMORY ? "shared memory" : "stream";
}

/* One of ours speaks our language. */
static bool check_hello(int fd, struct guest_hello *hello)
{
    if (hello->magic != HANDSHAKE_MAGIC) {
        log_warning("the other side of the guest connection does not speak the protocol");
        return false;
    }
    if (hello->version != HANDSHAKE_VERSION) {
        connection_refuse(fd, HANDSHAKE_VERSION_MISMATCH,
                          "the guest library and the host's vgpu are of different versions: install the same "
                          "one on both");
        return false;
    }
    hello->program[sizeof hello->program - 1] = '\0';
    for (char *at = hello->program; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return true;
}

/* The guest is ours to serve. */
static bool welcome(int fd, const struct guest_hello *hello, int flags)
{
    struct shared_memory page = {.fd = -1};
    bool has_page = flags != 0 && make_process_page(&page);
    if (!has_page && (flags & HANDSHAKE_WINDOW)) {
        log_warning("the VM's window has no room for another process: it is served over its connection");
        shared_memory_leave_window();
        flags = 0;
    }
    connection.fd = fd;
    connection.shares_memory = flags != 0;
    gate_note_guest(hello->pid);
    log_info("guest process %u (%s), %s", hello->pid, hello->program, memory_in_words(flags));
    const struct frame_header header = {.type = FRAME_SEGMENT, .value = 1};
    bool done = has_page == connection.shares_memory && send_welcome(fd, HANDSHAKE_OK, (uint32_t)flags, "") &&
                (!has_page || pass(fd, header, &page));
    shared_memory_passed(&page);
    return done;
}

static bool greet(int fd)
{
    struct guest_hello hello;
    for (int i = 0; i < GREETINGS; i++) {
        if (frame_read(fd, &hello, sizeof hello) != 0 || !check_hello(fd, &hello))
            return false;
        int flags = agree_on_memory(fd, &hello);
        if (flags < 0)
            return false;
        if (flags == 0 || arena_claim(hello.arena_base, hello.arena_bytes))
            return welcome(fd, &hello, flags);
        if (!send_welcome(fd, HANDSHAKE_RETRY, 0, "that address range is taken: propose another"))
            return false;
    }
    return false;
}

bool connection_greet(int fd)
{
    limit_waiting(fd, SO_RCVTIMEO, GREETING_S, 0);
    limit_waiting(fd, SO_SNDTIMEO, GREETING_S, 0);
    bool greeted = greet(fd);
    limit_waiting(fd, SO_RCVTIMEO, 0, 0);
    limit_waiting(fd, SO_SNDTIMEO, 0, 0);
    return greeted;
}

static bool send_frame(const struct frame_header *header, const void *body)
{
    pthread_mutex_lock(&connection.sending);
    int result = frame_write(connection.fd, header, body, header->bytes);
    pthread_mutex_unlock(&connection.sending);
    return result == 0;
}

static bool send_shared_memory(const struct frame_header *header, const struct shared_memory *memory)
{
    pthread_mutex_lock(&connection.sending);
    bool sent = pass(connection.fd, *header, memory);
    pthread_mutex_unlock(&connection.sending);
    return sent;
}

/* Over a stream: says why, to a guest that may have stopped listening, while another lane may be trying to
 * tell it something. */
static void say_last_word(CUresult result, const char *text)
{
    struct frame_header header = {
        .type = FRAME_ENDED, .value = (uint32_t)result, .bytes = (uint32_t)strlen(text) + 1};
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += LAST_WORD_MS * 1000000L;
    if (limit.tv_nsec >= 1000000000L) {
        limit.tv_nsec -= 1000000000L;
        limit.tv_sec++;
    }
    if (pthread_mutex_timedlock(&connection.sending, &limit) != 0)
        return;
    limit_waiting(connection.fd, SO_SNDTIMEO, 0, LAST_WORD_MS);
    frame_write(connection.fd, &header, text, header.bytes);
}

void connection_end(const char *text)
{
    connection_end_with(CUDA_ERROR_DEVICE_UNAVAILABLE, text);
}

void connection_end_with(CUresult result, const char *text)
{
    if (connection.process != NULL) {
        snprintf(connection.process->text, sizeof connection.process->text, "%s", text);
        atomic_store_explicit(&connection.process->ended, (uint32_t)result, memory_order_release);
    } else if (connection.fd >= 0) {
        say_last_word(result, text);
    }
    log_info("ending: %s", text);
    _exit(0);
}

void connection_reply(uint32_t lane, const void *reply, uint32_t bytes)
{
    struct frame_header header = {.type = FRAME_REPLY, .lane = lane, .bytes = bytes};
    send_frame(&header, reply);
}

void connection_error(uint32_t lane, CUresult result)
{
    struct frame_header header = {.type = FRAME_ERROR, .lane = lane, .value = (uint32_t)result};
    send_frame(&header, NULL);
}

void connection_wake(uint32_t lane)
{
    struct frame_header header = {.type = FRAME_WAKE, .lane = lane};
    send_frame(&header, NULL);
}

void connection_pass(struct shared_memory *memory)
{
    struct frame_header header = {.type = FRAME_SEGMENT, .value = (uint32_t)(memory->bytes >> 12)};
    /* Without it the guest would wait for ever. In a window the answer says where it lies. */
    if (!shared_memory_in_window() && !send_shared_memory(&header, memory))
        connection_end("the host could not pass shared memory to the program");
    shared_memory_passed(memory);
}

bool connection_shares_memory(void)
{
    return connection.shares_memory;
}

static struct lane *find_lane(uint32_t id)
{
    struct lane *lane = connection.lanes;
    while (lane != NULL && lane->id != id)
        lane = lane->next;
    return lane;
}

/* Under lanes_lock. */
static uint32_t free_number(void)
{
    uint32_t number = 0;
    const struct lane *lane = connection.lanes;
    while (lane != NULL) {
        bool taken = lane->number == number;
        number += taken;
        lane = taken ? connection.lanes : lane->next;
    }
    return number;
}

static enum lane_kind lane_kind(void)
{
    if (!connection.shares_memory)
        return LANE_STREAM;
    return shared_memory_in_window() ? LANE_WINDOW : LANE_SHARED;
}

static const char *why_no_lane(bool refused)
{
    if (refused)
        return "the program has more threads with CUDA calls than the host serves";
    if (shared_memory_in_window())
        return "the virtual machine's window has no room for another thread of this program";
    return "the host has no memory for another thread of this program";
}

static bool open_lane(uint32_t id)
{
    pthread_mutex_lock(&connection.lanes_lock);
    bool refused = connection.lane_count >= FRAME_MAX_LANES || find_lane(id) != NULL;
    struct shared_memory memory;
    struct lane *lane = refused ? NULL : lane_create(id, free_number(), lane_kind(), &memory);
    if (lane != NULL) {
        lane->next = connection.lanes;
        connection.lanes = lane;
        connection.lane_count++;
    }
    pthread_mutex_unlock(&connection.lanes_lock);
    if (lane == NULL)
        connection_end(why_no_lane(refused));
    struct frame_header header = {.type = FRAME_LANE_OPEN, .lane = id};
    bool done = !connection.shares_memory || send_shared_memory(&header, &memory);
    shared_memory_passed(&memory);
    return done;
}

void connection_forget_lane(struct lane *lane)
{
    pthread_mutex_lock(&connection.lanes_lock);
    for (struct lane **link = &connection.lanes; *link != NULL; link = &(*link)->next) {
        if (*link == lane) {
            *link = lane->next;
            connection.lane_count--;
            break;
        }
    }
    pthread_mutex_unlock(&connection.lanes_lock);
}

/* In a window: the guest has put something into the lane of a sleeper. */
static void wake_lane(uint32_t id)
{
    pthread_mutex_lock(&connection.lanes_lock);
    struct lane *lane = find_lane(id);
    if (lane != NULL)
        lane_ring(lane->shared);
    pthread_mutex_unlock(&connection.lanes_lock);
}

static void close_lane(uint32_t id)
{
    pthread_mutex_lock(&connection.lanes_lock);
    struct lane *lane = find_lane(id);
    if (lane != NULL)
        lane_end(lane);
    pthread_mutex_unlock(&connection.lanes_lock);
}

/* Over a stream the records are read ahead; with shared memory there is little to read, and it may bring
 * descriptors. */
static int take_bytes(struct frame_reader *reader, void *buffer, size_t bytes)
{
    return reader != NULL ? frame_reader_take(reader, buffer, bytes)
                          : frame_read(connection.fd, buffer, bytes);
}

/* A record over a stream. Only this thread closes lanes, so the one found stays. */
static bool take_record(struct frame_reader *reader, const struct frame_header *frame, uint8_t *buffer)
{
    if (frame->bytes < sizeof(struct record_header) || frame->bytes > RECORD_MAX_BYTES ||
        frame->bytes % 8 != 0 || take_bytes(reader, buffer, frame->bytes) != 0)
        return false;
    struct record_header header;
    memcpy(&header, buffer, sizeof header);
    pthread_mutex_lock(&connection.lanes_lock);
    struct lane *lane = find_lane(frame->lane);
    /* One that is closing may free itself as soon as the lock is given. */
    bool open = lane != NULL && !atomic_load(&lane->closing);
    pthread_mutex_unlock(&connection.lanes_lock);
    return open && header.bytes == frame->bytes && lane_put(lane, &header, buffer);
}

bool connection_is_gone(void)
{
    struct pollfd look = {.fd = connection.fd, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0;
}

void connection_serve(void)
{
    uint8_t *buffer = malloc(RECORD_MAX_BYTES);
    struct frame_header frame;
    struct frame_reader *reader = connection.shares_memory ? NULL : calloc(1, sizeof *reader);
    bool good = buffer != NULL && (connection.shares_memory || reader != NULL);
    if (reader != NULL)
        reader->fd = connection.fd;
    while (good && take_bytes(reader, &frame, sizeof frame) == 0) {
        switch (frame.type) {
        case FRAME_LANE_OPEN:
            good = frame.bytes == 0 && open_lane(frame.lane);
            break;
        case FRAME_LANE_CLOSE:
            good = frame.bytes == 0;
            close_lane(frame.lane);
            break;
        case FRAME_WAKE:
            good = frame.bytes == 0 && shared_memory_in_window();
            wake_lane(frame.lane);
            break;
        case FRAME_RECORD:
            good = !connection.shares_memory && take_record(reader, &frame, buffer);
            break;
        default:
            good = false;
        }
    }
    if (!good && !connection_is_gone()) {
        log_warning("the guest broke the protocol");
        vm_page_count(&vm_page->faults, 1);
    }
    free(reader);
    free(buffer);
}
