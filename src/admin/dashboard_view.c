#include "admin/dashboard_view.h"

#include <curses.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "admin/format.h"
#include "admin/text.h"

enum colour { COLOUR_PLAIN, COLOUR_TITLE, COLOUR_GOOD, COLOUR_WARM, COLOUR_BAD, COLOUR_DIM };

static struct {
    SCREEN *screen;
    bool colours;
    bool unicode; /* the terminal shows block characters */
    size_t page;
} view;

/* Whether the user's locale says UTF-8, whatever the process itself uses. */
static bool locale_is_utf8(void)
{
    const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strstr(value, "UTF-8") != NULL || strstr(value, "utf8") != NULL ||
                   strstr(value, "UTF8") != NULL || strstr(value, "utf-8") != NULL;
    }
    return false;
}

bool view_open(char *why, size_t why_bytes)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    view.screen = newterm(NULL, stdout, stdin);
    if (view.screen == NULL) {
        snprintf(why, why_bytes,
                 "this terminal (TERM=%s) cannot be driven: set TERM, or use 'vgpu-admin status'",
                 term != NULL ? term : "");
        return false;
    }
    set_term(view.screen);
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    set_escdelay(50);
    curs_set(0);
    view.unicode = locale_is_utf8();
    view.colours = has_colors() && !(no_color != NULL && no_color[0] != '\0');
    if (view.colours) {
        start_color();
        use_default_colors();
        init_pair(COLOUR_TITLE, COLOR_CYAN, -1);
        init_pair(COLOUR_GOOD, COLOR_GREEN, -1);
        init_pair(COLOUR_WARM, COLOR_YELLOW, -1);
        init_pair(COLOUR_BAD, COLOR_RED, -1);
        init_pair(COLOUR_DIM, COLOR_BLUE, -1);
    }
    return true;
}

void view_close(void)
{
    if (view.screen == NULL)
        return;
    endwin();
    delscreen(view.screen);
    view.screen = NULL;
}

int view_key(int milliseconds)
{
    timeout(milliseconds);
    return getch();
}

size_t view_page(void)
{
    return view.page > 0 ? view.page : 1;
}

static attr_t paint(enum colour colour)
{
    if (view.colours && colour != COLOUR_PLAIN)
        return (attr_t)COLOR_PAIR(colour);
    return colour == COLOUR_TITLE || colour == COLOUR_BAD ? A_BOLD : A_NORMAL;
}

/* Puts text at the cursor, cut to `width` columns; returns the columns used. What cannot be shown is '?'. */
static int put_text(const char *text, int width)
{
    int used = 0;
    uint32_t character;
    while ((character = text_next(&text)) != 0) {
        if (character == TEXT_INVALID || (character > 0x7E && !view.unicode))
            character = '?';
        int columns = character > 0x7E ? wcwidth((wchar_t)character) : 1;
        if (columns < 0 || character < ' ') {
            character = '?';
            columns = 1;
        }
        if (used + columns > width)
            break;
        wchar_t wide[] = {(wchar_t)character, 0};
        addwstr(wide);
        used += columns;
    }
    return used;
}

/* Puts text and fills up with blanks. `right`: the blanks come first. */
static void put_field(const char *text, int width, bool right)
{
    int columns = (int)text_width(text);
    int blanks = columns < width ? width - columns : 0;
    if (right)
        printw("%*s", blanks, "");
    put_text(text, width);
    if (!right)
        printw("%*s", blanks, "");
}

/* The last `width` values as a graph of one line; full height is `full`. */
static void put_graph(const struct series *series, float full, int width)
{
    static const wchar_t blocks[] = L"▁▂▃▄▅▆▇█";
    static const char ascii[] = "_.-=+*%#";
    for (int column = 0; column < width; column++) {
        int at = (int)series->count - width + column;
        if (at < 0 || isnan(series->values[at])) {
            addch(' ');
            continue;
        }
        int level = (int)(series->values[at] / full * 8.0f);
        level = level < 0 ? 0 : level > 7 ? 7 : level;
        wchar_t wide[] = {view.unicode ? blocks[level] : (wchar_t)ascii[level], 0};
        addwstr(wide);
    }
}

