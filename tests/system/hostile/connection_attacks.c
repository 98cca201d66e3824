#include "attacks.h"

#include "wire/window.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY_CONNECTIONS 100

/* Connects many times and says nothing; then goes. */
static void silence(struct attacker *attacker)
{
    int fds[MANY_CONNECTIONS];
    for (int i = 0; i < MANY_CONNECTIONS; i++) {
        MUST(attacker_connect(attacker));
        fds[i] = attacker->fd;
    }
    usleep(100000);
    for (int i = 0; i < MANY_CONNECTIONS; i++)
        close(fds[i]);
    attacker->fd = -1;
}

static void connect_and_go(struct attacker *attacker)
{
    for (int i = 0; i < MANY_CONNECTIONS; i++) {
        MUST(attacker_connect(attacker));
        close(attacker->fd);
    }
    attacker->fd = -1;
}

static void garbage_greeting(struct attacker *attacker)
{
    uint8_t garbage[4096];
    memset(garbage, 0xa5, sizeof garbage);
    MUST(attacker_connect(attacker));
    send_bytes(attacker, garbage, sizeof garbage);
    MUST(attacker_awaits_end(attacker));
}

static void half_greeting(struct attacker *attacker)
{
    struct guest_hello hello = {.magic = HANDSHAKE_MAGIC, .version = HANDSHAKE_VERSION};
    MUST(attacker_connect(attacker));
    send_bytes(attacker, &hello, sizeof hello / 2);
    shutdown(attacker->fd, SHUT_WR);
    MUST(attacker_awaits_end(attacker));
}

/* Address ranges that are none, or where the worker itself lies. */
static void bad_arenas(struct attacker *attacker)
{
    static const struct {
        uint64_t base, bytes;
    } arenas[] = {{0, 1ull << 40},
                  {0, UINT64_MAX & ~4095ull},
                  {1ull << 46, 1ull << 47},
                  {UINT64_MAX & ~4095ull, 1 << 20},
                  {12345, 1 << 20},
                  {1ull << 40, 0},
                  {4096, 4096},
                  {1ull << 20, (1ull << 47) - (1ull << 20)}};
    MUST(attacker_connect(attacker));
    for (size_t i = 0; i < sizeof arenas / sizeof arenas[0]; i++)
        MUST(!attacker_greet(attacker, true, arenas[i].base, arenas[i].bytes));
    MUST(attacker_greet(attacker, true, 1ull << 45, 1ull << 40));
    MUST(lane_start(attacker) != NULL);
}

/* Descriptors that nobody asked for, with every message. */
static void send_descriptors(struct attacker *attacker)
{
    enum { DESCRIPTORS = 64, MESSAGES = 200 };
    int fds[DESCRIPTORS];
    for (int i = 0; i < DESCRIPTORS; i++)
        fds[i] = attacker->fd;
    union {
        char bytes[CMSG_SPACE(sizeof fds)];
        struct cmsghdr align;
    } space;
    for (int i = 0; i < MESSAGES; i++) {
        struct frame_header header = {.type = FRAME_LANE_CLOSE, .lane = 999};
        struct iovec part = {&header, sizeof header};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = space.bytes,
                                 .msg_controllen = sizeof space.bytes};
        struct cmsghdr *control = CMSG_FIRSTHDR(&message);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof fds);
        memcpy(CMSG_DATA(control), fds, sizeof fds);
        if (sendmsg(attacker->fd, &message, MSG_NOSIGNAL) < 0)
            break;
    }
    MUST(lane_start(attacker) != NULL);
}

static void unknown_frame(struct attacker *attacker)
{
    send_frame_of(attacker, 77, 0, 0);
}

/* Wakes belong to windows. */
static void wake_without_a_window(struct attacker *attacker)
{
    MUST(lane_start(attacker) != NULL);
    send_frame_of(attacker, FRAME_WAKE, 0, 0);
}

