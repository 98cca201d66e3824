#include "admin/dashboard_vms.h"

#include <curses.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin/dashboard_screen.h"
#include "admin/format.h"

/* The name takes what is left. */
struct vm_column {
    const char *heading;
    int width;
    bool right;
    enum dashboard_sort sort;
    int needs; /* columns the screen must have */
};
static const struct vm_column columns[] = {
    {"ID", 5, true, SORT_ID, 0},          {"NAME", 0, false, SORT_NAME, 0},
    {"POOL", 5, false, SORT_POOL, 0},     {"GPU", 3, true, SORT_COUNT, 60},
    {"CLASS", 6, false, SORT_CLASS, 0},   {"STATE", 7, false, SORT_COUNT, 0},
    {"GPU%", 5, true, SORT_SHARE, 0},     {"MEM", 6, true, SORT_MEMORY, 50},
    {"CALLS/S", 8, true, SORT_CALLS, 70}, {"WAIT P50", 8, true, SORT_WAIT, 80},
    {"P99", 8, true, SORT_WAIT, 80},
};
#define COLUMNS (sizeof columns / sizeof columns[0])

/* Of each column on a screen of the present size; 0: not shown. A number is never cut: ID grows. */
static void choose_widths(const struct dashboard_model *model, int widths[COLUMNS])
{
    int32_t largest = 0;
    int left = COLS;
    for (size_t i = 0; i < model->vm_count; i++)
        if (model->vms[i].vm.vm_id > largest)
            largest = model->vms[i].vm.vm_id;
    for (size_t i = 0; i < COLUMNS; i++)
        widths[i] = COLS >= columns[i].needs ? columns[i].width : 0;
    for (int digits = widths[0]; digits < 10 && largest >= 100000; largest /= 10)
        widths[0] = ++digits;
    for (size_t i = 0; i < COLUMNS; i++)
        left -= widths[i] > 0 ? widths[i] + 1 : 0;
    widths[1] = left > 1 ? left - 1 : 1;
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

/* "12 ms"; from "2 min 5 s" only the larger unit. */
static void format_wait(char *text, size_t bytes, struct vgpu_optional wait)
{
    char duration[FORMAT_BYTES];
    snprintf(text, bytes, "%s", wait.known ? format_duration(duration, (uint64_t)wait.value) : "-");
    char *space = strchr(text, ' ');
    if (space != NULL && (space = strchr(space + 1, ' ')) != NULL)
        *space = '\0';
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

static void draw_heading(const struct dashboard_model *model, const int widths[COLUMNS], int line)
{
    char text[32];
    move(line, 0);
    attron(screen_paint(COLOUR_TITLE) | A_UNDERLINE);
    for (size_t i = 0; i < COLUMNS; i++) {
        if (widths[i] == 0)
            continue;
        bool sorted = columns[i].sort == model->sort && (model->sort != SORT_WAIT || i + 1 == COLUMNS);
        snprintf(text, sizeof text, "%s%s", columns[i].heading, !sorted ? "" : model->descending ? "v" : "^");
        screen_put_field(text, widths[i], columns[i].right);
        addch(' ');
    }
    attroff(screen_paint(COLOUR_TITLE) | A_UNDERLINE);
}

static enum colour state_colour(enum dashboard_vm_state state)
{
    switch (state) {
    case VM_STATE_HOLDING:
        return COLOUR_GOOD;
    case VM_STATE_WAITING:
        return COLOUR_WARM;
    case VM_STATE_PAUSED:
    case VM_STATE_QUARANTINED:
        return COLOUR_BAD;
    default:
        return COLOUR_PLAIN;
    }
}

static void draw_vm(const struct dashboard_vm *vm, const int widths[COLUMNS], int line, bool selected)
{
    char text[VGPU_VM_NAME_BYTES];
    move(line, 0);
    for (size_t i = 0; i < COLUMNS; i++) {
        if (widths[i] == 0)
            continue;
        attr_t look =
            (i == 5 ? screen_paint(state_colour(vm->state)) : A_NORMAL) | (selected ? A_REVERSE : A_NORMAL);
        cell(text, sizeof text, i, vm);
        attron(look);
        screen_put_field(text, widths[i], columns[i].right);
        attroff(look);
        if (selected)
            attron(A_REVERSE);
        addch(' ');
        attroff(A_REVERSE);
    }
}

/* Keeps the selected row on the screen. */
static size_t scroll_to_selected(const struct dashboard_model *model, struct dashboard_choice *choice,
                                 size_t page)
{
    size_t selected = dashboard_model_find_row(model, choice->vm_uuid);
    if (selected < model->row_count) {
        choice->row = selected;
        if (selected < choice->top_row)
            choice->top_row = selected;
        if (selected >= choice->top_row + page)
            choice->top_row = selected - page + 1;
    }
    if (choice->top_row + page > model->row_count)
        choice->top_row = model->row_count > page ? model->row_count - page : 0;
    return selected;
}

size_t vms_draw(const struct dashboard_model *model, struct dashboard_choice *choice, int line, int last)
{
    int widths[COLUMNS];
    size_t page = last > line ? (size_t)(last - line) : 0;
    size_t selected = scroll_to_selected(model, choice, page);
    choose_widths(model, widths);
    draw_heading(model, widths, line++);
    for (size_t row = choice->top_row; row < model->row_count && line <= last; row++, line++)
        draw_vm(dashboard_model_row(model, row), widths, line, choice->focus == FOCUS_VMS && row == selected);
    if (model->row_count == 0 && line <= last) {
        move(line, 2);
        screen_put(model->vm_count == 0 ? "No VM is registered: 'vgpu-admin register-vm' does that"
                                        : "No VM passes the filter: press / and empty it to see all",
                   COLS - 3);
    }
    return page;
}