static enum colour heat(float value, float warm, float hot)
{
    return isnan(value)    ? COLOUR_PLAIN
           : value >= hot  ? COLOUR_BAD
           : value >= warm ? COLOUR_WARM
                           : COLOUR_GOOD;
}

static float latest(const struct series *series)
{
    return series->count > 0 ? series->values[series->count - 1] : NAN;
}

static void put_metric(const char *label, const char *value, int value_width, const struct series *series,
                       float full, enum colour colour, int graph)
{
    put_text(label, 8);
    put_field(value, value_width, true);
    addch(' ');
    attron(paint(colour));
    put_graph(series, full, graph);
    attroff(paint(colour));
    addstr("  ");
}

static void format_optional(char *text, size_t bytes, struct vgpu_optional value, int64_t scale,
                            const char *unit)
{
    if (value.known)
        snprintf(text, bytes, "%" PRId64 "%s", value.value / scale, unit);
    else
        snprintf(text, bytes, "-");
}

static void draw_metrics(const struct dashboard_gpu *gpu, int line)
{
    char text[FORMAT_BYTES], used[FORMAT_BYTES], total[FORMAT_BYTES];
    int graph = (COLS - 60) / 4;
    graph = graph < 4 ? 4 : graph > SERIES_LENGTH / 2 ? SERIES_LENGTH / 2 : graph;
    move(line, 2);
    format_optional(text, sizeof text, gpu->gpu.utilization_percent, 1, "%");
    put_metric("util", text, 5, &gpu->utilization, 100.0f, heat(latest(&gpu->utilization), 70, 95), graph);
    if (gpu->gpu.memory_used_mib.known && gpu->gpu.memory_total_mib.known)
        snprintf(text, sizeof text, "%.20s/%.20s",
                 format_memory(used, (uint64_t)gpu->gpu.memory_used_mib.value),
                 format_memory(total, (uint64_t)gpu->gpu.memory_total_mib.value));
    else
        snprintf(text, sizeof text, "-");
    put_metric("mem", text, 11, &gpu->memory, 100.0f, heat(latest(&gpu->memory), 80, 95), graph);
    format_optional(text, sizeof text, gpu->gpu.temperature_c, 1, view.unicode ? "°C" : "C");
    put_metric("temp", text, 5, &gpu->temperature, 100.0f, heat(latest(&gpu->temperature), 75, 88), graph);
    format_optional(text, sizeof text, gpu->gpu.power_mw, 1000, "W");
    put_metric("pwr", text, 5, &gpu->power, 1000.0f, COLOUR_GOOD, graph);
}

/* "held by VM-3 (high) 12 ms; 2 waiting: VM-4 3 ms, VM-5 1 ms" */
static void draw_queue(const struct dashboard_model *model, const struct dashboard_gpu *gpu, int line)
{
    char text[VGPU_VM_NAME_BYTES + 64], duration[FORMAT_BYTES];
    move(line, 2);
    int room = COLS - 3;
    if (gpu->gpu.status != VGPU_GPU_ONLINE) {
        attron(paint(COLOUR_BAD));
        put_text(gpu->gpu.reason[0] != '\0' ? gpu->gpu.reason : "not online", room);
        attroff(paint(COLOUR_BAD));
        return;
    }
    if (!gpu->live) {
        put_text("queue: not known without the daemon", room);
        return;
    }
    if (gpu->holder[0] != '\0')
        snprintf(text, sizeof text, "held by %s for %s", dashboard_model_vm_name(model, gpu->holder),
                 format_duration(duration, gpu->held_us));
    else
        snprintf(text, sizeof text, "free");
    attron(paint(gpu->holder[0] != '\0' ? COLOUR_GOOD : COLOUR_PLAIN));
    room -= put_text(text, room);
    attroff(paint(gpu->holder[0] != '\0' ? COLOUR_GOOD : COLOUR_PLAIN));
    if (gpu->waiting_count == 0) {
        put_text("; nobody waits", room);
        return;
    }
    snprintf(text, sizeof text, "; %zu waiting:", gpu->waiting_count);
    room -= put_text(text, room);
    for (size_t i = 0; i < gpu->waiting_count && room > 0; i++) {
        snprintf(text, sizeof text, "%s %s %s", i > 0 ? "," : "",
                 dashboard_model_vm_name(model, gpu->waiting[i].vm_uuid),
                 format_duration(duration, gpu->waiting[i].waiting_us));
        room -= put_text(text, room);
    }
}