/* A window that is not its VM's: served all the same, over the connection. */
static void key_of_no_window(struct attacker *attacker)
{
    struct guest_hello hello = {
        .magic = HANDSHAKE_MAGIC, .version = HANDSHAKE_VERSION, .flags = HANDSHAKE_WINDOW, .arena_base = 1};
    struct server_welcome welcome;
    uint8_t key[WINDOW_KEY_BYTES] = {0};
    MUST(attacker_connect(attacker));
    MUST(send_bytes(attacker, &hello, sizeof hello) && send_bytes(attacker, key, sizeof key));
    MUST(frame_read(attacker->fd, &welcome, sizeof welcome) == 0);
    MUST(welcome.status == HANDSHAKE_OK && welcome.flags == 0);
    MUST(lane_start(attacker) != NULL);
}

static void half_a_key(struct attacker *attacker)
{
    struct guest_hello hello = {
        .magic = HANDSHAKE_MAGIC, .version = HANDSHAKE_VERSION, .flags = HANDSHAKE_WINDOW};
    uint8_t key[WINDOW_KEY_BYTES / 2] = {0};
    MUST(attacker_connect(attacker));
    MUST(send_bytes(attacker, &hello, sizeof hello) && send_bytes(attacker, key, sizeof key));
    shutdown(attacker->fd, SHUT_WR);
    MUST(attacker_awaits_end(attacker));
}

static void record_where_memory_is_shared(struct attacker *attacker)
{
    MUST(lane_start(attacker) != NULL);
    send_frame_of(attacker, FRAME_RECORD, 0, 32);
}

static void frame_with_body(struct attacker *attacker)
{
    send_frame_of(attacker, FRAME_LANE_OPEN, 0, 4096);
}

static void same_lane_twice(struct attacker *attacker)
{
    MUST(lane_start(attacker) != NULL);
    send_frame_of(attacker, FRAME_LANE_OPEN, 0, 0);
}

static void lanes_without_end(struct attacker *attacker)
{
    for (unsigned i = 0; i < FRAME_MAX_LANES; i++)
        MUST(lane_start(attacker) != NULL);
    MUST(lane_start(attacker) == NULL);
}

/* Opens and closes, with calls under way. */
static void lanes_come_and_go(struct attacker *attacker)
{
    for (int i = 0; i < 300; i++) {
        struct attack_lane *lane = lane_start(attacker);
        MUST(lane != NULL);
        struct request_cuEventCreate request = {.phEvent = handle_value(HANDLE_EVENT, (uint32_t)i, 0)};
        struct record_header header = {.bytes = sizeof header + 16,
                                       .call = CALL_cuEventCreate,
                                       .flags = RECORD_WANTS_REPLY,
                                       .body_bytes = sizeof request};
        send_record(lane, &header, &request);
        lane_stop(lane);
    }
    MUST(lane_start(attacker) != NULL);
}

/* Over the socket: a record right behind the word that closes its lane. */
static void record_after_close(struct attacker *attacker)
{
    struct attack_lane *lane = lane_start(attacker);
    MUST(lane != NULL);
    struct record_header header = {.bytes = sizeof header, .call = CALL_cuCtxSynchronize};
    send_frame_of(attacker, FRAME_LANE_CLOSE, lane->id, 0);
    send_record(lane, &header, NULL);
}

static void record_too_long(struct attacker *attacker)
{
    MUST(lane_start(attacker) != NULL);
    send_frame_of(attacker, FRAME_RECORD, 0, RECORD_MAX_BYTES + 8);
}

static void record_to_nobody(struct attacker *attacker)
{
    struct record_header header = {.bytes = sizeof header, .call = 1};
    send_frame_of(attacker, FRAME_RECORD, 5, sizeof header);
    send_bytes(attacker, &header, sizeof header);
}

/* Calls that wait for others that never come fill the lane; then the guest goes. */
static void never_its_turn(struct attacker *attacker)
{
    struct attack_lane *lane = lane_start(attacker);
    MUST(lane != NULL);
    static const uint8_t body[RECORD_INLINE_BYTES];
    struct record_header header = {.bytes = sizeof header + sizeof body,
                                   .call = CALL_upload,
                                   .ticket = UINT64_MAX,
                                   .body_bytes = sizeof body};
    int flags = fcntl(attacker->fd, F_GETFL);
    fcntl(attacker->fd, F_SETFL, flags | O_NONBLOCK); /* until nothing more is taken */
    for (int i = 0; i < 16; i++)
        if (!send_record(lane, &header, body))
            break;
    usleep(50000);
}

