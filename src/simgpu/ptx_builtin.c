/* Functions that device code finds in the system: vprintf, __assertfail, malloc and free. */
#include <stdio.h>
#include <string.h>

#include "simgpu/ptx_exec.h"

enum { TEXT_MAX = 4096, OUTPUT_MAX = 16384 };

/* An argument of the call, as an integer of up to 8 bytes. */
static uint64_t argument(const struct ptx_warp *w, const struct ptx_call *call, size_t number, unsigned lane)
{
    uint64_t value = 0;
    if (number >= call->argument_count)
        return 0;
    const struct ptx_actual *actual = &call->arguments[number];
    uint32_t bytes = actual->bytes < 8 ? actual->bytes : 8;
    if (actual->is_register)
        memcpy(&value, w->regs + actual->place + (size_t)lane * actual->bytes, bytes);
    else
        memcpy(&value,
               w->local + (size_t)lane * w->executor->local_bytes + w->frame->local_base + actual->place,
               bytes);
    return value;
}

static void answer(const struct ptx_warp *w, const struct ptx_call *call, unsigned lane, uint64_t value)
{
    if (call->result_count == 0)
        return;
    const struct ptx_actual *result = &call->results[0];
    uint32_t bytes = result->bytes < 8 ? result->bytes : 8;
    if (result->is_register)
        memcpy(w->regs + result->place + (size_t)lane * result->bytes, &value, bytes);
    else
        memcpy(w->local + (size_t)lane * w->executor->local_bytes + w->frame->local_base + result->place,
               &value, bytes);
}

/* A string of the device, cut at the room there is. Returns false after a fault. */
static bool read_text(struct ptx_warp *w, const struct ptx_insn *i, unsigned lane, uint64_t address,
                      char *out, size_t room)
{
    size_t length = 0;
    for (; length + 1 < room; length++) {
        const uint8_t *byte = ptx_memory_generic(w, i, lane, address + length, 1, 1, false);
        if (!byte)
            return false;
        out[length] = (char)*byte;
        if (!*byte)
            return true;
    }
    out[length] = 0;
    return true;
}

/* ---- vprintf ----------------------------------------------------------------------------------- */

struct printer {
    struct ptx_warp *warp;
    const struct ptx_insn *insn;
    unsigned lane;
    uint64_t at; /* next argument in the buffer */
    char output[OUTPUT_MAX];
    size_t length;
    bool failed;
};

static uint64_t next_value(struct printer *p, uint32_t bytes)
{
    uint64_t value = 0;
    p->at = (p->at + bytes - 1) / bytes * bytes;
    const uint8_t *place = ptx_memory_generic(p->warp, p->insn, p->lane, p->at, bytes, bytes, false);
    if (!place) {
        p->failed = true;
        return 0;
    }
    memcpy(&value, place, bytes);
    p->at += bytes;
    return value;
}

static void put(struct printer *p, const char *text, size_t length)
{
    size_t room = sizeof p->output - p->length;
    length = length < room ? length : room;
    memcpy(p->output + p->length, text, length);
    p->length += length;
}

/* Flags, width and precision of a conversion, with `*` replaced by its argument. */
static const char *read_specification(struct printer *p, const char *at, char *out, size_t room,
                                      unsigned *longs)
{
    size_t length = 0;
    out[length++] = '%';
    *longs = 0;
    for (; *at; at++) {
        if (*at == 'l' || *at == 'j' || *at == 'z' || *at == 't') {
            *longs += *at == 'l' ? 1 : 2;
        } else if (*at == 'h') {
            continue;
        } else if (*at == '*') {
            int length_of = snprintf(out + length, room - length, "%d", (int)next_value(p, 4) % 1000);
            length += length_of > 0 ? (size_t)length_of : 0;
        } else if (strchr("-+ #0123456789.", *at)) {
            out[length++] = *at;
        } else {
            break;
        }
        if (length + 16 >= room)
            break;
    }
    out[length] = 0;
    return at;
}