#define GPU_LINES 3

static void draw_gpu(const struct dashboard_model *model, const struct dashboard_gpu *gpu, int line,
                     bool selected)
{
    char text[VGPU_GPU_NAME_BYTES + VGPU_POOLS_BYTES + 64];
    snprintf(text, sizeof text, "GPU %" PRId32 "  %s  %s  pool %s", gpu->gpu.gpu_id, gpu->gpu.gpu_name,
             gpu->gpu.pci_address, gpu->gpu.pools[0] != '\0' ? gpu->gpu.pools : "-");
    move(line, 0);
    attr_t look = selected ? A_REVERSE : A_BOLD;
    attron(look);
    put_field(text, COLS - 9, false);
    attroff(look);
    enum colour colour = gpu->gpu.status == VGPU_GPU_ONLINE ? COLOUR_GOOD : COLOUR_BAD;
    attron(paint(colour));
    put_field(vgpu_gpu_status_name(gpu->gpu.status), 8, true);
    attroff(paint(colour));
    draw_metrics(gpu, line + 1);
    draw_queue(model, gpu, line + 2);
}

static void draw_title(const struct dashboard_model *model)
{
    char text[256], uptime[FORMAT_BYTES], clock_text[16];
    time_t now = time(NULL);
    struct tm parts;
    localtime_r(&now, &parts);
    strftime(clock_text, sizeof clock_text, "%H:%M:%S", &parts);
    if (model->has_live)
        snprintf(text, sizeof text, "vgpu  %zu GPUs  %zu VMs  driver %s  vgpud up %s", model->gpu_count,
                 model->vm_count, model->live.driver, format_duration(uptime, model->live.uptime_us));
    else
        snprintf(text, sizeof text, "vgpu  %zu GPUs  %zu VMs  vgpud is not there", model->gpu_count,
                 model->vm_count);
    move(0, 0);
    attron(paint(COLOUR_TITLE) | A_BOLD);
    put_field(text, COLS - 9, false);
    put_field(clock_text, 9, true);
    attroff(paint(COLOUR_TITLE) | A_BOLD);
}

/* The GPUs, as many as have room; those around the selected one. Returns the line behind. */
static int draw_gpus(const struct dashboard_model *model, const struct dashboard_choice *choice)
{
    int most = (LINES - 8) / GPU_LINES; /* leaves the VMs their heading and some rows */
    size_t shown = most < 1 ? 1 : (size_t)most;
    if (model->gpu_count > 0 && shown > (model->gpu_count + 1))
        shown = model->gpu_count;
    if (LINES > 12 && shown > (size_t)(LINES / 2 / GPU_LINES) && shown > 1)
        shown = (size_t)(LINES / 2 / GPU_LINES);
    if (shown > model->gpu_count)
        shown = model->gpu_count;
    size_t first = choice->gpu >= shown ? choice->gpu - shown + 1 : 0;
    int line = 1;
    for (size_t i = first; i < first + shown; i++, line += GPU_LINES)
        draw_gpu(model, &model->gpus[i], line, choice->focus == FOCUS_GPUS && i == choice->gpu);
    if (model->gpu_count == 0)
        mvaddstr(line++, 0, "No GPU is known: 'vgpu-admin scan-gpus' looks for them");
    return line;
}

struct vm_column {
    const char *heading;
    int width;
    bool right;
    enum dashboard_sort sort;
    int needs; /* columns the screen must have */
};
/* The name takes what is left. */
static const struct vm_column columns[] = {
    {"ID", 5, true, SORT_ID, 0},          {"NAME", 0, false, SORT_NAME, 0},
    {"POOL", 4, false, SORT_POOL, 0},     {"GPU", 3, true, SORT_COUNT, 60},
    {"CLASS", 6, false, SORT_CLASS, 0},   {"STATE", 7, false, SORT_COUNT, 0},
    {"GPU%", 5, true, SORT_SHARE, 0},     {"MEM", 6, true, SORT_MEMORY, 0},
    {"CALLS/S", 8, true, SORT_CALLS, 70}, {"WAIT P50", 8, true, SORT_WAIT, 78},
    {"P99", 8, true, SORT_WAIT, 78},
};
#define COLUMNS (sizeof columns / sizeof columns[0])