/* Asks without end and never reads an answer. */
static void never_reads(struct attacker *attacker)
{
    struct attack_lane *lane = lane_start(attacker);
    MUST(lane != NULL);
    fcntl(attacker->fd, F_SETFL, O_NONBLOCK);
    struct request_device_info request = {0};
    struct record_header header = {.bytes = sizeof header + 8,
                                   .call = CALL_device_info,
                                   .flags = RECORD_WANTS_REPLY,
                                   .body_bytes = sizeof request};
    for (int i = 0; i < 100000; i++)
        if (!send_record(lane, &header, &request))
            break;
    usleep(50000);
}

static void publish_nonsense(struct attacker *attacker, uint32_t bytes, uint16_t number, uint64_t head)
{
    struct attack_lane *lane = lane_start(attacker);
    MUST(lane != NULL);
    struct record_header *record = (struct record_header *)lane->shared->ring;
    *record = (struct record_header){.bytes = bytes, .call = number, .body_bytes = UINT32_MAX};
    if (lane_publish(lane->shared, head))
        lane_ring(lane->shared);
}

static void record_of_no_bytes(struct attacker *attacker)
{
    publish_nonsense(attacker, 0, 1, 64);
}

static void record_beyond_the_ring(struct attacker *attacker)
{
    publish_nonsense(attacker, LANE_RING_BYTES + 8, 1, UINT64_MAX & ~7ull);
}

static void body_beyond_the_record(struct attacker *attacker)
{
    publish_nonsense(attacker, 64, 1, 64);
}

static void call_that_is_none(struct attacker *attacker)
{
    publish_nonsense(attacker, 64, 65535, 64);
}

static void padding_without_end(struct attacker *attacker)
{
    publish_nonsense(attacker, 8, 0, UINT64_MAX & ~7ull);
    usleep(100000);
}

struct scribble {
    uint8_t *memory;
    size_t bytes;
    _Atomic bool stop;
    unsigned seed;
};

static void *scribble_main(void *argument)
{
    struct scribble *scribble = argument;
    while (!scribble->stop)
        for (int i = 0; i < 1000; i++)
            scribble->memory[(size_t)rand_r(&scribble->seed) % scribble->bytes] =
                (uint8_t)rand_r(&scribble->seed);
    return NULL;
}

/* Good calls, whose records and answers change while the worker handles them. */
static void scribble_on_the_lane(struct attacker *attacker)
{
    struct attack_lane *lane = lane_start(attacker);
    MUST(lane != NULL);
    /* The positions stay: the records, the answer and the counters of the staging area do not. */
    struct scribble ring = {.memory = lane->shared->ring, .bytes = 65536, .seed = 1};
    struct scribble rest = {.memory = (uint8_t *)&lane->shared->replied,
                            .bytes =
                                offsetof(struct lane_shared, ring) - offsetof(struct lane_shared, replied),
                            .seed = 2};
    pthread_t threads[2];
    MUST(pthread_create(&threads[0], NULL, scribble_main, &ring) == 0);
    MUST(pthread_create(&threads[1], NULL, scribble_main, &rest) == 0);
    struct request_cuMemAlloc_v2 request = {.bytesize = 4096};
    for (int i = 0; i < 20000 && !attacker_is_cut_off(attacker); i++)
        if (!forget(lane, CALL_cuMemAlloc_v2, &request, sizeof request))
            break;
    ring.stop = rest.stop = true;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}

static void scribble_on_positions(struct attacker *attacker)
{
    struct attack_lane *lane = lane_start(attacker);
    MUST(lane != NULL);
    struct scribble all = {.memory = (uint8_t *)lane->shared, .bytes = sizeof *lane->shared, .seed = 3};
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, scribble_main, &all) == 0);
    usleep(200000);
    all.stop = true;
    pthread_join(thread, NULL);
}