static void put_conversion(struct printer *p, char conversion, char *format, unsigned longs)
{
    char text[1200];
    size_t length = strlen(format);
    int written = 0;
    if (strchr("diouxX", conversion)) {
        uint64_t value = next_value(p, longs ? 8 : 4);
        if (!longs && (conversion == 'd' || conversion == 'i'))
            value = (uint64_t)(int64_t)(int32_t)value;
        memcpy(format + length, (char[]){'l', 'l', conversion, 0}, 4);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        written = snprintf(text, sizeof text, format, (unsigned long long)value);
    } else if (strchr("eEfFgGaA", conversion)) {
        uint64_t bits = next_value(p, 8);
        double value;
        memcpy(&value, &bits, 8);
        memcpy(format + length, (char[]){conversion, 0}, 2);
        written = snprintf(text, sizeof text, format, value);
    } else if (conversion == 'c') {
        memcpy(format + length, "c", 2);
        written = snprintf(text, sizeof text, format, (int)next_value(p, 4));
    } else if (conversion == 'p') {
        written = snprintf(text, sizeof text, "0x%llx", (unsigned long long)next_value(p, 8));
    } else if (conversion == 's') {
        char argument_text[1024];
        uint64_t address = next_value(p, 8);
        if (p->failed ||
            !read_text(p->warp, p->insn, p->lane, address, argument_text, sizeof argument_text)) {
            p->failed = true;
            return;
        }
        memcpy(format + length, "s", 2);
        written = snprintf(text, sizeof text, format, argument_text);
#pragma GCC diagnostic pop
    } else { /* not a conversion: as it stands */
        put(p, format, length);
        put(p, &conversion, 1);
    }
    if (written > 0)
        put(p, text, (size_t)written < sizeof text ? (size_t)written : sizeof text - 1);
}

static void print_lane(struct printer *p, const char *format)
{
    while (*format && !p->failed) {
        const char *percent = strchr(format, '%');
        size_t plain = percent ? (size_t)(percent - format) : strlen(format);
        put(p, format, plain);
        format += plain;
        if (!*format)
            break;
        if (format[1] == '%') {
            put(p, "%", 1);
            format += 2;
            continue;
        }
        char specification[64];
        unsigned longs;
        format = read_specification(p, format + 1, specification, sizeof specification, &longs);
        if (*format)
            put_conversion(p, *format++, specification, longs);
    }
}

static void run_vprintf(struct ptx_warp *w, const struct ptx_insn *i, const struct ptx_call *call,
                        unsigned lane)
{
    char format[TEXT_MAX];
    struct printer printer;
    printer.warp = w;
    printer.insn = i;
    printer.lane = lane;
    printer.at = argument(w, call, 1, lane);
    printer.length = 0;
    printer.failed = false;
    if (!read_text(w, i, lane, argument(w, call, 0, lane), format, sizeof format))
        return;
    print_lane(&printer, format);
    if (printer.failed)
        return;
    const struct ptx_launch *launch = w->executor->launch;
    if (launch->print)
        launch->print(launch->user, printer.output, printer.length, false);
    answer(w, call, lane, 0);
}

/* ---- the others -------------------------------------------------------------------------------- */

/* (message, file, line, function, size of a character) */
static void run_assertfail(struct ptx_warp *w, const struct ptx_insn *i, const struct ptx_call *call,
                           unsigned lane)
{
    char message[512], file[512], function[512], text[2048];
    if (!read_text(w, i, lane, argument(w, call, 0, lane), message, sizeof message) ||
        !read_text(w, i, lane, argument(w, call, 1, lane), file, sizeof file) ||
        !read_text(w, i, lane, argument(w, call, 3, lane), function, sizeof function))
        return;
    ptx_fault_raise(w, i, lane, PTX_FAULT_ASSERT, 0, 0, false);
    const struct ptx_launch *launch = w->executor->launch;
    const struct ptx_fault *fault = &w->executor->result->fault;
    int length = snprintf(text, sizeof text,
                          "%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.\n", file,
                          (unsigned)argument(w, call, 2, lane), function, fault->block[0], fault->block[1],
                          fault->block[2], fault->thread[0], fault->thread[1], fault->thread[2], message);
    if (launch->print && length > 0)
        launch->print(launch->user, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1,
                      true);
}

static void run_malloc(struct ptx_warp *w, const struct ptx_call *call, unsigned lane)
{
    const struct ptx_launch *launch = w->executor->launch;
    uint64_t bytes = argument(w, call, 0, lane);
    answer(w, call, lane, launch->heap_alloc ? launch->heap_alloc(launch->user, bytes) : 0);
}

static void run_free(struct ptx_warp *w, const struct ptx_call *call, unsigned lane)
{
    struct ptx_executor *x = w->executor;
    uint64_t address = argument(w, call, 0, lane);
    if (address && x->launch->heap_free)
        x->launch->heap_free(x->launch->user, address);
    memset(x->hints, 0, sizeof x->hints); /* what is freed must not be found again */
}

void ptx_builtin_call(struct ptx_warp *w, const struct ptx_insn *i, const struct ptx_function *function,
                      const struct ptx_call *call)
{
    for (uint32_t rest = w->mask; rest && !w->executor->faulted; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        switch (function->builtin) {
        case PTX_BUILTIN_VPRINTF:
            run_vprintf(w, i, call, lane);
            break;
        case PTX_BUILTIN_ASSERTFAIL:
            run_assertfail(w, i, call, lane);
            break;
        case PTX_BUILTIN_MALLOC:
            run_malloc(w, call, lane);
            break;
        case PTX_BUILTIN_FREE:
            run_free(w, call, lane);
            break;
        case PTX_BUILTIN_NONE:
            break;
        }
    }
}
