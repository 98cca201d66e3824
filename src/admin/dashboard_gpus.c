#include "admin/dashboard_gpus.h"

#include <curses.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin/dashboard_screen.h"
#include "admin/format.h"

#define FULL_LINES 3

struct gpu_layout gpus_lay_out(const struct dashboard_model *model, const struct dashboard_choice *choice)
{
    size_t selected = dashboard_model_find_gpu(model, choice->gpu_id);
    int room = LINES - 8; /* leaves the VMs their heading and some rows */
    room = room > LINES / 2 ? LINES / 2 : room < 1 ? 1 : room;
    bool full = model->gpu_count * FULL_LINES <= (size_t)room;
    size_t shown = full || model->gpu_count < (size_t)room ? model->gpu_count : (size_t)room;
    return (struct gpu_layout){
        .first = selected < model->gpu_count && selected >= shown ? selected - shown + 1 : 0,
        .shown = shown,
        .lines = full ? FULL_LINES : 1};
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

static void format_optional(char *text, size_t bytes, struct vgpu_optional value, int64_t scale,
                            const char *unit)
{
    if (value.known)
        snprintf(text, bytes, "%" PRId64 "%s", value.value / scale, unit);
    else
        snprintf(text, bytes, "-");
}

static void format_used_memory(char *text, size_t bytes, const struct vgpu_gpu *gpu)
{
    char used[FORMAT_BYTES], total[FORMAT_BYTES];
    if (gpu->memory_used_mib.known && gpu->memory_total_mib.known)
        snprintf(text, bytes, "%.20s/%.20s", format_memory(used, (uint64_t)gpu->memory_used_mib.value),
                 format_memory(total, (uint64_t)gpu->memory_total_mib.value));
    else
        snprintf(text, bytes, "-");
}

/* Puts a value and its recent past; nothing where it does not fit on the line any more. */
static void put_metric(const char *label, const char *value, int value_width, const struct series *series,
                       float full, enum colour colour, int graph)
{
    if (getcurx(stdscr) + (int)strlen(label) + value_width >= COLS)
        return;
    screen_put(label, COLS);
    screen_put_field(value, value_width, true);
    if (graph > 0) {
        addch(' ');
        attron(screen_paint(colour));
        screen_put_graph(series, full, graph);
        attroff(screen_paint(colour));
    }
    if (getcurx(stdscr) + 2 < COLS)
        addstr("  ");
}

/* Columns of the first two and of the last two graphs, by what the values leave them. */
static void choose_graphs(int *first, int *last)
{
    int all_four = (COLS - 55) / 4, two = (COLS - 53) / 2;
    *first = all_four >= 4 ? all_four : two >= 4 ? two : 0;
    *last = all_four >= 4 ? all_four : 0;
    if (*first > SERIES_LENGTH / 2)
        *first = *last = SERIES_LENGTH / 2;
}

static void draw_metrics(const struct dashboard_gpu *gpu, int line)
{
    char text[FORMAT_BYTES];
    int first, last;
    choose_graphs(&first, &last);
    move(line, 2);
    format_optional(text, sizeof text, gpu->gpu.utilization_percent, 1, "%");
    put_metric("util", text, 5, &gpu->utilization, 100.0f, heat(latest(&gpu->utilization), 70, 95), first);
    format_used_memory(text, sizeof text, &gpu->gpu);
    put_metric("mem", text, 11, &gpu->memory, 100.0f, heat(latest(&gpu->memory), 80, 95), first);
    format_optional(text, sizeof text, gpu->gpu.temperature_c, 1, screen_is_unicode() ? "°C" : "C");
    put_metric("temp", text, 6, &gpu->temperature, 100.0f, heat(latest(&gpu->temperature), 75, 88), last);
    format_optional(text, sizeof text, gpu->gpu.power_mw, 1000, "W");
    put_metric("pwr", text, 6, &gpu->power, 1000.0f, COLOUR_GOOD, last);
}

/* "; 2 waiting: VM-4 3 ms, VM-5 1 ms" */
static void put_waiting(const struct dashboard_model *model, const struct dashboard_gpu *gpu, int room)
{
    char text[VGPU_VM_NAME_BYTES + 64], duration[FORMAT_BYTES];
    if (gpu->waiting_count == 0) {
        screen_put("; nobody waits", room);
        return;
    }
    snprintf(text, sizeof text, "; %zu waiting:", gpu->waiting_count);
    room -= screen_put(text, room);
    for (size_t i = 0; i < gpu->waiting_count && room > 0; i++) {
        snprintf(text, sizeof text, "%s %s %s", i > 0 ? "," : "",
                 dashboard_model_vm_name(model, gpu->waiting[i].vm_uuid),
                 format_duration(duration, gpu->waiting[i].waiting_us));
        room -= screen_put(text, room);
    }
}

/* "held by VM-3 for 12 ms" and who waits, from the cursor to the end of the line. */
static void put_queue(const struct dashboard_model *model, const struct dashboard_gpu *gpu)
{
    char text[VGPU_VM_NAME_BYTES + 64], duration[FORMAT_BYTES];
    int room = COLS - 1 - getcurx(stdscr);
    enum colour colour = COLOUR_PLAIN;
    bool queue = false;
    if (gpu->gpu.status != VGPU_GPU_ONLINE) {
        snprintf(text, sizeof text, "%s", gpu->gpu.reason[0] != '\0' ? gpu->gpu.reason : "not online");
        colour = COLOUR_BAD;
    } else if (!gpu->live) {
        snprintf(text, sizeof text, "queue: not known without the daemon");
    } else if (gpu->holder[0] != '\0') {
        snprintf(text, sizeof text, "held by %s for %s", dashboard_model_vm_name(model, gpu->holder),
                 format_duration(duration, gpu->held_us));
        colour = COLOUR_GOOD;
        queue = true;
    } else {
        snprintf(text, sizeof text, "free");
        queue = true;
    }
    attron(screen_paint(colour));
    room -= screen_put(text, room);
    attroff(screen_paint(colour));
    if (queue && room > 0)
        put_waiting(model, gpu, room);
}

static void draw_full(const struct dashboard_model *model, const struct dashboard_gpu *gpu, int line,
                      bool selected)
{
    char text[VGPU_GPU_NAME_BYTES + VGPU_POOLS_BYTES + 64];
    attr_t look = selected ? A_REVERSE : A_BOLD;
    enum colour colour = gpu->gpu.status == VGPU_GPU_ONLINE ? COLOUR_GOOD : COLOUR_BAD;
    snprintf(text, sizeof text, "GPU %" PRId32 "  %s  %s  pool %s", gpu->gpu.gpu_id, gpu->gpu.gpu_name,
             gpu->gpu.pci_address, gpu->gpu.pools[0] != '\0' ? gpu->gpu.pools : "-");
    move(line, 0);
    attron(look);
    screen_put_field(text, COLS - 9, false);
    attroff(look);
    attron(screen_paint(colour));
    screen_put_field(vgpu_gpu_status_name(gpu->gpu.status), 8, true);
    attroff(screen_paint(colour));
    draw_metrics(gpu, line + 1);
    move(line + 2, 2);
    put_queue(model, gpu);
}

/* "GPU 0  A     34% ▁▂▃▄  12GB/80GB   45°C  held by VM-3 for 12 ms; nobody waits" */
static void draw_short(const struct dashboard_model *model, const struct dashboard_gpu *gpu, int line,
                       bool selected)
{
    char text[FORMAT_BYTES];
    attr_t look = selected ? A_REVERSE : A_BOLD;
    snprintf(text, sizeof text, "GPU %" PRId32, gpu->gpu.gpu_id);
    move(line, 0);
    attron(look);
    screen_put_field(text, 7, false);
    screen_put_field(gpu->gpu.pools[0] != '\0' ? gpu->gpu.pools : "-", 4, false);
    attroff(look);
    format_optional(text, sizeof text, gpu->gpu.utilization_percent, 1, "%");
    screen_put_field(text, 5, true);
    addch(' ');
    if (COLS >= 60) {
        attron(screen_paint(heat(latest(&gpu->utilization), 70, 95)));
        screen_put_graph(&gpu->utilization, 100.0f, COLS >= 100 ? 16 : 6);
        attroff(screen_paint(heat(latest(&gpu->utilization), 70, 95)));
        format_used_memory(text, sizeof text, &gpu->gpu);
        screen_put_field(text, 12, true);
    }
    if (COLS >= 70) {
        format_optional(text, sizeof text, gpu->gpu.temperature_c, 1, screen_is_unicode() ? "°C" : "C");
        attron(screen_paint(heat(latest(&gpu->temperature), 75, 88)));
        screen_put_field(text, 6, true);
        attroff(screen_paint(heat(latest(&gpu->temperature), 75, 88)));
    }
    if (COLS >= 100) {
        format_optional(text, sizeof text, gpu->gpu.power_mw, 1000, "W");
        screen_put_field(text, 7, true);
    }
    addch(' ');
    put_queue(model, gpu);
}

int gpus_draw(const struct dashboard_model *model, const struct dashboard_choice *choice,
              const struct gpu_layout *layout, int line)
{
    if (model->gpu_count == 0) {
        move(line, 0);
        screen_put("No GPU is known: press r, or 'vgpu-admin scan-gpus', to look for them", COLS - 1);
        return line + 1;
    }
    for (size_t i = layout->first; i < layout->first + layout->shown; i++, line += layout->lines) {
        const struct dashboard_gpu *gpu = &model->gpus[i];
        bool selected = choice->focus == FOCUS_GPUS && gpu->gpu.gpu_id == choice->gpu_id;
        if (layout->lines == 1)
            draw_short(model, gpu, line, selected);
        else
            draw_full(model, gpu, line, selected);
    }
    return line;
}
