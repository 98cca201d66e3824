#include "attacker.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/handle.h"
#include "wire/window.h"

#define FAR "tcp:"

#define ARENA_BASE  0x200000000000ull
#define ARENA_BYTES (1ull << 40)

void must(bool good, const char *what, const char *file, int line)
{
    if (good)
        return;
    printf("!! %s:%d: %s\n", file, line, what);
    exit(1);
}

static int patience(const struct attacker *attacker)
{
    return attacker->patience_ms != 0 ? attacker->patience_ms : PATIENCE_MS;
}

/* From afar: maps the window and connects to the port. */
static bool connect_far(struct attacker *attacker)
{
    char *file;
    struct stat info;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(attacker->path + strlen(FAR), &file, 10));
    int fd = attacker->window == NULL ? open(file + 1, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0 && fstat(fd, &info) == 0) {
        attacker->window_bytes = (uint64_t)info.st_size;
        attacker->window = mmap(NULL, attacker->window_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        MUST(attacker->window != MAP_FAILED);
    }
    if (fd >= 0)
        close(fd);
    attacker->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return attacker->window != NULL && attacker->fd >= 0 &&
           connect(attacker->fd, (struct sockaddr *)&address, sizeof address) == 0;
}

bool attacker_connect(struct attacker *attacker)
{
    if (strncmp(attacker->path, FAR, strlen(FAR)) == 0)
        return connect_far(attacker);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", attacker->path);
    attacker->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return attacker->fd >= 0 && connect(attacker->fd, (struct sockaddr *)&address, sizeof address) == 0;
}

