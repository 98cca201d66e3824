/* Stands in for vgpu-worker in the daemon's tests: it speaks the control protocol of wire/grant.h, and its
 * guest, the test, tells it what to do, one byte a command; what happens it says back, one line each.
 *
 * - w: want; d: want twice; r: give back; s: give back, with a want that overtakes the release
 * - i: ignore revokes from now on; I: ignore the end too; x: crash; q: exit with status 3
 * - k: close the control socket and live on; b: break the page; p: close the gate, as before an early release
 * - o: release a grant long past; m: send nonsense messages; f: say CONTROL_FAILED and exit
 * - c: count a call; g: count 1 ms of GPU time; t: can follow time slices; u: cannot any more
 * - e: "environment A=B C=D"; a: "arguments X Y"; l: "limits A B C ...", of the VM's page; F, T: count a
 *   fault, a timeout there
 *
 * Of the grant it says "held", "contended", "revoked" when the word comes to say so (revoked is answered by
 * giving back, unless told otherwise), with " short", " long", " brief" or " paused" if that is its slice;
 * and "end TEXT" for the daemon's CONTROL_END, after which it exits, unless told otherwise.
 *
 * VGPU_DEBUG_FAKE_WORKER: "crash-at-start", "silent" (never says READY), "silent-VM" (those of that VM),
 * "crash-when-spare", "fail-when-spare". */
#include "wire/control.h"
#include "wire/futex.h"
#include "wire/grant.h"
#include "wire/handshake.h"
#include "wire/vm_page.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct grant_page *page;
static struct vm_page *vm;
static uint32_t seen; /* the word as last told to the guest */
static bool ignores_revoke;
static bool ignores_end;
static char **arguments;

static void tell(const char *line)
{
    (void)!write(WORKER_FD_GUEST, line, strlen(line));
    (void)!write(WORKER_FD_GUEST, "\n", 1);
}

static void control_send(enum control_type type, uint32_t generation)
{
    struct control_message message = {.type = type, .generation = generation};
    if (type == CONTROL_FAILED)
        snprintf(message.text, sizeof message.text, "told to fail");
    (void)!send(WORKER_FD_CONTROL, &message, sizeof message, MSG_NOSIGNAL);
}

static void slices_send(bool follows)
{
    struct control_message message = {.type = CONTROL_SLICES, .value = follows};
    (void)!send(WORKER_FD_CONTROL, &message, sizeof message, MSG_NOSIGNAL);
}

static uint32_t generation(void)
{
    return grant_word_generation(atomic_load(&page->word));
}

static void want(void)
{
    control_send(CONTROL_WANT, generation());
}

/* As two lanes that both saw the same NONE. */
static void want_twice(void)
{
    uint32_t none = generation();
    control_send(CONTROL_WANT, none);
    control_send(CONTROL_WANT, none);
}

/* Sets NONE, without the message. */
static void set_none(void)
{
    uint32_t word = atomic_load(&page->word);
    while (!atomic_compare_exchange_weak(&page->word, &word,
                                         grant_word(grant_word_generation(word), GRANT_NONE)))
        ;
    seen = atomic_load(&page->word);
}

static void give_back(void)
{
    set_none();
    control_send(CONTROL_RELEASED, generation());
}

static void join_lines(const char *title, char **texts)
{
    char line[8192];
    int used = snprintf(line, sizeof line, "%s", title);
    for (; *texts && used < (int)sizeof line; texts++)
        used += snprintf(line + used, sizeof line - (size_t)used, " %s", *texts);
    tell(line);
}

/* In the order of struct vm_limits. */
static void tell_limits(void)
{
    const _Atomic uint64_t *const words[] = {
        &vm->memory_quota_bytes, &vm->time_limit_us, &vm->calls_per_second, &vm->calls_burst,
        &vm->bytes_per_second,   &vm->bytes_burst,   &vm->queue_depth};
    char line[256];
    int used = snprintf(line, sizeof line, "limits");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        used += snprintf(line + used, sizeof line - (size_t)used, " %llu",
                         (unsigned long long)vm_page_read(words[i]));
    tell(line);
}

static void nonsense(void)
{
    (void)!send(WORKER_FD_CONTROL, "x", 1, MSG_NOSIGNAL);
    control_send((enum control_type)77, 5);
    control_send(CONTROL_END, 5);
    control_send(CONTROL_RELEASED, generation() + 5);
}