static int name_width(void)
{
    int taken = 0;
    for (size_t i = 0; i < COLUMNS; i++)
        if (columns[i].width > 0 && COLS >= columns[i].needs)
            taken += columns[i].width + 1;
    return COLS - taken - 1 > 6 ? COLS - taken - 1 : 6;
}

static void format_rate(char *text, size_t bytes, double rate)
{
    if (isnan(rate))
        snprintf(text, bytes, "-");
    else if (rate >= 1e6)
        snprintf(text, bytes, "%.1fM", rate / 1e6);
    else if (rate >= 1e4)
        snprintf(text, bytes, "%.0fk", rate / 1e3);
    else
        snprintf(text, bytes, "%.0f", rate);
}

static void format_wait(char *text, size_t bytes, struct vgpu_optional wait)
{
    char duration[FORMAT_BYTES];
    snprintf(text, bytes, "%s", wait.known ? format_duration(duration, (uint64_t)wait.value) : "-");
}

static void cell(char *text, size_t bytes, size_t column, const struct dashboard_vm *vm)
{
    char memory[FORMAT_BYTES];
    text[0] = '-';
    text[1] = '\0';
    switch (column) {
    case 0:
        snprintf(text, bytes, "%" PRId32, vm->vm.vm_id);
        break;
    case 1:
        snprintf(text, bytes, "%s", vm->vm.vm_name);
        break;
    case 2:
        snprintf(text, bytes, "%c", vm->vm.pool);
        break;
    case 3:
        if (vm->vm.gpu_id.known)
            snprintf(text, bytes, "%" PRId64, vm->vm.gpu_id.value);
        break;
    case 4:
        snprintf(text, bytes, "%s", vgpu_priority_name(vm->vm.priority));
        break;
    case 5:
        snprintf(text, bytes, "%s", dashboard_state_name(vm->state));
        break;
    case 6:
        if (!isnan(vm->gpu_share))
            snprintf(text, bytes, "%.0f%%", vm->gpu_share);
        break;
    case 7:
        if (vm->processes > 0)
            snprintf(text, bytes, "%s", format_memory(memory, vm->memory_bytes >> 20));
        break;
    case 8:
        format_rate(text, bytes, vm->calls_per_second);
        break;
    case 9:
        format_wait(text, bytes, vm->wait_p50_us);
        break;
    default:
        format_wait(text, bytes, vm->wait_p99_us);
    }
}

static void draw_vm_heading(const struct dashboard_model *model, int line)
{
    char text[32];
    move(line, 0);
    attron(paint(COLOUR_TITLE) | A_UNDERLINE);
    for (size_t i = 0; i < COLUMNS; i++) {
        if (COLS < columns[i].needs)
            continue;
        bool sorted = columns[i].sort == model->sort && (model->sort != SORT_WAIT || i + 1 == COLUMNS);
        snprintf(text, sizeof text, "%s%s", columns[i].heading, !sorted ? "" : model->descending ? "v" : "^");
        put_field(text, columns[i].width > 0 ? columns[i].width : name_width(), columns[i].right);
        addch(' ');
    }
    attroff(paint(COLOUR_TITLE) | A_UNDERLINE);
}

static enum colour state_colour(enum dashboard_vm_state state)
{
    switch (state) {
    case VM_STATE_HOLDING:
        return COLOUR_GOOD;
    case VM_STATE_WAITING:
        return COLOUR_WARM;
    case VM_STATE_PAUSED:
        return COLOUR_BAD;
    default:
        return COLOUR_PLAIN;
    }
}

