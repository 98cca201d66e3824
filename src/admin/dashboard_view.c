#include "admin/dashboard_view.h"

#include <curses.h>
#include <stdio.h>
#include <time.h>

#include "admin/dashboard_gpus.h"
#include "admin/dashboard_screen.h"
#include "admin/dashboard_vms.h"
#include "admin/format.h"

#define PROMPT_LINES 4

static size_t page;

size_t view_page(void)
{
    return page > 0 ? page : 1;
}

static void draw_title(const struct dashboard_model *model, const struct gpu_layout *layout)
{
    char text[256], part[64] = "", uptime[FORMAT_BYTES], clock_text[16];
    time_t now = time(NULL);
    struct tm parts;
    localtime_r(&now, &parts);
    strftime(clock_text, sizeof clock_text, "%H:%M:%S", &parts);
    if (layout->shown < model->gpu_count)
        snprintf(part, sizeof part, " (%zu-%zu shown)", layout->first + 1, layout->first + layout->shown);
    int used =
        snprintf(text, sizeof text, "vgpu  %zu GPU%s%s  %zu VM%s  ", model->gpu_count,
                 model->gpu_count == 1 ? "" : "s", part, model->vm_count, model->vm_count == 1 ? "" : "s");
    if (model->has_live)
        snprintf(text + used, sizeof text - (size_t)used, "driver %s  vgpud up %s", model->live.driver,
                 format_duration(uptime, model->live.uptime_us));
    else
        snprintf(text + used, sizeof text - (size_t)used, "vgpud is not there");
    move(0, 0);
    attron(screen_paint(COLOUR_TITLE) | A_BOLD);
    screen_put_field(text, COLS - 9, false);
    screen_put_field(clock_text, 9, true);
    attroff(screen_paint(COLOUR_TITLE) | A_BOLD);
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
        "x            put it into quarantine, or release it",
        "a            assign the selected GPU to pools",
        "r            scan for GPUs",
        "q            quit",
        "",
        "Every change asks before it is made. Press any key.",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0] && (int)i + 2 < LINES; i++)
        mvaddnstr((int)i + 2, 4, lines[i], COLS - 5);
}

/* On as many lines as it takes, so that its end, where one types, is always seen. */
static void draw_prompt(const char *prompt)
{
    int columns = COLS - 1;
    int lines = 1 + screen_width(prompt) / (columns - 1); /* a wide character may leave a column empty */
    const char *rest = prompt;
    lines = lines > PROMPT_LINES ? PROMPT_LINES : lines;
    for (int line = LINES - lines; line < LINES; line++) {
        move(line, 0);
        clrtoeol();
    }
    attron(A_BOLD);
    for (int line = LINES - lines; line < LINES && (*rest != '\0' || line == LINES - lines); line++) {
        move(line, 0);
        rest = screen_put_part(rest, columns);
    }
    attroff(A_BOLD);
    curs_set(1);
}

static void draw_note(const struct dashboard_model *model, const struct dashboard_choice *choice,
                      const char *note)
{
    char text[1100] = "", rows[80] = "";
    if (model->row_count > page)
        snprintf(rows, sizeof rows, " VMs %zu-%zu of %zu", choice->top_row + 1, choice->top_row + page,
                 model->row_count);
    if (note[0] != '\0')
        snprintf(text, sizeof text, "%s", note);
    else if (!model->has_live && model->daemon_note[0] != '\0')
        snprintf(text, sizeof text, "%s", model->daemon_note);
    else if (model->driver_note[0] != '\0')
        snprintf(text, sizeof text, "%s", model->driver_note);
    else if (model->filter[0] != '\0')
        snprintf(text, sizeof text, "Filter: %s (%zu of %zu VMs)", model->filter, model->row_count,
                 model->vm_count);
    move(LINES - 2, 0);
    attron(screen_paint(COLOUR_WARM));
    screen_put_field(text, COLS - 1 - screen_width(rows), false);
    attroff(screen_paint(COLOUR_WARM));
    screen_put(rows, COLS - 1);
}

static void draw_keys(void)
{
    curs_set(0);
    move(LINES - 1, 0);
    attron(A_REVERSE);
    screen_put_field(" q quit  ? help  Tab GPUs/VMs  s sort  / filter  m move  p priority  P pause  a assign",
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
    struct gpu_layout layout = gpus_lay_out(model, choice);
    draw_title(model, &layout);
    if (choice->help) {
        draw_help();
    } else {
        int line = gpus_draw(model, choice, &layout, 1);
        page = vms_draw(model, choice, line, LINES - 3);
    }
    draw_note(model, choice, note);
    if (prompt != NULL)
        draw_prompt(prompt);
    else
        draw_keys();
    refresh();
}