static void crash(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void command(char byte)
{
    switch (byte) {
    case 'w':
        want();
        break;
    case 'r':
        give_back();
        break;
    case 'i':
        ignores_revoke = true;
        break;
    case 'I':
        ignores_end = true;
        break;
    case 'x':
        crash();
        break;
    case 'q':
        _exit(3);
    case 'k':
        close(WORKER_FD_CONTROL);
        pause();
        break;
    case 'd':
        want_twice();
        break;
    case 's':
        set_none();
        want();
        control_send(CONTROL_RELEASED, generation());
        break;
    case 'o':
        control_send(CONTROL_RELEASED, generation() - 1);
        break;
    case 'b':
        seen = grant_word(generation() + 1, GRANT_HELD);
        atomic_store(&page->word, seen);
        control_send(CONTROL_RELEASED, generation() - 1);
        break;
    case 'm':
        nonsense();
        break;
    case 'p':
        seen = grant_word(generation(), GRANT_REVOKED);
        atomic_store(&page->word, seen);
        break;
    case 'c':
        atomic_fetch_add(&page->calls, 1);
        break;
    case 'g':
        atomic_fetch_add(&page->gpu_time_us, 1000);
        break;
    case 't':
    case 'u':
        slices_send(byte == 't');
        break;
    case 'e':
        join_lines("environment", environ);
        break;
    case 'a':
        join_lines("arguments", arguments);
        break;
    case 'l':
        tell_limits();
        break;
    case 'F':
        vm_page_count(&vm->faults, 1);
        break;
    case 'T':
        vm_page_count(&vm->timeouts, 1);
        break;
    case 'f':
        control_send(CONTROL_FAILED, 0);
        _exit(1);
    default:
        break;
    }
}

static void tell_grant(uint32_t word)
{
    static const char *const states[] = {
        [GRANT_HELD] = "held", [GRANT_CONTENDED] = "contended", [GRANT_REVOKED] = "revoked"};
    static const char *const slices[] = {[GRANT_SLICE_EQUAL] = "",
                                         [GRANT_SLICE_SHORT] = " short",
                                         [GRANT_SLICE_LONG] = " long",
                                         [GRANT_SLICE_BRIEF] = " brief",
                                         [GRANT_SLICE_PAUSED] = " paused"};
    char line[64];
    snprintf(line, sizeof line, "%s%s", states[grant_word_state(word)], slices[grant_word_slice(word)]);
    tell(line);
}

static void look_at_page(void)
{
    uint32_t word = atomic_load(&page->word);
    if (word == seen)
        return;
    bool was_revoked = grant_word_state(seen) == GRANT_REVOKED;
    seen = word;
    if (grant_word_state(word) == GRANT_NONE)
        return;
    tell_grant(word);
    if (grant_word_state(word) == GRANT_REVOKED && !was_revoked && !ignores_revoke)
        give_back();
}

static void look_at_control(void)
{
    struct control_message message;
    char line[300];
    ssize_t got = recv(WORKER_FD_CONTROL, &message, sizeof message, MSG_DONTWAIT);
    if (got == 0)
        _exit(0);
    if (got != (ssize_t)sizeof message || message.type != CONTROL_END || ignores_end)
        return;
    snprintf(line, sizeof line, "end %s", message.text);
    tell(line);
    _exit(0);
}

static void welcome(void)
{
    const struct server_welcome welcome = {.magic = HANDSHAKE_MAGIC, .version = HANDSHAKE_VERSION};
    (void)!write(WORKER_FD_GUEST, &welcome, sizeof welcome);
    control_send(CONTROL_READY, 0);
}

/* As vgpu-worker does. */
static void await_guest(char *vm_argument)
{
    struct control_message message;
    int fds[CONTROL_FDS_MAX];
    size_t fd_count;
    if (control_receive_fds(WORKER_FD_CONTROL, &message, fds, &fd_count) != 1 ||
        message.type != CONTROL_SERVE || fd_count < SERVE_FDS)
        _exit(0);
    memset(vm_argument, 0, strlen(vm_argument));
    strcpy(vm_argument, message.text);
    if (fds[SERVE_FD_GUEST] != WORKER_FD_GUEST) {
        dup2(fds[SERVE_FD_GUEST], WORKER_FD_GUEST);
        close(fds[SERVE_FD_GUEST]);
    }
    vm = mmap(NULL, VM_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fds[SERVE_FD_VM], 0);
    if (vm == MAP_FAILED)
        _exit(1);
    close(fds[SERVE_FD_VM]);
    control_send(CONTROL_TAKEN, 0);
}

int main(int argc, char **argv)
{
    const char *mode = getenv("VGPU_DEBUG_FAKE_WORKER");
    bool is_warm = strcmp(argv[argc - 2], "--warm") == 0;
    arguments = argv;
    if (mode && strcmp(mode, "crash-at-start") == 0)
        crash();
    page = mmap(NULL, GRANT_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_FD_GRANT, 0);
    if (page == MAP_FAILED)
        return 1;
    if (is_warm && mode && strcmp(mode, "crash-when-spare") == 0)
        crash();
    if (is_warm && mode && strcmp(mode, "fail-when-spare") == 0)
        command('f');
    if (is_warm)
        control_send(CONTROL_WARM, 0);
    await_guest(argv[argc - 1] + strlen(WORKER_VM_ARGUMENT));
    const char *vm_uuid = argv[argc - 1] + strlen(WORKER_VM_ARGUMENT);
    bool silent =
        mode && strncmp(mode, "silent", 6) == 0 && (mode[6] == '\0' || strcmp(mode + 7, vm_uuid) == 0);
    if (!silent)
        welcome();
    for (;;) {
        struct pollfd fds[] = {{.fd = WORKER_FD_GUEST, .events = POLLIN},
                               {.fd = WORKER_FD_CONTROL, .events = POLLIN}};
        poll(fds, 2, 1);
        look_at_page();
        if (fds[1].revents)
            look_at_control();
        char byte;
        if (fds[0].revents && read(WORKER_FD_GUEST, &byte, 1) != 1)
            return 0;
        if (fds[0].revents)
            command(byte);
    }
}