static void draw_vm(const struct dashboard_vm *vm, int line, bool selected)
{
    char text[VGPU_VM_NAME_BYTES];
    move(line, 0);
    for (size_t i = 0; i < COLUMNS; i++) {
        if (COLS < columns[i].needs)
            continue;
        attr_t look =
            (i == 5 ? paint(state_colour(vm->state)) : A_NORMAL) | (selected ? A_REVERSE : A_NORMAL);
        cell(text, sizeof text, i, vm);
        attron(look);
        put_field(text, columns[i].width > 0 ? columns[i].width : name_width(), columns[i].right);
        attroff(look);
        if (selected)
            attron(A_REVERSE);
        addch(' ');
        attroff(A_REVERSE);
    }
}

/* Keeps the selected row on the screen. */
static void draw_vms(const struct dashboard_model *model, struct dashboard_choice *choice, int line, int last)
{
    draw_vm_heading(model, line++);
    view.page = last >= line ? (size_t)(last - line + 1) : 0;
    size_t selected = dashboard_model_find_row(model, choice->vm_uuid);
    if (selected < model->row_count && selected < choice->top_row)
        choice->top_row = selected;
    if (selected < model->row_count && selected >= choice->top_row + view.page)
        choice->top_row = selected - view.page + 1;
    if (choice->top_row + view.page > model->row_count)
        choice->top_row = model->row_count > view.page ? model->row_count - view.page : 0;
    for (size_t row = choice->top_row; row < model->row_count && line <= last; row++, line++)
        draw_vm(dashboard_model_row(model, row), line, choice->focus == FOCUS_VMS && row == selected);
    if (model->row_count == 0 && line <= last) {
        move(line, 2);
        put_text(model->vm_count == 0 ? "No VM is registered: 'vgpu-admin register-vm' does that"
                                      : "No VM passes the filter: press / and Enter to see all",
                 COLS - 3);
    }
}

static void draw_help(void)
{
    static const char *const lines[] = {
        "Up, Down, PgUp, PgDn, Home, End   select",
        "Tab          GPUs or VMs",
        "s S          sort by the next column; the other way round",
        "/            show only VMs that contain a text",
        "m            move the selected VM to another pool",
        "p            change its priority",
        "P            pause it, or let it go on",
        "a            assign the selected GPU to pools",
        "r            scan for GPUs",
        "q            quit",
        "",
        "Every change asks before it is made. Press any key.",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0] && (int)i + 2 < LINES; i++)
        mvaddnstr((int)i + 2, 4, lines[i], COLS - 5);
}

static void draw_bottom(const struct dashboard_model *model, const char *note, const char *prompt)
{
    char text[1100];
    if (prompt != NULL) {
        move(LINES - 1, 0);
        attron(A_BOLD);
        put_text(prompt, COLS - 1);
        attroff(A_BOLD);
        curs_set(1);
        return;
    }
    curs_set(0);
    if (note[0] != '\0')
        snprintf(text, sizeof text, "%s", note);
    else if (!model->has_live && model->daemon_note[0] != '\0')
        snprintf(text, sizeof text, "%s", model->daemon_note);
    else if (model->driver_note[0] != '\0')
        snprintf(text, sizeof text, "%s", model->driver_note);
    else if (model->filter[0] != '\0')
        snprintf(text, sizeof text, "Filter: %s (%zu of %zu VMs)", model->filter, model->row_count,
                 model->vm_count);
    else
        text[0] = '\0';
    move(LINES - 2, 0);
    attron(paint(COLOUR_WARM));
    put_text(text, COLS - 1);
    attroff(paint(COLOUR_WARM));
    move(LINES - 1, 0);
    attron(A_REVERSE);
    put_field(" q quit  ? help  Tab GPUs/VMs  s sort  / filter  m move  p priority  P pause  a assign",
              COLS - 1, false);
    attroff(A_REVERSE);
}

void view_draw(const struct dashboard_model *model, struct dashboard_choice *choice, const char *note,
               const char *prompt)
{
    erase();
    if (LINES < 8 || COLS < 40) {
        mvaddnstr(0, 0, "Too small a terminal: make it 40x8 or larger, or press q", COLS);
        refresh();
        return;
    }
    draw_title(model);
    if (choice->help) {
        draw_help();
    } else {
        int line = draw_gpus(model, choice);
        draw_vms(model, choice, line, LINES - 3);
    }
    draw_bottom(model, note, prompt);
    refresh();
}