bool send_bytes(const struct attacker *attacker, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    while (bytes > 0) {
        ssize_t sent = send(attacker->fd, at, bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

bool send_frame_of(const struct attacker *attacker, uint32_t type, uint32_t lane, uint32_t bytes)
{
    struct frame_header header = {.type = type, .lane = lane, .bytes = bytes};
    return send_bytes(attacker, &header, sizeof header);
}

/* What the frame says of memory that is shared. */
static void *map_shared(const struct attacker *attacker, const struct frame_header *header, int fd,
                        size_t bytes)
{
    if (attacker->window != NULL)
        return attacker->window + header->value * WINDOW_BLOCK_BYTES;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(memory != MAP_FAILED);
    close(fd);
    return memory;
}

static void unmap_shared(const struct attacker *attacker, void *memory, size_t bytes)
{
    if (attacker->window == NULL)
        munmap(memory, bytes);
}

/* One that tells where memory lies. */
static bool read_frame(const struct attacker *attacker, struct frame_header *header, int *fd)
{
    if (attacker->window != NULL)
        return frame_read(attacker->fd, header, sizeof *header) == 0;
    return frame_read_descriptor(attacker->fd, header, fd) == 0 && *fd >= 0;
}

bool attacker_greet(struct attacker *attacker, bool shared, uint64_t arena_base, uint64_t arena_bytes)
{
    bool in_window = shared && attacker->window != NULL;
    struct guest_hello hello = {.magic = HANDSHAKE_MAGIC,
                                .version = HANDSHAKE_VERSION,
                                .flags = in_window ? HANDSHAKE_WINDOW
                                         : shared  ? HANDSHAKE_SHARED_MEMORY
                                                   : 0,
                                .arena_base = arena_base,
                                .arena_bytes = arena_bytes,
                                .program = "attacker"};
    struct server_welcome welcome;
    const struct window_head *head = (const struct window_head *)attacker->window;
    if (!send_bytes(attacker, &hello, sizeof hello) ||
        (in_window && !send_bytes(attacker, head->key, sizeof head->key)) ||
        frame_read(attacker->fd, &welcome, sizeof welcome) != 0 || welcome.status != HANDSHAKE_OK)
        return false;
    attacker->shared = shared;
    attacker->arena_base = arena_base;
    if (!shared)
        return true;
    struct frame_header header;
    int page = -1;
    if (in_window && !(welcome.flags & HANDSHAKE_WINDOW)) { /* it has spoilt the key, or taken all there is */
        attacker->shared = false;
        return true;
    }
    MUST(read_frame(attacker, &header, &page));
    attacker->process = map_shared(attacker, &header, page, 4096);
    return true;
}

void attacker_start(struct attacker *attacker, bool shared)
{
    MUST(attacker_connect(attacker));
    MUST(attacker_greet(attacker, shared, ARENA_BASE, ARENA_BYTES));
    struct timeval limit = {.tv_sec = patience(attacker) / 1000, .tv_usec = patience(attacker) % 1000 * 1000};
    setsockopt(attacker->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

void attacker_stop(struct attacker *attacker)
{
    close(attacker->fd);
    if (attacker->process != NULL)
        unmap_shared(attacker, attacker->process, 4096);
    *attacker = (struct attacker){.path = attacker->path,
                                  .fd = -1,
                                  .patience_ms = attacker->patience_ms,
                                  .window = attacker->window,
                                  .window_bytes = attacker->window_bytes};
}

bool attacker_is_cut_off(struct attacker *attacker)
{
    struct pollfd look = {.fd = attacker->fd, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0 || (attacker->process != NULL && atomic_load(&attacker->process->ended));
}

bool attacker_awaits_end(struct attacker *attacker)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += 5) {
        if (attacker_is_cut_off(attacker))
            return true;
        usleep(5000);
    }
    return false;
}

struct attack_lane *lane_start(struct attacker *attacker)
{
    struct attack_lane *lane = calloc(1, sizeof *lane);
    MUST(lane != NULL);
    lane->attacker = attacker;
    lane->id = attacker->next_lane++;
    if (!send_frame_of(attacker, FRAME_LANE_OPEN, lane->id, 0)) {
        free(lane);
        return NULL;
    }
    if (!attacker->shared)
        return lane;
    struct frame_header header;
    int fd = -1;
    do { /* there may be segments that nobody has taken */
        if (fd >= 0)
            close(fd);
        if (!read_frame(attacker, &header, &fd)) {
            free(lane);
            return NULL;
        }
    } while (header.type != FRAME_LANE_OPEN);
    lane->shared = map_shared(attacker, &header, fd, LANE_SEGMENT_BYTES);
    return lane;
}

void lane_stop(struct attack_lane *lane)
{
    send_frame_of(lane->attacker, FRAME_LANE_CLOSE, lane->id, 0);
    if (lane->shared != NULL)
        unmap_shared(lane->attacker, lane->shared, LANE_SEGMENT_BYTES);
    free(lane);
}

/* Waits until the ring has room. False when the worker is gone or takes nothing. */
static bool await_room(struct attack_lane *lane, uint64_t end)
{
    for (int waited = 0; end - atomic_load(&lane->shared->tail) > LANE_RING_BYTES; waited++) {
        if (waited > patience(lane->attacker) * 10 ||
            (waited % 64 == 0 && attacker_is_cut_off(lane->attacker)))
            return false;
        usleep(100);
    }
    return true;
}

bool send_record(struct attack_lane *lane, const struct record_header *header, const void *body)
{
    size_t room = header->bytes > sizeof *header ? header->bytes - sizeof *header : 0;
    size_t bytes = header->body_bytes < room ? header->body_bytes : room;
    if (lane->shared == NULL) {
        static const uint8_t padding[RECORD_MAX_BYTES];
        return send_frame_of(lane->attacker, FRAME_RECORD, lane->id, header->bytes) &&
               send_bytes(lane->attacker, header, sizeof *header) &&
               send_bytes(lane->attacker, body, bytes) && send_bytes(lane->attacker, padding, room - bytes);
    }
    uint32_t padding;
    uint64_t place = ring_place(lane->head, header->bytes, &padding);
    if (!await_room(lane, place + header->bytes))
        return false;
    if (padding > 0)
        ring_pad(lane->shared, lane->head, padding);
    memcpy(lane->shared->ring + place % LANE_RING_BYTES, header, sizeof *header);
    if (bytes > 0)
        memcpy(lane->shared->ring + place % LANE_RING_BYTES + sizeof *header, body, bytes);
    lane->head = place + header->bytes;
    if (!lane_publish(lane->shared, lane->head))
        return true;
    if (lane->attacker->window != NULL)
        return send_frame_of(lane->attacker, FRAME_WAKE, lane->id, 0);
    lane_ring(lane->shared);
    return true;
}

static struct record_header record_of(const struct attack_lane *lane, unsigned number, size_t bytes,
                                      uint16_t flags)
{
    return (struct record_header){.bytes = (uint32_t)(sizeof(struct record_header) + ((bytes + 7) & ~7ul)),
                                  .call = (uint16_t)number,
                                  .flags = flags,
                                  .ticket = lane->attacker->tickets,
                                  .body_bytes = (uint32_t)bytes};
}

bool forget(struct attack_lane *lane, unsigned number, const void *body, size_t bytes)
{
    struct record_header header = record_of(lane, number, bytes, 0);
    lane->attacker->tickets++;
    return send_record(lane, &header, body);
}

static int take_answer(struct attack_lane *lane, const uint8_t *reply)
{
    struct reply_header header;
    memcpy(&header, reply, sizeof header);
    MUST(reply_body_bytes(&header) <= REPLY_MAX_BYTES - sizeof header);
    lane->reply_bytes = reply_body_bytes(&header);
    memmove(lane->reply, reply + sizeof header, lane->reply_bytes);
    return header.result;
}

int await_answer(struct attack_lane *lane)
{
    struct attacker *attacker = lane->attacker;
    if (lane->shared != NULL) {
        lane->answers++;
        const int step_us = attacker->window != NULL ? 100 : 10000; /* through a window nobody wakes it */
        for (int waited_us = 0; !lane_answered(lane->shared, lane->answers); waited_us += step_us) {
            if (waited_us / 1000 >= patience(attacker) ||
                (attacker_is_cut_off(attacker) && !lane_answered(lane->shared, lane->answers)))
                return NO_ANSWER;
            if (attacker->window != NULL)
                usleep((useconds_t)step_us);
            else
                lane_await(lane->shared, lane->answers, (uint64_t)step_us * 1000);
        }
        return take_answer(lane, lane->shared->reply);
    }
    for (;;) {
        struct frame_header frame;
        if (frame_read(attacker->fd, &frame, sizeof frame) != 0)
            return NO_ANSWER;
        MUST(frame.bytes <= sizeof lane->reply);
        if (frame_read(attacker->fd, lane->reply, frame.bytes) != 0 || frame.type == FRAME_ENDED)
            return NO_ANSWER;
        if (frame.type == FRAME_REPLY && frame.lane == lane->id)
            return take_answer(lane, lane->reply);
    }
}

int call(struct attack_lane *lane, unsigned number, const void *body, size_t bytes)
{
    struct record_header header = record_of(lane, number, bytes, RECORD_WANTS_REPLY);
    return send_record(lane, &header, body) ? await_answer(lane) : NO_ANSWER;
}

uint64_t prepare(struct attack_lane *lane)
{
    struct request_cuCtxCreate_v2 create = {.pctx = CONTEXT_NAME};
    MUST(call(lane, CALL_cuCtxCreate_v2, &create, sizeof create) == CUDA_SUCCESS);
    struct request_cuStreamCreate stream = {.phStream = STREAM_NAME};
    MUST(call(lane, CALL_cuStreamCreate, &stream, sizeof stream) == CUDA_SUCCESS);
    struct request_cuMemAlloc_v2 allocate = {.bytesize = 1 << 20};
    MUST(call(lane, CALL_cuMemAlloc_v2, &allocate, sizeof allocate) == CUDA_SUCCESS);
    uint64_t address;
    memcpy(&address, lane->reply, sizeof address);
    return address;
}

static bool is_worker_of(const char *process, const char *vm_uuid)
{
    char path[300], line[4096] = "", wanted[200];
    snprintf(path, sizeof path, "/proc/%.20s/cmdline", process);
    snprintf(wanted, sizeof wanted, "--vm=%s", vm_uuid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t got = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    for (size_t at = 0; at < got; at += strlen(line + at) + 1)
        if (strcmp(line + at, wanted) == 0)
            return true;
    return false;
}

static uint64_t heap_of(const char *process)
{
    char path[64], line[512];
    uint64_t found = 0;
    snprintf(path, sizeof path, "/proc/%.20s/maps", process);
    FILE *file = fopen(path, "re");
    while (file != NULL && found == 0 && fgets(line, sizeof line, file) != NULL)
        if (strstr(line, " rw-p ") != NULL && (strstr(line, "[heap]") || strstr(line, "vgpu-worker")))
            found = strtoull(line, NULL, 16);
    if (file != NULL)
        fclose(file);
    return found;
}

uint64_t worker_address(const struct attacker *attacker)
{
    char vm_uuid[64];
    const char *name = strrchr(attacker->path, '/');
    uint64_t found = 0;
    snprintf(vm_uuid, sizeof vm_uuid, "%s", name != NULL ? name + 1 : attacker->path);
    vm_uuid[strcspn(vm_uuid, ".")] = '\0';
    DIR *processes = opendir("/proc");
    const struct dirent *entry;
    while (processes != NULL && found == 0 && (entry = readdir(processes)) != NULL)
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && is_worker_of(entry->d_name, vm_uuid))
            found = heap_of(entry->d_name);
    if (processes != NULL)
        closedir(processes);
    return found;
}