/* The pages behind the worker's mapping are taken away as far as the seals allow. */
static void take_pages_away(struct attacker *attacker)
{
    MUST(send_frame_of(attacker, FRAME_LANE_OPEN, 0, 0));
    struct frame_header header;
    int fd;
    MUST(frame_read_descriptor(attacker->fd, &header, &fd) == 0 && fd >= 0);
    MUST(ftruncate(fd, 0) < 0);
    MUST(ftruncate(fd, 1 << 30) < 0);
    MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
    MUST(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LANE_SEGMENT_BYTES & ~4095ul) == 0);
    close(fd);
    attacker->next_lane = 1;
    MUST(lane_start(attacker) != NULL);
}

/* Speaks no more, but listens. */
static void half_closed(struct attacker *attacker)
{
    MUST(lane_start(attacker) != NULL);
    shutdown(attacker->fd, SHUT_WR);
}

static void scribble_on_the_process_page(struct attacker *attacker)
{
    MUST(lane_start(attacker) != NULL);
    memset(attacker->process, 0xff, 4096);
    send_frame_of(attacker, 77, 0, 0);
}

const struct attack connection_attacks[] = {
    {.name = "silence", .outcome = EITHER_WAY, .make = silence, .raw = true},
    {.name = "connect_and_go", .outcome = EITHER_WAY, .make = connect_and_go, .raw = true},
    {.name = "garbage_greeting", .outcome = ENDS, .make = garbage_greeting, .raw = true},
    {.name = "half_greeting", .outcome = ENDS, .make = half_greeting, .raw = true},
    {.name = "bad_arenas", .outcome = ANSWERS, .make = bad_arenas, .raw = true},
    {.name = "key_of_no_window", .outcome = ANSWERS, .make = key_of_no_window, .raw = true},
    {.name = "half_a_key", .outcome = ENDS, .make = half_a_key, .raw = true},
    {.name = "wake_without_a_window", .outcome = ENDS, .make = wake_without_a_window},
    {.name = "send_descriptors", .outcome = ANSWERS, .make = send_descriptors},
    {.name = "unknown_frame", .outcome = ENDS, .make = unknown_frame},
    {.name = "record_where_memory_is_shared", .outcome = ENDS, .make = record_where_memory_is_shared},
    {.name = "frame_with_body", .outcome = ENDS, .make = frame_with_body},
    {.name = "same_lane_twice", .outcome = ENDS, .make = same_lane_twice},
    {.name = "lanes_without_end", .outcome = ENDS, .make = lanes_without_end},
    {.name = "lanes_come_and_go", .outcome = ANSWERS, .make = lanes_come_and_go},
    {.name = "lanes_come_and_go_stream", .outcome = EITHER_WAY, .make = lanes_come_and_go, .stream = true},
    {.name = "record_after_close", .outcome = ENDS, .make = record_after_close, .stream = true},
    {.name = "record_too_long", .outcome = ENDS, .make = record_too_long, .stream = true},
    {.name = "record_to_nobody", .outcome = ENDS, .make = record_to_nobody, .stream = true},
    {.name = "never_its_turn", .outcome = EITHER_WAY, .make = never_its_turn, .stream = true},
    {.name = "never_reads", .outcome = EITHER_WAY, .make = never_reads, .stream = true},
    {.name = "record_of_no_bytes", .outcome = ENDS, .make = record_of_no_bytes},
    {.name = "record_beyond_the_ring", .outcome = ENDS, .make = record_beyond_the_ring},
    {.name = "body_beyond_the_record", .outcome = ENDS, .make = body_beyond_the_record},
    {.name = "call_that_is_none", .outcome = ENDS, .make = call_that_is_none},
    {.name = "padding_without_end", .outcome = EITHER_WAY, .make = padding_without_end},
    {.name = "scribble_on_the_lane", .outcome = EITHER_WAY, .make = scribble_on_the_lane},
    {.name = "scribble_on_positions", .outcome = EITHER_WAY, .make = scribble_on_positions},
    {.name = "take_pages_away", .outcome = ANSWERS, .make = take_pages_away},
    {.name = "half_closed", .outcome = ENDS, .make = half_closed},
    {.name = "scribble_on_the_process_page", .outcome = ENDS, .make = scribble_on_the_process_page},
};
const size_t connection_attack_count = sizeof connection_attacks / sizeof connection_attacks[0];
