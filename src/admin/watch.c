#include "admin/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/text.h"
#include "base/clock.h"
#include "base/error.h"

#define SCREEN_BEGIN "\033[?1049h\033[?25l" /* a screen of its own, no cursor */
#define SCREEN_END   "\033[?25h\033[?1049l"
#define SCREEN_HOME  "\033[H"
#define LINE_END     "\033[K\n" /* what was there before goes */
#define REST_CLEAR   "\033[J"

struct watch {
    FILE *out;
    FILE *errors;
    bool documents;
    bool on_terminal;
    size_t blocks; /* printed so far */
    watch_print *print;
    void *context;
};

/* ---- Signals: blocked but while waiting, so that none is missed and none cuts a block in two ---- */

static sigset_t watched_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaddset(&set, numbers[i]);
    return set;
}

/* Until the time is over or the size of the terminal has changed. False: the user wants it to end. */
static bool wait_for_next(const sigset_t *signals, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        uint64_t left_ns = now_ns < deadline_ns ? deadline_ns - now_ns : 0;
        struct timespec left = {.tv_sec = (time_t)(left_ns / 1000000000u),
                                .tv_nsec = (long)(left_ns % 1000000000u)};
        int number = sigtimedwait(signals, NULL, &left);
        if (number == SIGWINCH || (number < 0 && errno == EAGAIN))
            return true;
        if (number > 0)
            return false;
    }
}

/* ---- One block ---- */

/* The lines of block that fit, each where it belongs; what does not fit is counted. */
static void draw(const struct watch *watch, const struct terminal *terminal, const char *block)
{
    size_t room = terminal->height > 1 ? terminal->height - 1 : 1;
    size_t lines = 0;
    for (const char *end = block; (end = strchr(end, '\n')) != NULL; end++)
        lines++;
    size_t shown = lines > room ? room - 1 : lines;
    fputs(SCREEN_HOME, watch->out);
    for (size_t i = 0; i < shown; i++) {
        size_t length = strcspn(block, "\n");
        fwrite(block, 1, length, watch->out);
        fputs(LINE_END, watch->out);
        block += length + 1;
    }
    if (shown < lines)
        fprintf(watch->out, "... %zu more lines%s", lines - shown, LINE_END);
    fputs(REST_CLEAR, watch->out);
}

static void show_error(const struct watch *watch, const struct terminal *terminal,
                       const struct vgpu_error *err)
{
    FILE *out = watch->on_terminal ? watch->out : watch->errors;
    fputs(watch->on_terminal ? SCREEN_HOME REST_CLEAR : "vgpu-admin: ", out);
    text_put(out, err->message, watch->on_terminal ? terminal->width : SIZE_MAX);
    fputc('\n', out);
}

static enum vgpu_status print_block(struct watch *watch, struct vgpu_error *err)
{
    char *block = NULL;
    size_t length = 0;
    struct terminal terminal = terminal_measure(watch->out);
    FILE *memory = open_memstream(&block, &length);
    if (memory == NULL)
        return error_set_errno(err, VGPU_ERR_MEMORY, "cannot make room for what is printed");
    enum vgpu_status status = watch->print(watch->context, memory, &terminal, err);
    fclose(memory);
    if (status == VGPU_OK && watch->on_terminal) {
        if (watch->blocks == 0)
            fputs(SCREEN_BEGIN, watch->out);
        draw(watch, &terminal, block);
    } else if (status == VGPU_OK) {
        fputs(watch->blocks > 0 && !watch->documents ? "\n" : "", watch->out);
        fwrite(block, 1, length, watch->out);
    } else if (watch->blocks > 0) {
        show_error(watch, &terminal, err);
        status = VGPU_OK;
    }
    free(block);
    if (status != VGPU_OK)
        return status;
    watch->blocks++;
    if (fflush(watch->out) != 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot print; see to where the output goes");
    return VGPU_OK;
}

enum vgpu_status watch_run(FILE *out, FILE *errors, int64_t interval_ms, bool documents, watch_print *print,
                           void *context, struct vgpu_error *err)
{
    struct watch watch = {.out = out,
                          .errors = errors,
                          .documents = documents,
                          .on_terminal = terminal_measure(out).width > 0,
                          .print = print,
                          .context = context};
    sigset_t signals = watched_signals();
    sigset_t before;
    sigprocmask(SIG_BLOCK, &signals, &before);
    uint64_t next_ns = clock_monotonic_ns();
    enum vgpu_status status;
    do {
        status = print_block(&watch, err);
        next_ns += (uint64_t)interval_ms * 1000000u;
        if (next_ns < clock_monotonic_ns()) /* printing took longer: nothing is caught up */
            next_ns = clock_monotonic_ns();
    } while (status == VGPU_OK && wait_for_next(&signals, next_ns));
    if (watch.on_terminal && watch.blocks > 0) {
        fputs(SCREEN_END, out);
        fflush(out);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}
